/* Indications are told apart without colours; beeps end. */
#include "check.h"     /* CHECK */
#include "indicator.h" /* what is tested */

/* A rhythm some beats later. */
static uint16_t shifted(uint16_t beats, unsigned by) {
    return (uint16_t)((unsigned)beats << by | (unsigned)beats >> (RHYTHM_BEATS - by) % RHYTHM_BEATS);
}

static void no_two_rhythms_are_the_same_however_shifted(void) {
    for (uint8_t left = 0; left < INDICATIONS; left++) {
        for (uint8_t right = (uint8_t)(left + 1); right < INDICATIONS; right++) {
            for (unsigned by = 0; by < RHYTHM_BEATS; by++) {
                CHECK(indicator_rhythm(left).beats != shifted(indicator_rhythm(right).beats, by));
            }
        }
    }
}

static void only_off_is_dark(void) {
    for (uint8_t i = 0; i < INDICATIONS; i++) {
        CHECK((indicator_rhythm(i).beats == 0) == (i == INDICATION_OFF));
        CHECK((indicator_rhythm(i).colours == 0) == (i == INDICATION_OFF));
    }
    CHECK_EQUAL(indicator_rhythm(INDICATIONS).beats, 0);
}

static void a_rhythm_begins_when_it_is_shown_and_goes_on(void) {
    struct indicator indicator = {0};
    indicator_show(&indicator, INDICATION_PLACE, 500);
    indicator_show(&indicator, INDICATION_PLACE, 900); /* showing the same again doesn't begin it anew */
    CHECK_EQUAL(indicator_led(&indicator, 500), LED_BLUE);
    CHECK_EQUAL(indicator_led(&indicator, 1499), LED_BLUE);
    CHECK_EQUAL(indicator_led(&indicator, 1500), 0);
    CHECK_EQUAL(indicator_led(&indicator, 2500), LED_BLUE);
}

/* How many milliseconds of the first two seconds a beep sounds. */
static unsigned sounds(uint8_t beep, unsigned *tones) {
    struct indicator indicator = {0};
    unsigned sounded = 0;
    bool before = false;
    *tones = 0;
    indicator_beep(&indicator, beep, 100);
    for (uint64_t now_ms = 100; now_ms < 2100; now_ms++) {
        const bool on = indicator_buzzer(&indicator, now_ms);
        sounded += on ? 1U : 0U;
        *tones += on && !before ? 1U : 0U;
        before = on;
    }
    CHECK_EQUAL(indicator.beep, BEEP_NONE);
    return sounded;
}

static void beeps_sound_as_the_table_says_and_end(void) {
    unsigned tones = 0;
    CHECK_EQUAL(sounds(BEEP_SHORT, &tones), 80);
    CHECK_EQUAL(tones, 1);
    CHECK_EQUAL(sounds(BEEP_DOUBLE, &tones), 160);
    CHECK_EQUAL(tones, 2);
    CHECK_EQUAL(sounds(BEEP_LONG, &tones), 600);
    CHECK_EQUAL(tones, 1);
}

int main(void) {
    RUN(no_two_rhythms_are_the_same_however_shifted);
    RUN(only_off_is_dark);
    RUN(a_rhythm_begins_when_it_is_shown_and_goes_on);
    RUN(beeps_sound_as_the_table_says_and_end);
    return check_failures == 0 ? 0 : 1;
}
