/* Taking an image into the slot that isn't running (BOOT.md §6). */
#include "boot_update.h"

#include <string.h> /* memcmp, memcpy, memset */

/* An answer without more. */
static struct boot_answer answer(enum boot_status status) {
    return (struct boot_answer){.status = status};
}

/* An answer with an offset. */
static struct boot_answer at(enum boot_status status, uint32_t offset) {
    return (struct boot_answer){.status = status, .offset = offset};
}

/* A refusal. */
static struct boot_answer refuse(enum boot_reason reason) {
    return (struct boot_answer){.status = BOOT_REFUSED, .reason = reason};
}

/* The slot that an image goes to: the one that doesn't run; in the bare loader one that isn't good for anything. */
static uint8_t target_of(const struct boot_update *update) {
    if (update->running != BOOT_NO_SLOT) {
        return update->running ^ 1u;
    }
    const struct boot_state *state = &update->state;
    uint8_t other = state->preferred ^ 1u;
    return state->slot[state->preferred] != BOOT_CONFIRMED ? state->preferred : other;
}

/* Where the target slot begins. */
static uint32_t target_at(const struct boot_update *update) {
    return update->flash->slot[target_of(update)];
}

/* Forget what was begun, in memory. */
static void forget(struct boot_update *update) {
    update->state.size = 0;
    update->state.done = 0;
    memset(update->state.digest, 0, BOOT_DIGEST);
    update->next = 0;
    update->work = BOOT_WORK_NONE;
}

/* Whether the target slot holds what was begun, or a part of it. */
static bool in_slot(const struct boot_update *update) {
    uint8_t state = update->state.slot[target_of(update)];
    return state == BOOT_WRITING || state == BOOT_READY;
}

/* Write down another state of the target slot. */
static bool note(struct boot_update *update, enum boot_slot_state slot) {
    update->state.slot[target_of(update)] = (uint8_t)slot;
    return boot_journal_write(update->flash, &update->state);
}

/* Refuse an image for good: what there is of it in its slot is bad. Of one whose header was refused there is nothing. */
static struct boot_answer reject(struct boot_update *update, enum boot_reason reason) {
    bool written = update->ending && in_slot(update);
    forget(update);
    if (written && !note(update, BOOT_BAD)) {
        return answer(BOOT_FLASH_FAILED);
    }
    return refuse(reason);
}

/* The flash failed: go back to what is certain, so that the host may begin again there. */
static struct boot_answer failed(struct boot_update *update) {
    update->next = update->state.done;
    update->work = BOOT_WORK_NONE;
    return answer(BOOT_FLASH_FAILED);
}

/* As after a reset. */
void boot_update_init(struct boot_update *update, const struct boot_flash *flash, const struct boot_trust *trust,
                      uint8_t running, bool trial) {
    memset(update, 0, sizeof *update);
    update->flash = flash;
    update->trust = trust;
    update->running = running;
    update->trial = trial && running != BOOT_NO_SLOT;
    update->known = boot_journal_read(flash, &update->state);
    if (!update->known) {
        memset(&update->state, 0, sizeof update->state);
    }
    for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
        if (update->state.slot[slot] == BOOT_TRIAL_BEGUN && slot != running) {
            update->state.slot[slot] = BOOT_BAD; /* the loader couldn't write that down */
        }
    }
    update->next = update->state.done;
}

/* The page that an octet belongs to, where it begins. */
static uint32_t page_start(uint32_t offset) {
    return offset - offset % BOOT_PAGE;
}

/* What there is to say of a slot. */
void boot_update_slot(const struct boot_update *update, uint8_t slot, struct boot_slot_report *report) {
    uint8_t prefix[BOOT_PREFIX];
    struct boot_image image;
    uint8_t state = update->state.slot[slot];
    *report = (struct boot_slot_report){.state = state == BOOT_TRIAL_BEGUN ? BOOT_TRIAL_ASKED : state};
    bool whole = state == BOOT_READY || state == BOOT_TRIAL_ASKED || state == BOOT_TRIAL_BEGUN || state == BOOT_CONFIRMED;
    if (whole && update->flash->read(update->flash->board, update->flash->slot[slot], prefix, BOOT_PREFIX) &&
        boot_image_parse(&image, prefix, update->trust, update->flash->slot_size, 0) == BOOT_REASON_NONE) {
        report->version = image.version;
        report->security = image.security;
    }
}

