/* What survives a reset. */
#include "store.h"

#include "crc32.h"  /* crc32_of */
#include "octets.h" /* get_32, put_32 */

enum { COVERED = STORE_SIZE - 4 };

static const uint32_t store_word = 0x31485345U; /* "ESH1"; another layout takes another word */

/* Whether a record was never written. */
static bool blank(const uint8_t *record) {
    for (unsigned i = 0; i < STORE_SIZE; i++) {
        if (record[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

/* Take one record apart; false when it isn't a whole one of ours. */
static bool parse(struct store *store, const uint8_t *record) {
    if (get_32(record) != store_word || get_32(record + COVERED) != crc32_of(record, COVERED)) {
        return false;
    }
    *store = (struct store){
        .serial = get_32(record + 4),
        .boots = get_32(record + 8),
        .presses = get_32(record + 12),
        .documents = get_32(record + 16),
        .watchdog_resets = get_32(record + 20),
    };
    return true;
}

enum store_state store_load(struct store *store, const uint8_t first[STORE_SIZE], const uint8_t second[STORE_SIZE]) {
    struct store other = {.serial = 0};
    const bool one = parse(store, first);
    const bool two = parse(&other, second);
    if (two && (!one || (int32_t)(other.serial - store->serial) > 0)) {
        *store = other;
    }
    if (one || two) {
        return STORE_GOOD;
    }
    *store = (struct store){.serial = 0};
    return blank(first) && blank(second) ? STORE_NEW : STORE_DAMAGED;
}

unsigned store_save(struct store *store, uint8_t record[STORE_SIZE]) {
    store->serial++;
    put_32(record, store_word);
    put_32(record + 4, store->serial);
    put_32(record + 8, store->boots);
    put_32(record + 12, store->presses);
    put_32(record + 16, store->documents);
    put_32(record + 20, store->watchdog_resets);
    put_32(record + COVERED, crc32_of(record, COVERED));
    return store->serial % STORE_RECORDS;
}
