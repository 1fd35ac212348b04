/* Eye safety: whatever is asked for, whenever, and whatever resets the head, no window of any lamp holds too much light. */
#include <string.h> /* memset */

#include "bench.h"  /* a head and its host */
#include "check.h"  /* CHECK */
#include "limits.h" /* the limits */

enum { SPELLS = 60000, WINDOW_US = LIMIT_WINDOW_MS * 1000, REST_US = LIMIT_REST_MS * 1000 };

/* A time that a lamp was on, on a clock that goes on over resets. */
struct spell {
    uint8_t lamp;
    uint64_t from_us;
    uint64_t until_us;
};

static struct bench bench;
static struct spell spells[SPELLS];
static size_t spell_count;
static uint64_t lives_us; /* of the heads before this one */

/* Note a time that a lamp was on. */
static void lit(uint8_t lamp, uint64_t from_us, uint64_t until_us) {
    if (spell_count < SPELLS && until_us > from_us) {
        spells[spell_count++] = (struct spell){lamp, lives_us + from_us, lives_us + until_us};
    }
}

/* The most that a lamp was on in any 10 s; a window that holds the most ends with a spell. */
static uint64_t most_in_a_window(uint8_t lamp) {
    uint64_t most = 0;
    for (size_t last = 0; last < spell_count; last++) {
        uint64_t sum = 0;
        const uint64_t end = spells[last].until_us;
        const uint64_t begin = end > WINDOW_US ? end - WINDOW_US : 0;
        for (size_t i = last + 1; spells[last].lamp == lamp && i-- > 0 && spells[i].until_us > begin;) {
            const uint64_t from = spells[i].from_us > begin ? spells[i].from_us : begin;
            sum += spells[i].lamp == lamp ? spells[i].until_us - from : 0;
        }
        most = sum > most ? sum : most;
    }
    return most;
}

/* The longest that a lamp was on without a rest. */
static uint64_t longest_run(uint8_t lamp) {
    uint64_t longest = 0;
    uint64_t run = 0;
    uint64_t last_us = 0;
    for (size_t i = 0; i < spell_count; i++) {
        if (spells[i].lamp == lamp) {
            run = spells[i].from_us - last_us >= REST_US ? 0 : run;
            run += spells[i].until_us - spells[i].from_us;
            last_us = spells[i].until_us;
            longest = run > longest ? run : longest;
        }
    }
    return longest;
}

/* Ask for a light: often as much as there may be. */
static void ask_light(uint32_t *random) {
    const uint8_t lamp = (uint8_t)(1 + random_below(random, LAMPS));
    const uint32_t longest = limit_of(lamp)->longest_ms;
    const uint32_t ms = random_below(random, 3) == 0 ? longest : 1 + random_below(random, longest);
    const uint8_t ask[6] = {0x10, 1, lamp, 50, (uint8_t)ms, (uint8_t)(ms >> 8)};
    bench_ask(&bench, ask, sizeof ask);
}

/* Ask for an exposure of up to eight steps. */
static void ask_expose(uint32_t *random) {
    uint8_t ask[3 + 10 * STEPS_MAX] = {0x11, 1, (uint8_t)(1 + random_below(random, STEPS_MAX))};
    for (unsigned i = 0; i < ask[2]; i++) {
        uint8_t *to = ask + 3 + 10 * i;
        const uint32_t lead = random_below(random, LEAD_MAX_US);
        const uint32_t window = WINDOW_MIN_US + random_below(random, 300000);
        to[0] = (uint8_t)random_below(random, LAMPS + 1);
        to[1] = to[0] == 0 ? 0 : 9;
        for (unsigned octet = 0; octet < 4; octet++) {
            to[2 + octet] = (uint8_t)(lead >> 8 * octet);
            to[6 + octet] = (uint8_t)(window >> 8 * octet);
        }
    }
    bench_ask(&bench, ask, 3U + 10U * ask[2]);
}

/* Do something that somebody who wants more light might do. */
static void misbehave(uint32_t *random, bool resets) {
    static const uint8_t dark[2] = {0x12, 1};
    switch (random_below(random, 20)) {
    case 0:
        bench_ask(&bench, dark, sizeof dark);
        break;
    case 1:
        bench_open(&bench, (uint8_t)(bench.session % 255 + 1));
        break;
    case 2:
        if (resets && random_below(random, 3) == 0) {
            const uint64_t lived_us = bench.now_us;
            bench_reset(&bench, random_below(random, 2) == 0 ? RESET_SOFTWARE : RESET_WATCHDOG);
            lives_us += lived_us;
            bench_open(&bench, 1);
        }
        break;
    case 3:
        bench.pins.cover_open = !bench.pins.cover_open;
        break;
    default:
        if (random_below(random, 2) == 0) {
            ask_light(random);
        } else {
            ask_expose(random);
        }
        break;
    }
    bench_forget(&bench);
}

/* Misbehave for ten minutes, and look whether that gave too much of any lamp. */
static void try(uint32_t seed, bool resets) {
    uint32_t random = seed;
    bench_init(&bench);
    bench.lit = lit;
    spell_count = 0;
    lives_us = 0;
    bench_open(&bench, 1);
    while (lives_us + bench.now_us < 600ULL * 1000000ULL) {
        misbehave(&random, resets);
        bench_run(&bench, bench.now_us / 1000 + 1 + random_below(&random, random_below(&random, 5) == 0 ? 2000 : 120));
    }
    CHECK(spell_count > 300 && spell_count < SPELLS);
    for (uint8_t lamp = 1; lamp <= LAMPS; lamp++) {
        const uint64_t duty_us = (uint64_t)limit_of(lamp)->duty_per_mille * LIMIT_WINDOW_MS;
        const uint64_t longest_us = limit_of(lamp)->longest_ms * 1000ULL;
        const uint64_t most_us = most_in_a_window(lamp);
        CHECK(most_us <= duty_us);
        CHECK(most_us > duty_us / 2); /* the limit was tried */
        CHECK(longest_run(lamp) <= longest_us);
    }
}

