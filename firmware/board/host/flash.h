/* The flash of the head as a process: a file in its store. */
#ifndef HOST_FLASH_H
#define HOST_FLASH_H

#include "boot_flash.h" /* struct boot_flash */
#include "boot_image.h" /* struct boot_trust */

/* Open STORE/flash (made and erased when it isn't there) and read STORE/boot-key. False: errno says why. */
bool host_flash_open(const char *store, struct boot_flash *flash, struct boot_trust *trust);

#endif
