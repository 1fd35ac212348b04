/*
 * The seam to slots and update (messages 30…36, PROTOCOL.md §7). The dispatcher checks lengths and calls these;
 * a board with slots implements them, others link `update_none.c`, which answers `unsupported`.
 *
 * Nothing here may block for longer than 100 ms (the watchdog bites after 1 s, the host gives up after 3 s): what takes
 * longer (erasing, verifying a signature) returns UPDATE_GOING_ON and does a piece in every `update_poll`. While one
 * request is going on the dispatcher answers `busy` to all further ones of 30…36 but SLOTS.
 */
#ifndef EDGED_UPDATE_H
#define EDGED_UPDATE_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "status.h" /* enum status */

enum { UPDATE_RESULT_MAX = 32, UPDATE_DIGEST_SIZE = 32, UPDATE_DATA_MAX = 224 };

/* `refused` reasons. */
enum refusal {
    REFUSED_NONE_IN_PROGRESS = 1,
    REFUSED_TOO_LARGE = 2,
    REFUSED_NO_IMAGE = 3,
    REFUSED_OTHER_BOARD = 4,
    REFUSED_SIGNATURE = 5,
    REFUSED_DIGEST = 6,
    REFUSED_OLDER = 7,
    REFUSED_SLOT_BUSY = 8,
    REFUSED_ON_TRIAL = 9,
    REFUSED_INCOMPLETE = 10
};

enum slot_state {
    SLOT_EMPTY = 0,
    SLOT_BEING_WRITTEN = 1,
    SLOT_READY = 2,
    SLOT_TRIAL = 3,
    SLOT_CONFIRMED = 4,
    SLOT_BAD = 5
};

/* A reply in the making: status and the result that follows it on the line. */
struct update_reply {
    enum status status;
    uint8_t length;
    uint8_t result[UPDATE_RESULT_MAX];
};

enum update_progress { UPDATE_DONE, UPDATE_GOING_ON };

/* One update's context; what is in it is the implementation's. */
struct update;

/* The board's only one, after a reset. Never NULL. */
struct update *update_open(void);

/* Facts for WELCOME: whether the running image is on trial, and its security version. */
bool update_on_trial(const struct update *update);
uint32_t update_security_version(const struct update *update);

/* 30 SLOTS */
enum update_progress update_slots(struct update *update, struct update_reply *reply);

/* 31 UPDATE_BEGIN; `digest` has UPDATE_DIGEST_SIZE octets. */
enum update_progress update_begin(struct update *update, uint32_t size, const uint8_t *digest, struct update_reply *reply);

/* 32 UPDATE_DATA; 1…UPDATE_DATA_MAX octets, which are valid only during the call. */
enum update_progress update_data(struct update *update, uint32_t offset, const uint8_t *octets, size_t length,
                                 struct update_reply *reply);

/* 33 UPDATE_END, 35 UPDATE_CONFIRM, 36 UPDATE_CANCEL */
enum update_progress update_end(struct update *update, struct update_reply *reply);
enum update_progress update_confirm(struct update *update, struct update_reply *reply);
enum update_progress update_cancel(struct update *update, struct update_reply *reply);

/* 34 UPDATE_BOOT: when the final reply is `ok`, the dispatcher restarts the head once it has been sent. */
enum update_progress update_boot(struct update *update, struct update_reply *reply);

/* Go on with what is going on; called once in every turn of the main loop while the last answer was UPDATE_GOING_ON. */
enum update_progress update_poll(struct update *update, struct update_reply *reply);

/* Whether the head must restart now (a trial of 60 s is over unconfirmed); asked in every turn, must be quick. */
bool update_restart_due(const struct update *update, uint64_t now_us);

#endif
