/*
 * The whole head as one state machine without a board: octets, pins and time in; octets and levels out.
 * `loop.c` couples it to `board.h`; tests drive it directly.
 *
 * In a turn: head_receive (0 or more times), head_tick, then head_edge and head_stamp as long as edges are near,
 * head_output, and what head_store_due and head_restart_due ask for.
 */
#ifndef EDGED_HEAD_H
#define EDGED_HEAD_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "events.h"       /* what waits for the host */
#include "faults.h"       /* what is wrong */
#include "illumination.h" /* lamps and strobe */
#include "indicator.h"    /* LED and buzzer */
#include "inputs.h"       /* button, presence, cover */
#include "limits.h"       /* eye safety */
#include "link.h"         /* the line */
#include "pins.h"         /* struct pins, struct board_facts */
#include "replies.h"      /* replies that wait for room on the line */
#include "store.h"        /* what survives a reset */
#include "update.h"       /* slots */

enum { RESTART_MS = 500 /* how long a restart waits for its reply to be acknowledged */ };

#define HEAD_NEVER UINT64_MAX

/* What a head starts with. */
struct head_start {
    const struct board_facts *facts;
    struct update *update;
    struct limits *retained; /* memory that a reset keeps, or NULL */
    struct pins pins;        /* levels at reset */
    uint8_t records[STORE_RECORDS][STORE_SIZE];
};

/* Levels that the board shall have at its outputs. */
struct levels {
    uint8_t lamp;       /* 0 none */
    uint8_t percent;    /* 1…100 with a lamp */
    bool strobe;
    uint8_t led;        /* bit 0 red, 1 green, 2 blue */
    uint8_t indication; /* to which the LED belongs */
    bool buzzer;
    uint8_t beep;       /* to which the buzzer belongs; 0 none */
};

struct head {
    const struct board_facts *facts;
    struct link link;
    struct replies replies;
    struct events events;
    struct inputs inputs;
    struct faults faults;
    struct illumination illumination;
    struct limits *limits;
    struct limits own_limits; /* where the board keeps none */
    struct indicator indicator;
    struct store store;
    struct pins pins;         /* as last read */

    uint64_t now_us;
    uint64_t now_ms;
    uint64_t sampled_ms;
    uint32_t serial;          /* of replies and events, in the order in which they came to be */
    uint16_t press_number;

    struct update *update;
    bool update_going;        /* a request of an update isn't answered yet */
    bool update_asked;        /* and there is still a session that waits for its answer */
    uint8_t update_type;
    uint8_t update_tag;

    bool store_changed;
    bool store_now;           /* without waiting for STORE_EVERY_MS */
    uint64_t stored_ms;
    bool restart;
    bool restart_for_update;
    uint64_t restart_ms;      /* when at the latest */
};

/* After a reset. */
void head_init(struct head *head, const struct head_start *start, uint64_t now_us);

/* Take octets from the line. */
void head_receive(struct head *head, const uint8_t *octets, size_t length, uint64_t now_us);

/* Let time pass and look at the pins; once a millisecond or oftener. */
void head_tick(struct head *head, const struct pins *pins, uint64_t now_us);

/* When the next edge of lamps or strobe is planned; HEAD_NEVER without one. */
uint64_t head_next_edge(const struct head *head);

/* Make the edge that is due; true when the lamp's or the strobe's level changes. */
bool head_edge(struct head *head, uint64_t now_us);

/* The levels have been at the pins since `at_us`. */
void head_stamp(struct head *head, uint64_t at_us);

/* What the outputs shall be now. */
struct levels head_levels(struct head *head);

/* Up to `room` octets for the line. */
size_t head_output(struct head *head, uint8_t *to, size_t room, uint64_t now_us);

/* Whether a record shall be written now; then it is in `record`, and `*which` of the two it is. */
bool head_store_due(struct head *head, uint8_t record[STORE_SIZE], unsigned *which);

/* That record was written, or couldn't be. */
void head_stored(struct head *head, bool written);

/* Whether the head shall restart now. */
bool head_restart_due(const struct head *head);

/* For requests: restart when what has been said is acknowledged. */
void head_restart(struct head *head, bool for_update);

/* For requests: lamps and strobe off. */
void head_dark(struct head *head);

/* For requests: build WELCOME anew from what holds now. */
void head_welcome(struct head *head);

#endif
