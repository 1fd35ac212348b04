/*
 * The watchdog of the LM3S6965 in two stages. Its first time-out is an interrupt above all others: lamps off, where the main
 * loop stands is written down, reset. Where even that doesn't run the second time-out, as long again, resets by itself.
 */

#include "board.h"     /* board_watchdog_start, board_watchdog_feed */
#include "clock.h"     /* TICKS_PER_MS, clock_us */
#include "crash.h"     /* crash */
#include "outputs.h"   /* outputs_all_off */
#include "registers.h" /* WDT_… */
#include "vectors.h"   /* on_watchdog */

#define LOCKED 1U

/* Fed so often at most: three writes to a slow bus that are worth nothing in every turn. */
enum { FEED_US = 50000 };

static uint32_t load;
static uint64_t fed_us;

/* Every write needs the key; a program that runs wild doesn't have it. */
static void reload(void) {
    WDT_LOCK = WDT_UNLOCK;
    WDT_LOAD = load;
    WDT_LOCK = LOCKED;
}

void board_watchdog_start(uint32_t milliseconds) {
    SYSCTL_RCGC0 |= 1U << 3;
    (void)SYSCTL_RCGC0;
    load = milliseconds * (uint32_t)TICKS_PER_MS;
    reload();
    WDT_LOCK = WDT_UNLOCK;
    WDT_CTL = 3; /* interrupt, then reset; only a reset takes this back */
    WDT_LOCK = LOCKED;
    NVIC_PRIORITY(IRQ_WATCHDOG) = 0;
    NVIC_ISER0 = 1U << IRQ_WATCHDOG;
}

void board_watchdog_feed(void) {
    const uint64_t now_us = clock_us();
    if (load != 0 && now_us - fed_us >= FEED_US) {
        fed_us = now_us;
        reload();
    }
}

/* First stage. */
__attribute__((naked)) void on_watchdog(void) {
    __asm volatile("mov r0, sp\n"
                   "b   bite\n");
}

/* No way back to what stands still. */
__attribute__((used)) static _Noreturn void bite(const uint32_t *frame) {
    outputs_all_off();
    crash(CRASH_WATCHDOG, frame);
}
