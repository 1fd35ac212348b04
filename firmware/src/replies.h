/* Replies that wait for room on the line: at most as many as requests may be open. */
#ifndef EDGED_REPLIES_H
#define EDGED_REPLIES_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "link.h"   /* LINK_MESSAGE_MAX */
#include "status.h" /* enum status */

enum {
    REPLY_TYPE = 0x80,
    REPLIES_MAX = 16,
    REPLY_HEADER = 3, /* type, tag, status */
    ANSWER_MAX = LINK_MESSAGE_MAX - REPLY_HEADER
};

/* What a request comes to. */
struct answer {
    enum status status;
    uint8_t length;
    uint8_t result[ANSWER_MAX];
};

struct reply {
    uint32_t serial; /* order among everything that goes out */
    uint8_t length;
    uint8_t octets[LINK_MESSAGE_MAX];
};

struct replies {
    struct reply list[REPLIES_MAX];
    uint8_t first;
    uint8_t count;
};

/* None wait. */
void replies_clear(struct replies *replies);

/* Add one; false when 16 wait. */
bool replies_add(struct replies *replies, uint32_t serial, uint8_t tag, const struct answer *answer);

/* The oldest, or NULL. */
const struct reply *replies_next(const struct replies *replies);

/* The oldest is on its way. */
void replies_sent(struct replies *replies);

#endif
