/*
 * How long each lamp may be on (PROTOCOL.md §5, Limits), by what it has been on in its sliding window.
 *
 * The window is kept as slices of 100 ms: the current one and the 100 before it, so that what is counted is always at
 * least what lies in the last 10 s. Time is charged when the lamp has been on, in the slice of that moment or a later
 * one. A light is allowed when what is counted and all of its own time stay within the duty: then no window that ends
 * during it or after it holds more.
 *
 * The memory outlives a reset (`board_retained`), so that restarting the head gives nobody more light. It is trusted
 * when its sums agree; otherwise every lamp counts as having been on as long as it may, but after power came. So does the
 * lamp that was on when the watchdog bit: for as long as the main loop was stuck, nobody charged its time.
 */
#ifndef EDGED_LIMITS_H
#define EDGED_LIMITS_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

#include "pins.h" /* enum reset_cause */

enum lamp { LAMP_NONE = 0, LAMP_WHITE = 1, LAMP_IR_850 = 2, LAMP_IR_940 = 3, LAMP_UV_365 = 4 };

enum {
    LAMPS = 4,
    LIMIT_WINDOW_MS = 10000,
    LIMIT_SLICE_MS = 100,
    LIMIT_SLICES = LIMIT_WINDOW_MS / LIMIT_SLICE_MS + 1,
    LIMIT_REST_MS = 100 /* a shorter pause is none: what is lit before and after it counts as one */
};

#define LIMIT_NEVER UINT32_MAX

/* What a lamp is allowed. */
struct lamp_limit {
    uint16_t longest_ms;
    uint16_t duty_per_mille;
};

/* What one lamp has been on, in µs. */
struct lamp_memory {
    uint32_t slices[LIMIT_SLICES];
    uint32_t total;   /* sum of the slices */
    uint32_t run;     /* since its last rest */
    uint64_t last_us; /* when it was last on */
};

struct limits {
    struct lamp_memory lamps[LAMPS];
    uint64_t slice_ends_us;
    uint32_t slice; /* the current one */
    uint32_t lit;   /* the lamp that is on; LAMP_NONE for none */
    uint32_t check; /* says that the rest is this struct's */
};

/* The limit of lamp 1…4. */
const struct lamp_limit *limit_of(uint8_t lamp);

/* After a reset: keep what is in the memory if it is sound. Time begins anew at `now_us`. */
void limits_init(struct limits *limits, enum reset_cause cause, uint64_t now_us);

/* Let time pass. Call at least once in every turn, and before the calls below. */
void limits_pass(struct limits *limits, uint64_t now_us);

/* `lamp` is on from now on; LAMP_NONE for none. What isn't charged before the watchdog bites is known by this. */
void limits_lit(struct limits *limits, uint8_t lamp);

/* `lamp` was on for the last `on_us`. */
void limits_charge(struct limits *limits, uint8_t lamp, uint32_t on_us, uint64_t now_us);

/*
 * Whether `lamp` may be on for `want_us` from now, beside `ahead_us` that it will still be on anyway: 0, or how many
 * milliseconds until it may, or LIMIT_NEVER.
 */
uint32_t limits_wait(const struct limits *limits, uint8_t lamp, uint32_t want_us, uint32_t ahead_us, uint64_t now_us);

#endif