/* 31: begin, or go on with the same image. */
struct boot_answer boot_update_begin(struct boot_update *update, uint32_t size, const uint8_t digest[BOOT_DIGEST]) {
    if (update->work != BOOT_WORK_NONE) {
        return answer(BOOT_BUSY);
    }
    if (!update->known) {
        return answer(BOOT_FLASH_FAILED);
    }
    if (update->trial) {
        return refuse(BOOT_REASON_ON_TRIAL);
    }
    if (update->state.slot[target_of(update)] == BOOT_TRIAL_ASKED) {
        return refuse(BOOT_REASON_SLOT_BUSY);
    }
    if (size > update->flash->slot_size) {
        return refuse(BOOT_REASON_TOO_LARGE);
    }
    if (size < BOOT_PREFIX + BOOT_PAYLOAD_UNIT || size % BOOT_PAYLOAD_UNIT != 0) {
        return refuse(BOOT_REASON_NO_IMAGE);
    }
    if (update->state.size != size || memcmp(update->state.digest, digest, BOOT_DIGEST) != 0) {
        forget(update);
        update->state.size = size;
        memcpy(update->state.digest, digest, BOOT_DIGEST);
    }
    return at(BOOT_OK, update->next);
}

/* What there is to say against a header before its signature is looked at. */
static enum boot_reason judge(const struct boot_update *update, const uint8_t *prefix, struct boot_image *image) {
    enum boot_reason reason =
        boot_image_parse(image, prefix, update->trust, update->flash->slot_size, update->state.floor);
    if (reason == BOOT_REASON_NONE && image->size + BOOT_PREFIX != update->state.size) {
        return BOOT_REASON_NO_IMAGE;
    }
    return reason;
}

/* Write the page that begins at `start`, its sector erased before if it is the first of it. */
static bool write_page(struct boot_update *update, uint32_t start, uint32_t count) {
    const struct boot_flash *flash = update->flash;
    uint32_t place = target_at(update) + start;
    uint32_t padded = count + (flash->unit - count % flash->unit) % flash->unit;
    memset(update->page + count, 0xFF, padded - count);
    return (start % flash->sector != 0 || flash->erase(flash->board, place)) &&
           flash->write(flash->board, place, update->page, padded);
}

/* Write the page that is full, or the last one; note how far it has come now and then. */
static struct boot_answer flush(struct boot_update *update, uint32_t count) {
    if (!write_page(update, update->next - count, count)) {
        return failed(update);
    }
    if (update->next % BOOT_NOTE_EVERY == 0) {
        uint32_t before = update->state.done;
        update->state.done = update->next;
        if (!note(update, BOOT_WRITING)) {
            update->state.done = before;
            return failed(update);
        }
    }
    return at(BOOT_OK, update->next);
}

/* The header is complete: nothing is written before it has been found good. What came behind it waits. */
static struct boot_answer judge_later(struct boot_update *update, const uint8_t *octets, uint32_t count) {
    memcpy(update->rest, octets, count);
    update->rest_count = count;
    update->ending = false;
    update->work = BOOT_WORK_SIGNATURE;
    return answer(BOOT_LATER);
}

/* Take octets into the page, and write each page that is full. */
static struct boot_answer take(struct boot_update *update, const uint8_t *octets, uint32_t count) {
    while (count > 0) {
        uint32_t used = update->next - page_start(update->next);
        uint32_t some = count < BOOT_PAGE - used ? count : BOOT_PAGE - used;
        memcpy(update->page + used, octets, some);
        update->next += some;
        octets += some;
        count -= some;
        if (update->next == BOOT_PREFIX) {
            return judge_later(update, octets, count);
        }
        if (used + some == BOOT_PAGE) {
            struct boot_answer flushed = flush(update, BOOT_PAGE);
            if (flushed.status != BOOT_OK) {
                return flushed;
            }
        }
    }
    return at(BOOT_OK, update->next);
}

