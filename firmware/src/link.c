/* The link: sessions, order, acknowledgement and repetition, signs of life. */
#include "link.h"

#include <string.h> /* memcpy, memset */

enum {
    LOST_MS = 3000,       /* no good frame of the session for so long: the host is gone */
    LIFE_MS = 1000,       /* nothing sent for so long: send ACK */
    ACK_MS = 5,           /* waits for DATA to ride on; the other side is promised 10 */
    REPEAT_MIN_MS = 200,
    REPEAT_MAX_MS = 1600,
    NAK_MS = 20,          /* shortest time between two repetitions that a NAK asks for */
    RESET_MS = 100,       /* shortest time between two RESET */
    HAD = 128             /* numbers up to so far back are old ones */
};

/* Milliseconds from `then` to `now`, across the wrap. */
static uint32_t since(uint32_t then, uint32_t now) {
    return now - then;
}

/* Forget the session and all that was on its way. */
static void forget(struct link *link) {
    link->open = false;
    link->taken_any = false;
    link->expected = 0;
    link->nak_told = false;
    link->nak_due = false;
    link->ack_due = false;
    link->nak_heard = false;
    link->oldest = 0;
    link->waiting = 0;
    link->sent = 0;
    link->events_taken = 0;
    link->repeat_ms = REPEAT_MIN_MS;
}

void link_init(struct link *link, uint32_t now) {
    memset(link, 0, sizeof *link);
    frame_decoder_init(&link->decoder);
    link->accepting = true;
    link->sent_at = now;
    forget(link);
}

void link_welcome(struct link *link, const uint8_t *welcome, size_t length) {
    if (length <= sizeof link->welcome) {
        memcpy(link->welcome, welcome, length);
        link->welcome_length = (uint8_t)length;
    }
}

void link_accept(struct link *link, bool accepting) {
    link->accepting = accepting;
}

/* Have RESET, WELCOME or REFUSED sent. */
static void answer(struct link *link, uint8_t kind, uint8_t session) {
    link->answer = kind;
    link->answer_session = session;
}

/* Say that there is no such session, but not too often. */
static void answer_reset(struct link *link, uint8_t session, uint32_t now) {
    if (link->reset_told && since(link->reset_at, now) < RESET_MS) {
        return;
    }
    link->reset_told = true;
    link->reset_at = now;
    answer(link, FRAME_RESET, session);
}

/* Ask for repetition, once until the expected number has come. */
static void ask_again(struct link *link) {
    if (!link->nak_told) {
        link->nak_told = true;
        link->nak_due = true;
    }
}

/* Open the session that a HELLO asks for. */
static enum link_news open_session(struct link *link, const struct frame *hello, uint32_t now) {
    forget(link);
    link->open = true;
    link->session = hello->session;
    link->window = hello->payload[2];
    link->heard_at = now;
    link->sessions++;
    answer(link, FRAME_WELCOME, hello->session);
    return LINK_OPENED;
}

/* Take a HELLO. */
static enum link_news take_hello(struct link *link, const struct frame *hello, uint32_t now) {
    if (link->open && hello->session == link->session) {
        if (!link->taken_any) { /* WELCOME was lost; later it is an echo, and no sign of life */
            link->heard_at = now;
            answer(link, FRAME_WELCOME, hello->session);
        }
        return LINK_NOTHING;
    }
    if (hello->payload[0] <= LINK_VERSION && LINK_VERSION <= hello->payload[1]) {
        return open_session(link, hello, now);
    }
    const bool was_open = link->open;
    forget(link);
    answer(link, FRAME_REFUSED, hello->session);
    return was_open ? LINK_ENDED : LINK_NOTHING;
}

