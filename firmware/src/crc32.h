/* CRC-32 ISO-HDLC: polynomial 0x04C11DB7 reflected, initial and final 0xFFFFFFFF. */
#ifndef EDGED_CRC32_H
#define EDGED_CRC32_H

#include <stddef.h> /* size_t */
#include <stdint.h> /* fixed widths */

/* The checksum of `length` octets. */
uint32_t crc32_of(const uint8_t *octets, size_t length);

#endif
