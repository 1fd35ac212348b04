/* The whole head as one state machine without a board. */
#include "head.h"

#include <string.h> /* memcpy, memset */

#include "octets.h"   /* put_16, put_32 */
#include "requests.h" /* what the host asks for */
#include "version.h"  /* FIRMWARE_… */

enum { FLAG_SIMULATED = 1, FLAG_ON_TRIAL = 2, FLAG_LOADER = 4 };

/* Length of the board's name, at most BOARD_NAME_MAX. */
static size_t name_length(const char *name) {
    size_t length = 0;
    while (length < BOARD_NAME_MAX && name[length] != '\0') {
        length++;
    }
    return length;
}

void head_welcome(struct head *head) {
    uint8_t welcome[LINK_WELCOME_MAX] = {LINK_VERSION, LINK_WINDOW};
    const size_t name = name_length(head->facts->name);
    welcome[2] = (uint8_t)((head->facts->simulated ? FLAG_SIMULATED : 0) |
                           (update_on_trial(head->update) ? FLAG_ON_TRIAL : 0) |
                           (head->facts->loader ? FLAG_LOADER : 0));
    welcome[3] = (uint8_t)head->facts->cause;
    put_32(welcome + 4, head->store.boots);
    memcpy(welcome + 8, head->facts->unique_id, UNIQUE_ID_SIZE);
    welcome[20] = FIRMWARE_MAJOR;
    welcome[21] = FIRMWARE_MINOR;
    put_16(welcome + 22, FIRMWARE_PATCH);
    put_32(welcome + 24, update_security_version(head->update));
    put_32(welcome + 28, head->facts->capabilities);
    memcpy(welcome + 32, head->facts->name, name);
    link_welcome(&head->link, welcome, 32 + name);
}

/* Take what survived the reset, and note the reset. */
static void restore(struct head *head, const struct head_start *start) {
    if (store_load(&head->store, start->records[0], start->records[1]) == STORE_DAMAGED) {
        faults_set(&head->faults, FAULT_STORE, true);
    }
    head->store.boots++;
    if (start->facts->cause == RESET_WATCHDOG) {
        head->store.watchdog_resets++;
        faults_set(&head->faults, FAULT_WATCHDOG, true);
    }
    head->store_now = true;
}

void head_init(struct head *head, const struct head_start *start, uint64_t now_us) {
    memset(head, 0, sizeof *head);
    head->facts = start->facts;
    head->update = start->update;
    head->pins = start->pins;
    head->limits = start->retained != NULL ? start->retained : &head->own_limits;
    head->now_us = now_us;
    head->now_ms = now_us / 1000U;
    head->sampled_ms = head->now_ms;
    events_init(&head->events);
    faults_init(&head->faults);
    illumination_init(&head->illumination);
    inputs_init(&head->inputs, &start->pins, head->now_ms);
    limits_init(head->limits, start->facts->cause, now_us);
    link_init(&head->link, (uint32_t)head->now_ms);
    restore(head, start);
    indicator_show(&head->indicator, INDICATION_OFFLINE, head->now_ms);
    head_welcome(head);
}

/* Queue an event that began at `at_ms`. */
static void tell(struct head *head, enum event_type type, const uint8_t *body, uint8_t length, uint64_t at_ms) {
    struct event event = {.at_ms = at_ms, .serial = head->serial++, .type = (uint8_t)type, .length = length};
    memcpy(event.body, body, length);
    events_add(&head->events, &event);
}

/* Queue an event of one octet, if there is a session. */
static void tell_state(struct head *head, enum event_type type, uint8_t state, uint64_t at_ms) {
    if (head->link.open) {
        tell(head, type, &state, 1, at_ms);
    }
}

/* Queue an event of the button. */
static void tell_button(struct head *head, enum button_action action, uint64_t at_ms) {
    uint8_t body[3] = {(uint8_t)action};
    put_16(body + 1, head->press_number);
    tell(head, EVENT_BUTTON, body, sizeof body, at_ms);
}

/* Queue what became of a step. */
static void tell_exposed(struct head *head) {
    const struct exposed *exposed = &head->illumination.exposed;
    uint8_t body[EVENT_BODY_MAX] = {exposed->step, exposed->lamp};
    put_64(body + 2, exposed->up_us);
    put_32(body + 10, exposed->window_us);
    body[14] = exposed->complete ? 1 : 0;
    tell(head, EVENT_EXPOSED, body, sizeof body, head->now_ms);
}