/* 32: take octets. */
struct boot_answer boot_update_data(struct boot_update *update, uint32_t offset, const uint8_t *octets,
                                    uint32_t count) {
    if (update->work != BOOT_WORK_NONE) {
        return answer(BOOT_BUSY);
    }
    if (update->state.size == 0) {
        return refuse(BOOT_REASON_NOTHING_BEGUN);
    }
    if (offset != update->next) {
        return at(BOOT_ORDER, update->next);
    }
    if (count > update->state.size - update->next || count > BOOT_PAGE) {
        return answer(BOOT_BAD_REQUEST);
    }
    return take(update, octets, count);
}

/* The header is good: the slot is being written from now on. */
static struct boot_answer begin_slot(struct boot_update *update) {
    update->work = BOOT_WORK_NONE;
    update->state.done = 0;
    if (!note(update, BOOT_WRITING) || !write_page(update, 0, BOOT_PAGE)) {
        return failed(update);
    }
    return take(update, update->rest, update->rest_count);
}

/* 33: the last page, and the check of the whole slot from its first octet. */
struct boot_answer boot_update_end(struct boot_update *update) {
    if (update->work != BOOT_WORK_NONE) {
        return answer(BOOT_BUSY);
    }
    if (update->state.size == 0) {
        return refuse(BOOT_REASON_NOTHING_BEGUN);
    }
    if (update->next != update->state.size) {
        return refuse(BOOT_REASON_INCOMPLETE);
    }
    uint32_t rest = update->next % BOOT_PAGE;
    if (rest != 0 && update->state.done != update->state.size) {
        struct boot_answer flushed = flush(update, rest);
        if (flushed.status != BOOT_OK) {
            return flushed;
        }
    }
    br_sha256_init(&update->whole);
    br_sha256_init(&update->payload);
    update->checked = 0;
    update->ending = true;
    update->work = BOOT_WORK_HASH;
    return answer(BOOT_LATER);
}

/* The slot has been hashed: is it the file that was announced? Its header is looked at next. */
static struct boot_answer compare(struct boot_update *update) {
    uint8_t digest[BOOT_DIGEST];
    struct boot_verdict same;
    if (!update->flash->read(update->flash->board, target_at(update), update->page, BOOT_PREFIX)) {
        return failed(update);
    }
    br_sha256_out(&update->whole, digest);
    boot_digest_equal(&same, digest, update->state.digest);
    if (!boot_is_good(&same)) {
        return reject(update, BOOT_REASON_DIGEST);
    }
    update->work = BOOT_WORK_SIGNATURE;
    return answer(BOOT_LATER);
}

/* One piece of hashing. */
static struct boot_answer hash(struct boot_update *update) {
    uint8_t octets[BOOT_PAGE];
    for (uint32_t spent = 0; spent < BOOT_CHECK_AT_ONCE; spent += BOOT_PAGE) {
        uint32_t left = update->state.size - update->checked;
        uint32_t count = left < BOOT_PAGE ? left : BOOT_PAGE;
        if (!update->flash->read(update->flash->board, target_at(update) + update->checked, octets, count)) {
            return failed(update);
        }
        br_sha256_update(&update->whole, octets, count);
        if (update->checked >= BOOT_PREFIX) {
            br_sha256_update(&update->payload, octets, count);
        }
        update->checked += count;
        if (update->checked == update->state.size) {
            return compare(update);
        }
    }
    return answer(BOOT_LATER);
}

/* The slot is whole and signed: is the payload the one that was signed? */
static struct boot_answer conclude(struct boot_update *update, const struct boot_image *image) {
    uint8_t digest[BOOT_DIGEST];
    struct boot_verdict same;
    br_sha256_out(&update->payload, digest);
    boot_digest_equal(&same, digest, image->digest);
    if (!boot_is_good(&same)) {
        return reject(update, BOOT_REASON_DIGEST);
    }
    uint32_t before = update->state.done;
    update->state.done = update->state.size;
    if (!note(update, BOOT_READY)) {
        update->state.done = before;
        return failed(update);
    }
    update->work = BOOT_WORK_NONE;
    return answer(BOOT_OK);
}

