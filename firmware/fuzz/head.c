/*
 * libFuzzer on the whole head, as `loop.c` runs it, against a host that knows the protocol and means no good, hands that do
 * anything at the pins, and resets. The input is a list of deeds: what (1), how long (1), octets.
 *
 * Whatever comes: what the head says is good frames; no lamp is on for longer, or oftener, than PROTOCOL.md §5 allows, over
 * resets too; none that the open cover or the heat forbids stays on.
 */

#include "frame.h"  /* the host's frames */
#include "head.h"   /* the head */
#include "limits.h" /* enum lamp, struct limits */

#include <stdlib.h> /* abort */
#include <string.h> /* memcpy, memset */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    WINDOW_MS = 10000,
    RUN_MS = 25000,     /* a run lasts so long at most: two windows and a half */
    COVER_US = 2000,    /* two turns: its raw level counts */
    HEAT_US = 2000,
    TURN_US = 1000,     /* a lamp goes off with the turn after the one that finds it out */
    OVERHEATED = 700    /* 0.1 °C */
};

/* PROTOCOL.md §5, written down once more. */
static const struct {
    uint32_t longest_us, in_window_us;
} allowed[LAMPS + 1] = {{0, 0}, {5000000, 5000000}, {1000000, 2500000}, {1000000, 2500000}, {500000, 1000000}};

/* What each lamp has been on in each millisecond of the last ten seconds. */
struct watch {
    uint16_t on_us[LAMPS + 1][WINDOW_MS];
    uint32_t total_us[LAMPS + 1];
    uint32_t run_us[LAMPS + 1];
    uint64_t dark_us[LAMPS + 1]; /* since when it has been off */
};

struct run {
    struct head head;
    struct limits retained;
    struct head_start start;
    struct board_facts facts;
    struct pins pins;
    uint64_t now_us, offset_us; /* of the head; of its start in the run */
    uint64_t cover_us, heat_us; /* since when they forbid something */
    uint32_t passed_ms;
    uint8_t lamp; /* on now */
    uint64_t lamp_us;
    uint8_t session, seq, expected; /* the host's side */
    struct frame_decoder heard;
};

static struct watch watch;

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

/* The lamp was on from one moment of a millisecond to another. */
static void account(struct run *run, uint8_t lamp, uint64_t from_us, uint64_t to_us) {
    const uint32_t on_us = (uint32_t)(to_us - from_us);
    if (run->offset_us + from_us - watch.dark_us[lamp] > (uint64_t)LIMIT_REST_MS * 1000U) {
        watch.run_us[lamp] = 0;
    }
    watch.dark_us[lamp] = run->offset_us + to_us;
    watch.run_us[lamp] += on_us;
    watch.on_us[lamp][run->passed_ms % WINDOW_MS] = (uint16_t)(watch.on_us[lamp][run->passed_ms % WINDOW_MS] + on_us);
    watch.total_us[lamp] += on_us;
    require(watch.run_us[lamp] <= allowed[lamp].longest_us + TURN_US);
    require(watch.total_us[lamp] <= allowed[lamp].in_window_us + TURN_US);
}

/* What the pins show from now on. */
static void put(struct run *run, uint64_t now_us) {
    const uint8_t lamp = head_levels(&run->head).lamp;
    if (run->lamp != LAMP_NONE && now_us > run->lamp_us) {
        account(run, run->lamp, run->lamp_us, now_us);
    }
    run->lamp = lamp;
    run->lamp_us = now_us;
    require(lamp <= LAMPS);
    require(lamp <= LAMP_WHITE || !run->pins.cover_open || now_us - run->cover_us <= COVER_US);
    require(lamp == LAMP_NONE || run->pins.temperature < OVERHEATED || now_us - run->heat_us <= HEAT_US);
}

/* The host hears what the head says: good frames, of which it takes the number. */
static void listen(struct run *run) {
    uint8_t octets[FRAME_LINE_MAX];
    size_t count = 0;
    while ((count = head_output(&run->head, octets, sizeof octets, run->now_us)) > 0) {
        for (size_t i = 0; i < count; i++) {
            struct frame frame = {0};
            const enum frame_result result = frame_decode(&run->heard, octets[i], &frame);
            require(result != FRAME_DAMAGED);
            if (result == FRAME_GOOD && frame.kind == FRAME_DATA && frame.seq == run->expected) {
                run->expected++;
            }
        }
    }
}

/* After a reset, as `loop_start` does it; the memory that a reset keeps is kept. */
static void begin(struct run *run, enum reset_cause cause) {
    if (run->lamp != LAMP_NONE && run->now_us > run->lamp_us) {
        account(run, run->lamp, run->lamp_us, run->now_us);
    }
    run->facts.cause = cause;
    run->start.pins = run->pins;
    run->offset_us += run->now_us;
    run->now_us = 0;
    run->lamp = LAMP_NONE;
    run->lamp_us = 0;
    run->cover_us = run->heat_us = 0;
    frame_decoder_init(&run->heard);
    head_init(&run->head, &run->start, 0);
}

