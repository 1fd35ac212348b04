/*
 * Frames on the line (PROTOCOL.md §1): COBS between 00s, a header, a payload, CRC-32.
 *
 * What `frame_decode` keeps, whatever octets it is given:
 *   1. it reads nothing but the octet given, and writes nothing outside its own struct;
 *   2. it holds at most one frame of FRAME_STUFFED_MAX octets;
 *   3. a good frame after a 00 is delivered, whatever came before;
 *   4. a frame with a wrong CRC is never delivered, nor the same octets twice;
 *   5. an octet costs constant time, a 00 time linear in what it ends.
 */
#ifndef EDGED_FRAME_H
#define EDGED_FRAME_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

enum frame_kind {
    FRAME_HELLO = 0x01,
    FRAME_WELCOME = 0x02,
    FRAME_REFUSED = 0x03,
    FRAME_DATA = 0x10,
    FRAME_ACK = 0x11,
    FRAME_NAK = 0x12,
    FRAME_RESET = 0x13
};

enum {
    FRAME_HEADER = 4,
    FRAME_CRC = 4,
    FRAME_PAYLOAD_MAX = 240,
    FRAME_HELLO_MIN = 3,    /* lowest version, highest version, window; a later version may add to it */
    FRAME_REFUSED_MIN = 2,  /* lowest version, highest version */
    FRAME_WELCOME_MIN = 33, /* its board's name has a character at least */
    FRAME_WELCOME_MAX = 56,
    FRAME_WINDOW_MAX = 8,   /* a receiver's window is 1…8 */
    FRAME_CONTENT_MIN = FRAME_HEADER + FRAME_CRC,
    FRAME_CONTENT_MAX = FRAME_HEADER + FRAME_PAYLOAD_MAX + FRAME_CRC,
    FRAME_STUFFED_MAX = FRAME_CONTENT_MAX + 1, /* below 255 octets COBS adds exactly one */
    FRAME_LINE_MAX = FRAME_STUFFED_MAX + 2     /* with a 00 on both sides */
};

/* One frame; `payload` belongs to whoever made it: the decoder's is valid until its next octet. */
struct frame {
    uint8_t kind;
    uint8_t session;
    uint8_t seq;
    uint8_t ack;
    const uint8_t *payload;
    size_t length;
};

struct frame_decoder {
    uint8_t octets[FRAME_STUFFED_MAX];
    uint16_t used;
    bool overlong; /* more than FRAME_STUFFED_MAX octets since the last 00 */
};

enum frame_result { FRAME_NOTHING, FRAME_GOOD, FRAME_DAMAGED };

/* Forget what has come so far. */
void frame_decoder_init(struct frame_decoder *decoder);

/* Take one octet from the line; FRAME_GOOD fills `frame`. */
enum frame_result frame_decode(struct frame_decoder *decoder, uint8_t octet, struct frame *frame);

/*
 * Write `frame` as it goes over the line, with a 00 before it if `leading`; returns the number of octets.
 * A payload above FRAME_PAYLOAD_MAX is our own mistake and gives 0.
 */
size_t frame_encode(const struct frame *frame, bool leading, uint8_t to[FRAME_LINE_MAX]);

#endif
