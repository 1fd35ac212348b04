/* The head as a whole: what it does when the host is lost, when it is reset, when edges are late. */
#include <string.h> /* memcmp, memset */

#include "bench.h"  /* a head and its host */
#include "check.h"  /* CHECK */
#include "octets.h" /* get_32 */

static struct bench bench;

/* Ask for a lamp. */
static void light(uint8_t lamp, uint16_t ms) {
    const uint8_t ask[6] = {0x10, 1, lamp, 50, (uint8_t)ms, (uint8_t)(ms >> 8)};
    bench_ask(&bench, ask, sizeof ask);
}

/* Press the button for a tenth of a second. */
static void press(void) {
    bench.pins.button = true;
    bench_run(&bench, bench.now_us / 1000 + 100);
    bench.pins.button = false;
    bench_run(&bench, bench.now_us / 1000 + 100);
}

/* The host falls silent. */
static void silence(void) {
    bench.polite = false;
}

/* One counter. */
static uint32_t counter(uint8_t number) {
    static const uint8_t ask[2] = {0x04, 9};
    bench_ask(&bench, ask, sizeof ask);
    bench_run(&bench, bench.now_us / 1000 + 2);
    const struct said *said = bench_last(&bench, 0x80);
    return said == NULL ? UINT32_MAX : get_32(said->payload + 3 + 5 * number + 1);
}

static void a_lost_host_puts_the_lamps_out(void) {
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 1);
    silence();
    light(1, 5000);
    CHECK_EQUAL(head_levels(&bench.head).lamp, 1);
    bench_run(&bench, 3000);
    CHECK_EQUAL(head_levels(&bench.head).lamp, 1);
    bench_run(&bench, 3002);
    CHECK_EQUAL(head_levels(&bench.head).lamp, 0);
    CHECK_EQUAL(head_levels(&bench.head).indication, INDICATION_OFFLINE);
}

static void a_new_session_puts_the_lamps_out(void) {
    bench_init(&bench);
    bench_open(&bench, 1);
    light(1, 5000);
    CHECK_EQUAL(head_levels(&bench.head).lamp, 1);
    bench_open(&bench, 2);
    CHECK_EQUAL(head_levels(&bench.head).lamp, 0);
    CHECK_EQUAL(head_levels(&bench.head).indication, INDICATION_OFF);
}

static void a_press_without_a_host_waits_for_five_seconds(void) {
    bench_init(&bench);
    press();
    bench_run(&bench, 4900);
    bench_open(&bench, 1);
    bench_run(&bench, 4950);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 2);
    CHECK_EQUAL(bench.said[1].payload[0], EVENT_BUTTON); /* before document and cover */
    CHECK_EQUAL(get_32(bench.said[1].payload + 1), 4899);
}

static void later_it_is_stale_and_counted(void) {
    bench_init(&bench);
    press();
    bench_run(&bench, 5300);
    bench_open(&bench, 1);
    bench_run(&bench, 5310);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 0);
    CHECK_EQUAL(counter(1), 1);
    CHECK_EQUAL(counter(0), 1);
}

static void a_press_that_was_not_acknowledged_comes_again_with_its_number(void) {
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    silence();
    press();
    CHECK_EQUAL(bench_last(&bench, EVENT_BUTTON)->payload[6], 1);
    bench_forget(&bench);
    bench_open(&bench, 2);
    bench_run(&bench, bench.now_us / 1000 + 5);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 2);
    CHECK_EQUAL(bench_last(&bench, EVENT_BUTTON)->payload[6], 1);
    bench_forget(&bench);
    bench_open(&bench, 3);
    bench_run(&bench, bench.now_us / 1000 + 5);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 0);
}

static void seventeen_presses_in_silence_leave_sixteen_events(void) {
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    silence();
    for (int i = 0; i < 9; i++) {
        press();
    }
    CHECK_EQUAL(bench.head.events.count, EVENTS_MAX);
    CHECK_EQUAL(bench.head.events.on_way, LINK_WINDOW);
    CHECK_EQUAL(bench.head.events.dropped, 2);
}

static void requests_beyond_the_sixteenth_are_as_if_lost(void) {
    static const uint8_t ping[2] = {0x01, 1};
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    silence();
    const uint8_t taken = bench.expected; /* and nothing more is acknowledged */
    for (uint8_t i = 0; i < 40; i++) {
        bench_frame(&bench, FRAME_DATA, 1, i, taken, ping, sizeof ping);
    }
    CHECK_EQUAL(bench.head.replies.count, REPLIES_MAX);
    CHECK_EQUAL(bench.head.link.waiting, LINK_WINDOW);
    CHECK_EQUAL(bench.head.link.expected, LINK_WINDOW + REPLIES_MAX);
}

static void a_button_held_at_reset_is_no_press(void) {
    bench_init(&bench);
    bench.pins.button = true;
    bench_reset(&bench, RESET_PIN);
    bench_open(&bench, 1);
    bench_run(&bench, 5000);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 0);
    bench.pins.button = false;
    bench_run(&bench, 5100);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 0);
    press();
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 2);
}

static void counts_survive_a_reset_but_for_the_last_minute(void) {
    bench_init(&bench);
    press();
    bench_run(&bench, 61000);
    press();
    bench_run(&bench, 62000);
    bench_reset(&bench, RESET_WATCHDOG);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    CHECK_EQUAL(counter(0), 1);
    CHECK_EQUAL(counter(7), 1);
    CHECK_EQUAL(bench.head.store.boots, 2);
    CHECK(faults_has(&bench.head.faults, FAULT_WATCHDOG));
    CHECK_EQUAL(bench_last(&bench, EVENT_FAULT)->payload[5], FAULT_WATCHDOG);
}

