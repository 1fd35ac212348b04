/* Events that wait for the host (PROTOCOL.md §6): in order, at most 16, none lost on the line, no press told late. */
#ifndef EDGED_EVENTS_H
#define EDGED_EVENTS_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

enum event_type {
    EVENT_BUTTON = 0x81,
    EVENT_DOCUMENT = 0x82,
    EVENT_COVER = 0x83,
    EVENT_FAULT = 0x84,
    EVENT_EXPOSED = 0x85
};

enum {
    EVENTS_MAX = 16,
    EVENT_BODY_MAX = 15, /* EXPOSED */
    EVENT_MAX = 1 + 4 + EVENT_BODY_MAX,
    PRESS_KEPT_MS = 5000 /* longer, and nobody stands at the window any more */
};

enum button_action { BUTTON_PRESSED = 1, BUTTON_RELEASED = 2, BUTTON_HELD = 3 };

struct event {
    uint64_t at_ms;
    uint32_t serial; /* order among everything that goes out */
    uint8_t type;
    uint8_t length;
    uint8_t body[EVENT_BODY_MAX];
};

struct events {
    struct event list[EVENTS_MAX]; /* oldest first */
    uint8_t count;
    uint8_t on_way; /* how many of the oldest have been handed to the link */
    uint32_t dropped;
    uint32_t presses_dropped;
};

/* None wait. */
void events_init(struct events *events);

/*
 * Add one. When the queue is full, of it and those that aren't on their way one goes: the oldest EXPOSED, else the oldest
 * DOCUMENT, COVER or FAULT that a later one has overtaken, else the oldest press, else the oldest. So a sensor that flaps
 * costs no press, and presses don't cost the host how things are.
 */
void events_add(struct events *events, const struct event *event);

/* The oldest one that isn't on its way; NULL when there is none. */
const struct event *events_next(const struct events *events);

/* That one is on its way now. */
void events_sent(struct events *events);

/* The `count` oldest have been acknowledged. */
void events_acknowledged(struct events *events, unsigned count);

/* The session is over: none is on its way; what only meant something to that session, or is told anew, goes. */
void events_session_over(struct events *events);

/* There is no host at `now_ms`: drop what the button did too long ago. */
void events_expire(struct events *events, uint64_t now_ms);

/* The message of an event that is first sent at `now_ms`; returns its length. */
size_t event_encode(const struct event *event, uint64_t now_ms, uint8_t to[EVENT_MAX]);

#endif
