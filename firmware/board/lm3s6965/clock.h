/* Time: the processor's clock, microseconds since reset, sleeping. */
#ifndef EDGED_LM3S6965_CLOCK_H
#define EDGED_LM3S6965_CLOCK_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

enum { TICKS_PER_MS = 12500 }; /* 12.5 MHz */

void clock_start(void);

/* Microseconds since clock_start(). */
uint64_t clock_us(void);

/*
 * Sleep until an interrupt (there is one every millisecond), but not beyond `until_us`, and not when `awake` says that there is
 * something to do already.
 */
void clock_sleep(uint64_t until_us, bool (*awake)(void));

/* Whole microseconds as ticks of a timer: 1 at least. */
uint32_t clock_ticks(uint64_t us);

/* A 32-bit timer of which TIMER_0 … are the addresses: stopped, with its interrupt at `priority` (0 first, 7 last). */
void clock_prepare_timer(uint32_t timer, uint32_t mode, uint32_t irq, uint8_t priority);

#endif