static void flash_is_written_once_a_minute_at_most(void) {
    bench_init(&bench);
    for (int i = 0; i < 1500; i++) { /* five minutes of them */
        press();
    }
    CHECK(bench.store_writes <= 6);
}

static void a_damaged_store_is_a_fault_and_begins_anew(void) {
    bench_init(&bench);
    memset(bench.records, 0x77, sizeof bench.records);
    bench_reset(&bench, RESET_POWER);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    CHECK_EQUAL(bench_last(&bench, EVENT_FAULT)->payload[5], FAULT_STORE);
    CHECK_EQUAL(bench.head.store.boots, 1);
}

static void a_record_that_could_not_be_written_costs_not_the_good_one(void) {
    uint8_t record[STORE_SIZE];
    unsigned which = 0;
    unsigned again = 0;
    bench_init(&bench);
    CHECK(head_store_due(&bench.head, record, &which));
    head_stored(&bench.head, false);
    CHECK(faults_has(&bench.head.faults, FAULT_STORE));
    bench_run(&bench, 59999);
    CHECK(!head_store_due(&bench.head, record, &again));
    head_tick(&bench.head, &bench.pins, 60000000);
    CHECK(head_store_due(&bench.head, record, &again) && again == which);
}

static void a_restart_waits_until_its_reply_was_acknowledged(void) {
    static const uint8_t reboot[2] = {0x3F, 7};
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 100);
    silence();
    bench_ask(&bench, reboot, sizeof reboot);
    bench_run(&bench, 150);
    CHECK(!head_restart_due(&bench.head));
    bench_frame(&bench, FRAME_ACK, 1, 0, bench.expected, NULL, 0);
    CHECK(head_restart_due(&bench.head) && !bench.head.restart_for_update);
}

static void but_not_for_ever(void) {
    static const uint8_t reboot[2] = {0x3F, 7};
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 100);
    silence();
    bench_ask(&bench, reboot, sizeof reboot);
    bench_run(&bench, 599);
    CHECK(!head_restart_due(&bench.head));
    bench_run(&bench, 600);
    CHECK(head_restart_due(&bench.head));
}

static void a_late_edge_is_measured_and_shortens_nothing(void) {
    static const uint8_t ask[13] = {0x11, 1, 1, 1, 50, 0x88, 0x13, 0, 0, 0x10, 0x27, 0, 0}; /* 5000 and 10 000 us */
    bench_init(&bench);
    bench_open(&bench, 1);
    bench_run(&bench, 10);
    bench.late_us = 37;
    bench_ask(&bench, ask, sizeof ask);
    bench_run(&bench, 60);
    const struct said *said = bench_last(&bench, EVENT_EXPOSED);
    CHECK(said != NULL);
    CHECK_EQUAL(get_32(said->payload + 15), 10037);
    CHECK_EQUAL(get_32(said->payload + 7), 10000 + 37 + 5000 + 37);
    CHECK_EQUAL(counter(10), 37);
    CHECK_EQUAL(counter(9), 1);
}

static void uptime_wraps_and_the_link_goes_on(void) {
    static const uint8_t ping[2] = {0x01, 3};
    const uint64_t wrap_ms = 0x100000000ULL;
    bench_init(&bench);
    bench.now_us = (wrap_ms - 1500) * 1000;
    head_tick(&bench.head, &bench.pins, bench.now_us);
    bench_open(&bench, 1);
    bench_run(&bench, wrap_ms + 5);
    press();
    bench_ask(&bench, ping, sizeof ping);
    bench_run(&bench, wrap_ms + 3000);
    CHECK_EQUAL(bench_count(&bench, EVENT_BUTTON), 2);
    CHECK_EQUAL(get_32(bench_last(&bench, 0x80)->payload + 3), 205);
    CHECK(bench.head.link.open && bench.head.link.sessions == 1);
}

static void identification_says_what_the_board_is(void) {
    bench_init(&bench);
    bench_open(&bench, 1);
    const struct said *said = &bench.said[0];
    CHECK(said->kind == FRAME_WELCOME && said->length == 32 + 5);
    CHECK(said->payload[0] == 1 && said->payload[1] == 8 && said->payload[2] == 1 && said->payload[3] == RESET_POWER);
    CHECK_EQUAL(get_32(said->payload + 4), 1);
    CHECK(said->payload[8] == 1 && said->payload[19] == 12);
    CHECK_EQUAL(get_32(said->payload + 28), 0x1FF);
    CHECK(memcmp(said->payload + 32, "bench", 5) == 0);
}

int main(void) {
    RUN(a_lost_host_puts_the_lamps_out);
    RUN(a_new_session_puts_the_lamps_out);
    RUN(a_press_without_a_host_waits_for_five_seconds);
    RUN(later_it_is_stale_and_counted);
    RUN(a_press_that_was_not_acknowledged_comes_again_with_its_number);
    RUN(seventeen_presses_in_silence_leave_sixteen_events);
    RUN(requests_beyond_the_sixteenth_are_as_if_lost);
    RUN(a_button_held_at_reset_is_no_press);
    RUN(counts_survive_a_reset_but_for_the_last_minute);
    RUN(flash_is_written_once_a_minute_at_most);
    RUN(a_damaged_store_is_a_fault_and_begins_anew);
    RUN(a_record_that_could_not_be_written_costs_not_the_good_one);
    RUN(a_restart_waits_until_its_reply_was_acknowledged);
    RUN(but_not_for_ever);
    RUN(a_late_edge_is_measured_and_shortens_nothing);
    RUN(uptime_wraps_and_the_link_goes_on);
    RUN(identification_says_what_the_board_is);
    return check_failures == 0 ? 0 : 1;
}
