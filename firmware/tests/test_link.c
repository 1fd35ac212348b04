/* The link over a line that loses, damages, repeats and splits; and across the wrap of its numbers and clock. */
#include <string.h> /* memcpy, memset */

#include "check.h" /* CHECK */
#include "link.h"  /* what is tested */

enum { MESSAGES = 2000, LINE = 4096 };

static struct link head;
static uint32_t random_state;

/* A host that takes DATA in order, acknowledges it, and repeats its one message until it is acknowledged. */
static struct {
    struct frame_decoder decoder;
    uint8_t session;
    uint8_t expected;
    uint8_t next;     /* number of the message that is on its way */
    bool pending;
    uint32_t taken;   /* messages of the head, in order */
    uint32_t sent_at;
    uint8_t line[LINE];
    size_t used;
} host;

/* Put a frame of the host on its line. */
static void host_says(uint8_t kind, const uint8_t *payload, size_t length) {
    uint8_t line[FRAME_LINE_MAX];
    const bool numbered = kind == FRAME_DATA;
    const bool hello = kind == FRAME_HELLO;
    const struct frame frame = {kind, host.session, numbered ? host.next : 0, hello ? 0 : host.expected, payload, length};
    const size_t used = frame_encode(&frame, true, line);
    if (host.used + used <= LINE) {
        memcpy(host.line + host.used, line, used);
        host.used += used;
    }
}

/* Open a session. */
static void open(uint8_t session, uint32_t now) {
    static const uint8_t hello[3] = {1, 1, 8};
    memset(&host, 0, sizeof host);
    host.session = session;
    link_init(&head, now);
    host_says(FRAME_HELLO, hello, sizeof hello);
    for (size_t i = 0; i < host.used; i++) {
        (void)link_receive(&head, host.line[i], now);
    }
    host.used = 0;
    CHECK(head.open);
}

/* Let the host take one frame. */
static void host_takes(const struct frame *frame) {
    if (frame->kind == FRAME_WELCOME || frame->session != host.session) {
        return;
    }
    if (host.pending && frame->ack == (uint8_t)(host.next + 1U)) {
        host.next++;
        host.pending = false;
    }
    if (frame->kind == FRAME_DATA && frame->seq == host.expected) {
        uint32_t number = 0;
        memcpy(&number, frame->payload, sizeof number);
        CHECK_EQUAL(number, host.taken);
        host.expected++;
        host.taken++;
    }
}

/* An octet as a bad line passes it on: 0, 1 or 2 of it, or another. */
static unsigned spoil(uint8_t octet, uint8_t out[2]) {
    const uint32_t fate = random_below(&random_state, 1000);
    out[0] = fate == 2 ? (uint8_t)next_random(&random_state) : octet;
    out[1] = octet;
    return fate == 0 ? 0 : fate == 1 ? 2 : 1;
}

/* A millisecond of both, `bad` lines between them; returns how many messages of the host were taken. */
static unsigned turn(uint32_t now, bool bad) {
    uint8_t octets[300];
    uint8_t out[2];
    unsigned taken = 0;
    const size_t room = 1 + random_below(&random_state, sizeof octets);
    const size_t length = link_output(&head, octets, room, now);
    for (size_t i = 0; i < length; i++) {
        const unsigned copies = bad ? spoil(octets[i], out) : (out[0] = octets[i], 1U);
        for (unsigned copy = 0; copy < copies; copy++) {
            struct frame frame;
            if (frame_decode(&host.decoder, out[copy], &frame) == FRAME_GOOD) {
                host_takes(&frame);
            }
        }
    }
    for (size_t i = 0; i < host.used; i++) {
        const unsigned copies = bad ? spoil(host.line[i], out) : (out[0] = host.line[i], 1U);
        for (unsigned copy = 0; copy < copies; copy++) {
            taken += link_receive(&head, out[copy], now) == LINK_RECEIVED ? 1U : 0U;
        }
    }
    host.used = 0;
    CHECK(link_pass(&head, now) == LINK_NOTHING);
    return taken;
}

