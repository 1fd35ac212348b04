/* A head on the bench: its pins, its clock, and a host that speaks to it. */
#ifndef EDGED_BENCH_H
#define EDGED_BENCH_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "frame.h" /* struct frame */
#include "head.h"  /* struct head */

enum { SAID_MAX = 512 };

/* One frame that the head said. */
struct said {
    uint64_t at_us;
    uint8_t kind;
    uint8_t session;
    uint8_t seq;
    uint8_t ack;
    uint8_t length;
    uint8_t payload[FRAME_PAYLOAD_MAX];
};

/* How long a lamp was on: told to whoever wants to count. */
typedef void bench_lit(uint8_t lamp, uint64_t from_us, uint64_t until_us);

struct bench {
    struct head head;
    struct board_facts facts;
    struct limits retained;
    struct pins pins;
    uint64_t now_us;
    uint8_t records[STORE_RECORDS][STORE_SIZE];
    unsigned store_writes;

    struct frame_decoder decoder;
    struct said said[SAID_MAX];
    size_t said_count;
    unsigned damaged; /* of what the head said */

    bool polite; /* the host acknowledges what comes, and says a word every 500 ms */
    uint8_t session;
    uint8_t seq;      /* of the host's next DATA */
    uint8_t expected; /* of the head's next DATA */
    uint64_t spoke_ms;

    uint8_t lamp; /* that is on */
    uint64_t lamp_us;
    bench_lit *lit;
    uint32_t late_us; /* how long after its time an edge comes */
};

/* A head of every capability but update, at room temperature, after power came. */
void bench_init(struct bench *bench);

/* Reset it for a cause; its clock begins anew. */
void bench_reset(struct bench *bench, enum reset_cause cause);

/* Let the host open a session, and be polite in it. */
void bench_open(struct bench *bench, uint8_t session);

/* Turn by turn, each a millisecond, up to a moment. */
void bench_run(struct bench *bench, uint64_t until_ms);

/* Octets for the head, at this moment. */
void bench_hear(struct bench *bench, const uint8_t *octets, size_t length);

/* A frame for the head. */
void bench_frame(struct bench *bench, uint8_t kind, uint8_t session, uint8_t seq, uint8_t ack, const uint8_t *payload,
                 size_t length);

/* A message of the host in the running session. */
void bench_ask(struct bench *bench, const uint8_t *message, size_t length);

/* Forget what was said. */
void bench_forget(struct bench *bench);

/* The message that was said last of a type, NULL when there is none. */
const struct said *bench_last(const struct bench *bench, uint8_t type);

/* How many messages of a type were said. */
unsigned bench_count(const struct bench *bench, uint8_t type);

#endif
