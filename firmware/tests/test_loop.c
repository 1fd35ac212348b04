/* The main loop on a board of paper: what it does to the board, and in which order. */
#include <string.h> /* memcpy, memset, memcmp */

#include "board.h"  /* what is played */
#include "check.h"  /* CHECK */
#include "frame.h"  /* frames for the head */
#include "limits.h" /* struct limits */
#include "loop.h"   /* what is tested */

enum { OUT = 4096, TURN_COST_US = 30, CLOCK_COST_US = 2 };

/* The board of paper. */
static struct {
    struct board_facts facts;
    struct pins pins;
    struct limits retained;
    bool has_retained;
    uint64_t now_us;
    uint8_t in[512];
    size_t in_length;
    uint8_t out[OUT];
    size_t out_length;
    size_t room;
    uint8_t lamp;
    bool strobe;
    uint64_t lamp_off_us;
    uint64_t up_us;
    uint64_t down_us;
    unsigned feeds;
    uint32_t watchdog_ms;
    uint8_t records[BOARD_STORE_RECORDS][BOARD_STORE_SIZE];
    bool readable;
    unsigned writes;
    unsigned reboots;
    bool for_update;
    bool lamp_on_while_writing;
} paper;

static struct head head;

const struct board_facts *board_facts(void) {
    return &paper.facts;
}

uint64_t board_micros(void) {
    paper.now_us += CLOCK_COST_US;
    return paper.now_us;
}

void board_sleep(uint64_t until_us) {
    paper.now_us = until_us > paper.now_us ? until_us : paper.now_us;
}

void board_read_pins(struct pins *pins) {
    *pins = paper.pins;
}

void board_lamp(uint8_t lamp, uint8_t percent) {
    (void)percent;
    paper.lamp_off_us = lamp == 0 && paper.lamp != 0 ? paper.now_us : paper.lamp_off_us;
    paper.lamp = lamp;
}

void board_strobe(bool up) {
    paper.up_us = up && !paper.strobe ? paper.now_us : paper.up_us;
    paper.down_us = !up && paper.strobe ? paper.now_us : paper.down_us;
    paper.strobe = up;
}

void board_led(uint8_t colours, uint8_t indication) {
    (void)colours;
    (void)indication;
}

void board_buzzer(bool on, uint8_t pattern) {
    (void)on;
    (void)pattern;
}

size_t board_uart_read(uint8_t *to, size_t room) {
    const size_t length = paper.in_length < room ? paper.in_length : room;
    memcpy(to, paper.in, length);
    memmove(paper.in, paper.in + length, paper.in_length - length);
    paper.in_length -= length;
    return length;
}

size_t board_uart_room(void) {
    return paper.room;
}

void board_uart_write(const uint8_t *octets, size_t length) {
    CHECK(length <= paper.room);
    if (paper.out_length + length <= OUT) {
        memcpy(paper.out + paper.out_length, octets, length);
        paper.out_length += length;
    }
}

void board_watchdog_start(uint32_t milliseconds) {
    paper.watchdog_ms = milliseconds;
}

void board_watchdog_feed(void) {
    paper.feeds++;
}

void *board_retained(size_t size) {
    return paper.has_retained && size <= sizeof paper.retained ? &paper.retained : NULL;
}

void board_reboot(bool for_update) {
    paper.reboots++;
    paper.for_update = for_update;
}

bool board_store_read(unsigned record, uint8_t *to, size_t length) {
    memcpy(to, paper.records[record], length);
    return paper.readable;
}

bool board_store_write(unsigned record, const uint8_t *octets, size_t length) {
    paper.lamp_on_while_writing = paper.lamp_on_while_writing || paper.lamp != 0;
    memcpy(paper.records[record], octets, length);
    paper.writes++;
    return true;
}

/* A board after power came. */
static void begin(void) {
    memset(&paper, 0, sizeof paper);
    memset(paper.records, 0xFF, sizeof paper.records);
    memset(&paper.retained, 0x11, sizeof paper.retained);
    paper.facts = (struct board_facts){.name = "paper", .capabilities = CAN_UPDATE - 1, .cause = RESET_POWER};
    paper.pins = (struct pins){.temperature = 250, .supply = 5000};
    paper.has_retained = true;
    paper.readable = true;
    paper.room = FRAME_LINE_MAX;
    paper.lamp = 3; /* as a reset may find it */
    paper.strobe = true;
    loop_start(&head);
}

/* Turn until a moment. */
static void run(uint64_t until_ms) {
    while (paper.now_us < until_ms * 1000) {
        paper.now_us += TURN_COST_US;
        board_sleep(loop_turn(&head));
    }
}

/* A frame for the head. */
static void hear(uint8_t kind, uint8_t seq, uint8_t ack, const uint8_t *payload, size_t length) {
    const struct frame frame = {kind, 1, seq, ack, payload, length};
    paper.in_length += frame_encode(&frame, true, paper.in + paper.in_length);
}

/* A session. */
static void open(void) {
    static const uint8_t hello[3] = {1, 1, 8};
    hear(FRAME_HELLO, 0, 0, hello, sizeof hello);
    run(paper.now_us / 1000 + 2);
}

static void it_starts_dark_and_watched(void) {
    begin();
    CHECK(paper.lamp == 0 && !paper.strobe && paper.watchdog_ms == WATCHDOG_MS);
    run(100);
    CHECK(paper.feeds >= 95);
    CHECK_EQUAL(paper.writes, 1); /* this start */
}

