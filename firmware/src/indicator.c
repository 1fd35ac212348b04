/* The status LED and the buzzer. */
#include "indicator.h"

enum { WHITE = LED_RED | LED_GREEN | LED_BLUE, YELLOW = LED_RED | LED_GREEN, MAGENTA = LED_RED | LED_BLUE };

/* No two rhythms are the same, however they are shifted: who sees no colours still tells them apart. */
static const struct rhythm rhythms[INDICATIONS] = {
    [INDICATION_OFF] = {0, 0x0000},
    [INDICATION_READY] = {LED_GREEN, 0xFFFF},    /* steady */
    [INDICATION_PLACE] = {LED_BLUE, 0x00FF},     /* 1 s on, 1 s off */
    [INDICATION_READING] = {LED_BLUE, 0x3333},   /* even, quick */
    [INDICATION_TURN] = {LED_BLUE, 0x0F33},      /* two short, one long */
    [INDICATION_REMOVE] = {YELLOW, 0x0F0F},      /* half a second on, half off */
    [INDICATION_SUCCESS] = {LED_GREEN, 0x7FFF},  /* steady with a wink */
    [INDICATION_FAILED] = {LED_RED, 0x0FFF},     /* long on, short off */
    [INDICATION_SCREEN] = {YELLOW, 0x0005},      /* two flashes, pause */
    [INDICATION_AGAIN] = {YELLOW, 0x0015},       /* three flashes, pause */
    [INDICATION_OFFLINE] = {WHITE, 0x0001},      /* one flash, long pause */
    [INDICATION_FAULT] = {LED_RED, 0x5555},      /* flicker */
    [INDICATION_FIND] = {MAGENTA, 0x3377},       /* limping */
};

/* Tone, pause, tone in ms; 0 ends it. */
struct tones {
    uint16_t first;
    uint16_t pause;
    uint16_t second;
};

static const struct tones beeps[BEEPS] = {
    [BEEP_NONE] = {0, 0, 0},
    [BEEP_SHORT] = {80, 0, 0},
    [BEEP_DOUBLE] = {80, 80, 80},
    [BEEP_LONG] = {600, 0, 0},
};

struct rhythm indicator_rhythm(uint8_t indication) {
    return rhythms[indication < INDICATIONS ? indication : INDICATION_OFF];
}

void indicator_show(struct indicator *indicator, uint8_t indication, uint64_t now_ms) {
    if (indicator->indication != indication) {
        indicator->indication = indication;
        indicator->shown_ms = now_ms;
    }
}

void indicator_beep(struct indicator *indicator, uint8_t beep, uint64_t now_ms) {
    indicator->beep = beep;
    indicator->beep_ms = now_ms;
}

uint8_t indicator_led(const struct indicator *indicator, uint64_t now_ms) {
    const struct rhythm rhythm = indicator_rhythm(indicator->indication);
    const unsigned beat = (unsigned)((now_ms - indicator->shown_ms) / BEAT_MS % RHYTHM_BEATS);
    return (rhythm.beats >> beat & 1U) != 0 ? rhythm.colours : 0;
}

bool indicator_buzzer(struct indicator *indicator, uint64_t now_ms) {
    const struct tones *tones = &beeps[indicator->beep < BEEPS ? indicator->beep : BEEP_NONE];
    const uint64_t at = now_ms - indicator->beep_ms;
    if (at < tones->first) {
        return true;
    }
    const uint32_t begins = (uint32_t)tones->first + tones->pause;
    if (at < begins + (uint32_t)tones->second) {
        return at >= begins;
    }
    indicator->beep = BEEP_NONE;
    return false;
}
