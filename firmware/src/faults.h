/* Faults (PROTOCOL.md §6.3): raised and over with a margin between, so that none flickers. */
#ifndef EDGED_FAULTS_H
#define EDGED_FAULTS_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

#include "pins.h" /* struct pins */

enum fault {
    FAULT_LAMP = 0,
    FAULT_HOT = 1,
    FAULT_SUPPLY = 2,
    FAULT_BUTTON = 3,
    FAULT_PRESENCE = 4,
    FAULT_STORE = 5,
    FAULT_WATCHDOG = 6,
    FAULTS
};

enum {
    HOT_FROM = 700, /* 0.1 °C; until below HOT_UNTIL */
    HOT_UNTIL = 600,
    SUPPLY_LOW_MV = 4500, /* of 5 V: below it the regulators of the lamps begin to fail */
    SUPPLY_GOOD_MV = 4650,
    LAMP_BAD_SAMPLES = 20, /* the current of a lamp settles within 5 ms */
    LAMP_OVER_MS = 5000,   /* how long lamps stay off before the current is tried again */
    PRESENCE_SAMPLES = 1000
};

struct faults {
    uint32_t raised;       /* bit set by number */
    uint32_t told;         /* what has been told of `raised` */
    uint8_t lamp_bad;      /* samples in a row */
    uint16_t presence_bad;
    uint64_t lamp_ms;      /* when the lamp's fault was raised */
};

/* None. */
void faults_init(struct faults *faults);

/* Take one sample; call once a millisecond. */
void faults_sample(struct faults *faults, const struct pins *pins, uint32_t capabilities, uint64_t now_ms);

/* Raise a fault, or end it. */
void faults_set(struct faults *faults, enum fault fault, bool raised);

/* Whether a fault is raised. */
bool faults_has(const struct faults *faults, enum fault fault);

/* The next change that hasn't been told: its number, `*raised`; -1 when there is none. */
int faults_news(struct faults *faults, bool *raised);

#endif
