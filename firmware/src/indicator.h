/* The status LED and the buzzer: which colour and rhythm each indication has, which tones each beep (README.md). */
#ifndef EDGED_INDICATOR_H
#define EDGED_INDICATOR_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

enum indication {
    INDICATION_OFF = 0,
    INDICATION_READY = 1,
    INDICATION_PLACE = 2,
    INDICATION_READING = 3,
    INDICATION_TURN = 4,
    INDICATION_REMOVE = 5,
    INDICATION_SUCCESS = 6,
    INDICATION_FAILED = 7,
    INDICATION_SCREEN = 8,
    INDICATION_AGAIN = 9,
    INDICATION_OFFLINE = 10,
    INDICATION_FAULT = 11,
    INDICATION_FIND = 12,
    INDICATIONS
};

enum beep { BEEP_NONE = 0, BEEP_SHORT = 1, BEEP_DOUBLE = 2, BEEP_LONG = 3, BEEPS };

enum { LED_RED = 1, LED_GREEN = 2, LED_BLUE = 4, RHYTHM_BEATS = 16, BEAT_MS = 125 };

/* What an indication looks like: on in the beats whose bit is set, lowest first, over and over. */
struct rhythm {
    uint8_t colours;
    uint16_t beats;
};

struct indicator {
    uint8_t indication;
    uint8_t beep;
    uint64_t shown_ms;
    uint64_t beep_ms;
};

/* The look of an indication below INDICATIONS. */
struct rhythm indicator_rhythm(uint8_t indication);

/* Show an indication from now on. */
void indicator_show(struct indicator *indicator, uint8_t indication, uint64_t now_ms);

/* Sound a beep from now on. */
void indicator_beep(struct indicator *indicator, uint8_t beep, uint64_t now_ms);

/* The LED's colours now. */
uint8_t indicator_led(const struct indicator *indicator, uint64_t now_ms);

/* Whether the buzzer sounds now; `indicator->beep` is 0 after its end. */
bool indicator_buzzer(struct indicator *indicator, uint64_t now_ms);

#endif
