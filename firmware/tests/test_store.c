/* What survives a reset, and a power cut at every octet of a write. */
#include <string.h> /* memcpy, memset */

#include "check.h" /* CHECK */
#include "store.h" /* what is tested */

static uint8_t records[STORE_RECORDS][STORE_SIZE];

/* Save some counts; the record goes where it belongs. */
static unsigned save(struct store *store, uint32_t presses) {
    uint8_t record[STORE_SIZE];
    store->presses = presses;
    const unsigned which = store_save(store, record);
    memcpy(records[which], record, sizeof record);
    return which;
}

static void a_store_never_written_is_new(void) {
    struct store store;
    memset(records, 0xFF, sizeof records);
    CHECK(store_load(&store, records[0], records[1]) == STORE_NEW && store.boots == 0 && store.serial == 0);
}

static void what_was_saved_last_comes_back(void) {
    struct store store = {.boots = 3, .documents = 5, .watchdog_resets = 1};
    struct store loaded;
    memset(records, 0xFF, sizeof records);
    for (uint32_t presses = 1; presses < 10; presses++) {
        (void)save(&store, presses);
        CHECK(store_load(&loaded, records[0], records[1]) == STORE_GOOD);
        CHECK(loaded.presses == presses && loaded.boots == 3 && loaded.documents == 5 && loaded.watchdog_resets == 1);
        CHECK_EQUAL(loaded.serial, presses);
    }
}

static void records_take_turns_also_across_the_wrap(void) {
    struct store store = {.serial = UINT32_MAX - 2};
    struct store loaded;
    unsigned last = 2;
    for (uint32_t presses = 1; presses < 6; presses++) {
        const unsigned which = save(&store, presses);
        CHECK(which != last);
        last = which;
        if (presses > 1) {
            CHECK(store_load(&loaded, records[0], records[1]) == STORE_GOOD && loaded.presses == presses);
        }
    }
}

static void a_power_cut_at_any_octet_leaves_the_record_before(void) {
    for (size_t cut = 0; cut < STORE_SIZE; cut++) {
        struct store store = {.boots = 1};
        struct store loaded;
        uint8_t record[STORE_SIZE];
        memset(records, 0xFF, sizeof records);
        (void)save(&store, 1);
        (void)save(&store, 2);
        store.presses = 3;
        const unsigned which = store_save(&store, record);
        memset(records[which], 0xFF, STORE_SIZE); /* erased first */
        memcpy(records[which], record, cut);
        CHECK(store_load(&loaded, records[0], records[1]) == STORE_GOOD && loaded.presses == 2);
    }
}

static void two_damaged_records_are_a_damaged_store(void) {
    struct store store = {.boots = 9};
    memset(records, 0xFF, sizeof records);
    (void)save(&store, 1);
    (void)save(&store, 2);
    records[0][9] ^= 1;
    records[1][20] ^= 0x80;
    CHECK(store_load(&store, records[0], records[1]) == STORE_DAMAGED && store.boots == 0 && store.presses == 0);
}

int main(void) {
    RUN(a_store_never_written_is_new);
    RUN(what_was_saved_last_comes_back);
    RUN(records_take_turns_also_across_the_wrap);
    RUN(a_power_cut_at_any_octet_leaves_the_record_before);
    RUN(two_damaged_records_are_a_damaged_store);
    return check_failures == 0 ? 0 : 1;
}
