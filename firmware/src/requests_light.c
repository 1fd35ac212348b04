/* LIGHT and EXPOSE: what is asked for is checked as a whole before anything is lit. */
#include "octets.h"   /* get_16, get_32, put_32 */
#include "requests.h" /* our own declarations */

enum { STEP_SIZE = 10 };

/* Whether the board has a lamp. */
static bool has_lamp(const struct head *head, uint8_t lamp) {
    return (head->facts->capabilities >> (lamp - 1U) & 1U) != 0;
}

/* Why no lamp may be lit at all now; STATUS_OK when one may. */
static enum status forbidden(const struct head *head, bool needs_cover, struct answer *answer) {
    static const uint8_t faults[] = {FAULT_LAMP, FAULT_SUPPLY};
    for (size_t i = 0; i < sizeof faults; i++) {
        if (faults_has(&head->faults, (enum fault)faults[i])) {
            answer->result[0] = faults[i];
            answer->length = 1;
            return STATUS_FAULT;
        }
    }
    if (faults_has(&head->faults, FAULT_HOT)) {
        return STATUS_HOT;
    }
    if (needs_cover && (head->pins.cover_open || head->inputs.cover.level)) {
        return STATUS_COVER_OPEN;
    }
    return head->update_going || head->restart ? STATUS_BUSY : STATUS_OK;
}

/* Put the wait behind STATUS_LIMIT. */
static void finish(struct answer *answer, enum status status, uint32_t wait_ms) {
    answer->status = status;
    if (status == STATUS_LIMIT) {
        put_32(answer->result, wait_ms);
        answer->length = 4;
    }
}

void requests_light(struct head *head, const uint8_t *body, struct answer *answer) {
    const uint16_t time_ms = get_16(body + 2);
    const struct step light = {.lamp = body[0], .percent = body[1], .window_us = time_ms * 1000UL};
    uint32_t wait_ms = 0;
    if (light.lamp < LAMP_WHITE || light.lamp > LAMPS || light.percent < 1 || light.percent > 100 || time_ms == 0) {
        answer->status = STATUS_BAD_REQUEST;
        return;
    }
    if (!has_lamp(head, light.lamp)) {
        answer->status = STATUS_UNSUPPORTED;
        return;
    }
    enum status status = forbidden(head, light.lamp != LAMP_WHITE, answer);
    if (status == STATUS_OK) {
        status = illumination_light(&head->illumination, head->limits, &light, head->now_us, &wait_ms);
    }
    finish(answer, status, wait_ms);
}

/* Take one step from the line; false when it is out of range. */
static bool parse_step(struct step *step, const uint8_t *from) {
    *step = (struct step){
        .lamp = from[0],
        .percent = from[1],
        .lead_us = get_32(from + 2),
        .window_us = get_32(from + 6),
    };
    const bool dark = step->lamp == LAMP_NONE;
    return step->lamp <= LAMPS && step->percent <= 100 && dark == (step->percent == 0) &&
           step->lead_us <= LEAD_MAX_US && step->window_us >= WINDOW_MIN_US && step->window_us <= WINDOW_MAX_US;
}

/* Take all steps from the line; STATUS_OK when the board can do them. */
static enum status parse_steps(const struct head *head, const uint8_t *body, size_t length, struct step *steps,
                               bool *needs_cover) {
    const uint8_t count = body[0];
    if (count < 1 || count > STEPS_MAX || length != 1U + (size_t)count * STEP_SIZE) {
        return STATUS_BAD_REQUEST;
    }
    bool able = (head->facts->capabilities & CAN_STROBE) != 0;
    for (uint8_t i = 0; i < count; i++) {
        if (!parse_step(&steps[i], body + 1 + (size_t)i * STEP_SIZE)) {
            return STATUS_BAD_REQUEST;
        }
        able = able && (steps[i].lamp == LAMP_NONE || has_lamp(head, steps[i].lamp));
        *needs_cover = *needs_cover || steps[i].lamp > LAMP_WHITE;
    }
    return able ? STATUS_OK : STATUS_UNSUPPORTED;
}

void requests_expose(struct head *head, const uint8_t *body, size_t length, struct answer *answer) {
    struct step steps[STEPS_MAX];
    bool needs_cover = false;
    uint32_t wait_ms = 0;
    enum status status = parse_steps(head, body, length, steps, &needs_cover);
    if (status == STATUS_OK) {
        status = forbidden(head, needs_cover, answer);
    }
    if (status == STATUS_OK) {
        status = illumination_expose(&head->illumination, head->limits, steps, body[0], head->now_us, &wait_ms);
    }
    finish(answer, status, wait_ms);
}
