/*
 * Power cuts at every write and every erasure of a whole update, in the middle of them too:
 *     boot_cuts once|twice|unhealthy|failing BOARD LOAD_ADDRESS KEY OLD NEW
 * NEW has a higher security version than OLD. After each cut the loader must start OLD, or NEW if its trial had been asked
 * for, and the host's next tries must end with NEW confirmed, going on where the octets were safe. `unhealthy`: NEW never
 * confirms, and the end is OLD. `failing`: no cut, the flash says that it failed; the host resets the head and tries again.
 */
#include "boot_update.h" /* what is tested */
#include "sim.h"

#include <stdio.h>  /* printf */
#include <stdlib.h> /* abort, strtoul */
#include <string.h> /* memcmp, strcmp */

struct file {
    uint8_t octets[SIM_SLOT];
    uint32_t size;
    struct boot_image image;
};

static struct sim sim;
static struct boot_trust trust;
static struct file old, new;
static bool healthy = true;
static bool failing;

/* What has happened in one run; everything that a cut can't take back. */
static struct {
    bool trial_asked;   /* UPDATE_BOOT was sent */
    bool confirm_asked; /* UPDATE_CONFIRM was sent */
    bool confirmed;     /* … and answered */
    uint32_t floor;     /* highest counter seen */
    uint32_t acked;     /* octets answered since the image was begun */
    bool begun;         /* whether it may be gone on with */
    unsigned asked;     /* trials asked for */
    unsigned trials;    /* trials begun */
} past;

static uint8_t sha[32];

/* The digest of a whole file, as UPDATE_BEGIN has it. */
static void hash_file(const struct file *file) {
    br_sha256_context hash;
    br_sha256_init(&hash);
    br_sha256_update(&hash, file->octets, file->size);
    br_sha256_out(&hash, sha);
}

/* Which image lies in RAM after the loader's choice; it must be one of the two, to the last octet. */
static bool is_new(const struct boot_choice *choice) {
    CHECK(boot_may_start(choice));
    const struct file *file = choice->image.security == new.image.security ? &new : &old;
    CHECK(choice->image.size == file->size - BOOT_PREFIX);
    CHECK(memcmp(sim.ram, file->octets + BOOT_PREFIX, choice->image.size) == 0);
    return file == &new;
}

/* What must hold at every start, whatever was cut. */
static bool start(struct boot_choice *choice, const struct boot_flash *flash) {
    struct boot_target target = sim_target(&sim);
    memset(sim.ram, 0xA5, sizeof sim.ram);
    boot_choose(choice, flash, &trust, &target);
    bool runs_new = is_new(choice);
    CHECK(!runs_new || past.trial_asked);
    CHECK(runs_new || !past.confirmed);
    CHECK(choice->state.floor >= past.floor);
    CHECK(choice->state.floor == old.image.security || past.confirm_asked);
    past.floor = choice->state.floor;
    past.trials += choice->trial;
    CHECK(past.trials <= past.asked); /* no image is tried twice for one asking */
    return runs_new;
}

/* Send the image from where the head says. False: its flash failed. */
static bool send(struct boot_update *update) {
    struct boot_answer told = boot_update_begin(update, new.size, sha);
    if (sim.fails && told.status == BOOT_REFUSED && told.reason == BOOT_REASON_SLOT_BUSY) {
        return false; /* the loader couldn't write that the trial begins; the next start tries again */
    }
    if (sim.fails && told.status == BOOT_FLASH_FAILED) {
        return false;
    }
    CHECK(told.status == BOOT_OK);
    CHECK(!past.begun || told.offset >= past.acked - past.acked % BOOT_NOTE_EVERY);
    past.begun = true;
    for (uint32_t at = told.offset; at < new.size;) {
        uint32_t count = new.size - at < 224 ? new.size - at : 224;
        past.acked = at;
        told = sim_data(update, at, new.octets + at, count);
        if (sim.fails && told.status == BOOT_FLASH_FAILED) {
            return false;
        }
        CHECK(told.status == BOOT_OK && told.offset == at + count);
        at = told.offset;
        past.acked = at;
    }
    told = boot_update_end(update);
    while (told.status == BOOT_LATER) {
        told = boot_update_work(update);
    }
    CHECK(told.status == BOOT_OK || (sim.fails && told.status == BOOT_FLASH_FAILED));
    return told.status == BOOT_OK;
}

/* An answer that is ok, or the flash's failure. */
static bool went_well(struct boot_answer told) {
    CHECK(told.status == BOOT_OK || (sim.fails && told.status == BOOT_FLASH_FAILED));
    return told.status == BOOT_OK;
}

