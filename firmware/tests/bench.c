/* A head on the bench. */
#include "bench.h"

#include <string.h> /* memcpy, memset */

enum { US_PER_MS = 1000 };

/* Start the head's firmware on what the bench holds. */
static void start(struct bench *bench) {
    struct head_start begin = {
        .facts = &bench->facts,
        .update = update_open(),
        .retained = &bench->retained,
        .pins = bench->pins,
    };
    memcpy(begin.records, bench->records, sizeof begin.records);
    bench->now_us = 0;
    bench->spoke_ms = 0;
    frame_decoder_init(&bench->decoder);
    head_init(&bench->head, &begin, 0);
}

void bench_init(struct bench *bench) {
    memset(bench, 0, sizeof *bench);
    memset(bench->records, 0xFF, sizeof bench->records);
    memset(&bench->retained, 0x5A, sizeof bench->retained);
    bench->facts = (struct board_facts){
        .name = "bench",
        .capabilities = CAN_UPDATE - 1,
        .simulated = true,
        .cause = RESET_POWER,
        .unique_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
    };
    bench->pins = (struct pins){.temperature = 250, .supply = 5000};
    start(bench);
}

/* Tell who counts that a lamp's time is over. */
static void note_lamp(struct bench *bench) {
    const uint8_t lamp = bench->head.illumination.lamp;
    if (lamp == bench->lamp) {
        return;
    }
    if (bench->lamp != LAMP_NONE && bench->lit != NULL) {
        bench->lit(bench->lamp, bench->lamp_us, bench->now_us);
    }
    bench->lamp = lamp;
    bench->lamp_us = bench->now_us;
}

void bench_reset(struct bench *bench, enum reset_cause cause) {
    bench->head.illumination.lamp = LAMP_NONE; /* reset puts it out */
    note_lamp(bench);
    bench->facts.cause = cause;
    start(bench);
}

/* Keep one frame that the head said. */
static void keep(struct bench *bench, const struct frame *frame) {
    if (bench->said_count == SAID_MAX) {
        return;
    }
    struct said *said = &bench->said[bench->said_count++];
    *said = (struct said){
        .at_us = bench->now_us,
        .kind = frame->kind,
        .session = frame->session,
        .seq = frame->seq,
        .ack = frame->ack,
        .length = (uint8_t)frame->length,
    };
    if (frame->length > 0) {
        memcpy(said->payload, frame->payload, frame->length);
    }
    if (frame->kind == FRAME_DATA && frame->seq == bench->expected) {
        bench->expected++;
    }
}

/* Hear what the head says now. */
static void hear(struct bench *bench) {
    uint8_t octets[FRAME_LINE_MAX];
    const size_t before = bench->said_count;
    size_t length = head_output(&bench->head, octets, sizeof octets, bench->now_us);
    while (length > 0) {
        for (size_t i = 0; i < length; i++) {
            struct frame frame;
            const enum frame_result result = frame_decode(&bench->decoder, octets[i], &frame);
            bench->damaged += result == FRAME_DAMAGED ? 1U : 0U;
            if (result == FRAME_GOOD) {
                keep(bench, &frame);
            }
        }
        length = head_output(&bench->head, octets, sizeof octets, bench->now_us);
    }
    const bool data = bench->said_count > before && bench->said[bench->said_count - 1].kind == FRAME_DATA;
    const uint64_t now_ms = bench->now_us / US_PER_MS;
    if (bench->polite && (data || now_ms - bench->spoke_ms >= 500)) {
        bench->spoke_ms = now_ms;
        bench_frame(bench, FRAME_ACK, bench->session, 0, bench->expected, NULL, 0);
    }
}

/* Make the edges that come before a moment, each when it is due. */
static void edges(struct bench *bench, uint64_t before_us) {
    while (head_next_edge(&bench->head) + bench->late_us < before_us && head_next_edge(&bench->head) != HEAD_NEVER) {
        const uint64_t due = head_next_edge(&bench->head) + bench->late_us;
        bench->now_us = due > bench->now_us ? due : bench->now_us;
        (void)head_edge(&bench->head, bench->now_us);
        note_lamp(bench);
        head_stamp(&bench->head, bench->now_us);
    }
}

/* Write the store when the head wants it. */
static void store(struct bench *bench) {
    uint8_t record[STORE_SIZE];
    unsigned which = 0;
    if (head_store_due(&bench->head, record, &which)) {
        memcpy(bench->records[which], record, sizeof record);
        bench->store_writes++;
        head_stored(&bench->head, true);
    }
}

void bench_run(struct bench *bench, uint64_t until_ms) {
    while (bench->now_us < until_ms * US_PER_MS) {
        const uint64_t turn_us = bench->now_us - bench->now_us % US_PER_MS + US_PER_MS;
        edges(bench, turn_us);
        bench->now_us = turn_us;
        head_tick(&bench->head, &bench->pins, bench->now_us);
        note_lamp(bench);
        edges(bench, turn_us + 1);
        bench->now_us = turn_us;
        hear(bench);
        store(bench);
    }
}

void bench_hear(struct bench *bench, const uint8_t *octets, size_t length) {
    head_receive(&bench->head, octets, length, bench->now_us);
    note_lamp(bench);
    hear(bench);
}

void bench_frame(struct bench *bench, uint8_t kind, uint8_t session, uint8_t seq, uint8_t ack, const uint8_t *payload,
                 size_t length) {
    uint8_t line[FRAME_LINE_MAX];
    const struct frame frame = {kind, session, seq, ack, payload, length};
    const size_t used = frame_encode(&frame, true, line);
    head_receive(&bench->head, line, used, bench->now_us);
    note_lamp(bench);
    hear(bench);
}

void bench_open(struct bench *bench, uint8_t session) {
    static const uint8_t hello[3] = {1, 1, 8};
    bench->session = session;
    bench->seq = 0;
    bench->expected = 0;
    bench->polite = false;
    bench->spoke_ms = bench->now_us / US_PER_MS;
    bench_frame(bench, FRAME_HELLO, session, 0, 0, hello, sizeof hello);
    bench->polite = true;
    bench_frame(bench, FRAME_ACK, session, 0, bench->expected, NULL, 0);
}

void bench_ask(struct bench *bench, const uint8_t *message, size_t length) {
    bench_frame(bench, FRAME_DATA, bench->session, bench->seq++, bench->expected, message, length);
}

void bench_forget(struct bench *bench) {
    bench->said_count = 0;
}

const struct said *bench_last(const struct bench *bench, uint8_t type) {
    for (size_t i = bench->said_count; i-- > 0;) {
        if (bench->said[i].kind == FRAME_DATA && bench->said[i].payload[0] == type) {
            return &bench->said[i];
        }
    }
    return NULL;
}

unsigned bench_count(const struct bench *bench, uint8_t type) {
    unsigned count = 0;
    for (size_t i = 0; i < bench->said_count; i++) {
        count += bench->said[i].kind == FRAME_DATA && bench->said[i].payload[0] == type ? 1U : 0U;
    }
    return count;
}