/* Exchange messages both ways; true when all came, once and in order. */
static void exchange(uint32_t begun, bool bad) {
    uint32_t queued = 0;
    uint32_t asked = 0;
    uint32_t taken = 0;
    open(7, begun);
    for (uint32_t ms = 0; ms < 600000 && (host.taken < MESSAGES || taken < MESSAGES); ms++) {
        const uint32_t now = begun + ms;
        if (queued < MESSAGES && link_send(&head, (const uint8_t *)&queued, sizeof queued, true)) {
            queued++;
        }
        if (!host.pending && asked < MESSAGES) {
            host.pending = true;
            asked++;
            host.sent_at = now - 50;
        }
        if (now - host.sent_at >= 50) {
            host.sent_at = now;
            host_says(host.pending ? FRAME_DATA : FRAME_ACK, (const uint8_t *)&asked, host.pending ? sizeof asked : 0);
        } else if (ms % 7 == 0) {
            host_says(FRAME_ACK, NULL, 0);
        }
        taken += turn(now, bad);
        CHECK(head.waiting <= LINK_WINDOW && head.sent <= head.waiting);
        CHECK(taken <= asked);
    }
    CHECK_EQUAL(host.taken, MESSAGES);
    CHECK_EQUAL(taken, MESSAGES);
    CHECK(!bad || head.repeated > 0);
}

static void everything_comes_once_and_in_order_over_a_good_line(void) {
    random_state = 11;
    exchange(0, false);
}

static void everything_comes_once_and_in_order_over_a_bad_line(void) {
    random_state = 12;
    exchange(0, true);
}

static void the_clock_may_wrap(void) {
    random_state = 13;
    exchange(UINT32_MAX - 3000, true);
}

static void without_room_a_message_is_as_if_lost(void) {
    const uint8_t message[2] = {1, 2};
    random_state = 14;
    open(9, 0);
    link_accept(&head, false);
    host_says(FRAME_DATA, message, sizeof message);
    CHECK_EQUAL(turn(1, false), 0);
    CHECK_EQUAL(head.expected, 0);
    link_accept(&head, true);
    host_says(FRAME_DATA, message, sizeof message);
    CHECK_EQUAL(turn(2, false), 1);
}

static void a_window_is_kept(void) {
    const uint8_t message[4] = {0};
    open(3, 0);
    for (int i = 0; i < LINK_WINDOW; i++) {
        CHECK(link_send(&head, message, sizeof message, false));
    }
    CHECK(!link_can_send(&head) && !link_send(&head, message, sizeof message, false));
}

static void what_is_too_long_is_not_taken(void) {
    uint8_t message[LINK_MESSAGE_MAX + 1] = {0};
    open(4, 0);
    CHECK(!link_send(&head, message, sizeof message, false));
}

static void an_acknowledgement_of_what_only_waits_ends_the_session(void) {
    const uint8_t message[1] = {0};
    uint8_t line[FRAME_LINE_MAX];
    const struct frame ack = {FRAME_ACK, 6, 0, 1, NULL, 0};
    enum link_news news = LINK_NOTHING;
    open(6, 0);
    CHECK(link_send(&head, message, sizeof message, false)); /* but not on the line yet */
    const size_t length = frame_encode(&ack, true, line);
    for (size_t i = 0; i < length; i++) {
        news = link_receive(&head, line[i], 1);
    }
    CHECK(news == LINK_ENDED && !head.open);
}

static void noise_opens_no_session(void) {
    random_state = 15;
    link_init(&head, 0);
    for (uint32_t i = 0; i < 200000; i++) {
        const uint8_t octet = random_below(&random_state, 20) == 0 ? 0 : (uint8_t)next_random(&random_state);
        CHECK(link_receive(&head, octet, i / 100) == LINK_NOTHING);
    }
    CHECK(head.damaged > 1000 && head.good == 0 && !head.open);
}

int main(void) {
    RUN(everything_comes_once_and_in_order_over_a_good_line);
    RUN(everything_comes_once_and_in_order_over_a_bad_line);
    RUN(the_clock_may_wrap);
    RUN(without_room_a_message_is_as_if_lost);
    RUN(a_window_is_kept);
    RUN(what_is_too_long_is_not_taken);
    RUN(an_acknowledgement_of_what_only_waits_ends_the_session);
    RUN(noise_opens_no_session);
    return check_failures == 0 ? 0 : 1;
}
