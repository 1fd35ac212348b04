/* The journal: records that hold the whole state, in two sectors by turns (BOOT.md §3). */
#include "boot_journal.h"

#include "bytes.h"  /* get16, get32, put32 */
#include <string.h> /* memcmp, memcpy, memset */

enum { AT_FORMAT = 2, AT_PREFERRED = 3, AT_NUMBER = 4, AT_FLOOR = 8, AT_SLOTS = 12, AT_SIZE = 16, AT_DONE = 20,
       AT_DIGEST = 24, AT_CRC = 60 };

enum { FORMAT = 1 };

/* Where the record that counts is, and where the next one goes. */
struct place {
    uint32_t sector; /* index */
    uint32_t next;   /* offset in it; its size when it is full */
};

/* CRC-32 ISO-HDLC, bit by bit: some thousand cycles a record, no table. */
static uint32_t crc32(const uint8_t *octets, uint32_t count) {
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= octets[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

/* Whether these octets are a record, and of which state. */
static bool parse(struct boot_state *state, const uint8_t *record) {
    if (record[0] != 'J' || record[1] != 'R' || record[AT_FORMAT] != FORMAT || record[AT_PREFERRED] >= BOOT_SLOTS ||
        crc32(record, AT_CRC) != get32(record + AT_CRC)) {
        return false;
    }
    state->preferred = record[AT_PREFERRED];
    state->number = get32(record + AT_NUMBER);
    state->floor = get32(record + AT_FLOOR);
    memcpy(state->slot, record + AT_SLOTS, BOOT_SLOTS);
    state->size = get32(record + AT_SIZE);
    state->done = get32(record + AT_DONE);
    memcpy(state->digest, record + AT_DIGEST, BOOT_DIGEST);
    return true;
}

/* Put a state into the octets of a record. */
static void format(uint8_t *record, const struct boot_state *state) {
    memset(record, 0, BOOT_RECORD);
    record[0] = 'J';
    record[1] = 'R';
    record[AT_FORMAT] = FORMAT;
    record[AT_PREFERRED] = state->preferred;
    put32(record + AT_NUMBER, state->number);
    put32(record + AT_FLOOR, state->floor);
    memcpy(record + AT_SLOTS, state->slot, BOOT_SLOTS);
    put32(record + AT_SIZE, state->size);
    put32(record + AT_DONE, state->done);
    memcpy(record + AT_DIGEST, state->digest, BOOT_DIGEST);
    put32(record + AT_CRC, crc32(record, AT_CRC));
}

/* Whether all octets read as erased. */
static bool erased(const uint8_t *octets, uint32_t count) {
    uint8_t all = 0xFF;
    for (uint32_t i = 0; i < count; i++) {
        all &= octets[i];
    }
    return all == 0xFF;
}

/* Look through one sector: its best record into `best` if it beats it, and where its used part ends. False: can't be read. */
static bool look(const struct boot_flash *flash, uint32_t sector, struct boot_state *best, bool *found,
                 struct place *place) {
    uint32_t used = 0;
    bool better = false;
    for (uint32_t at = 0; at + BOOT_RECORD <= flash->sector; at += BOOT_RECORD) {
        uint8_t record[BOOT_RECORD];
        struct boot_state state;
        if (!flash->read(flash->board, flash->journal[sector] + at, record, BOOT_RECORD)) {
            return false;
        }
        if (!erased(record, BOOT_RECORD)) {
            used = at + BOOT_RECORD;
        }
        if (parse(&state, record) && (!*found || state.number > best->number)) {
            *best = state;
            *found = true;
            better = true;
        }
    }
    if (better) {
        place->sector = sector;
        place->next = used;
    }
    return true;
}

enum found { NO_RECORD, RECORD, UNREADABLE };

/* Find the record that counts, and where the next one goes. */
static enum found find(const struct boot_flash *flash, struct boot_state *state, struct place *place) {
    bool found = false;
    place->sector = BOOT_JOURNALS - 1;
    place->next = flash->sector; /* with no record, the first sector is erased first */
    for (uint32_t sector = 0; sector < BOOT_JOURNALS; sector++) {
        if (!look(flash, sector, state, &found, place)) {
            return UNREADABLE;
        }
    }
    return found ? RECORD : NO_RECORD;
}

/* Read the record that counts. */
bool boot_journal_read(const struct boot_flash *flash, struct boot_state *state) {
    struct place place;
    return find(flash, state, &place) == RECORD;
}

/* Write a record there and read it back. */
static bool write_at(const struct boot_flash *flash, uint32_t at, const uint8_t *record) {
    uint8_t back[BOOT_RECORD];
    return flash->write(flash->board, at, record, BOOT_RECORD) &&
           flash->read(flash->board, at, back, BOOT_RECORD) && memcmp(record, back, BOOT_RECORD) == 0;
}

/* Write `state` as the next record. */
bool boot_journal_write(const struct boot_flash *flash, struct boot_state *state) {
    uint8_t record[BOOT_RECORD];
    struct boot_state before;
    struct place place;
    enum found found = find(flash, &before, &place);
    /* What can't be read may hold the counter: nothing is written over it. */
    if (found == UNREADABLE || (found == RECORD && state->floor < before.floor)) {
        return false;
    }
    state->number = found == RECORD ? before.number + 1 : 1;
    format(record, state);
    if (place.next + BOOT_RECORD > flash->sector) {
        place.sector = (place.sector + 1) % BOOT_JOURNALS;
        place.next = 0;
        if (!flash->erase(flash->board, flash->journal[place.sector])) {
            return false;
        }
    }
    return write_at(flash, flash->journal[place.sector] + place.next, record);
}