/* Take the acknowledgement in a frame; false when it is of what was never sent. Old ones say nothing new. */
static bool take_ack(struct link *link, uint8_t ack, uint32_t now) {
    const uint8_t ahead = (uint8_t)(ack - link->oldest);
    if (ahead >= HAD || ahead == 0) {
        return true;
    }
    if (ahead > link->waiting || !link->slots[(uint8_t)(ack - 1U) % LINK_WINDOW].sent) {
        return false;
    }
    for (uint8_t i = 0; i < ahead; i++) {
        struct link_slot *slot = &link->slots[link->oldest % LINK_WINDOW];
        link->events_taken = (uint8_t)(link->events_taken + (slot->event ? 1 : 0));
        link->oldest++;
    }
    link->waiting = (uint8_t)(link->waiting - ahead);
    link->sent = link->sent > ahead ? (uint8_t)(link->sent - ahead) : 0;
    link->progress_at = now;
    link->repeat_ms = REPEAT_MIN_MS;
    return true;
}

/* Take the host's DATA, if it is the next one. */
static enum link_news take_data(struct link *link, const struct frame *data, uint32_t now) {
    const uint8_t back = (uint8_t)(link->expected - data->seq);
    if (back == 0 && !link->accepting) {
        return LINK_NOTHING; /* as if it had been lost: the host repeats it when its time has come */
    }
    if (back == 0) {
        link->expected++;
        link->taken_any = true;
        link->nak_told = false;
        link->nak_due = false;
        if (!link->ack_due) {
            link->ack_due = true;
            link->ack_at = now + ACK_MS;
        }
        return LINK_RECEIVED;
    }
    if (back <= HAD) {
        link->ack_due = true;
        link->ack_at = now;
    } else {
        ask_again(link);
    }
    return LINK_NOTHING;
}

/* Begin again with the oldest, when a NAK asks for it. */
static void take_nak(struct link *link, uint32_t now) {
    if (link->nak_heard && since(link->nak_heard_at, now) < NAK_MS) {
        return;
    }
    link->nak_heard = true;
    link->nak_heard_at = now;
    link->sent = 0;
    link->progress_at = now;
}

/* Take a frame of DATA, ACK or NAK. */
static enum link_news take_running(struct link *link, const struct frame *frame, uint32_t now) {
    if (!link->open || frame->session != link->session) {
        answer_reset(link, frame->session, now);
        return LINK_NOTHING;
    }
    link->heard_at = now;
    if (!take_ack(link, frame->ack, now)) {
        forget(link);
        answer_reset(link, frame->session, now);
        return LINK_ENDED;
    }
    if (frame->kind == FRAME_DATA) {
        return take_data(link, frame, now);
    }
    if (frame->kind == FRAME_NAK) {
        take_nak(link, now);
    }
    return LINK_NOTHING;
}

enum link_news link_receive(struct link *link, uint8_t octet, uint32_t now) {
    switch (frame_decode(&link->decoder, octet, &link->frame)) {
    case FRAME_GOOD:
        break;
    case FRAME_DAMAGED:
        link->damaged++;
        if (link->open) {
            ask_again(link);
        }
        return LINK_NOTHING;
    case FRAME_NOTHING:
    default:
        return LINK_NOTHING;
    }
    link->good++;
    switch (link->frame.kind) {
    case FRAME_HELLO:
        return take_hello(link, &link->frame, now);
    case FRAME_DATA:
    case FRAME_ACK:
    case FRAME_NAK:
        return take_running(link, &link->frame, now);
    default: /* only a head sends these: an echo on the line */
        return LINK_NOTHING;
    }
}

const uint8_t *link_message(const struct link *link, size_t *length) {
    *length = link->frame.length;
    return link->frame.payload;
}

enum link_news link_pass(struct link *link, uint32_t now) {
    if (!link->open) {
        return LINK_NOTHING;
    }
    if (since(link->heard_at, now) >= LOST_MS) {
        forget(link);
        return LINK_ENDED;
    }
    if (link->waiting > 0 && link->sent == link->waiting && since(link->progress_at, now) >= link->repeat_ms) {
        link->sent = 0;
        link->progress_at = now;
        link->repeat_ms = link->repeat_ms * 2 > REPEAT_MAX_MS ? REPEAT_MAX_MS : link->repeat_ms * 2;
    }
    if (!link->ack_due && since(link->sent_at, now) >= LIFE_MS) {
        link->ack_due = true;
        link->ack_at = now;
    }
    return LINK_NOTHING;
}

