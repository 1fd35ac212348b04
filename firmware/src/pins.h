/* What a board is and what its pins say, as plain values: `src/` sees a board through these only. */
#ifndef EDGED_PINS_H
#define EDGED_PINS_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

/* Capabilities of WELCOME (PROTOCOL.md §4). */
enum {
    CAN_WHITE = 1 << 0,
    CAN_IR_850 = 1 << 1,
    CAN_IR_940 = 1 << 2,
    CAN_UV_365 = 1 << 3,
    CAN_STROBE = 1 << 4,
    CAN_BUZZER = 1 << 5,
    CAN_COVER = 1 << 6,
    CAN_PRESENCE = 1 << 7,
    CAN_TEMPERATURE = 1 << 8,
    CAN_UPDATE = 1 << 9
};

/* Why the head started (PROTOCOL.md §4). */
enum reset_cause {
    RESET_UNKNOWN = 0,
    RESET_POWER = 1,
    RESET_PIN = 2,
    RESET_WATCHDOG = 3,
    RESET_BROWN_OUT = 4,
    RESET_SOFTWARE = 5,
    RESET_UPDATE = 6
};

enum { UNIQUE_ID_SIZE = 12, BOARD_NAME_MAX = 24 };

/* What stays the same until the next reset. */
struct board_facts {
    const char *name;                  /* 1…24 ASCII characters */
    uint32_t capabilities;             /* CAN_… */
    bool simulated;                    /* no hardware: a process, an emulator */
    bool loader;                       /* the boot loader, with no application to start */
    enum reset_cause cause;
    uint8_t unique_id[UNIQUE_ID_SIZE]; /* of the microcontroller */
};

#define TEMPERATURE_UNKNOWN INT16_MIN
#define SUPPLY_UNKNOWN 0U

/* Raw levels at one moment. */
struct pins {
    bool button;              /* down */
    bool document;            /* something in front of the presence sensor */
    bool cover_open;          /* false without a switch */
    bool lamp_current_bad;    /* current of the lit lamp out of range; false where it isn't measured */
    bool presence_blind;      /* the presence sensor can't see (dazzled, dirty, broken); false where it can't tell */
    int16_t temperature;      /* 0.1 °C, or TEMPERATURE_UNKNOWN */
    uint16_t supply;          /* mV, or SUPPLY_UNKNOWN */
};

#endif
