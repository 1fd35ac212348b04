/* The running head's side of an update: requests 30…36 of PROTOCOL.md §7, without the line. */
#ifndef BOOT_UPDATE_H
#define BOOT_UPDATE_H

#include "boot_choose.h" /* struct boot_state, BOOT_NO_SLOT */

#define BOOT_TRIAL_MS 60000u /* an image on trial that isn't confirmed after this is left */

enum boot_status { BOOT_OK = 0x00, BOOT_BUSY = 0x03, BOOT_FLASH = 0x08, BOOT_REFUSED = 0x09, BOOT_ORDER = 0x0A,
                   BOOT_LATER = 0xFF /* the answer comes from boot_update_work */ };

struct boot_answer {
    enum boot_status status;
    enum boot_reason reason; /* of BOOT_REFUSED */
    uint32_t offset;         /* of BOOT_OK to BEGIN and DATA, and of BOOT_ORDER */
};

struct boot_slot_report {
    uint8_t state; /* as PROTOCOL.md numbers them */
    uint32_t version;
    uint32_t security;
};

struct boot_update {
    const struct boot_flash *flash;
    const struct boot_trust *trust;
    struct boot_state state;
    uint8_t running; /* slot, or BOOT_NO_SLOT */
    bool trial;      /* the running image isn't confirmed */
    uint32_t started_ms;
    uint8_t page[BOOT_PAGE];
    uint32_t next;    /* octets taken of the image; those of the last page may be in `page` only */
    bool checking;
    uint32_t checked;
    br_sha256_context whole;
    br_sha256_context payload;
};

/* `running`, `trial`: how this image was started; `now_ms`: any clock of milliseconds that wraps. */
void boot_update_init(struct boot_update *update, const struct boot_flash *flash, const struct boot_trust *trust,
                      uint8_t running, bool trial, uint32_t now_ms);

void boot_update_slot(struct boot_update *update, uint8_t slot, struct boot_slot_report *report);
uint32_t boot_update_next(const struct boot_update *update);
struct boot_answer boot_update_begin(struct boot_update *update, uint32_t size, const uint8_t digest[BOOT_DIGEST]);
struct boot_answer boot_update_data(struct boot_update *update, uint32_t offset, const uint8_t *octets, uint32_t count);
/* Begins the check; answered by boot_update_work, some milliseconds of hashing a call. */
struct boot_answer boot_update_end(struct boot_update *update);
struct boot_answer boot_update_work(struct boot_update *update);
struct boot_answer boot_update_boot(struct boot_update *update);
struct boot_answer boot_update_confirm(struct boot_update *update);
struct boot_answer boot_update_cancel(struct boot_update *update);

/* Whether the trial's time is up: the head must reset now. */
bool boot_update_expired(const struct boot_update *update, uint32_t now_ms);

#endif
