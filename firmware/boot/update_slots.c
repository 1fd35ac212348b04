/* src/update.h for boards with slots: the words of the line on one side, boot_update.h on the other. */
#include "update.h"

#include "boot_board.h"  /* flash, trust, how it was started */
#include "boot_update.h" /* what does the work */
#include "bytes.h"       /* put32 */
#include "version.h"     /* FIRMWARE_SECURITY_VERSION */

struct update {
    struct boot_update core;
    bool supported;
};

static struct update only;

/* Begin a reply. */
static void status(struct update_reply *reply, enum status value) {
    reply->status = value;
    reply->length = 0;
}

/* Append a number. */
static void append(struct update_reply *reply, uint32_t value) {
    put32(reply->result + reply->length, value);
    reply->length = (uint8_t)(reply->length + 4);
}

/* Say what the core said; `offset`: whether an ok tells it. */
static enum update_progress say(struct update_reply *reply, struct boot_answer told, bool offset) {
    if (told.status == BOOT_LATER) {
        return UPDATE_GOING_ON;
    }
    status(reply, (enum status)told.status);
    if (told.status == BOOT_REFUSED) {
        reply->result[0] = (uint8_t)told.reason;
        reply->length = 1;
    } else if (told.status == BOOT_ORDER || (told.status == BOOT_OK && offset)) {
        append(reply, told.offset);
    }
    return UPDATE_DONE;
}

/* Whether this head has slots; says so when it hasn't. */
static bool supported(const struct update *update, struct update_reply *reply) {
    status(reply, STATUS_UNSUPPORTED);
    return update->supported;
}

struct update *update_open(void) {
    const struct boot_flash *flash = boot_board_flash();
    struct boot_start start = boot_board_start();
    only.supported = flash != NULL;
    if (only.supported) {
        boot_update_init(&only.core, flash, boot_board_trust(), start.slot, start.trial);
    }
    return &only;
}

bool update_on_trial(const struct update *update) {
    return update->supported && update->core.trial;
}

uint32_t update_security_version(const struct update *update) {
    return update->supported ? update->core.state.floor : FIRMWARE_SECURITY_VERSION;
}

enum update_progress update_slots(struct update *update, struct update_reply *reply) {
    if (!supported(update, reply)) {
        return UPDATE_DONE;
    }
    status(reply, STATUS_OK);
    reply->result[reply->length++] = update->core.running;
    for (uint8_t slot = 0; slot < BOOT_SLOTS; slot++) {
        struct boot_slot_report report;
        boot_update_slot(&update->core, slot, &report);
        reply->result[reply->length++] = report.state;
        append(reply, report.version);
        append(reply, report.security);
    }
    append(reply, update->core.state.size == 0 ? 0 : update->core.next);
    return UPDATE_DONE;
}

enum update_progress update_begin(struct update *update, uint32_t size, const uint8_t *digest,
                                  struct update_reply *reply) {
    return supported(update, reply) ? say(reply, boot_update_begin(&update->core, size, digest), true) : UPDATE_DONE;
}

enum update_progress update_data(struct update *update, uint32_t offset, const uint8_t *octets, size_t length,
                                 struct update_reply *reply) {
    return supported(update, reply)
               ? say(reply, boot_update_data(&update->core, offset, octets, (uint32_t)length), true)
               : UPDATE_DONE;
}

enum update_progress update_end(struct update *update, struct update_reply *reply) {
    return supported(update, reply) ? say(reply, boot_update_end(&update->core), false) : UPDATE_DONE;
}

enum update_progress update_confirm(struct update *update, struct update_reply *reply) {
    return supported(update, reply) ? say(reply, boot_update_confirm(&update->core), false) : UPDATE_DONE;
}

enum update_progress update_cancel(struct update *update, struct update_reply *reply) {
    return supported(update, reply) ? say(reply, boot_update_cancel(&update->core), false) : UPDATE_DONE;
}

enum update_progress update_boot(struct update *update, struct update_reply *reply) {
    return supported(update, reply) ? say(reply, boot_update_boot(&update->core), false) : UPDATE_DONE;
}

enum update_progress update_poll(struct update *update, struct update_reply *reply) {
    const bool data = !update->core.ending; /* whose answer it is */
    return supported(update, reply) ? say(reply, boot_update_work(&update->core), data) : UPDATE_DONE;
}

bool update_restart_due(const struct update *update, uint64_t now_us) {
    return update->supported && boot_update_expired(&update->core, now_us, boot_board_trial_us());
}
