/* What the host asks for. */
#include "requests.h"

#include <string.h> /* memcpy */

#include "octets.h" /* put_16, put_32 */

enum { EXPOSE_STEP = 10, COUNTERS = 11 };

/* Lengths of a request's body, its tag left out. */
struct form {
    uint8_t type;
    uint8_t shortest;
    uint8_t longest;
};

static const struct form forms[] = {
    {REQUEST_PING, 0, 0},
    {REQUEST_LIMITS, 0, 0},
    {REQUEST_STATUS, 0, 0},
    {REQUEST_COUNTERS, 0, 0},
    {REQUEST_LIGHT, 4, 4},
    {REQUEST_EXPOSE, 1 + EXPOSE_STEP, 1 + STEPS_MAX * EXPOSE_STEP},
    {REQUEST_DARK, 0, 0},
    {REQUEST_INDICATE, 1, 1},
    {REQUEST_BEEP, 1, 1},
    {REQUEST_SLOTS, 0, 0},
    {REQUEST_UPDATE_BEGIN, 4 + UPDATE_DIGEST_SIZE, 4 + UPDATE_DIGEST_SIZE},
    {REQUEST_UPDATE_DATA, 4 + 1, 4 + UPDATE_DATA_MAX},
    {REQUEST_UPDATE_END, 0, 0},
    {REQUEST_UPDATE_BOOT, 0, 0},
    {REQUEST_UPDATE_CONFIRM, 0, 0},
    {REQUEST_UPDATE_CANCEL, 0, 0},
    {REQUEST_REBOOT, 0, 0},
};

/* The form of a type; NULL when there is no such request. */
static const struct form *form_of(uint8_t type) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (forms[i].type == type) {
            return &forms[i];
        }
    }
    return NULL;
}

/* What a boot loader without an application knows (PROTOCOL.md §8). */
static bool loader_knows(uint8_t type) {
    return type == REQUEST_PING || type == REQUEST_STATUS || type == REQUEST_COUNTERS || type == REQUEST_REBOOT ||
           (type >= REQUEST_SLOTS && type <= REQUEST_UPDATE_CANCEL);
}

/* 02 LIMITS: one entry for each lamp that the board has. */
static void limits(const struct head *head, struct answer *answer) {
    for (uint8_t lamp = LAMP_WHITE; lamp <= LAMPS; lamp++) {
        if ((head->facts->capabilities >> (lamp - 1U) & 1U) != 0) {
            uint8_t *to = answer->result + answer->length;
            to[0] = lamp;
            put_16(to + 1, limit_of(lamp)->longest_ms);
            put_16(to + 3, limit_of(lamp)->duty_per_mille);
            put_32(to + 5, LIMIT_WINDOW_MS);
            answer->length = (uint8_t)(answer->length + 9U);
        }
    }
}

/* 03 STATUS */
static void status(const struct head *head, struct answer *answer) {
    const bool has_cover = (head->facts->capabilities & CAN_COVER) != 0;
    uint8_t *to = answer->result;
    to[0] = head->inputs.document.level ? 1 : 0;
    to[1] = has_cover ? (head->inputs.cover.level ? 1 : 0) : 2;
    to[2] = head->inputs.button.level ? 1 : 0;
    to[3] = (uint8_t)(head->illumination.lamp == LAMP_NONE ? 0U : 1U << head->illumination.lamp);
    put_32(to + 4, head->faults.raised);
    put_16(to + 8, (uint16_t)head->pins.temperature);
    put_16(to + 10, head->pins.supply);
    put_32(to + 12, (uint32_t)head->now_ms);
    answer->length = 16;
}

/* 04 COUNTERS */
static void counters(const struct head *head, struct answer *answer) {
    const uint32_t values[COUNTERS] = {
        head->store.presses,        head->events.presses_dropped,  head->store.documents,
        head->link.good,            head->link.damaged,            head->link.repeated,
        head->link.sessions,        head->store.watchdog_resets,   head->events.dropped,
        head->illumination.exposures, head->illumination.longest_error_us,
    };
    for (uint8_t i = 0; i < COUNTERS; i++) {
        answer->result[5 * i] = i;
        put_32(answer->result + 5 * i + 1, values[i]);
    }
    answer->length = 5 * COUNTERS;
}

/* 20 INDICATE */
static void indicate(struct head *head, const uint8_t *body, struct answer *answer) {
    if (body[0] >= INDICATIONS) {
        answer->status = STATUS_BAD_REQUEST;
        return;
    }
    indicator_show(&head->indicator, body[0], head->now_ms);
}

/* 21 BEEP */
static void beep(struct head *head, const uint8_t *body, struct answer *answer) {
    if (body[0] == BEEP_NONE || body[0] >= BEEPS) {
        answer->status = STATUS_BAD_REQUEST;
    } else if ((head->facts->capabilities & CAN_BUZZER) == 0) {
        answer->status = STATUS_UNSUPPORTED;
    } else {
        indicator_beep(&head->indicator, body[0], head->now_ms);
    }
}

/* Carry out a request of the right length; true when its answer comes later. */
static bool carry_out(struct head *head, uint8_t type, const uint8_t *body, size_t length, struct answer *answer) {
    switch (type) {
    case REQUEST_PING:
        put_32(answer->result, (uint32_t)head->now_ms);
        answer->length = 4;
        return false;
    case REQUEST_LIMITS:
        limits(head, answer);
        return false;
    case REQUEST_STATUS:
        status(head, answer);
        return false;
    case REQUEST_COUNTERS:
        counters(head, answer);
        return false;
    case REQUEST_LIGHT:
        requests_light(head, body, answer);
        return false;
    case REQUEST_EXPOSE:
        requests_expose(head, body, length, answer);
        return false;
    case REQUEST_DARK:
        head_dark(head);
        return false;
    case REQUEST_INDICATE:
        indicate(head, body, answer);
        return false;
    case REQUEST_BEEP:
        beep(head, body, answer);
        return false;
    case REQUEST_REBOOT:
        head_restart(head, false);
        return false;
    default:
        return requests_update(head, type, body, length, answer);
    }
}

/* Queue the reply; there is room, for the link took the request only because of that. */
static void reply(struct head *head, uint8_t tag, const struct answer *answer) {
    (void)replies_add(&head->replies, head->serial++, tag, answer);
}

void requests_take(struct head *head, const uint8_t *message, size_t length) {
    if (length < 2 || message[0] >= REPLY_TYPE) {
        head->link.damaged++;
        return;
    }
    const uint8_t tag = message[1];
    const size_t body = length - 2;
    const struct form *form = form_of(message[0]);
    struct answer answer = {.status = STATUS_OK};
    if (form == NULL || (head->facts->loader && !loader_knows(message[0]))) {
        answer.status = STATUS_UNSUPPORTED;
    } else if (body < form->shortest || body > form->longest) {
        answer.status = STATUS_BAD_REQUEST;
    } else if (carry_out(head, message[0], message + 2, body, &answer)) {
        head->update_tag = tag;
        return;
    }
    reply(head, tag, &answer);
}

void requests_pass(struct head *head) {
    struct answer answer = {.status = STATUS_OK};
    if (head->update_going && !requests_update(head, 0, NULL, 0, &answer) && head->update_asked) {
        reply(head, head->update_tag, &answer);
    }
}
