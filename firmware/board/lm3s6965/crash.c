/* The record of a reset: written by whoever causes it, read once after the next start. */

#include "crash.h"

#include "registers.h" /* SCB_… */

#include <stdbool.h> /* bool */
#include <stddef.h>  /* NULL */

/* RAM: a frame outside of it is not read, that would be the next fault. */
#define RAM_BEGIN 0x20000000U
#define RAM_END 0x20010000U

enum { FRAME_OCTETS = 32, FRAME_LR = 5, FRAME_PC = 6 };

static struct {
    uint32_t how; /* enum start */
    struct crash what;
    uint32_t sum;
} record __attribute__((section(".noinit")));

struct crash crash_last;

/* A sum that random memory after power-on doesn't have. */
static uint32_t sum_of_record(void) {
    const uint32_t words[] = {record.how,     record.what.number, record.what.pc,         record.what.lr,
                              record.what.cfsr, record.what.hfsr, record.what.bad_address};
    uint32_t sum = 0x9E3779B9U;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        sum = (sum << 5 | sum >> 27) ^ words[i];
    }
    return sum;
}

static void seal(enum start how) {
    record.how = how;
    record.sum = sum_of_record();
}

static bool readable(const uint32_t *frame) {
    const uintptr_t at = (uintptr_t)frame;
    return at % 4 == 0 && at >= RAM_BEGIN && at <= RAM_END - FRAME_OCTETS;
}

static _Noreturn void reset(void) {
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

_Noreturn void crash(uint32_t number, const uint32_t *frame) {
    const bool known = readable(frame);
    record.what = (struct crash){
        .number = number,
        .pc = known ? frame[FRAME_PC] : 0,
        .lr = known ? frame[FRAME_LR] : 0,
        .cfsr = SCB_CFSR,
        .hfsr = SCB_HFSR,
        .bad_address = SCB_BFAR,
    };
    seal(START_CRASH);
    reset();
}

_Noreturn void crash_free_reset(enum start why) {
    record.what = (struct crash){0};
    seal(why);
    reset();
}

enum start crash_take(void) {
    const bool kept = record.sum == sum_of_record();
    const enum start how = kept && record.how <= START_UPDATE ? (enum start)record.how : START_UNKNOWN;
    crash_last = how == START_CRASH ? record.what : (struct crash){0};
    record.what = (struct crash){0};
    seal(START_UNKNOWN);
    return how;
}
