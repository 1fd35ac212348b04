/*
 * What a head refuses, over the line and at its start:
 *     boot_refusals BOARD LOAD_ADDRESS KEY OLD NEW
 * NEW has a higher security version than OLD.
 */
#include "boot_update.h" /* what is tested */
#include "sim.h"

#include <stdio.h>  /* printf */
#include <stdlib.h> /* abort, strtoul */
#include <string.h> /* memcpy, strcmp */

struct file {
    uint8_t octets[SIM_SLOT];
    uint32_t size;
};

static struct sim sim;
static struct boot_trust trust;
static struct file old, new, bad;
static struct boot_flash flash;
static struct boot_choice choice;
static struct boot_update update;
static uint8_t sha[32];

static void hash_file(const struct file *file) {
    br_sha256_context hash;
    br_sha256_init(&hash);
    br_sha256_update(&hash, file->octets, file->size);
    br_sha256_out(&hash, sha);
}

/* A reset. */
static void start(void) {
    struct boot_target target = sim_target(&sim);
    boot_choose(&choice, &flash, &trust, &target);
    boot_update_init(&update, &flash, &trust, choice.slot, choice.trial);
}

/* A head fresh from the factory with an image in slot A. */
static void factory(const struct file *file) {
    sim_init(&sim);
    flash = sim_flash(&sim);
    memcpy(sim.octets + flash.slot[0], file->octets, file->size);
    start();
    CHECK(choice.slot == 0 && !choice.trial);
}

/* Send a file whole; the first answer that isn't ok, or that to END. `sha` is what was announced. */
static struct boot_answer send(const struct file *file) {
    struct boot_answer told = boot_update_begin(&update, file->size, sha);
    while (told.status == BOOT_OK && told.offset < file->size) {
        uint32_t left = file->size - told.offset;
        told = sim_data(&update, told.offset, file->octets + told.offset, left < 224 ? left : 224);
    }
    if (told.status != BOOT_OK) {
        return told;
    }
    told = boot_update_end(&update);
    while (told.status == BOOT_LATER) {
        told = boot_update_work(&update);
    }
    return told;
}

/* Send a file as it is. */
static struct boot_answer offer(const struct file *file) {
    hash_file(file);
    return send(file);
}

/* Whether this was refused, for this reason. */
static bool refused(struct boot_answer told, enum boot_reason reason) {
    return told.status == BOOT_REFUSED && told.reason == reason;
}

/* A damaged image in the slot whose trial was asked for: the loader must leave it. */
static void planted(void) {
    factory(&old);
    memset(sim.octets + flash.slot[1], 0xFF, SIM_SLOT);
    memcpy(sim.octets + flash.slot[1], bad.octets, bad.size);
    choice.state.slot[1] = BOOT_TRIAL_ASKED;
    CHECK(boot_journal_write(&flash, &choice.state));
    start();
    CHECK(choice.slot == 0 && !choice.trial && choice.state.slot[1] == BOOT_BAD && boot_is_good(&choice.verdict));
}

