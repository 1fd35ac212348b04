/* Every vector of vectors.json. */
#include <string.h> /* memcmp, memcpy */

#include "bench.h" /* a head and its host */
#include "check.h" /* CHECK */

/* An octet string, or any. */
struct vector_octets {
    const uint8_t *octets;
    size_t length;
    bool any;
};

struct vector_frame {
    uint8_t kind, session, seq, ack;
    struct vector_octets payload;
};

struct vector_line {
    const char *name;
    struct vector_frame frame;
    struct vector_octets line;
};

struct vector_stream {
    const char *name;
    struct vector_octets line;
    const struct vector_frame *delivered;
    size_t count;
    unsigned damaged;
};

struct vector_link_step {
    uint64_t at_ms;
    struct vector_octets hear;
    const struct vector_frame *say;
    size_t count;
};

struct vector_link {
    const char *name;
    const struct vector_link_step *steps;
    size_t count;
    uint64_t until_ms;
};

enum vector_pin_name {
    PIN_BUTTON,
    PIN_DOCUMENT,
    PIN_COVER,
    PIN_LAMP_CURRENT_BAD,
    PIN_PRESENCE_BLIND,
    PIN_TEMPERATURE,
    PIN_SUPPLY
};

struct vector_pin {
    enum vector_pin_name pin;
    int value;
};

struct vector_talk_step {
    uint64_t at_ms;
    const struct vector_pin *pins;
    size_t pin_count;
    struct vector_octets ask;
    const struct vector_octets *say;
    size_t count;
};

struct vector_talk {
    const char *name;
    const struct vector_talk_step *steps;
    size_t count;
    uint64_t until_ms;
};

#define OCTETS(...) ((const uint8_t[]){__VA_ARGS__})

#include "vectors.h" /* made of vectors.json */

static struct bench bench;

/* Whether octets are those of a vector. */
static bool same(const struct vector_octets *wanted, const uint8_t *octets, size_t length) {
    return wanted->any || (length == wanted->length && (length == 0 || memcmp(octets, wanted->octets, length) == 0));
}

/* Whether a frame is that of a vector. */
static bool same_frame(const struct vector_frame *wanted, const struct frame *frame) {
    return frame->kind == wanted->kind && frame->session == wanted->session && frame->seq == wanted->seq &&
           frame->ack == wanted->ack && same(&wanted->payload, frame->payload, frame->length);
}

/* Print octets, for whoever looks for a difference. */
static void print_octets(const char *label, const uint8_t *octets, size_t length) {
    printf("    %s", label);
    for (size_t i = 0; i < length; i++) {
        printf(" %02x", octets[i]);
    }
    printf("\n");
}

/* Say which vector failed. */
static void failed(const char *name, uint64_t at_ms, const char *what) {
    printf("vector \"%s\", from %llu ms: %s\n", name, (unsigned long long)at_ms, what);
    check_failures++;
}

static void frames_are_encoded_as_the_vectors_say(void) {
    for (size_t i = 0; i < sizeof vector_lines / sizeof vector_lines[0]; i++) {
        const struct vector_line *vector = &vector_lines[i];
        const struct vector_frame *from = &vector->frame;
        const struct frame frame = {from->kind, from->session, from->seq, from->ack, from->payload.octets,
                                    from->payload.length};
        uint8_t line[FRAME_LINE_MAX];
        const size_t length = frame_encode(&frame, false, line);
        if (!same(&vector->line, line, length)) {
            failed(vector->name, 0, "encoded otherwise");
        }
    }
}

/* Decode a line in a decoder, and compare what comes out. */
static void decode(const char *name, const struct vector_octets *line, const struct vector_frame *wanted, size_t count,
                   unsigned damaged) {
    struct frame_decoder decoder;
    size_t delivered = 0;
    unsigned bad = 0;
    frame_decoder_init(&decoder);
    for (size_t i = 0; i < line->length; i++) {
        struct frame frame;
        const enum frame_result result = frame_decode(&decoder, line->octets[i], &frame);
        bad += result == FRAME_DAMAGED ? 1U : 0U;
        if (result == FRAME_GOOD && (delivered >= count || !same_frame(&wanted[delivered++], &frame))) {
            failed(name, 0, "delivered otherwise");
        }
    }
    if (delivered != count || bad != damaged) {
        failed(name, 0, "not as many delivered, or damaged");
    }
}

static void frames_are_decoded_as_the_vectors_say(void) {
    for (size_t i = 0; i < sizeof vector_lines / sizeof vector_lines[0]; i++) {
        decode(vector_lines[i].name, &vector_lines[i].line, &vector_lines[i].frame, 1, 0);
    }
}