static void no_sequence_of_requests_gets_past_the_limits(void) {
    for (uint32_t seed = 1; seed <= 4; seed++) {
        try(seed, false);
    }
}

static void nor_does_resetting_the_head(void) {
    for (uint32_t seed = 5; seed <= 8; seed++) {
        try(seed, true);
    }
}

/* What a lamp has to wait for a millisecond now. */
static uint32_t wait(struct limits *limits, uint8_t lamp, uint64_t now_us) {
    limits_pass(limits, now_us);
    return limits_wait(limits, lamp, 1000, 0, now_us);
}

static void a_memory_that_is_not_sound_counts_as_exhausted(void) {
    struct limits limits;
    for (uint8_t lamp = 1; lamp <= LAMPS; lamp++) {
        memset(&limits, 0xC3, sizeof limits);
        limits_init(&limits, RESET_WATCHDOG, 0);
        CHECK(wait(&limits, lamp, 0) > 9900);
        CHECK_EQUAL(wait(&limits, lamp, 10100001), 0);
    }
}

static void one_wrong_bit_makes_a_memory_unsound(void) {
    struct limits limits;
    memset(&limits, 0, sizeof limits);
    limits_init(&limits, RESET_POWER, 0);
    limits_charge(&limits, LAMP_WHITE, 1000, 5000);
    limits.lamps[0].slices[50] ^= 1;
    limits_init(&limits, RESET_PIN, 0);
    CHECK(wait(&limits, LAMP_WHITE, 1000) > 9900);
    memset(&limits, 0, sizeof limits);
    limits_init(&limits, RESET_POWER, 0);
    limits.lit = 8;
    limits_init(&limits, RESET_PIN, 0);
    CHECK(wait(&limits, LAMP_WHITE, 1000) > 9900);
}

static void power_begins_with_nothing_but_only_in_an_unsound_memory(void) {
    struct limits limits;
    memset(&limits, 0xC3, sizeof limits);
    limits_init(&limits, RESET_POWER, 0);
    CHECK_EQUAL(wait(&limits, LAMP_UV_365, 0), 0);
    limits_charge(&limits, LAMP_UV_365, 1000000, 1000000);
    limits_init(&limits, RESET_POWER, 0);
    CHECK(wait(&limits, LAMP_UV_365, 200000) > 9000);
}

static void what_nobody_counted_before_the_watchdog_is_not_light_for_free(void) {
    static const uint8_t ask[6] = {0x10, 1, LAMP_UV_365, 50, 0xF4, 1}; /* 500 ms */
    bench_init(&bench);
    bench.lit = NULL;
    bench_open(&bench, 1);
    bench_ask(&bench, ask, sizeof ask);
    CHECK_EQUAL(bench.head.illumination.lamp, LAMP_UV_365);
    bench_run(&bench, bench.now_us / 1000 + 2);
    bench.now_us += 1000000; /* the main loop is stuck, the lamp on, until the watchdog bites */
    bench_reset(&bench, RESET_WATCHDOG);
    CHECK(wait(&bench.retained, LAMP_UV_365, 200000) > 9500);
    CHECK_EQUAL(wait(&bench.retained, LAMP_WHITE, 200000), 0); /* which was dark */
    CHECK_EQUAL(wait(&bench.retained, LAMP_UV_365, 10200001), 0);
}

static void a_lamp_that_is_stuck_on_never_wraps(void) {
    struct limits limits;
    memset(&limits, 0, sizeof limits);
    limits_init(&limits, RESET_POWER, 0);
    for (unsigned i = 0; i < 3; i++) {
        limits_charge(&limits, LAMP_IR_850, UINT32_MAX, 1000);
    }
    CHECK(wait(&limits, LAMP_IR_850, 2000) > 9000);
    CHECK_EQUAL(limits.lamps[1].total, UINT32_MAX);
    CHECK_EQUAL(wait(&limits, LAMP_IR_850, 20000000), 0);
    CHECK_EQUAL(limits.lamps[1].total, 0);
}

static void a_clock_that_jumped_far_clears_the_window(void) {
    struct limits limits;
    memset(&limits, 0, sizeof limits);
    limits_init(&limits, RESET_POWER, 0);
    limits_charge(&limits, LAMP_WHITE, 5000000, 5000000);
    limits_pass(&limits, UINT64_MAX / 2);
    CHECK_EQUAL(limits.lamps[0].total, 0);
    CHECK(limits.slice_ends_us > UINT64_MAX / 2);
}

int main(void) {
    RUN(no_sequence_of_requests_gets_past_the_limits);
    RUN(nor_does_resetting_the_head);
    RUN(a_memory_that_is_not_sound_counts_as_exhausted);
    RUN(one_wrong_bit_makes_a_memory_unsound);
    RUN(power_begins_with_nothing_but_only_in_an_unsound_memory);
    RUN(what_nobody_counted_before_the_watchdog_is_not_light_for_free);
    RUN(a_lamp_that_is_stuck_on_never_wraps);
    RUN(a_clock_that_jumped_far_clears_the_window);
    return check_failures == 0 ? 0 : 1;
}
