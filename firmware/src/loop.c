/* The main loop: the head coupled to its board. */
#include "loop.h"

#include "board.h"  /* the board */
#include "head.h"   /* the head */
#include "update.h" /* update_open */

enum {
    READ_AT_ONCE = 256,  /* octets of a turn: 22 ms of line at 115 200 */
    SAMPLE_US = 1000,    /* pins are looked at every millisecond */
    NEAR_US = 1500,      /* an edge nearer than a turn is waited for */
    EDGES_AT_ONCE = 25,  /* a whole EXPOSE of the shortest steps */
    TURN_MAX_US = 5000   /* but the cover is looked at again */
};

_Static_assert((int)STORE_SIZE <= (int)BOARD_STORE_SIZE, "the board keeps our records");
_Static_assert((int)STORE_RECORDS == (int)BOARD_STORE_RECORDS, "the board keeps two records");

void loop_start(struct head *head) {
    struct head_start start = {.facts = board_facts(), .retained = board_retained(sizeof(struct limits))};
    board_lamp(LAMP_NONE, 0);
    board_strobe(false);
    board_watchdog_start(WATCHDOG_MS);
    start.update = update_open();
    board_read_pins(&start.pins);
    for (unsigned i = 0; i < STORE_RECORDS; i++) {
        if (!board_store_read(i, start.records[i], STORE_SIZE)) {
            for (unsigned at = 0; at < STORE_SIZE; at++) {
                start.records[i][at] = 0xFF; /* as never written */
            }
        }
    }
    head_init(head, &start, board_micros());
}

/* Take what came over the line. */
static void receive(struct head *head) {
    uint8_t octets[READ_AT_ONCE];
    const size_t length = board_uart_read(octets, sizeof octets);
    head_receive(head, octets, length, board_micros());
}

/* Put lamp and strobe on the pins. */
static void put_lights(const struct levels *levels) {
    board_strobe(levels->strobe);
    board_lamp(levels->lamp, levels->percent);
}

/* Make the edges that are due, and wait for those that are near. */
static void run_lights(struct head *head) {
    const uint64_t begun_us = board_micros();
    uint64_t now_us = begun_us;
    unsigned edges = 0;
    while (head_next_edge(head) <= now_us + NEAR_US && edges < EDGES_AT_ONCE && now_us - begun_us < TURN_MAX_US) {
        if (head_edge(head, now_us)) {
            const struct levels levels = head_levels(head);
            put_lights(&levels);
            head_stamp(head, board_micros());
            edges++;
        }
        now_us = board_micros();
    }
}

/* Put everything on the pins. */
static void put_levels(struct head *head) {
    const struct levels levels = head_levels(head);
    put_lights(&levels);
    board_led(levels.led, levels.indication);
    board_buzzer(levels.buzzer, levels.beep);
}

/* Send what is to be sent. */
static void send(struct head *head) {
    uint8_t octets[FRAME_LINE_MAX];
    const size_t free = board_uart_room();
    const size_t room = free < sizeof octets ? free : sizeof octets;
    board_uart_write(octets, head_output(head, octets, room, board_micros()));
}

/* Write the store, restart: what is rare. */
static void keep_house(struct head *head) {
    uint8_t record[STORE_SIZE];
    unsigned which = 0;
    if (head_store_due(head, record, &which)) {
        head_stored(head, board_store_write(which, record, sizeof record));
    }
    if (head_restart_due(head)) {
        board_lamp(LAMP_NONE, 0);
        board_strobe(false);
        board_reboot(head->restart_for_update);
    }
}

uint64_t loop_turn(struct head *head) {
    struct pins pins;
    board_watchdog_feed();
    receive(head);
    board_read_pins(&pins);
    head_tick(head, &pins, board_micros());
    put_levels(head);
    run_lights(head);
    send(head);
    keep_house(head);
    const uint64_t sample_us = (head->sampled_ms + 1U) * SAMPLE_US;
    const uint64_t edge_us = head_next_edge(head);
    return edge_us < sample_us ? edge_us : sample_us;
}
