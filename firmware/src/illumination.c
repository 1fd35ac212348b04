/* The lamps and the strobe line. */
#include "illumination.h"

#include <string.h> /* memcpy, memset */

void illumination_init(struct illumination *illumination) {
    memset(illumination, 0, sizeof *illumination);
}

/* Clip to 32 bits. */
static uint32_t clip(uint64_t value) {
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

enum status illumination_light(struct illumination *illumination, const struct limits *limits, const struct step *light,
                               uint64_t now_us, uint32_t *wait_ms) {
    const bool on = illumination->phase == PHASE_LIGHT;
    if ((on && illumination->lamp != light->lamp) || (!on && illumination->phase != PHASE_DARK)) {
        return STATUS_BUSY;
    }
    const uint64_t ahead = on && illumination->edge_us > now_us ? illumination->edge_us - now_us : 0;
    if (light->window_us > ahead) {
        const uint32_t more = light->window_us - (uint32_t)ahead;
        *wait_ms = limits_wait(limits, light->lamp, light->window_us, 0, now_us);
        if (*wait_ms != 0 && *wait_ms != LIMIT_NEVER) { /* what is on goes on: that time has to pass, too */
            *wait_ms = limits_wait(limits, light->lamp, more, (uint32_t)ahead, now_us);
        }
        if (*wait_ms != 0) {
            return STATUS_LIMIT;
        }
        illumination->edge_us = now_us + light->window_us;
    }
    if (!on) {
        illumination->charged_us = now_us;
    }
    illumination->phase = PHASE_LIGHT;
    illumination->lamp = light->lamp;
    illumination->percent = light->percent;
    return STATUS_OK;
}

/* The wait for all steps of one lamp together; pauses between them don't count as rest. */
static uint32_t plan_wait(const struct limits *limits, const struct step *steps, uint8_t count, uint8_t lamp,
                          uint64_t now_us) {
    uint32_t sum = 0; /* 8 steps of at most 2.05 s */
    for (uint8_t i = 0; i < count; i++) {
        sum += steps[i].lamp == lamp ? steps[i].lead_us + steps[i].window_us : 0;
    }
    return sum == 0 ? 0 : limits_wait(limits, lamp, sum, 0, now_us);
}

enum status illumination_expose(struct illumination *illumination, const struct limits *limits, const struct step *steps,
                                uint8_t count, uint64_t now_us, uint32_t *wait_ms) {
    if (illumination_busy(illumination)) {
        return STATUS_BUSY;
    }
    *wait_ms = 0;
    for (uint8_t lamp = LAMP_WHITE; lamp <= LAMPS; lamp++) {
        const uint32_t wait = plan_wait(limits, steps, count, lamp, now_us);
        *wait_ms = wait > *wait_ms ? wait : *wait_ms;
    }
    if (*wait_ms != 0) {
        return STATUS_LIMIT;
    }
    memcpy(illumination->steps, steps, count * sizeof steps[0]);
    illumination->count = count;
    illumination->at = 0;
    illumination->phase = PHASE_BEGIN;
    illumination->edge_us = now_us;
    return STATUS_OK;
}

void illumination_charge(struct illumination *illumination, struct limits *limits, uint64_t now_us) {
    limits_lit(limits, illumination->lamp);
    if (illumination->lamp != LAMP_NONE && now_us > illumination->charged_us) {
        limits_charge(limits, illumination->lamp, clip(now_us - illumination->charged_us), now_us);
        illumination->charged_us = now_us;
    }
}

/* Lamp and strobe off. */
static void go_dark(struct illumination *illumination) {
    illumination->lamp = LAMP_NONE;
    illumination->percent = 0;
    illumination->strobe = false;
}

/* Note what became of the running step. */
static void end_step(struct illumination *illumination, uint64_t now_us, bool complete) {
    const bool risen = illumination->phase == PHASE_WINDOW;
    illumination->exposed = (struct exposed){
        .step = (uint8_t)(illumination->at + 1U),
        .lamp = illumination->steps[illumination->at].lamp,
        .up_us = risen ? illumination->up_us : 0,
        .window_us = risen ? clip(now_us - illumination->up_us) : 0,
        .complete = complete,
    };
    illumination->exposures += complete ? 1U : 0U;
}

/* The lamp of the running step goes on. */
static void begin_step(struct illumination *illumination, uint64_t now_us) {
    const struct step *step = &illumination->steps[illumination->at];
    illumination->lamp = step->lamp;
    illumination->percent = step->percent;
    illumination->charged_us = now_us;
    illumination->phase = PHASE_LEAD;
    illumination->edge = EDGE_LAMP;
}

/* The strobe goes up. */
static void raise_strobe(struct illumination *illumination) {
    illumination->strobe = true;
    illumination->phase = PHASE_WINDOW;
    illumination->edge = EDGE_UP;
}

/* Strobe and lamp go off together; the next step begins at once. */
static void lower_strobe(struct illumination *illumination) {
    go_dark(illumination);
    illumination->edge = EDGE_DOWN;
}

bool illumination_edge(struct illumination *illumination, uint64_t now_us) {
    if (illumination->phase == PHASE_DARK || illumination->edge != EDGE_NONE || now_us < illumination->edge_us) {
        return false;
    }
    illumination->planned_us = illumination->edge_us;
    switch (illumination->phase) {
    case PHASE_LIGHT:
        go_dark(illumination);
        illumination->phase = PHASE_DARK;
        break;
    case PHASE_BEGIN:
        begin_step(illumination, now_us);
        break;
    case PHASE_LEAD:
        raise_strobe(illumination);
        break;
    case PHASE_WINDOW:
        lower_strobe(illumination);
        break;
    case PHASE_DARK:
    default:
        break;
    }
    return true;
}

/* Keep the longest error of an edge of the strobe. */
static void note_error(struct illumination *illumination, uint64_t at_us) {
    const uint32_t error = clip(at_us - illumination->planned_us);
    if (error > illumination->longest_error_us) {
        illumination->longest_error_us = error;
    }
}

/* The strobe fell: the step is done, the next one begins at once. */
static void fallen(struct illumination *illumination, uint64_t at_us) {
    note_error(illumination, at_us);
    end_step(illumination, at_us, true);
    illumination->at++;
    illumination->phase = illumination->at < illumination->count ? PHASE_BEGIN : PHASE_DARK;
    illumination->edge_us = at_us;
}

bool illumination_stamp(struct illumination *illumination, uint64_t at_us) {
    const enum edge edge = illumination->edge;
    const struct step *step = &illumination->steps[illumination->at < STEPS_MAX ? illumination->at : 0];
    illumination->edge = EDGE_NONE;
    switch (edge) {
    case EDGE_LAMP:
        illumination->edge_us = at_us + step->lead_us;
        return false;
    case EDGE_UP:
        note_error(illumination, at_us);
        illumination->up_us = at_us;
        illumination->edge_us = at_us + step->window_us;
        return false;
    case EDGE_DOWN:
        fallen(illumination, at_us);
        return true;
    case EDGE_NONE:
    default:
        return false;
    }
}

bool illumination_cut(struct illumination *illumination, uint64_t now_us) {
    const bool stepping = illumination->phase >= PHASE_BEGIN;
    if (stepping) {
        end_step(illumination, now_us, false);
    }
    go_dark(illumination);
    illumination->phase = PHASE_DARK;
    illumination->edge = EDGE_NONE;
    return stepping;
}

bool illumination_busy(const struct illumination *illumination) {
    return illumination->phase != PHASE_DARK;
}

bool illumination_needs_cover(const struct illumination *illumination) {
    if (illumination->phase == PHASE_LIGHT) {
        return illumination->lamp > LAMP_WHITE;
    }
    for (uint8_t i = illumination->at; illumination_busy(illumination) && i < illumination->count; i++) {
        if (illumination->steps[i].lamp > LAMP_WHITE) {
            return true;
        }
    }
    return false;
}
