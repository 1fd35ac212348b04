/* Button, presence and cover: debounced, and what their changes mean (PROTOCOL.md §6, §6.1). */
#ifndef EDGED_INPUTS_H
#define EDGED_INPUTS_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* fixed widths */

#include "pins.h" /* struct pins */

enum {
    BUTTON_SAMPLES = 8,
    DOCUMENT_SAMPLES = 60,
    COVER_SAMPLES = 20,
    HELD_MS = 3000,
    STUCK_MS = 30000,
    TURNED_MS = 2000 /* out and in again within this: the document was turned over */
};

/* What has happened; several at once as a bit set. */
enum input_news {
    INPUT_PRESSED = 1 << 0,
    INPUT_RELEASED = 1 << 1,
    INPUT_HELD = 1 << 2,
    INPUT_STUCK = 1 << 3,
    INPUT_IN = 1 << 4,
    INPUT_OUT = 1 << 5,
    INPUT_TURNED = 1 << 6,
    INPUT_OPENED = 1 << 7,
    INPUT_CLOSED = 1 << 8
};

/* One pin: its level counts as changed after `needed` equal samples. */
struct debounce {
    bool level;
    uint8_t needed;
    uint8_t others;    /* samples in a row that differ from `level` */
    uint64_t since_ms; /* the first of them; once changed, when that was */
};

struct inputs {
    struct debounce button;
    struct debounce document;
    struct debounce cover;
    bool armed;       /* the button has been up since reset */
    bool held_told;
    bool stuck;
    bool was_out;     /* a document has gone since reset */
    uint64_t down_ms; /* when the button went down, or reset */
    uint64_t out_ms;  /* when the document went */
};

/* Begin with the levels at reset: what lies there or is held then is no news. */
void inputs_init(struct inputs *inputs, const struct pins *pins, uint64_t now_ms);

/* Take one sample; call once a millisecond. */
unsigned inputs_sample(struct inputs *inputs, const struct pins *pins, uint64_t now_ms);

#endif
