/*
 * The link (PROTOCOL.md §3): sessions, order, acknowledgement and repetition, signs of life. Octets and milliseconds
 * in, octets and messages out; it knows nothing of what the messages say.
 *
 * Milliseconds are 32 bits and may wrap; only differences below 2^31 are used.
 */
#ifndef EDGED_LINK_H
#define EDGED_LINK_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "frame.h" /* frames and their decoder */

enum {
    LINK_VERSION = 1,
    LINK_WINDOW = 8,       /* of our receiver and of our slots */
    LINK_MESSAGE_MAX = 68, /* longest message of the head: REPLY to COUNTERS */
    LINK_WELCOME_MAX = 64
};

/* What an octet, or the time that has passed, has brought about. */
enum link_news {
    LINK_NOTHING,
    LINK_OPENED,  /* a new session; a former one has ended */
    LINK_ENDED,   /* no session any more */
    LINK_RECEIVED /* a message, in order and once: link_message */
};

/* One message on its way to the host. */
struct link_slot {
    uint8_t octets[LINK_MESSAGE_MAX];
    uint8_t length;
    bool event;    /* counts for link_events_taken */
    bool sent;     /* at least once */
};

struct link {
    struct frame_decoder decoder;
    struct frame frame; /* the one that came last */

    uint8_t welcome[LINK_WELCOME_MAX];
    uint8_t welcome_length;

    bool open;
    uint8_t session;
    uint8_t expected;     /* number of the next DATA of the host */
    bool taken_any;       /* DATA of this session has been taken */
    bool accepting;       /* there is room for what a message brings about */
    bool nak_told;        /* a NAK has gone out for the expected number */
    bool nak_due;
    bool ack_due;
    uint32_t ack_at;      /* when the ACK goes out at the latest */
    uint32_t heard_at;    /* last good frame of the session */
    uint32_t sent_at;     /* last frame of ours */

    struct link_slot slots[LINK_WINDOW]; /* by number modulo LINK_WINDOW */
    uint8_t window;       /* of the host's receiver */
    uint8_t oldest;       /* number of the oldest not acknowledged */
    uint8_t waiting;      /* how many are not acknowledged */
    uint8_t sent;         /* how many of those have been sent in this round */
    uint8_t events_taken; /* acknowledged since last asked */
    uint32_t progress_at; /* from when the retransmission time runs */
    uint32_t repeat_ms;   /* retransmission time now */
    uint32_t nak_heard_at;
    bool nak_heard;

    uint8_t answer;         /* WELCOME, REFUSED or RESET that is due, or 0 */
    uint8_t answer_session;
    bool reset_told;
    uint32_t reset_at;      /* last RESET */

    uint8_t line[FRAME_LINE_MAX]; /* frame going out */
    size_t line_length;
    size_t line_at;
    bool line_clean;        /* the host's receiver is known to be in step */

    uint32_t good;          /* counters of §6.3 */
    uint32_t damaged;
    uint32_t repeated;
    uint32_t sessions;
};

/* No session. */
void link_init(struct link *link, uint32_t now);

/* What WELCOME says from now on, at most LINK_WELCOME_MAX octets. */
void link_welcome(struct link *link, const uint8_t *welcome, size_t length);

/* Whether the next message may be taken; while it may not, the host repeats it. */
void link_accept(struct link *link, bool accepting);

/* Take one octet from the line. */
enum link_news link_receive(struct link *link, uint8_t octet, uint32_t now);

/* The message of LINK_RECEIVED; valid until the next octet. */
const uint8_t *link_message(const struct link *link, size_t *length);

/* Let time pass: repetition, signs of life, loss of the host. Call at least every millisecond or so. */
enum link_news link_pass(struct link *link, uint32_t now);

/* Whether link_send would take a message. */
bool link_can_send(const struct link *link);

/* Queue one message; `event` marks it for link_events_taken. False when there is no room or no session. */
bool link_send(struct link *link, const uint8_t *message, size_t length, bool event);

/* How many messages marked as events the host has acknowledged since last asked; always the oldest ones. */
unsigned link_events_taken(struct link *link);

/* Whether everything queued has been sent and acknowledged and nothing is half out. */
bool link_idle(const struct link *link);

/* Up to `room` octets for the line. */
size_t link_output(struct link *link, uint8_t *to, size_t room, uint32_t now);

#endif
