/* Where things lie (BOOT.md §2). The upper half of the code RAM keeps its content over a reset and stands in for flash. */
#ifndef MPS2_MEMORY_H
#define MPS2_MEMORY_H

#define LOAD_ADDRESS 0x00100000u /* where images run; app.ld says the same */
#define LOAD_ROOM 0x00100000u
#define FLASH_JOURNAL 0x00200000u
#define FLASH_SLOT_A 0x00210000u
#define FLASH_SLOT_B 0x00290000u
#define FLASH_SLOT_SIZE 0x00080000u
#define FLASH_SECTOR 0x1000u
#define STORE_AT 0x00310000u  /* board_store_…: two records, a sector each */
#define CUT_AT 0x00320000u    /* of builds for tests: how many operations are left, and how the last one is torn */
#define KEPT_AT 0x203F0000u   /* not initialised: what a reset without power loss keeps */

#endif