/* One time of power: the loader, the head, the host. True when it is decided. */
static bool live(void) {
    static struct boot_choice choice;
    static struct boot_update update;
    struct boot_flash flash = sim_flash(&sim);
    bool runs_new = start(&choice, &flash);
    boot_update_init(&update, &flash, &trust, choice.slot, choice.trial);
    if (!healthy && (runs_new || past.trials > 0)) {
        CHECK(runs_new == choice.trial && (runs_new || update.state.slot[choice.slot ^ 1u] == BOOT_BAD));
        return !runs_new; /* a reset, or left for the old one */
    }
    if (runs_new) {
        past.confirm_asked = true;
        past.confirmed = went_well(boot_update_confirm(&update));
        return past.confirmed;
    }
    if (past.trial_asked && update.state.slot[choice.slot ^ 1u] == BOOT_BAD) {
        past.begun = false; /* a trial that was cut: it is sent again from the beginning */
    }
    if (send(&update)) {
        past.trial_asked = true;
        past.asked++;
        past.begun = !went_well(boot_update_boot(&update));
    }
    return false;
}

/* A head with the old image in slot A or B and so many records in its journal. */
static void factory(uint8_t slot, unsigned records) {
    static struct boot_choice choice;
    sim_init(&sim);
    memset(&past, 0, sizeof past);
    struct boot_flash flash = sim_flash(&sim);
    struct boot_target target = sim_target(&sim);
    memcpy(sim.octets + flash.slot[slot], old.octets, old.size);
    boot_choose(&choice, &flash, &trust, &target);
    CHECK(choice.slot == slot && choice.state.floor == old.image.security);
    for (unsigned i = 0; i < records; i++) {
        CHECK(boot_journal_write(&flash, &choice.state));
    }
    if (records == 15) {
        memset(sim.octets, 0xFF, 2 * SIM_SECTOR); /* fresh from the factory */
    }
    sim.operations = 0;
}

/* Power again and again until the update is done; false: it was cut (once). */
static bool go_on(void) {
    for (volatile int starts = 0; starts < 12; starts++) {
        if (setjmp(sim.cut) != 0) {
            return false;
        }
        if (live()) {
            return true;
        }
    }
    CHECK(!"the update never ends");
    return false;
}

/* A run with a cut, or a failure, at an operation; false when there is no such operation. */
static bool cut(long at, enum tear tear) {
    sim.operations = 0;
    sim.cut_at = at;
    sim.tear = tear;
    sim.fails = failing;
    sim.random += (uint32_t)at * 2654435761u + (uint32_t)tear + 1u;
    (void)go_on();
    bool reached = sim.operations > at;
    sim.cut_at = -1;
    return reached;
}

/* After everything: what was decided holds. */
static void settle(void) {
    static struct boot_choice choice;
    struct boot_flash flash = sim_flash(&sim);
    CHECK(go_on());
    bool runs_new = start(&choice, &flash);
    CHECK(!choice.trial && runs_new == healthy && choice.state.floor == (healthy ? new : old).image.security);
}

/* Every operation, every way to tear it, from both slots, at every fill of the journal in turn. */
static unsigned long once(void) {
    unsigned long runs = 0;
    for (int tear = 0; tear < TEARS; tear++) {
        bool more = true;
        for (long at = 0; more; at++) {
            factory((uint8_t)(at & 1), (unsigned)((at + tear * 5) % 16));
            more = cut(at, (enum tear)tear);
            settle();
            runs++;
        }
    }
    return runs;
}

/* A second cut at every operation of the start after the first, and at sampled ones of what follows. */
static unsigned long twice(void) {
    unsigned long runs = 0;
    bool more = true;
    for (long at = 0; more; at++) {
        for (long then = 0; then < 200; then += then < 6 ? 1 : 7 + at % 11) {
            enum tear tear = (enum tear)((unsigned long)(at + then) % TEARS);
            factory((uint8_t)(at & 1), (unsigned)((at + then) % 16));
            more = cut(at, tear);
            (void)cut(then, (enum tear)((unsigned long)(at * 3 + then) % TEARS));
            settle();
            runs++;
        }
    }
    return runs;
}

/* Read an image and what it says of itself. */
static void load(struct file *file, const char *path) {
    file->size = sim_file(path, file->octets, sizeof file->octets);
    CHECK(boot_image_parse(&file->image, file->octets, &trust, SIM_SLOT, 0) == BOOT_REASON_NONE);
}

int main(int count, char **words) {
    CHECK(count == 7);
    trust.board = words[2];
    trust.load_address = (uint32_t)strtoul(words[3], NULL, 0);
    CHECK(sim_file(words[4], trust.key, sizeof trust.key) == sizeof trust.key);
    load(&old, words[5]);
    load(&new, words[6]);
    CHECK(new.image.security > old.image.security);
    hash_file(&new);
    healthy = strcmp(words[1], "unhealthy") != 0;
    failing = strcmp(words[1], "failing") == 0;
    unsigned long runs = strcmp(words[1], "twice") == 0 ? twice() : once();
    printf("%lu\n", runs);
    return 0;
}
