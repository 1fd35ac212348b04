/*
 * PF1 button (to ground when down), PE0 document (high when something is there), PE1 cover (to ground when closed). A broken
 * wire reads as: button up, cover open. ADC: the chip's own temperature, and the supply through 70 kΩ : 30 kΩ at ADC0.
 */

#include "sensors.h"

#include "board.h"     /* board_read_pins */
#include "clock.h"     /* TICKS_PER_MS, clock_us */
#include "registers.h" /* GPIO_…, ADC_… */

#define BUTTON 0x02U
#define DOCUMENT 0x01U
#define COVER 0x02U

enum {
    SAMPLE_MS = 50,      /* nothing of it changes faster */
    FIRST_LIMIT_US = 20000,
    STALE_US = 1000000,  /* ten samples of each that didn't come: the converter, or what triggers it, is broken */
    STEPS = 1023,        /* of the converter, for 3.0 V */
    SUPPLY_FULL = 10000, /* mV behind the divider for 3.0 V at the pin */
};

#define SEQUENCER 3U /* one sample at a time */
#define BY_TIMER (5U << (SEQUENCER * 4U))
#define END_OF_SEQUENCE 0x2U
#define OF_TEMPERATURE 0x8U
#define FIFO_EMPTY (1U << 8)

static int16_t temperature = TEMPERATURE_UNKNOWN;
static uint16_t supply = SUPPLY_UNKNOWN;
static bool warmth_next = true; /* what the sequencer is set to */
static uint64_t sampled_us;

/* What the next sample is of. */
static void choose(bool warmth) {
    warmth_next = warmth;
    ADC_SSMUX3 = 0;
    ADC_SSCTL3 = END_OF_SEQUENCE | (warmth ? OF_TEMPERATURE : 0U);
}

/* Have the converter sample every so many milliseconds. */
static void sample_every(uint32_t milliseconds) {
    TIMER_CTL(TIMER_2) = 0;
    TIMER_CFG(TIMER_2) = 0;
    TIMER_TAMR(TIMER_2) = TIMER_PERIODIC;
    TIMER_TAILR(TIMER_2) = milliseconds * (uint32_t)TICKS_PER_MS;
    TIMER_CTL(TIMER_2) = TIMER_ENABLE | TIMER_TRIGGER;
}

/* Timer 2 triggers the converter: no interrupt, the main loop picks the samples up. */
static void start_converter(void) {
    SYSCTL_RCGC0 |= 1U << 16;
    (void)SYSCTL_RCGC0;
    ADC_ACTSS = 0;
    ADC_EMUX = BY_TIMER;
    choose(true);
    ADC_ACTSS = 1U << SEQUENCER;
    sample_every(1);
}

/* Data sheet: 147.5 °C − 75 · 3.0 V · n / 1023, here in tenths. */
static int16_t tenths_of_degree(uint32_t sample) {
    return (int16_t)(1475 - (int32_t)(2250U * sample / STEPS));
}

/* Take what the converter has. */
static void read_converter(void) {
    while ((ADC_SSFSTAT3 & FIFO_EMPTY) == 0) {
        const uint32_t sample = ADC_SSFIFO3 & 0x3FFU;
        if (warmth_next) {
            temperature = tenths_of_degree(sample);
        } else {
            supply = (uint16_t)(sample * SUPPLY_FULL / STEPS);
        }
        sampled_us = clock_us();
        choose(!warmth_next);
    }
}

/* Nothing is lit while the temperature isn't known: wait for the first samples, unless the converter is broken. */
static void first_samples(void) {
    const uint64_t until = clock_us() + FIRST_LIMIT_US;
    while ((temperature == TEMPERATURE_UNKNOWN || supply == SUPPLY_UNKNOWN) && clock_us() < until) {
        read_converter();
    }
    sample_every(SAMPLE_MS);
}

void sensors_start(void) {
    SYSCTL_RCGC2 |= 3U << 4; /* ports E and F */
    (void)SYSCTL_RCGC2;
    GPIO_PUR(GPIO_F) = BUTTON;
    GPIO_DEN(GPIO_F) = BUTTON;
    GPIO_PUR(GPIO_E) = COVER;
    GPIO_DEN(GPIO_E) = DOCUMENT | COVER;
    start_converter();
    first_samples();
}

/* What was true once keeps no lamp on: a converter that says nothing more is one that can't be read. */
static void forget_stale(void) {
    if (clock_us() - sampled_us > STALE_US) {
        temperature = TEMPERATURE_UNKNOWN;
        supply = SUPPLY_UNKNOWN;
    }
}

void board_read_pins(struct pins *pins) {
    read_converter();
    forget_stale();
    *pins = (struct pins){
        .button = GPIO_DATA(GPIO_F, BUTTON) == 0,
        .document = GPIO_DATA(GPIO_E, DOCUMENT) != 0,
        .cover_open = GPIO_DATA(GPIO_E, COVER) != 0,
        .temperature = temperature,
        .supply = supply,
    };
}
