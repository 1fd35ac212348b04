/* Frames on the line. */
#include "frame.h"

#include <string.h> /* memcpy */

#include "crc32.h"  /* crc32_of */
#include "octets.h" /* get_32, put_32 */

/* Undo COBS in place; false when a block reaches beyond the end. Writing never overtakes reading. */
static bool unstuff(uint8_t *octets, size_t stuffed, size_t *length) {
    size_t to = 0;
    size_t from = 0;
    while (from < stuffed) {
        const size_t block = octets[from]; /* 1…255: there is no 00 between two 00 */
        if (block > stuffed - from) {
            return false;
        }
        for (size_t i = 1; i < block; i++) {
            octets[to++] = octets[from + i];
        }
        from += block;
        if (from < stuffed) {
            octets[to++] = 0;
        }
    }
    *length = to;
    return true;
}

/* Whether a HELLO's versions and window make sense. */
static bool good_hello(const struct frame *hello) {
    return hello->length >= FRAME_HELLO_MIN && hello->payload[0] >= 1 && hello->payload[0] <= hello->payload[1] &&
           hello->payload[2] >= 1 && hello->payload[2] <= FRAME_WINDOW_MAX;
}

/* Whether the kind is known, and its payload what §2 says. */
static bool well_formed(const struct frame *frame) {
    switch (frame->kind) {
    case FRAME_HELLO:
        return good_hello(frame);
    case FRAME_WELCOME:
        return frame->length >= FRAME_WELCOME_MIN && frame->length <= FRAME_WELCOME_MAX;
    case FRAME_REFUSED:
        return frame->length >= FRAME_REFUSED_MIN;
    case FRAME_DATA:
        return true;
    case FRAME_ACK:
    case FRAME_NAK:
    case FRAME_RESET:
        return frame->length == 0;
    default:
        return false;
    }
}

/* Check what stood between two 00s and take it apart. */
static enum frame_result finish(uint8_t *octets, size_t stuffed, struct frame *frame) {
    size_t length = 0;
    if (!unstuff(octets, stuffed, &length) || length < FRAME_CONTENT_MIN) {
        return FRAME_DAMAGED;
    }
    const size_t covered = length - FRAME_CRC;
    if (crc32_of(octets, covered) != get_32(octets + covered)) {
        return FRAME_DAMAGED;
    }
    frame->kind = octets[0];
    frame->session = octets[1];
    frame->seq = octets[2];
    frame->ack = octets[3];
    frame->payload = octets + FRAME_HEADER;
    frame->length = covered - FRAME_HEADER;
    return frame->session != 0 && well_formed(frame) ? FRAME_GOOD : FRAME_DAMAGED;
}

void frame_decoder_init(struct frame_decoder *decoder) {
    decoder->used = 0;
    decoder->overlong = false;
}

enum frame_result frame_decode(struct frame_decoder *decoder, uint8_t octet, struct frame *frame) {
    if (octet != 0) {
        if (decoder->used < sizeof decoder->octets) {
            decoder->octets[decoder->used++] = octet;
        } else {
            decoder->overlong = true;
        }
        return FRAME_NOTHING;
    }
    const size_t stuffed = decoder->used;
    const bool overlong = decoder->overlong;
    frame_decoder_init(decoder);
    if (overlong) {
        return FRAME_DAMAGED;
    }
    return stuffed == 0 ? FRAME_NOTHING : finish(decoder->octets, stuffed, frame);
}

/* COBS of fewer than 255 octets; returns how many were written. */
static size_t stuff(const uint8_t *content, size_t length, uint8_t *to) {
    size_t code_at = 0;
    size_t used = 1;
    for (size_t i = 0; i < length; i++) {
        if (content[i] != 0) {
            to[used++] = content[i];
        } else {
            to[code_at] = (uint8_t)(used - code_at);
            code_at = used++;
        }
    }
    to[code_at] = (uint8_t)(used - code_at);
    return used;
}

size_t frame_encode(const struct frame *frame, bool leading, uint8_t to[FRAME_LINE_MAX]) {
    uint8_t content[FRAME_CONTENT_MAX] = {frame->kind, frame->session, frame->seq, frame->ack};
    if (frame->length > FRAME_PAYLOAD_MAX) {
        return 0;
    }
    const size_t covered = FRAME_HEADER + frame->length;
    if (frame->length > 0) {
        memcpy(content + FRAME_HEADER, frame->payload, frame->length);
    }
    put_32(content + covered, crc32_of(content, covered));
    size_t used = 0;
    if (leading) {
        to[used++] = 0;
    }
    used += stuff(content, covered + FRAME_CRC, to + used);
    to[used++] = 0;
    return used;
}
