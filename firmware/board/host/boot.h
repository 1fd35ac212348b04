/*
 * The boot stage of the head as a process. `edged-head … --boot` is the loader: it starts the verified image of a slot in
 * its own place, with the same words behind it; without a good one it stays itself, as a loader with nothing to load.
 */
#ifndef HOST_BOOT_H
#define HOST_BOOT_H

#include <stdbool.h> /* bool */

/*
 * To be called first of all by main when `--boot` is among its words. Returns true in the process that is to be the head:
 * the started image, or the bare loader; false when the store can't be used (said on stderr).
 */
bool host_boot(const char *store, char **words);

/* Whether this is the bare loader. */
bool host_boot_is_loader(void);

/* Start again as after a reset: the loader takes over in this process. Returns only when that failed. */
void host_boot_again(char **words);

#endif
