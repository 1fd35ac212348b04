/*
 * libFuzzer on the frame decoder: what it promises in PROTOCOL.md §1 holds for any octets.
 * The input is a line: its octets go in one by one. Then it is the content of a frame that comes after them.
 */

#include "frame.h" /* frame_decode, frame_encode */

#include <stdlib.h> /* abort */
#include <string.h> /* memcmp */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static bool same(const struct frame *one, const struct frame *other) {
    return one->kind == other->kind && one->session == other->session && one->seq == other->seq &&
           one->ack == other->ack && one->length == other->length &&
           (one->length == 0 || memcmp(one->payload, other->payload, one->length) == 0);
}

/* What was delivered is what its encoding delivers: nothing is lost on the way, and nothing made up. */
static void comes_back(const struct frame *frame, struct frame_decoder *decoder) {
    uint8_t line[FRAME_LINE_MAX];
    const size_t length = frame_encode(frame, true, line);
    require(length > 0 && length <= sizeof line);
    struct frame found = {0};
    for (size_t i = 0; i < length; i++) {
        const enum frame_result result = frame_decode(decoder, line[i], &found);
        require(i + 1 == length ? result == FRAME_GOOD : i == 0 || result == FRAME_NOTHING);
    }
    require(same(frame, &found));
}

/* What was delivered is what came, octet by octet: its CRC, too, which the encoding makes anew. */
static void is_what_came(const struct frame *frame, const uint8_t *came, size_t length) {
    uint8_t line[FRAME_LINE_MAX];
    require(frame_encode(frame, false, line) == length);
    require(memcmp(line, came, length) == 0);
}

/* Any octets. */
static void feed(struct frame_decoder *decoder, const uint8_t *data, size_t size) {
    size_t begin = 0;
    for (size_t i = 0; i < size; i++) {
        struct frame frame = {0};
        if (frame_decode(decoder, data[i], &frame) == FRAME_GOOD) {
            require(data[i] == 0 && frame.length <= FRAME_PAYLOAD_MAX);
            is_what_came(&frame, data + begin, i + 1 - begin);
            struct frame_decoder other;
            frame_decoder_init(&other);
            comes_back(&frame, &other);
        }
        begin = data[i] == 0 ? i + 1 : begin;
    }
}

/* A good frame after them, whatever they were: DATA with any octets, or ACK, NAK or RESET, which have none. */
static void then_a_good_one(struct frame_decoder *decoder, const uint8_t *data, size_t size) {
    static const uint8_t kinds[] = {FRAME_DATA, FRAME_ACK, FRAME_NAK, FRAME_RESET};
    if (size < FRAME_HEADER) {
        return;
    }
    const size_t left = size - FRAME_HEADER;
    const uint8_t kind = kinds[data[0] % sizeof kinds];
    const struct frame frame = {
        .kind = kind,
        .session = data[1] == 0 ? 1 : data[1], /* nobody sends 0 to a head */
        .seq = data[2],
        .ack = data[3],
        .payload = data + FRAME_HEADER,
        .length = kind != FRAME_DATA ? 0 : left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX,
    };
    comes_back(&frame, decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct frame_decoder decoder;
    frame_decoder_init(&decoder);
    feed(&decoder, data, size);
    then_a_good_one(&decoder, data, size);
    return 0;
}