bool link_can_send(const struct link *link) {
    return link->open && link->waiting < link->window;
}

bool link_send(struct link *link, const uint8_t *message, size_t length, bool event) {
    if (!link_can_send(link) || length > LINK_MESSAGE_MAX) {
        return false;
    }
    struct link_slot *slot = &link->slots[(uint8_t)(link->oldest + link->waiting) % LINK_WINDOW];
    memcpy(slot->octets, message, length);
    slot->length = (uint8_t)length;
    slot->event = event;
    slot->sent = false;
    link->waiting++;
    return true;
}

unsigned link_events_taken(struct link *link) {
    const unsigned taken = link->events_taken;
    link->events_taken = 0;
    return taken;
}

bool link_idle(const struct link *link) {
    return link->waiting == 0 && link->answer == 0 && link->line_at == link->line_length;
}

/* Put one frame on the line. */
static void emit(struct link *link, const struct frame *frame, uint32_t now) {
    link->line_length = frame_encode(frame, !link->line_clean, link->line);
    link->line_at = 0;
    link->line_clean = true;
    link->sent_at = now;
}

/* Emit the answer that is due: WELCOME, REFUSED or RESET. The line before it may be anything. */
static void emit_answer(struct link *link, uint32_t now) {
    static const uint8_t versions[2] = {LINK_VERSION, LINK_VERSION};
    struct frame frame = {.kind = link->answer, .session = link->answer_session};
    if (link->answer == FRAME_WELCOME) {
        frame.payload = link->welcome;
        frame.length = link->welcome_length;
    } else if (link->answer == FRAME_REFUSED) {
        frame.payload = versions;
        frame.length = sizeof versions;
    }
    link->answer = 0;
    link->line_clean = false;
    emit(link, &frame, now);
}

/* Emit the next message that has not been sent in this round. */
static void emit_data(struct link *link, uint32_t now) {
    const uint8_t number = (uint8_t)(link->oldest + link->sent);
    struct link_slot *slot = &link->slots[number % LINK_WINDOW];
    const struct frame frame = {
        .kind = FRAME_DATA,
        .session = link->session,
        .seq = number,
        .ack = link->expected,
        .payload = slot->octets,
        .length = slot->length,
    };
    if (slot->sent) {
        link->repeated++;
        link->line_clean = false;
    }
    if (link->sent == 0) {
        link->progress_at = now;
    }
    slot->sent = true;
    link->sent++;
    link->ack_due = false;
    emit(link, &frame, now);
}

/* Emit NAK or ACK. */
static void emit_bare(struct link *link, uint8_t kind, uint32_t now) {
    const struct frame frame = {.kind = kind, .session = link->session, .ack = link->expected};
    link->ack_due = false;
    link->nak_due = false;
    emit(link, &frame, now);
}

/* Emit what is most urgent; false when nothing is. */
static bool emit_next(struct link *link, uint32_t now) {
    if (link->answer != 0) {
        emit_answer(link, now);
    } else if (!link->open) {
        return false;
    } else if (link->nak_due) {
        emit_bare(link, FRAME_NAK, now);
    } else if (link->sent < link->waiting) {
        emit_data(link, now);
    } else if (link->ack_due && (int32_t)(now - link->ack_at) >= 0) {
        emit_bare(link, FRAME_ACK, now);
    } else {
        return false;
    }
    return true;
}

size_t link_output(struct link *link, uint8_t *to, size_t room, uint32_t now) {
    size_t used = 0;
    while (used < room && (link->line_at < link->line_length || emit_next(link, now))) {
        size_t part = link->line_length - link->line_at;
        part = part < room - used ? part : room - used;
        memcpy(to + used, link->line + link->line_at, part);
        link->line_at += part;
        used += part;
    }
    return used;
}
