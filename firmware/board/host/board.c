/* Time, outputs, watchdog and facts of the board that is a process. */
#include "board.h"

#include <signal.h> /* sigset_t */
#include <string.h> /* memset */
#include <time.h>   /* clock_gettime */

#include "boot.h"      /* host_boot_… */
#include "host.h"      /* our own declarations */
#include "indicator.h" /* names of indications and beeps */
#include "limits.h"    /* struct limits, enum lamp */

enum { NS_PER_US = 1000, US_PER_S = 1000000, US_PER_MS = 1000 };

struct asked host_asked;

static struct {
    struct board_facts facts;
    uint64_t reset_at_us; /* on the machine's clock */
    uint64_t fed_us;
    uint32_t watchdog_ms;
    uint8_t lamp;
    uint8_t percent;
    bool strobe;
    uint8_t indication;
    uint8_t beep;
} board;

static _Alignas(uint64_t) uint8_t retained[sizeof(struct limits)];

static const char *const lamp_names[LAMPS + 1] = {"off", "white", "ir850", "ir940", "uv365"};
static const char *const indication_names[INDICATIONS] = {
    "off",     "ready",  "place-document",     "reading",    "turn-over", "remove", "success",
    "failed",  "look-at-the-screen", "read-again", "offline",   "fault",  "find-me",
};
static const char *const beep_names[BEEPS] = {"none", "short", "double", "long"};

/* The machine's clock, which never goes back. */
static uint64_t machine_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

/* Outputs as a reset leaves them, told where that changes them. */
static void outputs_off(void) {
    board_strobe(false);
    board_lamp(LAMP_NONE, 0);
    board_buzzer(false, BEEP_NONE);
}

void host_begin(enum reset_cause cause) {
    outputs_off();
    line_reset();
    if (cause == RESET_POWER || cause == RESET_BROWN_OUT) {
        memset(retained, 0xA5, sizeof retained);
    }
    board.facts.cause = cause;
    board.reset_at_us = machine_us();
    host_asked = (struct asked){.reset = false};
}

const struct board_facts *board_facts(void) {
    board.facts.name = "host";
    board.facts.simulated = true;
    board.facts.loader = host_boot_is_loader();
    board.facts.capabilities = CAN_WHITE | CAN_IR_850 | CAN_IR_940 | CAN_UV_365 | CAN_STROBE | CAN_BUZZER | CAN_COVER |
                               CAN_PRESENCE | CAN_TEMPERATURE;
    if (host_boot_has_slots()) {
        board.facts.capabilities = CAN_UPDATE | (board.facts.loader ? 0 : board.facts.capabilities);
    }
    return &board.facts;
}

uint8_t *host_unique_id(void) {
    return board.facts.unique_id;
}

uint64_t board_micros(void) {
    return machine_us() - board.reset_at_us;
}

/* Wait for something to do, at most until `until_us`. */
static void wait_until(uint64_t until_us, const sigset_t *signals) {
    struct pollfd polls[POLLS_MAX];
    size_t count = line_polls(polls);
    count += hands_polls(polls + count);
    const uint64_t now_us = board_micros();
    const uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
    const struct timespec left = {
        .tv_sec = (time_t)(left_us / US_PER_S),
        .tv_nsec = (long)(left_us % US_PER_S) * NS_PER_US,
    };
    (void)ppoll(polls, (nfds_t)count, &left, signals);
    line_work();
    hands_work();
}

void board_sleep(uint64_t until_us) {
    sigset_t none;
    (void)sigemptyset(&none);
    wait_until(until_us, &none);
    if (host_asked.stuck) { /* the loop hangs here, outputs as they are, until the watchdog bites */
        const uint64_t bites_us = board.fed_us + (uint64_t)board.watchdog_ms * US_PER_MS;
        while (board_micros() < bites_us) {
            const struct timespec rest = {.tv_nsec = US_PER_MS * NS_PER_US};
            (void)nanosleep(&rest, NULL);
        }
        host_asked = (struct asked){.reset = true, .cause = RESET_WATCHDOG};
    }
}

void board_read_pins(struct pins *pins) {
    hands_read(pins, board_micros() / US_PER_MS);
}

void board_lamp(uint8_t lamp, uint8_t percent) {
    if (lamp == board.lamp && percent == board.percent) {
        return;
    }
    board.lamp = lamp;
    board.percent = percent;
    if (lamp == LAMP_NONE) {
        hands_tell("lamp off");
    } else {
        hands_tell("lamp %s %u", lamp_names[lamp <= LAMPS ? lamp : 0], (unsigned)percent);
    }
}

void board_strobe(bool up) {
    if (up != board.strobe) {
        board.strobe = up;
        hands_tell("strobe %d", up ? 1 : 0);
    }
}

void board_led(uint8_t colours, uint8_t indication) {
    (void)colours; /* its blinking would be a line every eighth of a second */
    if (indication != board.indication && indication < INDICATIONS) {
        board.indication = indication;
        hands_tell("indication %s", indication_names[indication]);
    }
}

void board_buzzer(bool on, uint8_t pattern) {
    const uint8_t beep = on && pattern < BEEPS ? pattern : BEEP_NONE;
    if (beep != board.beep) {
        board.beep = beep;
        if (beep != BEEP_NONE) {
            hands_tell("beep %s", beep_names[beep]);
        }
    }
}

void board_watchdog_start(uint32_t milliseconds) {
    board.watchdog_ms = milliseconds;
    board_watchdog_feed();
}

void board_watchdog_feed(void) {
    board.fed_us = board_micros();
}

void *board_retained(size_t size) {
    return size <= sizeof retained ? retained : NULL;
}

void board_reboot(bool for_update) {
    host_asked = (struct asked){.reset = true, .cause = for_update ? RESET_UPDATE : RESET_SOFTWARE};
}
