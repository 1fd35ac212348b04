/* What the loader remembers: one record with the whole state, appended to one of two sectors (BOOT.md §3). */
#ifndef BOOT_JOURNAL_H
#define BOOT_JOURNAL_H

#include "boot_flash.h" /* struct boot_flash */
#include "boot_image.h" /* BOOT_DIGEST */

#define BOOT_RECORD 64u

enum boot_slot_state {
    BOOT_EMPTY = 0,
    BOOT_WRITING = 1,
    BOOT_READY = 2,
    BOOT_TRIAL_ASKED = 3,
    BOOT_CONFIRMED = 4,
    BOOT_BAD = 5,
    BOOT_TRIAL_BEGUN = 6
};

struct boot_state {
    uint32_t number;
    uint32_t floor; /* anti-rollback counter */
    uint8_t preferred;
    uint8_t slot[BOOT_SLOTS]; /* enum boot_slot_state */
    uint32_t size;            /* of the image that is being written; 0: none */
    uint32_t done;            /* octets of it that are safe */
    uint8_t digest[BOOT_DIGEST];
};

/* Read the record that counts; false when there is none. */
bool boot_journal_read(const struct boot_flash *flash, struct boot_state *state);

/* Write `state` as the next record; false when the flash failed, or it would lower the counter.
   On success `state->number` is the record's. */
bool boot_journal_write(const struct boot_flash *flash, struct boot_state *state);

#endif
