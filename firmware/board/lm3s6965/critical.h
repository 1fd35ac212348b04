/* A few instructions that no interrupt may divide. */
#ifndef EDGED_LM3S6965_CRITICAL_H
#define EDGED_LM3S6965_CRITICAL_H

#include <stdint.h>

/* Close the door to interrupts; what it was before. */
static inline uint32_t critical_enter(void) {
    uint32_t mask;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(mask)::"memory");
    return mask;
}

/* Leave it as it was. */
static inline void critical_leave(uint32_t mask) {
    __asm volatile("msr primask, %0" ::"r"(mask) : "memory");
}

#endif
