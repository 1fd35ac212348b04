/* RAM that stands in for flash. */
#ifndef MPS2_FLASH_H
#define MPS2_FLASH_H

#include "boot_flash.h" /* struct boot_flash */

extern const struct boot_flash mps2_flash;

/* Read, and erase and write, a sector of the store beside the slots. */
void mps2_store_read(uint32_t at, uint8_t *to, uint32_t count);
bool mps2_store_write(uint32_t at, const uint8_t *from, uint32_t count);

#endif
