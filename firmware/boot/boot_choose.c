/* What starts after a reset (BOOT.md §5). */
#include "boot_choose.h"

#include <string.h> /* memset */

enum { CHUNK = 256 };

/* Copy a slot's payload to where it will run and take the digest of the copy. False: flash or target failed. */
static bool load(const struct boot_flash *flash, uint32_t at, uint32_t size, const struct boot_target *target,
                 uint8_t digest[BOOT_DIGEST]) {
    uint8_t octets[CHUNK];
    br_sha256_context hash;
    br_sha256_init(&hash);
    for (uint32_t done = 0; done < size;) {
        uint32_t count = size - done < CHUNK ? size - done : CHUNK;
        if (!flash->read(flash->board, at + done, octets, count) ||
            !target->put(target->board, done, octets, count) || !target->get(target->board, done, octets, count)) {
            return false;
        }
        br_sha256_update(&hash, octets, count);
        done += count;
    }
    br_sha256_out(&hash, digest);
    return true;
}

/* Nothing may be started. */
static void refuse_all(struct boot_choice *choice) {
    choice->slot = BOOT_NO_SLOT;
    boot_verdict_fail(&choice->verdict);
    boot_verdict_fail(&choice->copy);
}

/* Verify what is in a slot and load it; `choice` says how that went. */
static bool try_slot(struct boot_choice *choice, uint8_t slot, const struct boot_flash *flash,
                     const struct boot_trust *trust, const struct boot_target *target) {
    uint8_t prefix[BOOT_PREFIX];
    uint8_t digest[BOOT_DIGEST];
    refuse_all(choice);
    if (!flash->read(flash->board, flash->slot[slot], prefix, BOOT_PREFIX) ||
        boot_image_parse(&choice->image, prefix, trust, flash->slot_size, choice->state.floor) != BOOT_REASON_NONE) {
        return false;
    }
    boot_image_verify(&choice->verdict, prefix, trust);
    boot_image_verify_again(&choice->verdict, prefix, trust);
    if (boot_is_good(&choice->verdict) &&
        load(flash, flash->slot[slot] + BOOT_PREFIX, choice->image.size, target, digest)) {
        boot_digest_equal(&choice->copy, digest, choice->image.digest);
        choice->slot = slot;
    }
    if (!boot_may_start(choice)) {
        refuse_all(choice);
        return false;
    }
    return true;
}

/* Whether `one` should be preferred to `other`. */
static bool newer(const struct boot_image *one, const struct boot_image *other) {
    if (one->security != other->security) {
        return one->security > other->security;
    }
    /* major and minor are the low octets, patch the two high ones */
    uint32_t a = ((one->version & 0xFFu) << 24) | ((one->version & 0xFF00u) << 8) | (one->version >> 16);
    uint32_t b = ((other->version & 0xFFu) << 24) | ((other->version & 0xFF00u) << 8) | (other->version >> 16);
    return a > b;
}

/* Without any record: what is in the slots says what there is. */
static void rebuild(struct boot_choice *choice, const struct boot_flash *flash, const struct boot_trust *trust,
                    const struct boot_target *target) {
    struct boot_state *state = &choice->state;
    struct boot_image best = {0};
    bool any = false;
    memset(state, 0, sizeof *state);
    for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
        if (!try_slot(choice, slot, flash, trust, target)) {
            continue;
        }
        state->slot[slot] = BOOT_CONFIRMED;
        if (!any || newer(&choice->image, &best)) {
            best = choice->image;
            state->preferred = slot;
        }
        any = true;
    }
    state->floor = best.security;
    refuse_all(choice);
    (void)boot_journal_write(flash, state); /* if it fails, the next start does the same again */
}

/* Nothing of an image on its way is left: it has to be sent again. */
static void forget_image(struct boot_state *state) {
    state->size = 0;
    state->done = 0;
    memset(state->digest, 0, BOOT_DIGEST);
}

/* A trial that had begun before this reset has failed; the note may fail too, the slot isn't started either way. */
static void end_trials(struct boot_state *state, const struct boot_flash *flash) {
    bool ended = false;
    for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
        if (state->slot[slot] == BOOT_TRIAL_BEGUN) {
            state->slot[slot] = BOOT_BAD;
            forget_image(state);
            ended = true;
        }
    }
    if (ended) {
        (void)boot_journal_write(flash, state);
    }
}

/* Begin a trial that was asked for; true when it may be started. */
static bool begin_trial(struct boot_choice *choice, const struct boot_flash *flash, const struct boot_trust *trust,
                        const struct boot_target *target) {
    struct boot_state *state = &choice->state;
    for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
        if (state->slot[slot] != BOOT_TRIAL_ASKED) {
            continue;
        }
        bool good = try_slot(choice, slot, flash, trust, target);
        state->slot[slot] = good ? BOOT_TRIAL_BEGUN : BOOT_BAD;
        forget_image(state);
        bool noted = boot_journal_write(flash, state);
        if (good && noted) {
            return true;
        }
        refuse_all(choice);
    }
    return false;
}

/* Decide, note it, copy and check the copy. */
void boot_choose(struct boot_choice *choice, const struct boot_flash *flash, const struct boot_trust *trust,
                 const struct boot_target *target) {
    memset(choice, 0, sizeof *choice);
    refuse_all(choice);
    if (!boot_journal_read(flash, &choice->state)) {
        rebuild(choice, flash, trust, target);
    }
    end_trials(&choice->state, flash);
    choice->trial = begin_trial(choice, flash, trust, target);
    for (uint8_t turn = 0; turn < BOOT_SLOTS && choice->slot == BOOT_NO_SLOT; turn++) {
        uint8_t slot = choice->state.preferred ^ turn;
        if (choice->state.slot[slot] == BOOT_CONFIRMED) {
            (void)try_slot(choice, slot, flash, trust, target);
        }
    }
}

/* Right before the jump. */
bool boot_may_start(const struct boot_choice *choice) {
    return choice->slot < BOOT_SLOTS && boot_is_good(&choice->verdict) && boot_is_good(&choice->copy) &&
           choice->image.security >= choice->state.floor;
}
