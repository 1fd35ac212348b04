/* The flash as the boot loader sees it: three operations and where things lie (BOOT.md §2). */
#ifndef BOOT_FLASH_H
#define BOOT_FLASH_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* uint8_t, uint32_t */

#define BOOT_SLOTS 2u
#define BOOT_JOURNALS 2u
#define BOOT_PAGE 256u /* the largest `unit`, and what update data is gathered to */

/* Offsets are the board's own; every call is within one sector for `erase`, and aligned to `unit` for `write`. */
struct boot_flash {
    void *board;
    uint32_t sector;                 /* octets erased at once: a power of two, 1024 … 16384 */
    uint32_t unit;                   /* octets written at once, divides BOOT_PAGE */
    uint32_t slot_size;              /* a multiple of `sector` */
    uint32_t slot[BOOT_SLOTS];       /* where the slots begin */
    uint32_t journal[BOOT_JOURNALS]; /* where the journal's two sectors begin */
    bool (*read)(void *board, uint32_t at, void *to, uint32_t count);
    bool (*write)(void *board, uint32_t at, const void *from, uint32_t count);
    bool (*erase)(void *board, uint32_t at);
};

#endif
