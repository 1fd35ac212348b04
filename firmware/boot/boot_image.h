/* An image: its header, and whether it is to be trusted (BOOT.md §1). Bytes in, verdict out; no flash. */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include "bearssl.h" /* br_sha256_context */
#include <stdbool.h> /* bool */
#include <stdint.h>  /* uint8_t, uint32_t */

#define BOOT_HEADER 192u    /* signed octets */
#define BOOT_SIGNATURE 64u  /* raw r, s */
#define BOOT_PREFIX 256u    /* header and signature; the payload is behind it */
#define BOOT_PAYLOAD_UNIT 16u
#define BOOT_KEY_SIZE 65u   /* uncompressed point of P-256 */
#define BOOT_BOARD 24u
#define BOOT_DIGEST 32u

/* Verdicts are far apart from each other and from what a cleared or stuck register holds. */
#define BOOT_GOOD 0x3C96A55Au
#define BOOT_GOOD_AGAIN 0xC3695AA5u /* the second word, from the second comparison */

/* Reasons as PROTOCOL.md §7 numbers them. */
enum boot_reason {
    BOOT_REASON_NONE = 0,
    BOOT_REASON_NOTHING_BEGUN = 1,
    BOOT_REASON_TOO_LARGE = 2,
    BOOT_REASON_NO_IMAGE = 3,
    BOOT_REASON_OTHER_BOARD = 4,
    BOOT_REASON_SIGNATURE = 5,
    BOOT_REASON_DIGEST = 6,
    BOOT_REASON_OLDER = 7,
    BOOT_REASON_SLOT_BUSY = 8,
    BOOT_REASON_ON_TRIAL = 9,
    BOOT_REASON_INCOMPLETE = 10
};

/* What this head accepts. */
struct boot_trust {
    uint8_t key[BOOT_KEY_SIZE];
    const char *board;     /* at most BOOT_BOARD - 1 characters */
    uint32_t load_address;
};

struct boot_image {
    uint32_t version;
    uint32_t security;
    uint32_t size; /* of the payload */
    uint8_t digest[BOOT_DIGEST];
};

/* Two words that only a good check sets; see `boot_is_good`. */
struct boot_verdict {
    volatile uint32_t first;
    volatile uint32_t second;
};

/* Read a header and judge all of it but signature and payload. `room`: octets of a slot; `floor`: the counter. */
enum boot_reason boot_image_parse(struct boot_image *image, const uint8_t prefix[BOOT_PREFIX],
                                  const struct boot_trust *trust, uint32_t room, uint32_t floor);

/* Check the signature of a header, and check it again: some 30 million instructions each. The second does nothing where
   the first failed; a verdict is good after both. */
void boot_image_verify(struct boot_verdict *verdict, const uint8_t prefix[BOOT_PREFIX], const struct boot_trust *trust);
void boot_image_verify_again(struct boot_verdict *verdict, const uint8_t prefix[BOOT_PREFIX],
                             const struct boot_trust *trust);

/* Compare two digests in constant time, twice. */
void boot_digest_equal(struct boot_verdict *verdict, const uint8_t *one, const uint8_t *other);

/* Mark as failed: how every verdict begins. */
void boot_verdict_fail(struct boot_verdict *verdict);

/* Whether both words say so. */
bool boot_is_good(const struct boot_verdict *verdict);

#endif
