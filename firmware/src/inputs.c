/* Button, presence and cover. */
#include "inputs.h"

/* Take the level at reset as settled. */
static void settle(struct debounce *pin, uint8_t needed, bool level, uint64_t now_ms) {
    *pin = (struct debounce){.level = level, .needed = needed, .since_ms = now_ms};
}

/* Take one sample; true when the level has changed with it. */
static bool sample(struct debounce *pin, bool level, uint64_t now_ms) {
    if (level == pin->level) {
        pin->others = 0;
        return false;
    }
    if (pin->others == 0) {
        pin->since_ms = now_ms;
    }
    pin->others++;
    if (pin->others < pin->needed) {
        return false;
    }
    pin->level = level;
    pin->others = 0;
    return true;
}

void inputs_init(struct inputs *inputs, const struct pins *pins, uint64_t now_ms) {
    *inputs = (struct inputs){.armed = !pins->button, .down_ms = now_ms};
    settle(&inputs->button, BUTTON_SAMPLES, pins->button, now_ms);
    settle(&inputs->document, DOCUMENT_SAMPLES, pins->document, now_ms);
    settle(&inputs->cover, COVER_SAMPLES, pins->cover_open, now_ms);
}

/* The button went down or up; down since reset is no press. */
static unsigned button_changed(struct inputs *inputs) {
    const bool armed = inputs->armed;
    inputs->held_told = false;
    inputs->stuck = false;
    inputs->down_ms = inputs->button.since_ms;
    inputs->armed = true;
    if (inputs->button.level) {
        return INPUT_PRESSED;
    }
    return armed ? INPUT_RELEASED : 0;
}

/* What the button being down for long means. */
static unsigned button_down(struct inputs *inputs, uint64_t now_ms) {
    const uint64_t down = now_ms - inputs->down_ms;
    unsigned news = 0;
    if (inputs->armed && !inputs->held_told && down >= HELD_MS) {
        inputs->held_told = true;
        news |= INPUT_HELD;
    }
    if (!inputs->stuck && down >= STUCK_MS) {
        inputs->stuck = true;
        news |= INPUT_STUCK;
    }
    return news;
}

/* A document came or went. */
static unsigned document_changed(struct inputs *inputs) {
    if (!inputs->document.level) {
        inputs->was_out = true;
        inputs->out_ms = inputs->document.since_ms;
        return INPUT_OUT;
    }
    const bool again = inputs->was_out && inputs->document.since_ms - inputs->out_ms < TURNED_MS;
    return again ? INPUT_TURNED : INPUT_IN;
}

unsigned inputs_sample(struct inputs *inputs, const struct pins *pins, uint64_t now_ms) {
    unsigned news = 0;
    if (sample(&inputs->button, pins->button, now_ms)) {
        news |= button_changed(inputs);
    } else if (inputs->button.level) {
        news |= button_down(inputs, now_ms);
    }
    if (sample(&inputs->document, pins->document, now_ms)) {
        news |= document_changed(inputs);
    }
    if (sample(&inputs->cover, pins->cover_open, now_ms)) {
        news |= inputs->cover.level ? INPUT_OPENED : INPUT_CLOSED;
    }
    return news;
}
