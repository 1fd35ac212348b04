/*
 * The hands at the pins: lines of text over a Unix socket, for several callers.
 *
 *   in    button down|up · document in|out · cover open|closed · temperature TENTHS|unknown · supply MILLIVOLTS
 *         lamp-current good|bad · presence sees|blind · reset [pin|power|brown-out] · stuck
 *   out   "ok LINE" once the head has sampled the new level long enough to believe it, "error LINE" for what isn't known
 *         lamp off · lamp NAME PERCENT · strobe 0|1 · indication NAME · beep NAME, as they change
 *
 * A caller's next line is read when its last one has been answered.
 */
#include <errno.h>  /* errno */
#include <stdarg.h> /* va_list */
#include <stdio.h>  /* vsnprintf */
#include <stdlib.h> /* strtol */
#include <string.h> /* strcmp, memchr, memcpy, memmove */
#include <unistd.h> /* read, write, close */

#include "host.h"   /* our own declarations */
#include "inputs.h" /* how many samples a pin needs */

enum {
    CALLERS = 4,
    LINE_MAX = 64,
    MARGIN = 3,    /* samples that may fall into the same millisecond as the head's */
    NO_SAMPLES = 2 /* for what isn't debounced */
};

/* One caller. */
struct caller {
    int file; /* -1: none */
    char in[LINE_MAX];
    size_t used;
    char answer[LINE_MAX]; /* goes out when `samples` have been taken */
    unsigned samples;
    bool waits;
};

static struct {
    int listening;
    struct caller callers[CALLERS];
    struct pins pins;
    uint64_t sampled_ms;
} hands = {.listening = -1, .pins = {.temperature = 250, .supply = 5000}};

/* What the outputs are now, for a caller that comes later. */
static struct {
    char lamp[LINE_MAX];
    char strobe[LINE_MAX];
    char indication[LINE_MAX];
} now_told = {"lamp off\n", "strobe 0\n", "indication off\n"};

/* A line that changes one level. */
struct order {
    const char *line;
    bool *pin;
    bool level;
    unsigned samples;
};

static const struct order orders[] = {
    {"button down", &hands.pins.button, true, BUTTON_SAMPLES},
    {"button up", &hands.pins.button, false, BUTTON_SAMPLES},
    {"document in", &hands.pins.document, true, DOCUMENT_SAMPLES},
    {"document out", &hands.pins.document, false, DOCUMENT_SAMPLES},
    {"cover open", &hands.pins.cover_open, true, COVER_SAMPLES},
    {"cover closed", &hands.pins.cover_open, false, COVER_SAMPLES},
    {"lamp-current bad", &hands.pins.lamp_current_bad, true, NO_SAMPLES},
    {"lamp-current good", &hands.pins.lamp_current_bad, false, NO_SAMPLES},
    {"presence blind", &hands.pins.presence_blind, true, NO_SAMPLES},
    {"presence sees", &hands.pins.presence_blind, false, NO_SAMPLES},
};

/* A line that resets. */
struct cause {
    const char *line;
    enum reset_cause cause;
};

static const struct cause causes[] = {
    {"reset", RESET_PIN},
    {"reset pin", RESET_PIN},
    {"reset power", RESET_POWER},
    {"reset brown-out", RESET_BROWN_OUT},
};

/* The caller is gone. */
static void drop(struct caller *caller) {
    (void)close(caller->file);
    *caller = (struct caller){.file = -1};
}

/* Write a line to a caller; one that doesn't read is dropped. */
static void write_to(struct caller *caller, const char *text) {
    const size_t length = strlen(text);
    if (caller->file >= 0 && write(caller->file, text, length) != (ssize_t)length) {
        drop(caller);
    }
}

bool hands_listen(const char *path) {
    for (size_t i = 0; i < CALLERS; i++) {
        hands.callers[i].file = -1;
    }
    hands.listening = socket_listen(path);
    return hands.listening >= 0;
}

void hands_close(void) {
    for (size_t i = 0; hands.listening >= 0 && i < CALLERS; i++) {
        if (hands.callers[i].file >= 0) {
            drop(&hands.callers[i]);
        }
    }
    if (hands.listening >= 0) {
        (void)close(hands.listening);
    }
}

/* Keep what a later caller is told first. */
static void remember(const char *text) {
    char *const place = text[0] == 'l' ? now_told.lamp : text[0] == 's' ? now_told.strobe : now_told.indication;
    if (text[0] != 'b') { /* a beep is over at once */
        (void)snprintf(place, LINE_MAX, "%s", text);
    }
}

void hands_tell(const char *format, ...) {
    char text[LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text - 1U, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text - 1U) {
        return;
    }
    text[length] = '\n';
    text[length + 1] = '\0';
    remember(text);
    for (size_t i = 0; hands.listening >= 0 && i < CALLERS; i++) {
        write_to(&hands.callers[i], text);
    }
    if (hands.listening < 0) {
        (void)fputs(text, stdout);
        (void)fflush(stdout);
    }
}

