/* What the frame decoder promises, on octets that nobody chose (frame.h, 1 to 5). */
#include <string.h> /* memcmp, memset */

#include "check.h" /* CHECK */
#include "frame.h" /* what is tested */

enum { ROUNDS = 3000 };

/* Draw a good frame. */
static void draw(uint32_t *random, struct frame *frame, uint8_t payload[FRAME_PAYLOAD_MAX]) {
    const size_t length = random_below(random, FRAME_PAYLOAD_MAX + 1);
    for (size_t i = 0; i < length; i++) {
        payload[i] = random_below(random, 4) == 0 ? 0 : (uint8_t)next_random(random);
    }
    *frame = (struct frame){
        .kind = FRAME_DATA,
        .session = (uint8_t)(1 + random_below(random, 255)),
        .seq = (uint8_t)next_random(random),
        .ack = (uint8_t)next_random(random),
        .payload = payload,
        .length = length,
    };
}

/* Whether two frames say the same. */
static bool same(const struct frame *left, const struct frame *right) {
    return left->kind == right->kind && left->session == right->session && left->seq == right->seq &&
           left->ack == right->ack && left->length == right->length &&
           (left->length == 0 || memcmp(left->payload, right->payload, left->length) == 0);
}

static void every_frame_comes_back(void) {
    uint32_t random = 1;
    struct frame_decoder decoder;
    frame_decoder_init(&decoder);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t payload[FRAME_PAYLOAD_MAX];
        uint8_t line[FRAME_LINE_MAX];
        struct frame sent;
        struct frame got;
        draw(&random, &sent, payload);
        const size_t length = frame_encode(&sent, true, line);
        for (size_t i = 0; i + 1 < length; i++) {
            CHECK(frame_decode(&decoder, line[i], &got) == FRAME_NOTHING);
            CHECK(i == 0 || line[i] != 0);
        }
        CHECK(frame_decode(&decoder, 0, &got) == FRAME_GOOD && same(&sent, &got));
    }
}

/* Send noise of up to 600 octets, without its last 00. */
static unsigned noise(uint32_t *random, struct frame_decoder *decoder) {
    unsigned good = 0;
    struct frame frame;
    for (uint32_t left = random_below(random, 600); left > 0; left--) {
        const uint8_t octet = random_below(random, 40) == 0 ? 0 : (uint8_t)next_random(random);
        good += frame_decode(decoder, octet, &frame) == FRAME_GOOD ? 1U : 0U;
    }
    return good;
}

static void a_good_frame_behind_a_00_comes_whatever_came_before(void) {
    uint32_t random = 2;
    struct frame_decoder decoder;
    frame_decoder_init(&decoder);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t payload[FRAME_PAYLOAD_MAX];
        uint8_t line[FRAME_LINE_MAX];
        struct frame sent;
        struct frame got;
        unsigned good = 0;
        CHECK_EQUAL(noise(&random, &decoder), 0); /* one in 2^32 would pass its CRC */
        draw(&random, &sent, payload);
        const size_t length = frame_encode(&sent, true, line);
        for (size_t i = 0; i < length; i++) {
            good += frame_decode(&decoder, line[i], &got) == FRAME_GOOD ? 1U : 0U;
        }
        CHECK(good == 1 && same(&sent, &got));
    }
}

static void no_single_wrong_bit_gets_through(void) {
    uint8_t payload[20] = {0, 1, 0, 0, 255, 17};
    uint8_t line[FRAME_LINE_MAX];
    const struct frame sent = {FRAME_DATA, 5, 6, 7, payload, sizeof payload};
    const size_t length = frame_encode(&sent, false, line);
    for (size_t bit = 0; bit < (length - 1) * 8; bit++) {
        struct frame_decoder decoder;
        struct frame got;
        frame_decoder_init(&decoder);
        line[bit / 8] ^= (uint8_t)(1U << bit % 8);
        for (size_t i = 0; i < length; i++) {
            CHECK(frame_decode(&decoder, line[i], &got) != FRAME_GOOD);
        }
        line[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void nothing_is_written_outside_of_the_decoder(void) {
    struct {
        uint8_t before[16];
        struct frame_decoder decoder;
        uint8_t after[16];
    } fenced;
    uint8_t fence[16];
    uint32_t random = 3;
    memset(&fenced, 0xA5, sizeof fenced);
    memset(fence, 0xA5, sizeof fence);
    frame_decoder_init(&fenced.decoder);
    for (int round = 0; round < ROUNDS; round++) {
        (void)noise(&random, &fenced.decoder);
        CHECK(fenced.decoder.used <= FRAME_STUFFED_MAX);
    }
    CHECK(memcmp(fenced.before, fence, sizeof fence) == 0 && memcmp(fenced.after, fence, sizeof fence) == 0);
}

static void a_payload_that_is_too_long_is_not_sent(void) {
    uint8_t payload[FRAME_PAYLOAD_MAX + 1] = {0};
    uint8_t line[FRAME_LINE_MAX];
    const struct frame frame = {FRAME_DATA, 1, 0, 0, payload, sizeof payload};
    CHECK_EQUAL(frame_encode(&frame, true, line), 0);
}

int main(void) {
    RUN(every_frame_comes_back);
    RUN(a_good_frame_behind_a_00_comes_whatever_came_before);
    RUN(no_single_wrong_bit_gets_through);
    RUN(nothing_is_written_outside_of_the_decoder);
    RUN(a_payload_that_is_too_long_is_not_sent);
    return check_failures == 0 ? 0 : 1;
}
