/* Replies that wait for room on the line. */
#include "replies.h"

#include <string.h> /* memcpy */

void replies_clear(struct replies *replies) {
    replies->first = 0;
    replies->count = 0;
}

bool replies_add(struct replies *replies, uint32_t serial, uint8_t tag, const struct answer *answer) {
    if (replies->count == REPLIES_MAX || answer->length > ANSWER_MAX) {
        return false;
    }
    struct reply *reply = &replies->list[(replies->first + replies->count) % REPLIES_MAX];
    reply->serial = serial;
    reply->octets[0] = REPLY_TYPE;
    reply->octets[1] = tag;
    reply->octets[2] = (uint8_t)answer->status;
    memcpy(reply->octets + REPLY_HEADER, answer->result, answer->length);
    reply->length = (uint8_t)(REPLY_HEADER + answer->length);
    replies->count++;
    return true;
}

const struct reply *replies_next(const struct replies *replies) {
    return replies->count > 0 ? &replies->list[replies->first] : NULL;
}

void replies_sent(struct replies *replies) {
    if (replies->count > 0) {
        replies->first = (uint8_t)((replies->first + 1U) % REPLIES_MAX);
        replies->count--;
    }
}
