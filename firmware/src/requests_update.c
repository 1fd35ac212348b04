/* Requests 30…36, handed on to the board's slots. */
#include <string.h> /* memcpy */

#include "octets.h"   /* get_32 */
#include "requests.h" /* our own declarations */

/* Hand one request on. */
static enum update_progress hand_on(struct update *update, uint8_t type, const uint8_t *body, size_t length,
                                    struct update_reply *reply) {
    switch (type) {
    case REQUEST_SLOTS:
        return update_slots(update, reply);
    case REQUEST_UPDATE_BEGIN:
        return update_begin(update, get_32(body), body + 4, reply);
    case REQUEST_UPDATE_DATA:
        return update_data(update, get_32(body), body + 4, length - 4, reply);
    case REQUEST_UPDATE_END:
        return update_end(update, reply);
    case REQUEST_UPDATE_BOOT:
        return update_boot(update, reply);
    case REQUEST_UPDATE_CONFIRM:
        return update_confirm(update, reply);
    default:
        return update_cancel(update, reply);
    }
}

/* Draw the consequences of a finished request, and make it the answer. */
static void finish(struct head *head, uint8_t type, const struct update_reply *reply, struct answer *answer) {
    answer->status = reply->status;
    answer->length = reply->length <= UPDATE_RESULT_MAX ? reply->length : UPDATE_RESULT_MAX;
    memcpy(answer->result, reply->result, answer->length);
    if (reply->status == STATUS_OK && type == REQUEST_UPDATE_BOOT) {
        head_restart(head, true);
    }
    head_welcome(head); /* it may be confirmed now */
}

bool requests_update(struct head *head, uint8_t type, const uint8_t *body, size_t length, struct answer *answer) {
    struct update_reply reply = {.status = STATUS_OK};
    const bool poll = body == NULL;
    if (!poll && type != REQUEST_SLOTS &&
        (head->update_going || head->restart || illumination_busy(&head->illumination))) {
        answer->status = STATUS_BUSY; /* erasing takes its time: no lamp is left on meanwhile */
        return false;
    }
    const enum update_progress progress =
        poll ? update_poll(head->update, &reply) : hand_on(head->update, type, body, length, &reply);
    if (progress == UPDATE_GOING_ON && (poll || type != REQUEST_SLOTS)) {
        head->update_type = poll ? head->update_type : type;
        head->update_asked = poll ? head->update_asked : true;
        head->update_going = true;
        return true;
    }
    if (poll) {
        type = head->update_type;
        head->update_going = false;
    }
    finish(head, type, &reply, answer);
    return false;
}
