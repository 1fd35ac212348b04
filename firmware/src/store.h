/*
 * What survives a reset (PROTOCOL.md §6.3), as a record with a checksum. Two records are written in turns, so that a
 * power cut while one is written leaves the other. Records wear flash: it is written at a start, before an orderly
 * restart, and else once in STORE_EVERY_MS at most.
 */
#ifndef EDGED_STORE_H
#define EDGED_STORE_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

enum { STORE_RECORDS = 2, STORE_SIZE = 28, STORE_EVERY_MS = 60000 };

struct store {
    uint32_t serial; /* of the newest record; the odd ones go to record 1 */
    uint32_t boots;
    uint32_t presses;
    uint32_t documents;
    uint32_t watchdog_resets;
};

enum store_state { STORE_GOOD, STORE_NEW, STORE_DAMAGED };

/* Take the newest good record; STORE_NEW when both have never been written, STORE_DAMAGED when none is good. */
enum store_state store_load(struct store *store, const uint8_t first[STORE_SIZE], const uint8_t second[STORE_SIZE]);

/* Make the next record; returns which of the two it is. */
unsigned store_save(struct store *store, uint8_t record[STORE_SIZE]);

#endif
