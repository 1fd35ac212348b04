/* What the host asks for (PROTOCOL.md §5, §7): lengths and ranges checked, carried out, answered once each. */
#ifndef EDGED_REQUESTS_H
#define EDGED_REQUESTS_H

#include <stddef.h> /* size_t */
#include <stdint.h> /* fixed widths */

#include "head.h"    /* struct head */
#include "replies.h" /* struct answer */

enum request {
    REQUEST_PING = 0x01,
    REQUEST_LIMITS = 0x02,
    REQUEST_STATUS = 0x03,
    REQUEST_COUNTERS = 0x04,
    REQUEST_LIGHT = 0x10,
    REQUEST_EXPOSE = 0x11,
    REQUEST_DARK = 0x12,
    REQUEST_INDICATE = 0x20,
    REQUEST_BEEP = 0x21,
    REQUEST_SLOTS = 0x30,
    REQUEST_UPDATE_BEGIN = 0x31,
    REQUEST_UPDATE_DATA = 0x32,
    REQUEST_UPDATE_END = 0x33,
    REQUEST_UPDATE_BOOT = 0x34,
    REQUEST_UPDATE_CONFIRM = 0x35,
    REQUEST_UPDATE_CANCEL = 0x36,
    REQUEST_REBOOT = 0x3F
};

/* Take one message of the host. What has no tag, or is no request, can't be answered: it is dropped and counted. */
void requests_take(struct head *head, const uint8_t *message, size_t length);

/* Go on with what is going on; call in every turn. */
void requests_pass(struct head *head);

/* Of requests_update.c: requests 30…36; true when the answer comes later. */
bool requests_update(struct head *head, uint8_t type, const uint8_t *body, size_t length, struct answer *answer);

/* Of requests_light.c: LIGHT and EXPOSE. */
void requests_light(struct head *head, const uint8_t *body, struct answer *answer);
void requests_expose(struct head *head, const uint8_t *body, size_t length, struct answer *answer);

#endif