/* Take a number at the end of a line, within bounds. */
static bool number(const char *text, long least, long most, long *value) {
    char *end = NULL;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *value >= least && *value <= most;
}

/* A line with a number. */
static bool measure(const char *line) {
    long value = 0;
    if (strcmp(line, "temperature unknown") == 0) {
        hands.pins.temperature = TEMPERATURE_UNKNOWN;
    } else if (strncmp(line, "temperature ", 12) == 0 && number(line + 12, -1000, 2000, &value)) {
        hands.pins.temperature = (int16_t)value;
    } else if (strncmp(line, "supply ", 7) == 0 && number(line + 7, 0, 30000, &value)) {
        hands.pins.supply = (uint16_t)value;
    } else {
        return false;
    }
    return true;
}

/* A line that resets the head, or makes its loop hang. */
static bool disturb(const char *line) {
    if (strcmp(line, "stuck") == 0) {
        host_asked.stuck = true;
        return true;
    }
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        if (strcmp(line, causes[i].line) == 0) {
            host_asked.reset = true;
            host_asked.cause = causes[i].cause;
            return true;
        }
    }
    return false;
}

/* Carry out a line; false when it isn't known. `*samples` until the head believes it. */
static bool carry_out(const char *line, unsigned *samples) {
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(line, orders[i].line) == 0) {
            *orders[i].pin = orders[i].level;
            *samples = orders[i].samples + MARGIN;
            return true;
        }
    }
    *samples = NO_SAMPLES + MARGIN;
    return measure(line) || disturb(line);
}

/* Carry out a caller's next line, if it is all there. */
static void next_line(struct caller *caller) {
    char *const end = memchr(caller->in, '\n', caller->used);
    if (end == NULL) {
        if (caller->used == sizeof caller->in) {
            drop(caller);
        }
        return;
    }
    *end = '\0';
    const bool known = carry_out(caller->in, &caller->samples);
    (void)snprintf(caller->answer, sizeof caller->answer, "%s %.*s\n", known ? "ok" : "error", LINE_MAX - 10, caller->in);
    caller->waits = true;
    const size_t length = (size_t)(end - caller->in) + 1U;
    caller->used -= length;
    memmove(caller->in, end + 1, caller->used);
}

/* Read what a caller says. */
static void listen_to(struct caller *caller) {
    const ssize_t got = read(caller->file, caller->in + caller->used, sizeof caller->in - caller->used);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(caller);
        return;
    }
    caller->used += got > 0 ? (size_t)got : 0;
}

/* Let one more caller in, and tell it how things are. */
static void let_in(int file) {
    for (size_t i = 0; i < CALLERS; i++) {
        struct caller *caller = &hands.callers[i];
        if (caller->file < 0) {
            *caller = (struct caller){.file = file};
            write_to(caller, now_told.lamp);
            write_to(caller, now_told.strobe);
            write_to(caller, now_told.indication);
            return;
        }
    }
    (void)close(file);
}

size_t hands_polls(struct pollfd *polls) {
    size_t count = 0;
    if (hands.listening < 0) {
        return 0;
    }
    polls[count++] = (struct pollfd){.fd = hands.listening, .events = POLLIN};
    for (size_t i = 0; i < CALLERS; i++) {
        if (hands.callers[i].file >= 0 && !hands.callers[i].waits) {
            polls[count++] = (struct pollfd){.fd = hands.callers[i].file, .events = POLLIN};
        }
    }
    return count;
}

void hands_work(void) {
    const int file = hands.listening < 0 ? -1 : socket_accept(hands.listening);
    if (file >= 0) {
        let_in(file);
    }
    for (size_t i = 0; hands.listening >= 0 && i < CALLERS; i++) {
        struct caller *caller = &hands.callers[i];
        if (caller->file >= 0 && !caller->waits && caller->used < sizeof caller->in) {
            listen_to(caller);
        }
        if (caller->file >= 0 && !caller->waits) {
            next_line(caller);
        }
    }
}

/* Count a sample, and answer whom it was the last one for. */
static void count_sample(void) {
    for (size_t i = 0; hands.listening >= 0 && i < CALLERS; i++) {
        struct caller *caller = &hands.callers[i];
        if (caller->file < 0 || !caller->waits) {
            continue;
        }
        if (caller->samples > 0) {
            caller->samples--;
        } else {
            caller->waits = false;
            write_to(caller, caller->answer);
        }
    }
}

void hands_read(struct pins *pins, uint64_t now_ms) {
    if (now_ms != hands.sampled_ms) {
        hands.sampled_ms = now_ms;
        count_sample();
    }
    *pins = hands.pins;
}