static void streams_deliver_what_the_vectors_say(void) {
    for (size_t i = 0; i < sizeof vector_streams / sizeof vector_streams[0]; i++) {
        const struct vector_stream *vector = &vector_streams[i];
        decode(vector->name, &vector->line, vector->delivered, vector->count, vector->damaged);
    }
}

/* Compare what was said since the last step. */
static void compare_frames(const char *name, const struct vector_link_step *step) {
    bool good = bench.said_count == step->count;
    for (size_t i = 0; i < bench.said_count && i < step->count; i++) {
        const struct said *said = &bench.said[i];
        const struct frame frame = {said->kind, said->session, said->seq, said->ack, said->payload, said->length};
        good = good && same_frame(&step->say[i], &frame);
    }
    for (size_t i = 0; !good && i < bench.said_count; i++) {
        const struct said *said = &bench.said[i];
        const uint8_t header[4] = {said->kind, said->session, said->seq, said->ack};
        print_octets("said", header, sizeof header);
        print_octets("    ", said->payload, said->length);
    }
    if (!good) {
        failed(name, step->at_ms, "said otherwise");
    }
    bench_forget(&bench);
}

static void links_go_as_the_vectors_say(void) {
    for (size_t i = 0; i < sizeof vector_links / sizeof vector_links[0]; i++) {
        const struct vector_link *vector = &vector_links[i];
        bench_init(&bench);
        for (size_t at = 0; at < vector->count; at++) {
            const struct vector_link_step *step = &vector->steps[at];
            bench_run(&bench, step->at_ms);
            bench_hear(&bench, step->hear.octets, step->hear.length);
            bench_run(&bench, (at + 1 < vector->count ? vector->steps[at + 1].at_ms : vector->until_ms + 1) - 1);
            compare_frames(vector->name, step);
        }
    }
}

/* Change a pin. */
static void set_pin(const struct vector_pin *change) {
    switch (change->pin) {
    case PIN_BUTTON:
        bench.pins.button = change->value != 0;
        break;
    case PIN_DOCUMENT:
        bench.pins.document = change->value != 0;
        break;
    case PIN_COVER:
        bench.pins.cover_open = change->value != 0;
        break;
    case PIN_LAMP_CURRENT_BAD:
        bench.pins.lamp_current_bad = change->value != 0;
        break;
    case PIN_PRESENCE_BLIND:
        bench.pins.presence_blind = change->value != 0;
        break;
    case PIN_TEMPERATURE:
        bench.pins.temperature = (int16_t)change->value;
        break;
    case PIN_SUPPLY:
    default:
        bench.pins.supply = (uint16_t)change->value;
        break;
    }
}

/* Compare the messages that were said since the last step. */
static void compare_messages(const char *name, const struct vector_talk_step *step) {
    size_t at = 0;
    bool good = true;
    for (size_t i = 0; i < bench.said_count; i++) {
        const struct said *said = &bench.said[i];
        if (said->kind == FRAME_DATA) {
            good = good && at < step->count && same(&step->say[at], said->payload, said->length);
            at++;
        }
    }
    for (size_t i = 0; (!good || at != step->count) && i < bench.said_count; i++) {
        print_octets("said", bench.said[i].payload, bench.said[i].length);
    }
    if (!good || at != step->count) {
        failed(name, step->at_ms, "said otherwise");
    }
    bench_forget(&bench);
}

static void talks_go_as_the_vectors_say(void) {
    for (size_t i = 0; i < sizeof vector_talks / sizeof vector_talks[0]; i++) {
        const struct vector_talk *vector = &vector_talks[i];
        bench_init(&bench);
        bench_open(&bench, 1);
        bench_forget(&bench);
        for (size_t at = 0; at < vector->count; at++) {
            const struct vector_talk_step *step = &vector->steps[at];
            bench_run(&bench, step->at_ms);
            for (size_t pin = 0; pin < step->pin_count; pin++) {
                set_pin(&step->pins[pin]);
            }
            if (step->ask.length > 0) {
                bench_ask(&bench, step->ask.octets, step->ask.length);
            }
            bench_run(&bench, (at + 1 < vector->count ? vector->steps[at + 1].at_ms : vector->until_ms + 1) - 1);
            compare_messages(vector->name, step);
        }
    }
}

int main(void) {
    RUN(frames_are_encoded_as_the_vectors_say);
    RUN(frames_are_decoded_as_the_vectors_say);
    RUN(streams_deliver_what_the_vectors_say);
    RUN(links_go_as_the_vectors_say);
    RUN(talks_go_as_the_vectors_say);
    return check_failures == 0 ? 0 : 1;
}
