/*
 * The lamps and the strobe line: LIGHT and EXPOSE (PROTOCOL.md §5), one lamp at a time.
 *
 * Edges come one by one: `illumination_edge` makes the next one that is due, the caller puts the levels on the pins and
 * stamps that moment with `illumination_stamp`. What follows is timed from the stamp, so that one late edge doesn't
 * shorten the next interval, and the difference between planned and stamped is the strobe's error.
 */
#ifndef EDGED_ILLUMINATION_H
#define EDGED_ILLUMINATION_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

#include "limits.h" /* struct limits */
#include "status.h" /* enum status */

enum {
    STEPS_MAX = 8,
    LEAD_MAX_US = 50000,
    WINDOW_MIN_US = 10,
    WINDOW_MAX_US = 2000000
};

/* One step of EXPOSE. */
struct step {
    uint8_t lamp;    /* LAMP_NONE: a dark step */
    uint8_t percent; /* 1…100, 0 for a dark step */
    uint32_t lead_us;
    uint32_t window_us;
};

/* What became of a step. */
struct exposed {
    uint8_t step; /* from 1 */
    uint8_t lamp;
    uint64_t up_us;     /* when the strobe rose; 0 if it didn't */
    uint32_t window_us; /* how long it was up, as measured */
    bool complete;
};

enum phase { PHASE_DARK, PHASE_LIGHT, PHASE_BEGIN, PHASE_LEAD, PHASE_WINDOW };

/* An edge that has been made but whose moment isn't known yet. */
enum edge { EDGE_NONE, EDGE_LAMP, EDGE_UP, EDGE_DOWN };

struct illumination {
    enum phase phase;
    struct step steps[STEPS_MAX];
    uint8_t count;
    uint8_t at; /* running step, from 0 */
    uint8_t lamp;
    uint8_t percent;
    bool strobe;
    enum edge edge;
    uint64_t edge_us;    /* when the next edge is planned */
    uint64_t planned_us; /* when the last one was */
    uint64_t up_us;
    uint64_t charged_us; /* up to when the lamp's time has been charged */
    uint32_t longest_error_us;
    uint32_t exposures; /* complete ones */
    struct exposed exposed; /* the last one that ended */
};

/* Dark. */
void illumination_init(struct illumination *illumination);

/* A lamp on for `time_us` from now; of the same lamp again, on until then at least. `wait_ms` goes with STATUS_LIMIT. */
enum status illumination_light(struct illumination *illumination, const struct limits *limits, const struct step *light,
                               uint64_t now_us, uint32_t *wait_ms);

/* Steps one after another. `wait_ms` goes with STATUS_LIMIT. */
enum status illumination_expose(struct illumination *illumination, const struct limits *limits, const struct step *steps,
                                uint8_t count, uint64_t now_us, uint32_t *wait_ms);

/* Charge the lamp's time up to now. Call after `limits_pass`. */
void illumination_charge(struct illumination *illumination, struct limits *limits, uint64_t now_us);

/* Make the next edge if it is due; true when the pins change. */
bool illumination_edge(struct illumination *illumination, uint64_t now_us);

/* The pins have had the last edge's levels since `at_us`. True when a step has ended with it: `exposed` is what became of it. */
bool illumination_stamp(struct illumination *illumination, uint64_t at_us);

/* Everything off now. True when a sequence was cut short: `exposed` says in which step and how far that was. */
bool illumination_cut(struct illumination *illumination, uint64_t now_us);

/* Whether a lamp is on, or a sequence runs. */
bool illumination_busy(const struct illumination *illumination);

/* Whether what is lit or still to be lit needs the cover closed: UV or IR. */
bool illumination_needs_cover(const struct illumination *illumination);

#endif
