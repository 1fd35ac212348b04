/*
 * libFuzzer on the link: a stranger at the other end, who knows how to make frames, and time that passes as it likes.
 * The input is a list of deeds: what (1), how long (1), octets. Whatever the link sends is good frames, its window is
 * never exceeded, and what it hands over fits a frame.
 */

#include "frame.h" /* frame_encode, frame_decode */
#include "link.h"  /* link_… */

#include <stdlib.h> /* abort */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One run: the link, the clock, the other end of the line. */
struct run {
    struct link link;
    struct frame_decoder heard;
    uint32_t now;
};

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void check(struct run *run, enum link_news news) {
    require(run->link.waiting <= LINK_WINDOW && run->link.sent <= run->link.waiting);
    require(run->link.open || news != LINK_RECEIVED);
    if (news == LINK_RECEIVED) {
        size_t length = 0;
        const uint8_t *message = link_message(&run->link, &length);
        require(message != NULL && length <= FRAME_PAYLOAD_MAX);
        volatile uint8_t sum = 0; /* every octet can be read */
        for (size_t i = 0; i < length; i++) {
            sum = (uint8_t)(sum ^ message[i]);
        }
    }
}

static void receive(struct run *run, const uint8_t *octets, size_t length) {
    for (size_t i = 0; i < length; i++) {
        check(run, link_receive(&run->link, octets[i], run->now));
    }
}

/* A frame with a good CRC out of any octets: kind, session, seq, ack, payload. */
static void receive_frame(struct run *run, const uint8_t *octets, size_t length) {
    static const uint8_t kinds[] = {FRAME_HELLO, FRAME_DATA, FRAME_ACK, FRAME_NAK, FRAME_WELCOME, FRAME_REFUSED, FRAME_RESET};
    if (length < FRAME_HEADER) {
        return;
    }
    const size_t left = length - FRAME_HEADER;
    const struct frame frame = {
        .kind = kinds[octets[0] % sizeof kinds],
        .session = octets[1] % 4, /* few, so that some are the running one */
        .seq = octets[2],
        .ack = octets[3],
        .payload = octets + FRAME_HEADER,
        .length = left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX,
    };
    uint8_t line[FRAME_LINE_MAX];
    receive(run, line, frame_encode(&frame, true, line));
}

/* All that the link wants to say now, in pieces of this size: good frames, at every boundary. */
static void listen(struct run *run, size_t piece) {
    uint8_t octets[64];
    for (int turn = 0; turn < 4 * LINK_WINDOW * FRAME_LINE_MAX; turn++) {
        const size_t count = link_output(&run->link, octets, piece % sizeof octets + 1, run->now);
        require(count <= piece % sizeof octets + 1);
        if (count == 0) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            struct frame frame;
            require(frame_decode(&run->heard, octets[i], &frame) != FRAME_DAMAGED);
        }
    }
    require(false); /* it never stops talking */
}

static void send(struct run *run, const uint8_t *octets, size_t length) {
    const bool could = link_can_send(&run->link);
    const bool did = link_send(&run->link, octets, length < LINK_MESSAGE_MAX ? length : LINK_MESSAGE_MAX, length % 2 == 1);
    require(could == did);
}

static void act(struct run *run, uint8_t what, const uint8_t *octets, size_t length) {
    switch (what % 6) {
    case 0:
        receive(run, octets, length);
        break;
    case 1:
        receive_frame(run, octets, length);
        break;
    case 2:
        run->now += (uint32_t)(length * length); /* up to 65 s */
        check(run, link_pass(&run->link, run->now));
        break;
    case 3:
        send(run, octets, length);
        break;
    case 4:
        listen(run, length);
        break;
    default:
        link_accept(&run->link, length % 2 == 1);
        (void)link_events_taken(&run->link);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t welcome[FRAME_WELCOME_MIN] = {1, LINK_WINDOW, 1, 1};
    struct run run = {.now = 0xFFFFF000U}; /* the clock turns over in every longer run */
    link_init(&run.link, run.now);
    link_welcome(&run.link, welcome, sizeof welcome);
    link_accept(&run.link, true);
    frame_decoder_init(&run.heard);
    size_t at = 0;
    while (at + 2 <= size) {
        const uint8_t what = data[at];
        const size_t left = size - at - 2;
        const size_t length = data[at + 1] < left ? data[at + 1] : left;
        act(&run, what, data + at + 2, length);
        at += 2 + length;
    }
    return 0;
}
