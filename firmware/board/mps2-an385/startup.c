/* From reset to main: the vectors of the loader and of an image. */
#include "registers.h" /* SCB_AIRCR */
#include "uart.h"      /* uart_interrupt */

#include <stdint.h> /* uint32_t */

extern uint32_t _sidata[], _sdata[], _edata[], _sbss[], _ebss[], _estack[];
int main(void);
void reset_handler(void);

/* Prepare memory and run. */
void reset_handler(void) {
    uint32_t *from = _sidata;
    for (uint32_t *to = _sdata; to != _edata;) {
        *to++ = *from++;
    }
    for (uint32_t *to = _sbss; to != _ebss;) {
        *to++ = 0;
    }
    (void)main();
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

/* A fault, or the watchdog's NMI: everything off, start again. */
static void dead_handler(void) {
    FPGAIO_LEDS = 0;
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

/* The millisecond: it only ends a sleep. */
static void tick_handler(void) {
}

typedef void handler_t(void);

static const struct {
    void *stack;
    handler_t *exceptions[15];
    handler_t *interrupts[2];
} vectors __attribute__((section(".vectors"), used)) = {
    .stack = _estack,
    .exceptions = {reset_handler, dead_handler, dead_handler, dead_handler, dead_handler, dead_handler, dead_handler,
                   dead_handler, dead_handler, dead_handler, dead_handler, dead_handler, dead_handler, dead_handler,
                   tick_handler},
    .interrupts = {uart_interrupt, uart_interrupt},
};
