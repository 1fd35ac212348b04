/* The tests' harness: a check that fails says where and goes on; main returns how many tests failed. */
#ifndef EDGED_CHECK_H
#define EDGED_CHECK_H

#include <inttypes.h> /* PRId64 */
#include <stdbool.h>  /* bool */
#include <stdint.h>   /* int64_t */
#include <stdio.h>    /* printf */

static int check_failures;

/* Note a condition that doesn't hold. */
static inline void check_true(bool holds, const char *file, int line, const char *what) {
    if (!holds) {
        printf("%s:%d: %s\n", file, line, what);
        check_failures++;
    }
}

/* Note two numbers that aren't the same. */
static inline void check_equal(int64_t left, int64_t right, const char *file, int line, const char *what) {
    if (left != right) {
        printf("%s:%d: %s: %" PRId64 " is not %" PRId64 "\n", file, line, what, left, right);
        check_failures++;
    }
}

#define CHECK(condition) check_true((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(left, right) check_equal((int64_t)(left), (int64_t)(right), __FILE__, __LINE__, #left " == " #right)

/* Run one test and say how it went. */
#define RUN(test)                                                              \
    do {                                                                       \
        const int before = check_failures;                                     \
        test();                                                                \
        printf("%s %s\n", check_failures == before ? "ok" : "FAILED", #test);  \
    } while (0)

/* Numbers that are the same in every run (xorshift32). */
static inline uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A number from 0 up to but not including `below`. */
static inline uint32_t random_below(uint32_t *state, uint32_t below) {
    return next_random(state) % below;
}

#endif