/* One bit of the file flipped: refused over the line, whether announced so or damaged on its way, and at the start. */
static void flipped(uint32_t bit) {
    bad = new;
    bad.octets[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    factory(&old);
    CHECK(offer(&bad).status == BOOT_REFUSED);
    CHECK(update.state.slot[1] != BOOT_READY && boot_update_boot(&update).status == BOOT_REFUSED);
    start();
    CHECK(choice.slot == 0);
    hash_file(&new);
    CHECK(send(&bad).status == BOOT_REFUSED);
    planted();
}

static void flips(void) {
    for (uint32_t bit = 0; bit < BOOT_PREFIX * 8; bit++) {
        flipped(bit);
    }
    for (uint32_t bit = BOOT_PREFIX * 8; bit < new.size * 8; bit += 3571) {
        flipped(bit);
    }
    flipped(new.size * 8 - 1);
}

/* Every length of a torn file in a slot. */
static void torn(void) {
    for (uint32_t length = 0; length < new.size; length += 509) {
        bad = new;
        memset(bad.octets + length, 0xFF, new.size - length);
        if (memcmp(bad.octets, new.octets, new.size) != 0) {
            planted();
        }
    }
}

/* Each refusal with its own reason, and what was there stays. */
static void reasons(void) {
    factory(&old);
    CHECK(refused(boot_update_data(&update, 0, new.octets, 16), BOOT_REASON_NOTHING_BEGUN));
    CHECK(refused(boot_update_end(&update), BOOT_REASON_NOTHING_BEGUN));
    CHECK(refused(boot_update_boot(&update), BOOT_REASON_NOTHING_BEGUN));
    hash_file(&new);
    CHECK(refused(boot_update_begin(&update, SIM_SLOT + 16, sha), BOOT_REASON_TOO_LARGE));
    CHECK(refused(boot_update_begin(&update, 0xFFFFFFF0u, sha), BOOT_REASON_TOO_LARGE));
    CHECK(refused(boot_update_begin(&update, 256, sha), BOOT_REASON_NO_IMAGE));
    CHECK(refused(boot_update_begin(&update, 0, sha), BOOT_REASON_NO_IMAGE));
    CHECK(boot_update_begin(&update, new.size, sha).status == BOOT_OK);
    CHECK(boot_update_data(&update, 16, new.octets, 16).status == BOOT_ORDER);
    CHECK(boot_update_data(&update, 0, new.octets, 1).offset == 1);
    struct boot_answer order = boot_update_data(&update, 0, new.octets, 16);
    CHECK(order.status == BOOT_ORDER && order.offset == 1);
    CHECK(boot_update_data(&update, 1, new.octets, new.size).status == BOOT_BAD_REQUEST);
    CHECK(boot_update_data(&update, 1, new.octets + 1, 0xFFFFFFFFu).status == BOOT_BAD_REQUEST);
    CHECK(refused(boot_update_end(&update), BOOT_REASON_INCOMPLETE));
    bad = new;
    bad.octets[8] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_OTHER_BOARD));
    bad = new;
    bad.octets[44] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_OTHER_BOARD));
    bad = new;
    bad.octets[0] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_NO_IMAGE));
    bad = new;
    bad.octets[200] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_SIGNATURE));
    CHECK(update.state.slot[1] == BOOT_EMPTY); /* a stranger's image costs not even a page */
    bad = new;
    bad.octets[20000] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_DIGEST));
    CHECK(update.state.slot[1] == BOOT_BAD);
}

/* A whole update with its answers, and what is refused in each of its states. */
static void states(void) {
    struct boot_slot_report report;
    factory(&old);
    CHECK(boot_update_confirm(&update).status == BOOT_OK); /* nothing on trial: nothing to do */
    CHECK(offer(&new).status == BOOT_OK && offer(&new).status == BOOT_OK);
    CHECK(boot_update_cancel(&update).status == BOOT_OK && update.state.slot[1] == BOOT_EMPTY);
    CHECK(offer(&new).status == BOOT_OK);
    boot_update_slot(&update, 1, &report);
    CHECK(report.state == BOOT_READY && report.security == 2);
    bad = new;
    bad.octets[200] ^= 1;
    CHECK(refused(offer(&bad), BOOT_REASON_SIGNATURE) && update.state.slot[1] == BOOT_READY); /* costs nothing */
    hash_file(&new);
    start(); /* nothing has been asked for */
    CHECK(choice.slot == 0 && boot_update_begin(&update, new.size, sha).offset == new.size);
    CHECK(boot_update_boot(&update).status == BOOT_OK && boot_update_boot(&update).status == BOOT_OK);
    CHECK(refused(boot_update_begin(&update, new.size, sha), BOOT_REASON_SLOT_BUSY));
    start();
    CHECK(choice.slot == 1 && choice.trial && update.trial);
    boot_update_slot(&update, 1, &report);
    CHECK(report.state == BOOT_TRIAL_ASKED);
    CHECK(refused(boot_update_begin(&update, new.size, sha), BOOT_REASON_ON_TRIAL));
    CHECK(refused(boot_update_boot(&update), BOOT_REASON_ON_TRIAL));
    CHECK(refused(boot_update_cancel(&update), BOOT_REASON_ON_TRIAL));
    CHECK(!boot_update_expired(&update, BOOT_TRIAL_US - 1, BOOT_TRIAL_US));
    CHECK(boot_update_expired(&update, BOOT_TRIAL_US, BOOT_TRIAL_US));
    CHECK(boot_update_confirm(&update).status == BOOT_OK && update.state.floor == 2);
    CHECK(!boot_update_expired(&update, BOOT_TRIAL_US, BOOT_TRIAL_US));
    start();
    CHECK(choice.slot == 1 && !choice.trial);
}

/* An image below the counter is neither taken nor started, not even when nothing else is left. */
static void rollback(void) {
    states();
    CHECK(refused(offer(&old), BOOT_REASON_OLDER));
    start();
    CHECK(choice.state.slot[0] == BOOT_CONFIRMED); /* the refusal cost nothing */
    sim.octets[flash.slot[1] + 300] ^= 1;
    start();
    CHECK(choice.slot == BOOT_NO_SLOT && !boot_is_good(&choice.verdict));
    CHECK(refused(offer(&old), BOOT_REASON_OLDER));
    CHECK(boot_update_confirm(&update).status == BOOT_REFUSED);
    CHECK(offer(&new).status == BOOT_OK && boot_update_boot(&update).status == BOOT_OK); /* the bare loader is updated */
    start();
    CHECK(choice.trial && choice.state.floor == 2);
    struct boot_state lower = choice.state;
    lower.floor = 1;
    CHECK(!boot_journal_write(&flash, &lower));
}

