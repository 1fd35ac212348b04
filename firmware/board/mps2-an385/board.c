/* The MPS2 with AN385 under QEMU: what the boot loader's tests need of a board, and two LEDs. No button, no sensors, no lamps. */
#include "board.h"

#include "boot_board.h" /* what slots need */
#include "boot_key.h"   /* BOOT_KEY, made by the Makefile */
#include "boot_update.h" /* BOOT_TRIAL_US */
#include "flash.h"      /* mps2_flash */
#include "kept.h"       /* KEPT */
#include "registers.h"  /* registers */
#include "set_up.h"     /* board_set_up */
#include "uart.h"       /* uart_… */

enum { TICK_HZ = 1000 };

static struct board_facts facts = {
    .name = "mps2-an385", .capabilities = CAN_UPDATE, .simulated = true, .unique_id = "AN385-QEMU-0"};
static uint32_t high, last; /* of the microsecond counter */

/* Why the last reset came; the memory's own content says whether the power was gone. */
static enum reset_cause take_cause(void) {
    bool kept = KEPT->magic == KEPT_MAGIC;
    enum reset_cause cause = kept ? (enum reset_cause)KEPT->cause : RESET_POWER;
    KEPT->magic = KEPT_MAGIC;
    KEPT->cause = RESET_WATCHDOG;
    return cause;
}

void board_set_up(void) {
    FPGAIO_PRESCALE = CLOCK_HZ / 1000000u - 1u;
    SYST_RVR = CLOCK_HZ / TICK_HZ - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7u;
    facts.cause = take_cause();
    uart_start();
    __asm volatile("cpsie i");
}

void board_pass_on(void) {
    KEPT->cause = facts.cause; /* the image's start is part of this one */
}

void board_is_loader(void) {
    facts.loader = true;
}

const struct board_facts *board_facts(void) {
    return &facts;
}

uint64_t board_micros(void) {
    uint32_t now = FPGAIO_COUNTER;
    if (now < last) {
        high++;
    }
    last = now;
    return ((uint64_t)high << 32) | now;
}

void board_sleep(uint64_t until_us) {
    if (board_micros() < until_us && !uart_waits()) {
        __asm volatile("wfi");
    }
}

void board_read_pins(struct pins *pins) {
    *pins = (struct pins){.temperature = TEMPERATURE_UNKNOWN, .supply = SUPPLY_UNKNOWN};
}

void board_lamp(uint8_t lamp, uint8_t percent) {
    (void)lamp;
    (void)percent;
}

void board_strobe(bool up) {
    (void)up;
}

/* Two LEDs: red, and green or blue. */
void board_led(uint8_t colours, uint8_t indication) {
    (void)indication;
    FPGAIO_LEDS = (colours & 1u) | ((colours & 6u) != 0 ? 2u : 0u);
}

void board_buzzer(bool on, uint8_t pattern) {
    (void)on;
    (void)pattern;
}

void board_watchdog_start(uint32_t milliseconds) {
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_LOAD = milliseconds * (CLOCK_HZ / 1000u);
    WATCHDOG_CONTROL = 3u; /* NMI, then reset */
    WATCHDOG_LOCK = 0;
}

void board_watchdog_feed(void) {
    WATCHDOG_LOCK = WATCHDOG_UNLOCK;
    WATCHDOG_INTCLR = 1u;
    WATCHDOG_LOCK = 0;
}

void *board_retained(size_t size) {
    (void)size;
    return NULL; /* there are no lamps to count */
}

void board_reboot(bool for_update) {
    uart_drain();
    KEPT->cause = for_update ? RESET_UPDATE : RESET_SOFTWARE;
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

bool board_store_read(unsigned record, uint8_t *to, size_t length) {
    mps2_store_read(STORE_AT + record * FLASH_SECTOR, to, (uint32_t)length);
    return true;
}

bool board_store_write(unsigned record, const uint8_t *octets, size_t length) {
    return mps2_store_write(STORE_AT + record * FLASH_SECTOR, octets, (uint32_t)length);
}

static const struct boot_trust trust = {.key = BOOT_KEY, .board = "mps2-an385", .load_address = LOAD_ADDRESS};

const struct boot_flash *boot_board_flash(void) {
    return &mps2_flash;
}

const struct boot_trust *boot_board_trust(void) {
    return &trust;
}

struct boot_start boot_board_start(void) {
    return (struct boot_start){.slot = (uint8_t)KEPT->slot, .trial = KEPT->trial != 0};
}

uint64_t boot_board_trial_us(void) {
    return BOOT_TRIAL_US;
}
