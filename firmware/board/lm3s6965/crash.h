/* How the board came to start, in memory that a reset leaves alone, and what went wrong before it. */
#ifndef EDGED_LM3S6965_CRASH_H
#define EDGED_LM3S6965_CRASH_H

#include <stdint.h> /* uint32_t */

/* Numbers beyond the processor's exceptions and interrupts (0…255). */
enum { CRASH_RETURNED = 0x100, CRASH_WATCHDOG = 0x101 };

struct crash {
    uint32_t number;      /* exception (3 hard fault, 5 bus, 6 usage, 16 + interrupt), or one of the above; 0 none */
    uint32_t pc, lr;      /* where; 0 where the stack couldn't be read */
    uint32_t cfsr, hfsr;  /* the processor's own reasons */
    uint32_t bad_address; /* BFAR; means something when CFSR says so */
};

/* How the board came to start, as far as its memory knows. */
enum start { START_UNKNOWN, START_CRASH, START_ASKED, START_UPDATE };

/* The crash before this start, `number` 0 when there was none. For a debugger: the link tells that there was one. */
extern struct crash crash_last;

/* Write down what happened (`frame`: what the processor pushed; NULL where there is none) and start again. */
_Noreturn void crash(uint32_t number, const uint32_t *frame);

/* Start again because somebody asked for it (START_ASKED, START_UPDATE). */
_Noreturn void crash_free_reset(enum start why);

/* Once after the start: how it came to it; fills `crash_last`. */
enum start crash_take(void);

#endif
