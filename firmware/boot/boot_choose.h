/* Which slot starts (BOOT.md §5). */
#ifndef BOOT_CHOOSE_H
#define BOOT_CHOOSE_H

#include "boot_journal.h" /* struct boot_state */

#define BOOT_NO_SLOT 0xFFu

struct boot_choice {
    uint8_t slot; /* 0, 1, or BOOT_NO_SLOT: the loader stays */
    bool trial;
    struct boot_image image;
    struct boot_verdict verdict; /* of the signature */
    struct boot_verdict copy;    /* of the digest of what was copied: of what will run */
    struct boot_state state;
};

/* Where a payload is copied to before it is checked: RAM at the load address, or a file. */
struct boot_target {
    void *board;
    bool (*put)(void *board, uint32_t offset, const uint8_t *octets, uint32_t count);
    bool (*get)(void *board, uint32_t offset, uint8_t *octets, uint32_t count); /* what really lies there now */
};

/* Decide, note it, copy and check the copy. `choice->slot` is what may be jumped to if `boot_may_start` says so. */
void boot_choose(struct boot_choice *choice, const struct boot_flash *flash, const struct boot_trust *trust,
                 const struct boot_target *target);

/* For right before the jump: whether there is an image whose signature, copy and security version are good. */
bool boot_may_start(const struct boot_choice *choice);

#endif
