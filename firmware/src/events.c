/* Events that wait for the host. */
#include "events.h"

#include <string.h> /* memcpy, memmove, memset */

#include "octets.h" /* put_32 */

void events_init(struct events *events) {
    memset(events, 0, sizeof *events);
}

/* Take one out of the queue, wherever it stands. */
static void take_out(struct events *events, unsigned at) {
    const size_t behind = events->count - at - 1U;
    memmove(&events->list[at], &events->list[at + 1U], behind * sizeof events->list[0]);
    events->count--;
    if (at < events->on_way) {
        events->on_way--;
    }
}

/* Take one out and count it as dropped. */
static void drop(struct events *events, unsigned at) {
    const struct event *event = &events->list[at];
    if (event->type == EVENT_BUTTON && event->body[0] == BUTTON_PRESSED) {
        events->presses_dropped++;
    }
    events->dropped++;
    take_out(events, at);
}

/* Whether `later` tells anew how that is which `event` tells of. */
static bool renews(const struct event *later, const struct event *event) {
    const bool place = event->type == EVENT_DOCUMENT || event->type == EVENT_COVER;
    const bool fault = event->type == EVENT_FAULT && later->body[0] == event->body[0];
    return later->type == event->type && (place || fault);
}

/* Whether a later event of the queue, or `next`, tells anew what this one does. */
static bool overtaken(const struct events *events, unsigned at, const struct event *next) {
    bool later = renews(next, &events->list[at]);
    for (unsigned i = at + 1U; i < events->count && !later; i++) {
        later = renews(&events->list[i], &events->list[at]);
    }
    return later;
}

/* The one to give up for `next`; `count` for `next` itself. What is on its way can't be called back. */
static unsigned least(const struct events *events, const struct event *next) {
    unsigned stale = EVENTS_MAX;
    unsigned button = EVENTS_MAX;
    for (unsigned i = events->count; i-- > events->on_way;) {
        stale = overtaken(events, i, next) ? i : stale;
        button = events->list[i].type == EVENT_BUTTON ? i : button;
    }
    for (unsigned i = events->on_way; i < events->count; i++) {
        if (events->list[i].type == EVENT_EXPOSED) {
            return i;
        }
    }
    if (next->type == EVENT_EXPOSED) {
        return events->count;
    }
    if (stale < EVENTS_MAX) {
        return stale;
    }
    return button < EVENTS_MAX ? button : events->on_way;
}

void events_add(struct events *events, const struct event *event) {
    if (events->count == EVENTS_MAX) {
        const unsigned at = least(events, event);
        if (at == events->count) {
            events->dropped++;
            return;
        }
        drop(events, at);
    }
    events->list[events->count++] = *event;
}

const struct event *events_next(const struct events *events) {
    return events->on_way < events->count ? &events->list[events->on_way] : NULL;
}

void events_sent(struct events *events) {
    if (events->on_way < events->count) {
        events->on_way++;
    }
}

void events_acknowledged(struct events *events, unsigned count) {
    for (unsigned i = 0; i < count && events->on_way > 0; i++) {
        take_out(events, 0);
    }
}

void events_session_over(struct events *events) {
    events->on_way = 0;
    for (unsigned i = events->count; i-- > 0;) {
        const uint8_t type = events->list[i].type;
        if (type == EVENT_EXPOSED) {
            drop(events, i);
        } else if (type == EVENT_DOCUMENT || type == EVENT_COVER) {
            take_out(events, i);
        }
    }
}

void events_expire(struct events *events, uint64_t now_ms) {
    for (unsigned i = events->count; i-- > 0;) {
        const struct event *event = &events->list[i];
        if (event->type == EVENT_BUTTON && now_ms - event->at_ms >= PRESS_KEPT_MS) {
            drop(events, i);
        }
    }
}

size_t event_encode(const struct event *event, uint64_t now_ms, uint8_t to[EVENT_MAX]) {
    const uint64_t age = now_ms - event->at_ms;
    to[0] = event->type;
    put_32(to + 1, age < UINT32_MAX ? (uint32_t)age : UINT32_MAX);
    memcpy(to + 5, event->body, event->length);
    return 5U + event->length;
}
