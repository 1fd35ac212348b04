/* Little-endian integers in octets, whatever the processor and the alignment. */
#ifndef EDGED_OCTETS_H
#define EDGED_OCTETS_H

#include <stdint.h> /* fixed widths */

/* Read 2 octets. */
static inline uint16_t get_16(const uint8_t *from) {
    return (uint16_t)(from[0] | ((unsigned)from[1] << 8));
}

/* Read 4 octets. */
static inline uint32_t get_32(const uint8_t *from) {
    return (uint32_t)get_16(from) | ((uint32_t)get_16(from + 2) << 16);
}

/* Write 2 octets. */
static inline void put_16(uint8_t *to, uint16_t value) {
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

/* Write 4 octets. */
static inline void put_32(uint8_t *to, uint32_t value) {
    put_16(to, (uint16_t)value);
    put_16(to + 2, (uint16_t)(value >> 16));
}

/* Write 8 octets. */
static inline void put_64(uint8_t *to, uint64_t value) {
    put_32(to, (uint32_t)value);
    put_32(to + 4, (uint32_t)(value >> 32));
}

#endif
