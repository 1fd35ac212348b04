/*
 * The whole head as one state machine without a board: bytes, pins and time in; bytes and levels out.
 * `loop.c` couples it to `board.h`; tests drive it directly.
 *
 * Order of calls in a turn: head_receive (0 or more), head_tick, head_lights (as long as it says), head_output.
 */
#ifndef EDGED_HEAD_H
#define EDGED_HEAD_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "pins.h"   /* struct pins, struct board_facts */
#include "update.h" /* struct update */

struct head;

/* Levels that the board shall have at its outputs. */
struct levels {
    uint8_t lamp;       /* 0 none */
    uint8_t percent;    /* 1…100 with a lamp */
    bool strobe;
    uint8_t led;        /* bit 0 red, 1 green, 2 blue */
    uint8_t indication; /* to which the LED belongs */
    bool buzzer;
    uint8_t beep;       /* to which the buzzer belongs; 0 none */
};

#endif
