/* Little-endian numbers in octets. */
#ifndef BOOT_BYTES_H
#define BOOT_BYTES_H

#include <stdint.h> /* fixed widths */

/* Read 16 bits. */
static inline uint32_t get16(const uint8_t *at) {
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8);
}

/* Read 32 bits. */
static inline uint32_t get32(const uint8_t *at) {
    return get16(at) | (get16(at + 2) << 16);
}

/* Write 32 bits. */
static inline void put32(uint8_t *at, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

#endif
