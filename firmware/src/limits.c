/* How long each lamp may be on. */
#include "limits.h"

#include <string.h> /* memset */

enum { US_PER_MS = 1000, SLICE_US = LIMIT_SLICE_MS * US_PER_MS };

static const uint32_t check_word = 0x4C494D32U; /* "LIM2"; another layout takes another word */

/* By lamp number, less one. */
static const struct lamp_limit lamp_limits[LAMPS] = {
    {.longest_ms = 5000, .duty_per_mille = 500},
    {.longest_ms = 1000, .duty_per_mille = 250},
    {.longest_ms = 1000, .duty_per_mille = 250},
    {.longest_ms = 500, .duty_per_mille = 100},
};

const struct lamp_limit *limit_of(uint8_t lamp) {
    return &lamp_limits[lamp - 1U];
}

/* How many µs of the window a lamp may be on. */
static uint32_t allowance(uint8_t lamp) {
    return (uint32_t)limit_of(lamp)->duty_per_mille * LIMIT_WINDOW_MS; /* per mille of ms is µs */
}

/* Whether the sums agree: not what power-up leaves in a memory, and not what a stray write does. */
static bool sound(const struct limits *limits) {
    if (limits->check != check_word || limits->slice >= LIMIT_SLICES || limits->lit > LAMPS) {
        return false;
    }
    for (unsigned lamp = 0; lamp < LAMPS; lamp++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < LIMIT_SLICES; i++) {
            sum += limits->lamps[lamp].slices[i];
        }
        if (sum != limits->lamps[lamp].total) {
            return false;
        }
    }
    return true;
}

/* Count a lamp as having been on as long as it may, up to now. */
static void exhaust(struct limits *limits, uint32_t lamp) {
    struct lamp_memory *memory = &limits->lamps[lamp - 1U];
    memset(memory, 0, sizeof *memory);
    memory->slices[limits->slice] = allowance((uint8_t)lamp);
    memory->total = allowance((uint8_t)lamp);
    memory->run = (uint32_t)limit_of((uint8_t)lamp)->longest_ms * US_PER_MS;
}

void limits_init(struct limits *limits, enum reset_cause cause, uint64_t now_us) {
    if (!sound(limits)) {
        memset(limits, 0, sizeof *limits);
        limits->check = check_word;
        for (uint32_t lamp = LAMP_WHITE; cause != RESET_POWER && lamp <= LAMPS; lamp++) {
            exhaust(limits, lamp);
        }
    } else if (cause == RESET_WATCHDOG && limits->lit != LAMP_NONE) {
        exhaust(limits, limits->lit);
    }
    limits->lit = LAMP_NONE;
    limits->slice_ends_us = now_us + SLICE_US;
    for (unsigned i = 0; i < LAMPS; i++) {
        limits->lamps[i].last_us = now_us;
    }
}

/* Begin the next slice in the place of the oldest. */
static void next_slice(struct limits *limits) {
    limits->slice = (limits->slice + 1U) % LIMIT_SLICES;
    limits->slice_ends_us += SLICE_US;
    for (unsigned i = 0; i < LAMPS; i++) {
        struct lamp_memory *memory = &limits->lamps[i];
        memory->total -= memory->slices[limits->slice];
        memory->slices[limits->slice] = 0;
    }
}

void limits_pass(struct limits *limits, uint64_t now_us) {
    for (unsigned i = 0; i < LIMIT_SLICES && now_us >= limits->slice_ends_us; i++) {
        next_slice(limits);
    }
    if (now_us >= limits->slice_ends_us) { /* every slice is empty now */
        limits->slice_ends_us = now_us + SLICE_US;
    }
}

/* What the lamp has been on since its last rest, were it to go on at `from_us`. */
static uint32_t run_at(const struct lamp_memory *memory, uint64_t from_us) {
    const bool rested = from_us >= memory->last_us && from_us - memory->last_us >= (uint64_t)LIMIT_REST_MS * US_PER_MS;
    return rested ? 0 : memory->run;
}

/* Add without wrapping: a lamp that is stuck on counts as on for ever. */
static uint32_t add(uint32_t sum, uint32_t more) {
    return more > UINT32_MAX - sum ? UINT32_MAX : sum + more;
}

void limits_lit(struct limits *limits, uint8_t lamp) {
    limits->lit = lamp;
}

void limits_charge(struct limits *limits, uint8_t lamp, uint32_t on_us, uint64_t now_us) {
    struct lamp_memory *memory = &limits->lamps[lamp - 1U];
    const uint32_t before = memory->total;
    memory->total = add(before, on_us);
    memory->slices[limits->slice] += memory->total - before;
    memory->run = add(run_at(memory, now_us - on_us), on_us);
    memory->last_us = now_us;
}

/* Milliseconds from now until a moment, rounded up. */
static uint32_t until(uint64_t moment_us, uint64_t now_us) {
    return moment_us <= now_us ? 1U : (uint32_t)((moment_us - now_us + US_PER_MS - 1U) / US_PER_MS);
}

/* When so many µs of the window will have left it. */
static uint32_t duty_wait(const struct limits *limits, const struct lamp_memory *memory, uint64_t excess, uint64_t now_us) {
    uint64_t gone = 0;
    for (unsigned i = 1; i <= LIMIT_SLICES; i++) {
        gone += memory->slices[(limits->slice + i) % LIMIT_SLICES];
        if (gone >= excess) {
            return until(limits->slice_ends_us + (uint64_t)(i - 1U) * SLICE_US, now_us);
        }
    }
    return until(limits->slice_ends_us + (uint64_t)LIMIT_SLICES * SLICE_US, now_us);
}

uint32_t limits_wait(const struct limits *limits, uint8_t lamp, uint32_t want_us, uint32_t ahead_us, uint64_t now_us) {
    const struct lamp_memory *memory = &limits->lamps[lamp - 1U];
    const uint32_t longest = (uint32_t)limit_of(lamp)->longest_ms * US_PER_MS;
    if (want_us > longest) {
        return LIMIT_NEVER;
    }
    uint32_t wait = 0;
    if ((uint64_t)run_at(memory, now_us) + ahead_us + want_us > longest) {
        const uint64_t rested = memory->last_us + ahead_us + (uint64_t)LIMIT_REST_MS * US_PER_MS;
        wait = until(rested, now_us);
    }
    const uint64_t counted = (uint64_t)memory->total + ahead_us + want_us;
    if (counted > allowance(lamp)) {
        const uint32_t duty = duty_wait(limits, memory, counted - allowance(lamp), now_us);
        wait = duty > wait ? duty : wait;
    }
    return wait;
}