/* A journal that is gone doesn't open the way for the older of two images. */
static void lost_journal(void) {
    for (unsigned fill = 0; fill < 256; fill += 17) {
        states();
        memset(sim.octets, (int)fill, 2 * SIM_SECTOR);
        start();
        CHECK(choice.slot == 1 && choice.state.floor == 2 && !choice.trial);
        start();
        CHECK(choice.slot == 1 && choice.state.floor == 2);
    }
}

/* The journal goes round for ever, and wears both sectors alike. */
static void wear(void) {
    factory(&old);
    long before = sim.operations;
    struct boot_state state = choice.state;
    for (uint32_t i = 0; i < 5000; i++) {
        struct boot_state back;
        CHECK(boot_journal_write(&flash, &state));
        CHECK(boot_journal_read(&flash, &back) && back.number == state.number);
    }
    CHECK(sim.operations - before <= 5000 + 5000 / 16 + 1); /* one erasure for a sector full of records */
}

/* Empty flash: the loader stays, takes an image, and it is on trial like any other. */
static void empty(void) {
    sim_init(&sim);
    flash = sim_flash(&sim);
    start();
    CHECK(choice.slot == BOOT_NO_SLOT && choice.state.floor == 0);
    CHECK(offer(&new).status == BOOT_OK && boot_update_boot(&update).status == BOOT_OK);
    start();
    CHECK(choice.slot != BOOT_NO_SLOT && choice.trial);
    start(); /* reset before it was confirmed */
    CHECK(choice.slot == BOOT_NO_SLOT);
}

/* A bit that flips in the running image's header doesn't raise the counter above every image there is. */
static void counter_as_signed(void) {
    factory(&old);
    CHECK(offer(&new).status == BOOT_OK && boot_update_boot(&update).status == BOOT_OK);
    start();
    CHECK(choice.trial && choice.slot == 1);
    sim.octets[flash.slot[1] + 39] ^= 0x40; /* of the security version */
    CHECK(boot_update_confirm(&update).status == BOOT_FLASH_FAILED);
    CHECK(update.trial && update.state.floor == 1);
    sim.octets[flash.slot[1] + 39] ^= 0x40;
    CHECK(boot_update_confirm(&update).status == BOOT_OK && update.state.floor == 2);
}

/* Right before the jump all that was found good is looked at again: one flipped word, and nothing starts. */
static void last_look(void) {
    states();
    start();
    CHECK(boot_may_start(&choice));
    for (unsigned which = 0; which < 6; which++) {
        struct boot_choice flipped = choice;
        volatile uint32_t *words[] = {&flipped.verdict.first, &flipped.verdict.second, &flipped.copy.first,
                                      &flipped.copy.second,   &flipped.image.security, &flipped.state.floor};
        *words[which] ^= which == 4 ? 2u : 1u << 16;
        CHECK(!boot_may_start(&flipped));
    }
    choice.slot = BOOT_NO_SLOT;
    CHECK(!boot_may_start(&choice));
}

/* Arbitrary flash: whatever the loader starts is signed. */
static void noise(void) {
    uint32_t random = 99;
    for (unsigned turn = 0; turn < 300; turn++) {
        factory(&new);
        for (unsigned i = 0; i < 1u << (turn % 14); i++) {
            random = random * 1664525u + 1013904223u;
            sim.octets[(random >> 8) % SIM_SIZE] = (uint8_t)random;
        }
        start();
        CHECK(choice.slot == BOOT_NO_SLOT ||
              (boot_may_start(&choice) && memcmp(sim.ram, new.octets + BOOT_PREFIX, choice.image.size) == 0));
    }
}

int main(int count, char **words) {
    CHECK(count == 6);
    trust.board = words[1];
    trust.load_address = (uint32_t)strtoul(words[2], NULL, 0);
    CHECK(sim_file(words[3], trust.key, sizeof trust.key) == sizeof trust.key);
    old.size = sim_file(words[4], old.octets, sizeof old.octets);
    new.size = sim_file(words[5], new.octets, sizeof new.octets);
    reasons();
    states();
    rollback();
    lost_journal();
    wear();
    empty();
    counter_as_signed();
    last_look();
    noise();
    torn();
    flips();
    puts("refused");
    return 0;
}
