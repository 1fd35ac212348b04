/* Everything between reset and the main loop, outputs first; and the sleep at the end of a turn. */

#include "set_up.h"

#include "board.h"     /* board_micros, board_sleep */
#include "clock.h"     /* clock_… */
#include "facts.h"     /* facts_find */
#include "inputs.h"    /* inputs_start */
#include "outputs.h"   /* outputs_start, outputs_lit */
#include "registers.h" /* SYSCTL_PBORCTL */
#include "store.h"     /* store_start */
#include "uart.h"      /* uart_start, uart_waits */

#define BROWN_OUT_RESETS 2U

/* Awake so long before an edge of the strobe that no wake-up is late for it. */
enum { SPIN_US = 1000 };

void set_up(void) {
    clock_start();
    outputs_start();
    SYSCTL_PBORCTL = BROWN_OUT_RESETS;
    facts_find();
    inputs_start();
    store_start();
    uart_start();
}

uint64_t board_micros(void) {
    return clock_us();
}

/* Lit, edges are close: the last millisecond is spun. Dark, the timer wakes at the moment itself. */
void board_sleep(uint64_t until_us) {
    if (!outputs_lit()) {
        clock_sleep(until_us, uart_waits);
        return;
    }
    if (until_us > SPIN_US) {
        clock_sleep(until_us - SPIN_US, uart_waits);
    }
    while (clock_us() < until_us && !uart_waits()) {
    }
}
