/* The running head's side of an update: requests 30…36 of PROTOCOL.md §7, without the line. */
#ifndef BOOT_UPDATE_H
#define BOOT_UPDATE_H

#include "boot_choose.h" /* struct boot_state, BOOT_NO_SLOT */

#define BOOT_TRIAL_US 60000000u  /* an image on trial that isn't confirmed after this is left */
#define BOOT_NOTE_EVERY 16384u   /* octets between two records of progress */
#define BOOT_CHECK_AT_ONCE 1024u /* octets hashed in one call of boot_update_work */

/* As PROTOCOL.md §5 numbers them. */
enum boot_status {
    BOOT_OK = 0x00,
    BOOT_BAD_REQUEST = 0x02,
    BOOT_BUSY = 0x03,
    BOOT_FLASH_FAILED = 0x08,
    BOOT_REFUSED = 0x09,
    BOOT_ORDER = 0x0A,
    BOOT_LATER = 0xFF /* not told: boot_update_work has the answer */
};

struct boot_answer {
    enum boot_status status;
    enum boot_reason reason; /* of BOOT_REFUSED */
    uint32_t offset;         /* of BOOT_OK to begin and data, and of BOOT_ORDER */
};

/* What SLOTS tells of a slot. */
struct boot_slot_report {
    uint8_t state; /* enum boot_slot_state, a trial always as BOOT_TRIAL_ASKED */
    uint32_t version;
    uint32_t security;
};

enum boot_work { BOOT_WORK_NONE, BOOT_WORK_HASH, BOOT_WORK_SIGNATURE, BOOT_WORK_SIGNATURE_AGAIN };

struct boot_update {
    const struct boot_flash *flash;
    const struct boot_trust *trust;
    struct boot_state state; /* as the journal has it, but for what is begun and not yet noted */
    bool known;              /* there is a record; without one nothing is changed, the next start makes one */
    uint8_t running;         /* slot, or BOOT_NO_SLOT */
    bool trial;              /* the running image isn't confirmed */
    uint32_t next;           /* octets taken of the image; those of the last page may be in `page` only */
    enum boot_work work;     /* what boot_update_work has to do */
    bool ending;             /* it is end's; else that of the octets which completed the header */
    uint32_t checked;
    struct boot_verdict verdict;
    uint8_t rest[BOOT_PAGE]; /* octets that came behind the header */
    uint32_t rest_count;
    br_sha256_context whole;
    br_sha256_context payload;
    uint8_t page[BOOT_PAGE];
};

/* `running` and `trial` as the loader chose them. */
void boot_update_init(struct boot_update *update, const struct boot_flash *flash, const struct boot_trust *trust,
                      uint8_t running, bool trial);

/* What there is to say of a slot. */
void boot_update_slot(const struct boot_update *update, uint8_t slot, struct boot_slot_report *report);

struct boot_answer boot_update_begin(struct boot_update *update, uint32_t size, const uint8_t digest[BOOT_DIGEST]);

/* Take octets. Those that complete the header are answered BOOT_LATER: its signature is checked before anything is written. */
struct boot_answer boot_update_data(struct boot_update *update, uint32_t offset, const uint8_t *octets, uint32_t count);

/* Begin the check of the whole. While an answer is BOOT_LATER, boot_update_work does a piece and has it in the end; a piece
   is at most one check of a signature. */
struct boot_answer boot_update_end(struct boot_update *update);
struct boot_answer boot_update_work(struct boot_update *update);

/* Ask for the trial; the head must reset after BOOT_OK. */
struct boot_answer boot_update_boot(struct boot_update *update);
struct boot_answer boot_update_confirm(struct boot_update *update);
struct boot_answer boot_update_cancel(struct boot_update *update);

/* Whether the trial's time is up, so long after the start: the head must reset now. */
bool boot_update_expired(const struct boot_update *update, uint64_t uptime_us, uint64_t trial_us);

#endif
