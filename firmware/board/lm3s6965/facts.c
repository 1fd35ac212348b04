/* Name, identity, why it started, whether it is silicon; and the way to start again. */

#include "facts.h"

#include "board.h"     /* board_facts, board_reboot, board_retained */
#include "crash.h"     /* crash_take, crash_free_reset */
#include "limits.h"    /* struct limits */
#include "registers.h" /* SYSCTL_…, DWT_… */
#include "uart.h"      /* uart_drain */

static struct board_facts facts = {
    .name = "lm3s6965",
    .capabilities = CAN_WHITE | CAN_IR_850 | CAN_UV_365 | CAN_STROBE | CAN_BUZZER | CAN_COVER | CAN_PRESENCE | CAN_TEMPERATURE,
};

/* Of what the lamps have been on: a reset gives nobody more light, and none waits because of one. */
static struct limits retained __attribute__((section(".noinit")));

/*
 * Whether the processor's cycle counter counts. QEMU's doesn't, silicon's does: without proof of silicon it is no hardware.
 */
static bool counts_cycles(void) {
    SCB_DEMCR |= DEMCR_TRACE;
    DWT_CTRL |= DWT_COUNTING;
    const uint32_t from = DWT_CYCCNT;
    __asm volatile("nop\n nop\n nop\n nop");
    return DWT_CYCCNT != from;
}

/* The chip has no number of its own: what was programmed into its user registers (a MAC address), and its part number. */
static void find_unique_id(void) {
    const uint32_t words[] = {SYSCTL_USER0, SYSCTL_USER1, SYSCTL_DID1};
    for (unsigned i = 0; i < UNIQUE_ID_SIZE; i++) {
        facts.unique_id[i] = (uint8_t)(words[i / 4] >> (8U * (i % 4U)));
    }
}

/* What the chip says comes first; of software it knows only that it was software. */
static enum reset_cause cause_of(uint32_t resc, enum start start) {
    if (resc & RESC_POWER) {
        return RESET_POWER;
    }
    if (resc & RESC_BROWN_OUT) {
        return RESET_BROWN_OUT;
    }
    if ((resc & RESC_WATCHDOG) || start == START_CRASH) {
        return RESET_WATCHDOG;
    }
    if (start == START_UPDATE) {
        return RESET_UPDATE;
    }
    if ((resc & RESC_SOFTWARE) || start == START_ASKED) {
        return RESET_SOFTWARE;
    }
    return (resc & RESC_PIN) ? RESET_PIN : RESET_UNKNOWN;
}

void facts_find(void) {
    const uint32_t resc = SYSCTL_RESC;
    SYSCTL_RESC = 0; /* its bits stay otherwise, also over further resets */
    facts.cause = cause_of(resc, crash_take());
    facts.simulated = !counts_cycles();
    find_unique_id();
}

const struct board_facts *board_facts(void) {
    return &facts;
}

void *board_retained(size_t size) {
    return size <= sizeof retained ? &retained : NULL;
}

void board_reboot(bool for_update) {
    uart_drain();
    crash_free_reset(for_update ? START_UPDATE : START_ASKED);
}
