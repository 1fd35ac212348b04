/* Faults. */
#include "faults.h"

void faults_init(struct faults *faults) {
    *faults = (struct faults){.raised = 0};
}

void faults_set(struct faults *faults, enum fault fault, bool raised) {
    const uint32_t bit = 1U << fault;
    faults->raised = raised ? faults->raised | bit : faults->raised & ~bit;
}

bool faults_has(const struct faults *faults, enum fault fault) {
    return (faults->raised >> fault & 1U) != 0;
}

/* Overheated from 70.0 °C until below 60.0 °C. A sensor that fails counts as hot. */
static void sample_temperature(struct faults *faults, int16_t temperature, uint32_t capabilities) {
    if (temperature == TEMPERATURE_UNKNOWN) {
        faults_set(faults, FAULT_HOT, (capabilities & CAN_TEMPERATURE) != 0);
    } else if (temperature >= HOT_FROM) {
        faults_set(faults, FAULT_HOT, true);
    } else if (temperature < HOT_UNTIL) {
        faults_set(faults, FAULT_HOT, false);
    }
}

/* Supply low, where it is measured. */
static void sample_supply(struct faults *faults, uint16_t supply) {
    if (supply == SUPPLY_UNKNOWN || supply >= SUPPLY_GOOD_MV) {
        faults_set(faults, FAULT_SUPPLY, false);
    } else if (supply < SUPPLY_LOW_MV) {
        faults_set(faults, FAULT_SUPPLY, true);
    }
}

/* A bad current switches the lamps off, so that it looks good again: the fault stays for a while all the same. */
static void sample_lamp(struct faults *faults, bool bad, uint64_t now_ms) {
    faults->lamp_bad = bad && faults->lamp_bad < LAMP_BAD_SAMPLES ? (uint8_t)(faults->lamp_bad + 1U) : faults->lamp_bad;
    if (!bad) {
        faults->lamp_bad = 0;
    }
    if (faults->lamp_bad == LAMP_BAD_SAMPLES) {
        faults->lamp_ms = now_ms;
        faults_set(faults, FAULT_LAMP, true);
    } else if (now_ms - faults->lamp_ms >= LAMP_OVER_MS) {
        faults_set(faults, FAULT_LAMP, false);
    }
}

/* Blind for a whole second, until it sees. */
static void sample_presence(struct faults *faults, bool blind) {
    if (!blind) {
        faults->presence_bad = 0;
    } else if (faults->presence_bad < PRESENCE_SAMPLES) {
        faults->presence_bad++;
    }
    faults_set(faults, FAULT_PRESENCE, faults->presence_bad == PRESENCE_SAMPLES);
}

void faults_sample(struct faults *faults, const struct pins *pins, uint32_t capabilities, uint64_t now_ms) {
    sample_temperature(faults, pins->temperature, capabilities);
    sample_supply(faults, pins->supply);
    sample_lamp(faults, pins->lamp_current_bad, now_ms);
    sample_presence(faults, pins->presence_blind);
}

int faults_news(struct faults *faults, bool *raised) {
    const uint32_t changed = faults->raised ^ faults->told;
    for (int number = 0; number < FAULTS; number++) {
        const uint32_t bit = 1U << number;
        if ((changed & bit) != 0) {
            faults->told ^= bit;
            *raised = (faults->raised & bit) != 0;
            return number;
        }
    }
    return -1;
}