/* Bring the clocks and what depends on them up to now. */
static void pass_time(struct head *head, uint64_t now_us) {
    head->now_us = now_us;
    head->now_ms = now_us / 1000U;
    limits_pass(head->limits, now_us);
    illumination_charge(&head->illumination, head->limits, now_us);
}

void head_dark(struct head *head) {
    illumination_charge(&head->illumination, head->limits, head->now_us);
    if (illumination_cut(&head->illumination, head->now_us)) {
        tell_exposed(head);
    }
}

/* The session is over: nothing it asked for goes on, but an update's current step. */
static void session_over(struct head *head) {
    head_dark(head);
    replies_clear(&head->replies);
    events_session_over(&head->events);
    head->update_asked = false;
    indicator_show(&head->indicator, INDICATION_OFFLINE, head->now_ms);
}

/* A session has begun: tell how things are. */
static void session_begun(struct head *head) {
    indicator_show(&head->indicator, INDICATION_OFF, head->now_ms);
    if ((head->facts->capabilities & CAN_PRESENCE) != 0) {
        tell_state(head, EVENT_DOCUMENT, head->inputs.document.level ? 1 : 0, head->now_ms);
    }
    if ((head->facts->capabilities & CAN_COVER) != 0) {
        tell_state(head, EVENT_COVER, head->inputs.cover.level ? 1 : 0, head->now_ms);
    }
}

/* Act on what the link has to say. */
static void take_news(struct head *head, enum link_news news) {
    size_t length = 0;
    const uint8_t *message = NULL;
    switch (news) {
    case LINK_OPENED:
        session_over(head);
        session_begun(head);
        break;
    case LINK_ENDED:
        session_over(head);
        break;
    case LINK_RECEIVED:
        message = link_message(&head->link, &length);
        requests_take(head, message, length);
        break;
    case LINK_NOTHING:
    default:
        break;
    }
}

void head_receive(struct head *head, const uint8_t *octets, size_t length, uint64_t now_us) {
    pass_time(head, now_us);
    for (size_t i = 0; i < length; i++) {
        const unsigned open = head->replies.count + (head->update_going ? 1U : 0U);
        link_accept(&head->link, open < REPLIES_MAX);
        take_news(head, link_receive(&head->link, octets[i], (uint32_t)head->now_ms));
        events_acknowledged(&head->events, link_events_taken(&head->link));
    }
}

/* Act on what the button did. */
static void button_news(struct head *head, unsigned news) {
    const uint64_t at_ms = head->inputs.button.since_ms;
    if ((news & INPUT_PRESSED) != 0) {
        head->press_number++;
        head->store.presses++;
        head->store_changed = true;
        tell_button(head, BUTTON_PRESSED, at_ms);
    }
    if ((news & INPUT_HELD) != 0) {
        tell_button(head, BUTTON_HELD, head->now_ms);
    }
    if ((news & INPUT_RELEASED) != 0) {
        tell_button(head, BUTTON_RELEASED, at_ms);
    }
    faults_set(&head->faults, FAULT_BUTTON, head->inputs.stuck);
}

/* Act on what became of document and cover. */
static void place_news(struct head *head, unsigned news) {
    if ((news & (INPUT_IN | INPUT_TURNED)) != 0) {
        head->store.documents++;
        head->store_changed = true;
        tell_state(head, EVENT_DOCUMENT, (news & INPUT_TURNED) != 0 ? 2 : 1, head->inputs.document.since_ms);
    }
    if ((news & INPUT_OUT) != 0) {
        tell_state(head, EVENT_DOCUMENT, 0, head->inputs.document.since_ms);
    }
    if ((news & (INPUT_OPENED | INPUT_CLOSED)) != 0) {
        tell_state(head, EVENT_COVER, head->inputs.cover.level ? 1 : 0, head->inputs.cover.since_ms);
    }
}

/* Take the millisecond's samples. */
static void sample(struct head *head) {
    const unsigned news = inputs_sample(&head->inputs, &head->pins, head->now_ms);
    button_news(head, news);
    place_news(head, news);
    faults_sample(&head->faults, &head->pins, head->facts->capabilities, head->now_ms);
    bool raised = false;
    for (int number = faults_news(&head->faults, &raised); number >= 0; number = faults_news(&head->faults, &raised)) {
        const uint8_t body[2] = {(uint8_t)number, raised ? 1 : 0};
        tell(head, EVENT_FAULT, body, sizeof body, head->now_ms);
    }
}

