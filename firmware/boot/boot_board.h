/* What a board with slots brings beside board.h: its flash, its trust anchor, and how the loader started it. */
#ifndef BOOT_BOARD_H
#define BOOT_BOARD_H

#include "boot_choose.h" /* struct boot_flash, struct boot_trust */

struct boot_start {
    uint8_t slot; /* that runs, or BOOT_NO_SLOT: the bare loader */
    bool trial;
};

/* The flash, or NULL when this head was started without a loader: then updates are not supported. */
const struct boot_flash *boot_board_flash(void);

/* The key and what images must be for. */
const struct boot_trust *boot_board_trust(void);

/* How this image was started. */
struct boot_start boot_board_start(void);

/* How long a trial lasts at most, in µs: BOOT_TRIAL_US on everything but a test's process. */
uint64_t boot_board_trial_us(void);

#endif