/* One of the two checks of the header in `page`. */
static struct boot_answer check_signature(struct boot_update *update) {
    struct boot_image image;
    enum boot_reason reason = judge(update, update->page, &image);
    if (reason != BOOT_REASON_NONE) {
        return reject(update, reason);
    }
    if (update->work == BOOT_WORK_SIGNATURE) {
        boot_image_verify(&update->verdict, update->page, update->trust);
        update->work = BOOT_WORK_SIGNATURE_AGAIN;
        return update->verdict.first == BOOT_GOOD ? answer(BOOT_LATER) : reject(update, BOOT_REASON_SIGNATURE);
    }
    boot_image_verify_again(&update->verdict, update->page, update->trust);
    bool good = boot_is_good(&update->verdict);
    boot_verdict_fail(&update->verdict);
    if (!good) {
        return reject(update, BOOT_REASON_SIGNATURE);
    }
    return update->ending ? conclude(update, &image) : begin_slot(update);
}

/* One piece of what goes on. */
struct boot_answer boot_update_work(struct boot_update *update) {
    switch (update->work) {
    case BOOT_WORK_HASH:
        return hash(update);
    case BOOT_WORK_SIGNATURE:
    case BOOT_WORK_SIGNATURE_AGAIN:
        return check_signature(update);
    case BOOT_WORK_NONE:
    default:
        return answer(BOOT_BAD_REQUEST);
    }
}

/* 34: ask for the trial. */
struct boot_answer boot_update_boot(struct boot_update *update) {
    if (update->work != BOOT_WORK_NONE) {
        return answer(BOOT_BUSY);
    }
    if (update->trial) {
        return refuse(BOOT_REASON_ON_TRIAL);
    }
    switch (update->state.slot[target_of(update)]) {
    case BOOT_TRIAL_ASKED:
        return answer(BOOT_OK);
    case BOOT_READY:
        return answer(note(update, BOOT_TRIAL_ASKED) ? BOOT_OK : BOOT_FLASH_FAILED);
    case BOOT_WRITING:
        return refuse(BOOT_REASON_INCOMPLETE);
    default:
        return refuse(BOOT_REASON_NOTHING_BEGUN);
    }
}

/*
 * Read what the running image says of itself, as it was signed: a bit that flips on the way would raise the counter above
 * every image there is. One check of the signature, which the loader has done twice.
 */
static bool running_image(const struct boot_update *update, struct boot_image *image) {
    uint8_t prefix[BOOT_PREFIX];
    struct boot_verdict verdict;
    const struct boot_flash *flash = update->flash;
    if (!flash->read(flash->board, flash->slot[update->running], prefix, BOOT_PREFIX) ||
        boot_image_parse(image, prefix, update->trust, flash->slot_size, 0) != BOOT_REASON_NONE) {
        return false;
    }
    boot_image_verify(&verdict, prefix, update->trust);
    return verdict.first == BOOT_GOOD;
}

/* 35: the running image is the one from now on, and nothing below its security version will run again. */
struct boot_answer boot_update_confirm(struct boot_update *update) {
    struct boot_image image;
    if (update->running == BOOT_NO_SLOT) {
        return refuse(BOOT_REASON_NOTHING_BEGUN);
    }
    if (!update->trial) {
        return answer(BOOT_OK);
    }
    if (!update->known || !running_image(update, &image)) {
        return answer(BOOT_FLASH_FAILED);
    }
    struct boot_state next = update->state;
    next.slot[update->running] = BOOT_CONFIRMED;
    next.preferred = update->running;
    next.floor = image.security > next.floor ? image.security : next.floor;
    next.size = 0;
    next.done = 0;
    memset(next.digest, 0, BOOT_DIGEST);
    if (!boot_journal_write(update->flash, &next)) {
        return answer(BOOT_FLASH_FAILED);
    }
    update->state = next;
    update->trial = false;
    update->next = 0;
    return answer(BOOT_OK);
}

/* 36: forget what was begun; a whole image that waits is given up, too. */
struct boot_answer boot_update_cancel(struct boot_update *update) {
    if (update->trial) {
        return refuse(BOOT_REASON_ON_TRIAL);
    }
    uint8_t state = update->state.slot[target_of(update)];
    forget(update);
    if (state != BOOT_WRITING && state != BOOT_READY && state != BOOT_TRIAL_ASKED) {
        return answer(BOOT_OK);
    }
    return answer(note(update, BOOT_EMPTY) ? BOOT_OK : BOOT_FLASH_FAILED);
}

/* Whether the trial's time is up. */
bool boot_update_expired(const struct boot_update *update, uint64_t uptime_us, uint64_t trial_us) {
    return update->trial && uptime_us >= trial_us;
}