/* Switch off what may not be on: for the cover its raw level counts, not the debounced one. */
static void protect(struct head *head) {
    const bool forbidden = faults_has(&head->faults, FAULT_HOT) || faults_has(&head->faults, FAULT_LAMP) ||
                           faults_has(&head->faults, FAULT_SUPPLY);
    const bool open = head->pins.cover_open && illumination_needs_cover(&head->illumination);
    if (illumination_busy(&head->illumination) && (forbidden || open)) {
        head_dark(head);
    }
}

/* Hand replies and events to the link, in the order in which they came to be. */
static void hand_over(struct head *head) {
    while (link_can_send(&head->link)) {
        const struct reply *reply = replies_next(&head->replies);
        const struct event *event = events_next(&head->events);
        if (reply != NULL && (event == NULL || (int32_t)(reply->serial - event->serial) < 0)) {
            (void)link_send(&head->link, reply->octets, reply->length, false);
            replies_sent(&head->replies);
        } else if (event != NULL) {
            uint8_t message[EVENT_MAX];
            const size_t length = event_encode(event, head->now_ms, message);
            (void)link_send(&head->link, message, length, true);
            events_sent(&head->events);
        } else {
            return;
        }
    }
}

void head_tick(struct head *head, const struct pins *pins, uint64_t now_us) {
    pass_time(head, now_us);
    head->pins = *pins;
    if (head->now_ms != head->sampled_ms) {
        head->sampled_ms = head->now_ms;
        sample(head);
    }
    protect(head);
    take_news(head, link_pass(&head->link, (uint32_t)head->now_ms));
    if (!head->link.open) {
        events_expire(&head->events, head->now_ms);
    }
    requests_pass(head);
    if (update_restart_due(head->update, now_us)) {
        head_restart(head, false);
    }
}

uint64_t head_next_edge(const struct head *head) {
    return illumination_busy(&head->illumination) ? head->illumination.edge_us : HEAD_NEVER;
}

bool head_edge(struct head *head, uint64_t now_us) {
    pass_time(head, now_us);
    return illumination_edge(&head->illumination, now_us);
}

void head_stamp(struct head *head, uint64_t at_us) {
    if (illumination_stamp(&head->illumination, at_us)) {
        tell_exposed(head);
    }
}

struct levels head_levels(struct head *head) {
    struct levels levels = {
        .lamp = head->illumination.lamp,
        .percent = head->illumination.percent,
        .strobe = head->illumination.strobe,
        .led = indicator_led(&head->indicator, head->now_ms),
        .indication = head->indicator.indication,
        .buzzer = indicator_buzzer(&head->indicator, head->now_ms),
    };
    levels.beep = levels.buzzer ? head->indicator.beep : BEEP_NONE;
    return levels;
}

size_t head_output(struct head *head, uint8_t *to, size_t room, uint64_t now_us) {
    pass_time(head, now_us);
    hand_over(head);
    return link_output(&head->link, to, room, (uint32_t)head->now_ms);
}

bool head_store_due(struct head *head, uint8_t record[STORE_SIZE], unsigned *which) {
    const bool waited = head->now_ms - head->stored_ms >= STORE_EVERY_MS;
    if (illumination_busy(&head->illumination)) { /* writing may take its time: no lamp is left on meanwhile */
        return false;
    }
    if (!head->store_now && !(head->store_changed && waited)) {
        return false;
    }
    *which = store_save(&head->store, record);
    return true;
}

void head_stored(struct head *head, bool written) {
    head->store_now = false;
    head->store_changed = false;
    head->stored_ms = head->now_ms;
    if (!written) { /* not over the record that is good */
        head->store.serial--;
        head->store_changed = true;
        faults_set(&head->faults, FAULT_STORE, true);
    }
}

void head_restart(struct head *head, bool for_update) {
    if (!head->restart) {
        head_dark(head);
        head->restart = true;
        head->restart_for_update = for_update;
        head->restart_ms = head->now_ms + RESTART_MS;
        head->store_now = head->store_now || head->store_changed;
    }
}

bool head_restart_due(const struct head *head) {
    const bool said = link_idle(&head->link) && head->replies.count == 0;
    return head->restart && !head->store_now && (said || head->now_ms >= head->restart_ms);
}
