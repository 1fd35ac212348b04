/* Events: order, what goes when the queue is full, what ends with a session, what grows stale. */
#include "check.h"  /* CHECK */
#include "events.h" /* what is tested */

static struct events events;

/* Add an event of a type, numbered. */
static void add(uint8_t type, uint8_t number, uint64_t at_ms) {
    const struct event event = {.at_ms = at_ms, .serial = number, .type = type, .length = 1, .body = {number}};
    events_add(&events, &event);
}

/* The numbers that wait, as a string of digits and letters. */
static const char *numbers(void) {
    static char text[EVENTS_MAX + 1];
    for (unsigned i = 0; i < events.count; i++) {
        text[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[events.list[i].body[0] % 36];
    }
    text[events.count] = '\0';
    return text;
}

/* Whether exactly these wait, in this order. */
static bool wait_now(const char *wanted) {
    const char *found = numbers();
    while (*wanted != '\0' && *wanted == *found) {
        wanted++;
        found++;
    }
    return *wanted == *found;
}

static void they_go_in_order_and_stay_until_acknowledged(void) {
    events_init(&events);
    CHECK(events_next(&events) == NULL);
    add(EVENT_FAULT, 1, 0);
    add(EVENT_FAULT, 2, 0);
    add(EVENT_FAULT, 3, 0);
    CHECK(events_next(&events)->body[0] == 1);
    events_sent(&events);
    events_sent(&events);
    CHECK(events_next(&events)->body[0] == 3 && wait_now("123"));
    events_acknowledged(&events, 1);
    CHECK(events_next(&events)->body[0] == 3 && wait_now("23"));
    events_acknowledged(&events, 5); /* never more than are on their way */
    CHECK(wait_now("3"));
}

static void a_full_queue_gives_up_the_oldest_exposed_then_the_oldest_press(void) {
    events_init(&events);
    add(EVENT_FAULT, 0, 0);
    for (uint8_t i = 1; i < EVENTS_MAX; i++) {
        add(i == 5 || i == 9 ? EVENT_EXPOSED : EVENT_BUTTON, i, 0);
    }
    add(EVENT_FAULT, 16, 0);
    CHECK(wait_now("012346789abcdefg"));
    add(EVENT_FAULT, 17, 0);
    CHECK(wait_now("01234678abcdefgh"));
    add(EVENT_FAULT, 18, 0);
    CHECK(wait_now("0234678abcdefghi"));
    CHECK_EQUAL(events.dropped, 3);
}

static void an_exposure_costs_no_press(void) {
    events_init(&events);
    for (uint8_t i = 0; i < EVENTS_MAX; i++) {
        add(EVENT_BUTTON, i, 0);
    }
    add(EVENT_EXPOSED, 16, 0);
    CHECK(wait_now("0123456789abcdef"));
    CHECK_EQUAL(events.dropped, 1);
    CHECK_EQUAL(events.presses_dropped, 0);
}

static void a_sensor_that_flaps_costs_no_press_and_presses_do_not_cost_how_things_are(void) {
    events_init(&events);
    add(EVENT_COVER, 0, 0);
    add(EVENT_BUTTON, 1, 0);
    for (uint8_t i = 2; i < 60; i++) {
        add(EVENT_DOCUMENT, i, 0);
    }
    CHECK_EQUAL(events.count, EVENTS_MAX);
    CHECK(events.list[0].body[0] == 0 && events.list[1].body[0] == 1 && events.list[15].body[0] == 59);
    for (unsigned i = 0; i < 60; i++) {
        add(EVENT_FAULT, 2, 0); /* a supply that comes and goes */
    }
    CHECK(events.list[0].body[0] == 0 && events.list[1].body[0] == 1 && events.list[2].body[0] == 59);
    for (uint8_t i = 60; i < 100; i++) {
        add(EVENT_BUTTON, i, 0);
    }
    CHECK(events.list[0].body[0] == 0 && events.list[1].body[0] == 59 && events.list[2].body[0] == 2);
    CHECK(events.list[15].body[0] == 99);
}

static void what_is_on_its_way_is_not_given_up(void) {
    events_init(&events);
    for (uint8_t i = 0; i < EVENTS_MAX; i++) {
        add(i < 2 ? EVENT_EXPOSED : EVENT_FAULT, i, 0);
    }
    events_sent(&events);
    events_sent(&events);
    events_sent(&events);
    add(EVENT_FAULT, 16, 0);
    CHECK(wait_now("012456789abcdefg"));
    CHECK_EQUAL(events.on_way, 3);
}

static void presses_that_are_dropped_are_counted_as_such(void) {
    events_init(&events);
    add(EVENT_BUTTON, BUTTON_PRESSED, 0);
    add(EVENT_BUTTON, BUTTON_RELEASED, 0);
    events_expire(&events, PRESS_KEPT_MS);
    CHECK_EQUAL(events.presses_dropped, 1);
    CHECK_EQUAL(events.dropped, 2);
}

static void presses_grow_stale_faults_do_not(void) {
    events_init(&events);
    add(EVENT_BUTTON, 1, 1000);
    add(EVENT_FAULT, 2, 1000);
    add(EVENT_BUTTON, 3, 1001);
    events_expire(&events, 5999);
    CHECK(wait_now("123"));
    events_expire(&events, 6000);
    CHECK(wait_now("23"));
    events_expire(&events, 100000);
    CHECK(wait_now("2"));
}

static void a_session_takes_its_own_events_with_it(void) {
    events_init(&events);
    add(EVENT_BUTTON, 1, 0);
    add(EVENT_DOCUMENT, 2, 0);
    add(EVENT_EXPOSED, 3, 0);
    add(EVENT_COVER, 4, 0);
    add(EVENT_FAULT, 5, 0);
    events_sent(&events);
    events_sent(&events);
    events_session_over(&events);
    CHECK(wait_now("15") && events.on_way == 0);
    CHECK_EQUAL(events.dropped, 1);
}

static void an_age_that_does_not_fit_is_longer(void) {
    uint8_t message[EVENT_MAX];
    const struct event event = {.at_ms = 1, .type = EVENT_FAULT, .length = 2, .body = {7, 1}};
    CHECK_EQUAL(event_encode(&event, 0x0FFFFFFFFULL, message), 7);
    CHECK(message[1] == 0xFE && message[4] == 0xFF && message[5] == 7);
    (void)event_encode(&event, 0x100000001ULL, message);
    CHECK(message[1] == 0xFF && message[4] == 0xFF);
}

int main(void) {
    RUN(they_go_in_order_and_stay_until_acknowledged);
    RUN(a_full_queue_gives_up_the_oldest_exposed_then_the_oldest_press);
    RUN(an_exposure_costs_no_press);
    RUN(a_sensor_that_flaps_costs_no_press_and_presses_do_not_cost_how_things_are);
    RUN(what_is_on_its_way_is_not_given_up);
    RUN(presses_that_are_dropped_are_counted_as_such);
    RUN(presses_grow_stale_faults_do_not);
    RUN(a_session_takes_its_own_events_with_it);
    RUN(an_age_that_does_not_fit_is_longer);
    return check_failures == 0 ? 0 : 1;
}
