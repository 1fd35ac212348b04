/* What a reset without power loss keeps. */
#ifndef MPS2_KEPT_H
#define MPS2_KEPT_H

#include "memory.h" /* KEPT_AT */
#include <stdint.h> /* fixed widths */

#define KEPT_MAGIC 0x4B455054u

struct kept {
    uint32_t magic;
    uint32_t cause;   /* enum reset_cause that the next start has; watchdog unless somebody said otherwise */
    uint32_t slot;    /* which the loader started, or BOOT_NO_SLOT */
    uint32_t trial;
};

#define KEPT ((volatile struct kept *)KEPT_AT)

#endif