static void it_sleeps_from_sample_to_sample(void) {
    begin();
    const uint64_t until_us = loop_turn(&head);
    CHECK(until_us + 1000 > paper.now_us && until_us <= paper.now_us + 1000);
}

static void a_record_that_cannot_be_read_is_as_never_written(void) {
    begin();
    paper.readable = false;
    memset(paper.records, 0x33, sizeof paper.records);
    loop_start(&head);
    CHECK(!faults_has(&head.faults, FAULT_STORE));
    CHECK_EQUAL(head.store.boots, 1);
}

static void edges_come_when_they_are_due(void) {
    static const uint8_t ask[13] = {0x11, 1, 1, 1, 50, 0xE8, 0x03, 0, 0, 0x88, 0x13, 0, 0}; /* 1000 and 5000 us */
    begin();
    open();
    hear(FRAME_DATA, 0, 0, ask, sizeof ask);
    run(paper.now_us / 1000 + 20);
    CHECK(paper.down_us - paper.up_us >= 5000 && paper.down_us - paper.up_us < 5000 + 10);
    CHECK(paper.lamp_off_us - paper.down_us <= 1 && paper.lamp == 0);
    CHECK(head.illumination.longest_error_us < 10);
    CHECK_EQUAL(head.illumination.exposures, 1);
}

static void eight_of_the_shortest_steps_come_right(void) {
    uint8_t ask[3 + 80] = {0x11, 1, 8};
    for (unsigned i = 0; i < 8; i++) {
        ask[3 + 10 * i] = 1;
        ask[4 + 10 * i] = 9;
        ask[9 + 10 * i] = 10;
    }
    begin();
    open();
    hear(FRAME_DATA, 0, 0, ask, sizeof ask);
    run(paper.now_us / 1000 + 5);
    CHECK_EQUAL(head.illumination.exposures, 8);
    CHECK(head.illumination.longest_error_us < 10);
}

static void a_line_without_room_gets_nothing_and_loses_nothing(void) {
    begin();
    paper.room = 0;
    open();
    CHECK_EQUAL(paper.out_length, 0);
    paper.room = 3; /* a ring that is nearly full */
    run(paper.now_us / 1000 + 50);
    struct frame_decoder decoder;
    struct frame frame;
    unsigned good = 0;
    frame_decoder_init(&decoder);
    for (size_t i = 0; i < paper.out_length; i++) {
        good += frame_decode(&decoder, paper.out[i], &frame) == FRAME_GOOD ? 1U : 0U;
    }
    CHECK_EQUAL(good, 3); /* WELCOME, document, cover */
}

static void flash_is_not_written_while_a_lamp_is_on(void) {
    static const uint8_t ask[6] = {0x10, 1, 1, 50, 0x88, 0x13}; /* 5000 ms */
    begin();
    open();
    run(59000);
    open();
    paper.pins.button = true;
    run(59200);
    static const uint8_t hello[3] = {1, 1, 8};
    const struct frame again = {FRAME_HELLO, 2, 0, 0, hello, sizeof hello};
    paper.in_length = frame_encode(&again, true, paper.in);
    run(59300);
    const struct frame light = {FRAME_DATA, 2, 0, 0, ask, sizeof ask};
    paper.in_length = frame_encode(&light, true, paper.in);
    run(61000);
    CHECK_EQUAL(paper.lamp, 1);
    run(66000);
    CHECK(paper.writes == 2 && !paper.lamp_on_while_writing);
}

static void it_restarts_when_asked_dark_and_with_its_store_written(void) {
    static const uint8_t reboot[2] = {0x3F, 1};
    begin();
    open();
    paper.pins.button = true;
    run(paper.now_us / 1000 + 20);
    hear(FRAME_DATA, 0, 0, reboot, sizeof reboot);
    paper.writes = 0;
    run(paper.now_us / 1000 + 505);
    CHECK(paper.reboots > 0 && !paper.for_update && paper.lamp == 0);
    CHECK_EQUAL(paper.writes, 1);
}

static void without_memory_that_is_kept_lamps_wait_after_a_reset(void) {
    static const uint8_t ask[6] = {0x10, 1, 1, 50, 1, 0};
    begin();
    paper.has_retained = false;
    paper.facts.cause = RESET_SOFTWARE;
    loop_start(&head);
    open();
    hear(FRAME_DATA, 0, 0, ask, sizeof ask);
    run(paper.now_us / 1000 + 1);
    CHECK_EQUAL(paper.lamp, 0);
    CHECK(limits_wait(head.limits, 1, 1000, 0, head.now_us) > 9900);
}

int main(void) {
    RUN(it_starts_dark_and_watched);
    RUN(it_sleeps_from_sample_to_sample);
    RUN(a_record_that_cannot_be_read_is_as_never_written);
    RUN(edges_come_when_they_are_due);
    RUN(eight_of_the_shortest_steps_come_right);
    RUN(a_line_without_room_gets_nothing_and_loses_nothing);
    RUN(flash_is_not_written_while_a_lamp_is_on);
    RUN(it_restarts_when_asked_dark_and_with_its_store_written);
    RUN(without_memory_that_is_kept_lamps_wait_after_a_reset);
    return check_failures == 0 ? 0 : 1;
}
