/* Slots and update for a board that has none: everything is `unsupported`. */
#include "update.h"
#include "version.h" /* FIRMWARE_SECURITY_VERSION */

struct update {
    char nothing;
};

static struct update none;

/* Say that this board can't. */
static enum update_progress unsupported(struct update_reply *reply) {
    reply->status = STATUS_UNSUPPORTED;
    reply->length = 0;
    return UPDATE_DONE;
}

struct update *update_open(void) {
    return &none;
}

bool update_on_trial(const struct update *update) {
    (void)update;
    return false;
}

uint32_t update_security_version(const struct update *update) {
    (void)update;
    return FIRMWARE_SECURITY_VERSION;
}

enum update_progress update_slots(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

enum update_progress update_begin(struct update *update, uint32_t size, const uint8_t *digest, struct update_reply *reply) {
    (void)update;
    (void)size;
    (void)digest;
    return unsupported(reply);
}

enum update_progress update_data(struct update *update, uint32_t offset, const uint8_t *octets, size_t length,
                                 struct update_reply *reply) {
    (void)update;
    (void)offset;
    (void)octets;
    (void)length;
    return unsupported(reply);
}

enum update_progress update_end(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

enum update_progress update_confirm(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

enum update_progress update_cancel(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

enum update_progress update_boot(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

enum update_progress update_poll(struct update *update, struct update_reply *reply) {
    (void)update;
    return unsupported(reply);
}

bool update_restart_due(const struct update *update, uint64_t now_us) {
    (void)update;
    (void)now_us;
    return false;
}
