/*
 * The main loop, the same on every board:
 *
 *     static struct head head;
 *     loop_start(&head);
 *     for (;;) board_sleep(loop_turn(&head));
 */
#ifndef EDGED_LOOP_H
#define EDGED_LOOP_H

#include <stdint.h> /* uint64_t */

#include "head.h" /* struct head */

/* The watchdog bites this long after the last turn; lamps go off with it. Emulated boards lose whole tenths of a second. */
enum { WATCHDOG_MS = 1000 };

/* After a reset: lamps off, state from the store, watchdog on. */
void loop_start(struct head *head);

/* One turn: line, pins, lights, line, watchdog. Returns the moment (µs) until which nothing is due by itself. */
uint64_t loop_turn(struct head *head);

#endif
