/*
 * The head on an LM3S6965, built for tests alone: pins of port B, which the product doesn't read, make it misbehave.
 * PB0 the main loop stands still, PB1 the same with interrupts shut, PB4 it runs into what is no instruction, PB5 its stack runs over,
 * PB6 nothing triggers the converter any more.
 */

#include "board.h"     /* board_sleep */
#include "head.h"      /* struct head */
#include "loop.h"      /* loop_start, loop_turn */
#include "registers.h" /* GPIO_…, TIMER_… */
#include "set_up.h"    /* set_up */

#define STAND_STILL 0x01U
#define STAND_STILL_SHUT 0x02U
#define NO_INSTRUCTION 0x10U
#define RUN_OVER 0x20U
#define NO_TRIGGER 0x40U
#define PINS 0x73U

static struct head head;

__attribute__((noinline)) static _Noreturn void stand_still(void) {
    for (;;) {
    }
}

__attribute__((noinline)) static void no_instruction(void) {
    __asm volatile("udf #0");
}

/* Each call keeps its array: the compiler can make no loop of it. */
static uint32_t run_over(uint32_t depth) {
    volatile uint32_t keep[64];
    keep[depth % 64] = depth;
    return depth == UINT32_MAX ? 0 : run_over(depth + 1) + keep[depth % 64];
}

static void misbehave(uint32_t pins) {
    if (pins & STAND_STILL_SHUT) {
        __asm volatile("cpsid i");
        stand_still();
    }
    if (pins & STAND_STILL) {
        stand_still();
    }
    if (pins & NO_INSTRUCTION) {
        no_instruction();
    }
    if (pins & RUN_OVER) {
        (void)run_over(0);
    }
    if (pins & NO_TRIGGER) {
        TIMER_CTL(TIMER_2) = 0;
    }
}

int main(void) {
    set_up();
    GPIO_DEN(GPIO_B) |= PINS;
    loop_start(&head);
    uint32_t before = PINS; /* once a rise: a pin that is still up after the reset does nothing */
    for (;;) {
        board_sleep(loop_turn(&head));
        const uint32_t now = GPIO_DATA(GPIO_B, PINS);
        misbehave(now & ~before);
        before = now;
    }
}