/* One millisecond. */
static void turn(struct run *run) {
    const uint64_t end_us = run->now_us + 1000U;
    watch.total_us[0] = 0;
    for (uint8_t lamp = 1; lamp <= LAMPS; lamp++) {
        uint16_t *slot = &watch.on_us[lamp][run->passed_ms % WINDOW_MS];
        watch.total_us[lamp] -= *slot;
        *slot = 0;
    }
    head_tick(&run->head, &run->pins, run->now_us);
    put(run, run->now_us);
    uint64_t edge_us = 0;
    while ((edge_us = head_next_edge(&run->head)) < end_us) {
        run->now_us = edge_us > run->now_us ? edge_us : run->now_us;
        if (head_edge(&run->head, run->now_us)) {
            put(run, run->now_us);
            head_stamp(&run->head, run->now_us);
        }
    }
    run->now_us = end_us;
    if (run->lamp != LAMP_NONE && end_us > run->lamp_us) {
        account(run, run->lamp, run->lamp_us, end_us);
        run->lamp_us = end_us;
    }
    run->passed_ms++;
    listen(run);
    uint8_t record[STORE_SIZE];
    unsigned which = 0;
    if (head_store_due(&run->head, record, &which)) {
        memcpy(run->start.records[which], record, sizeof record);
        head_stored(&run->head, true);
    }
    if (head_restart_due(&run->head)) {
        begin(run, RESET_SOFTWARE);
    }
}

static void pass(struct run *run, uint32_t milliseconds) {
    for (uint32_t ms = 0; ms < milliseconds && run->passed_ms < RUN_MS; ms++) {
        turn(run);
    }
}

/* The host says something, in the running session unless it begins one. */
static void say(struct run *run, uint8_t kind, const uint8_t *payload, size_t length) {
    const struct frame frame = {
        .kind = kind,
        .session = run->session,
        .seq = kind == FRAME_DATA ? run->seq : 0,
        .ack = kind == FRAME_HELLO ? 0 : run->expected,
        .payload = payload,
        .length = length < FRAME_PAYLOAD_MAX ? length : FRAME_PAYLOAD_MAX,
    };
    uint8_t line[FRAME_LINE_MAX];
    head_receive(&run->head, line, frame_encode(&frame, true, line), run->now_us);
    run->seq = (uint8_t)(run->seq + (kind == FRAME_DATA ? 1 : 0));
    listen(run);
}

static void hello(struct run *run) {
    static const uint8_t versions[] = {1, 1, 8};
    run->session = (uint8_t)(run->session % 255U + 1U);
    run->seq = run->expected = 0;
    say(run, FRAME_HELLO, versions, sizeof versions);
}

/* Hands at the pins: a bit each, and how warm it is. */
static void handle(struct run *run, const uint8_t *octets, size_t length) {
    if (length == 0) {
        return;
    }
    const bool open = (octets[0] & 4U) != 0;
    const int16_t warm = length > 1 ? (int16_t)(octets[1] * 4) : 250; /* 0…102 °C */
    if (open && !run->pins.cover_open) {
        run->cover_us = run->now_us;
    }
    if (warm >= OVERHEATED && run->pins.temperature < OVERHEATED) {
        run->heat_us = run->now_us;
    }
    run->pins.button = (octets[0] & 1U) != 0;
    run->pins.document = (octets[0] & 2U) != 0;
    run->pins.cover_open = open;
    run->pins.lamp_current_bad = (octets[0] & 8U) != 0;
    run->pins.presence_blind = (octets[0] & 16U) != 0;
    run->pins.temperature = warm;
    run->pins.supply = (octets[0] & 32U) != 0 ? 3000 : 5000;
}

static void act(struct run *run, uint8_t what, const uint8_t *octets, size_t length) {
    switch (what % 8) {
    case 0:
        head_receive(&run->head, octets, length, run->now_us);
        break;
    case 1:
    case 2:
        say(run, FRAME_DATA, octets, length);
        pass(run, 1);
        break;
    case 3:
        pass(run, (uint32_t)(length * length / 8 + 1)); /* up to 8 s */
        break;
    case 4:
        say(run, FRAME_ACK, octets, 0);
        break;
    case 5:
        handle(run, octets, length);
        break;
    case 6:
        hello(run);
        break;
    default:
        begin(run, length % 2 == 0 ? RESET_PIN : RESET_WATCHDOG);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct run run;
    memset(&run, 0, sizeof run);
    memset(&watch, 0, sizeof watch);
    memset(run.start.records, 0xFF, sizeof run.start.records);
    run.facts = (struct board_facts){.name = "fuzz", .capabilities = 0x3FF, .simulated = true};
    run.pins = (struct pins){.temperature = 250, .supply = 5000};
    run.start.facts = &run.facts;
    run.start.update = update_open();
    run.start.retained = &run.retained;
    begin(&run, RESET_POWER);
    hello(&run);
    size_t at = 0;
    while (at + 2 <= size && run.passed_ms < RUN_MS) {
        const size_t left = size - at - 2;
        const size_t length = data[at + 1] < left ? data[at + 1] : left;
        act(&run, data[at], data + at + 2, length);
        at += 2 + length;
    }
    return 0;
}
