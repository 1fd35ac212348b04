/*
 * RAM that stands in for flash: erased by the sector to FF, and writing only clears bits.
 * A build for tests (-DCUT_POWER) counts operations down in memory that survives a reset and cuts the power in the last one.
 */
#include "flash.h"

#include "memory.h"    /* FLASH_… */
#include "registers.h" /* SCB_AIRCR */

#include <stddef.h> /* NULL */
#include <string.h> /* memcpy */

#ifdef CUT_POWER
#define CUT_LEFT REGISTER(CUT_AT)      /* operations that still succeed; 0: none is cut */
#define CUT_TEAR REGISTER(CUT_AT + 4u) /* octets of the one that is cut */
#define CUT_DONE REGISTER(CUT_AT + 8u) /* operations since the test looked */

/* How many octets of an operation are done before the power is cut in it. */
static uint32_t until_cut(uint32_t count) {
    CUT_DONE++;
    if (CUT_LEFT == 0 || --CUT_LEFT != 0) {
        return count + 1;
    }
    return CUT_TEAR < count ? CUT_TEAR : count;
}
#else
/* The power isn't cut by us. */
static uint32_t until_cut(uint32_t count) {
    return count + 1;
}
#endif

/* The power is gone; on this board that is a reset. */
static void cut(void) {
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

/* Bring octets to what `from` says, NULL for erased. */
static void change(uint32_t at, const uint8_t *from, uint32_t count) {
    volatile uint8_t *flash = (volatile uint8_t *)at;
    uint32_t most = until_cut(count);
    for (uint32_t i = 0; i < count && i < most; i++) {
        flash[i] = from == NULL ? 0xFF : (uint8_t)(flash[i] & from[i]);
    }
    if (most <= count) {
        cut();
    }
}

static bool read_flash(void *board, uint32_t at, void *to, uint32_t count) {
    (void)board;
    memcpy(to, (const void *)at, count);
    return true;
}

static bool write_flash(void *board, uint32_t at, const void *from, uint32_t count) {
    (void)board;
    change(at, from, count);
    return true;
}

static bool erase_flash(void *board, uint32_t at) {
    (void)board;
    change(at, NULL, FLASH_SECTOR);
    return true;
}

const struct boot_flash mps2_flash = {.sector = FLASH_SECTOR,
                                      .unit = 16,
                                      .slot_size = FLASH_SLOT_SIZE,
                                      .slot = {FLASH_SLOT_A, FLASH_SLOT_B},
                                      .journal = {FLASH_JOURNAL, FLASH_JOURNAL + FLASH_SECTOR},
                                      .read = read_flash,
                                      .write = write_flash,
                                      .erase = erase_flash};

void mps2_store_read(uint32_t at, uint8_t *to, uint32_t count) {
    memcpy(to, (const void *)at, count);
}

bool mps2_store_write(uint32_t at, const uint8_t *from, uint32_t count) {
    memset((void *)at, 0xFF, FLASH_SECTOR);
    memcpy((void *)at, from, count);
    return true;
}
