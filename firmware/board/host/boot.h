/*
 * The boot stage of the head as a process. `edged-head … --boot` is the loader: it starts the verified image of a slot in
 * its own place, with the same words behind it; without a good one it stays itself, as a loader with nothing to load.
 */
#ifndef HOST_BOOT_H
#define HOST_BOOT_H

#include <stdbool.h> /* bool */

#include "pins.h" /* enum reset_cause */

/*
 * To be called first of all by main when `--boot` is among its words. Returns true in the process that is to be the head:
 * the started image, or the bare loader; false when the store can't be used (said on stderr).
 */
bool host_boot(const char *store, char **words);

/* Whether there are slots, and whether nothing in them could be started. */
bool host_boot_has_slots(void);
bool host_boot_is_loader(void);

/* Why this process is there: power, or the reset that it came from. */
enum reset_cause host_boot_cause(void);

/* Start again as after a reset: the loader takes over in this process. Returns only when that failed. */
void host_boot_again(enum reset_cause cause, char **words);

#endif
