/* An image's header, its signature and its digest (BOOT.md §1). */
#include "boot_image.h"

#include "bytes.h"   /* get16, get32 */
#include <stdbool.h> /* bool */
#include <string.h>  /* memcmp, memcpy, strlen */

enum { AT_FORMAT = 4, AT_PREFIX = 6, AT_BOARD = 8, AT_VERSION = 32, AT_SECURITY = 36, AT_SIZE = 40, AT_LOAD = 44,
       AT_DIGEST = 48, AT_RESERVED = 80 };

static const uint8_t MAGIC[4] = {'E', 'H', 'I', '1'};
enum { FORMAT = 1 };

/* Whether all of it is zero. */
static bool zeros(const uint8_t *octets, uint32_t count) {
    uint8_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        seen |= octets[i];
    }
    return seen == 0;
}

/* Whether it begins as a header of ours does, whatever it is for. */
static bool well_formed(const uint8_t *prefix, uint32_t room) {
    uint32_t size = get32(prefix + AT_SIZE);
    return memcmp(prefix, MAGIC, sizeof MAGIC) == 0 && get16(prefix + AT_FORMAT) == FORMAT &&
           get16(prefix + AT_PREFIX) == BOOT_PREFIX && zeros(prefix + AT_RESERVED, BOOT_HEADER - AT_RESERVED) &&
           size >= BOOT_PAYLOAD_UNIT && size % BOOT_PAYLOAD_UNIT == 0 && room >= BOOT_PREFIX &&
           size <= room - BOOT_PREFIX;
}

/* Whether the name in the header is the board's, zeros behind it. */
static bool for_board(const uint8_t *name, const char *board) {
    size_t length = strlen(board);
    return length > 0 && length < BOOT_BOARD && memcmp(name, board, length) == 0 &&
           zeros(name + length, BOOT_BOARD - (uint32_t)length);
}

/* Read a header and judge it. */
enum boot_reason boot_image_parse(struct boot_image *image, const uint8_t prefix[BOOT_PREFIX],
                                  const struct boot_trust *trust, uint32_t room, uint32_t floor) {
    if (!well_formed(prefix, room)) {
        return BOOT_REASON_NO_IMAGE;
    }
    if (!for_board(prefix + AT_BOARD, trust->board) || get32(prefix + AT_LOAD) != trust->load_address) {
        return BOOT_REASON_OTHER_BOARD;
    }
    image->version = get32(prefix + AT_VERSION);
    image->security = get32(prefix + AT_SECURITY);
    image->size = get32(prefix + AT_SIZE);
    memcpy(image->digest, prefix + AT_DIGEST, BOOT_DIGEST);
    return image->security < floor ? BOOT_REASON_OLDER : BOOT_REASON_NONE;
}

/* One check of the signature: 1 when it is good. */
static uint32_t check_once(const uint8_t *prefix, const struct boot_trust *trust) {
    uint8_t digest[BOOT_DIGEST];
    uint8_t point[BOOT_KEY_SIZE];
    br_sha256_context hash;
    br_ec_public_key key = {BR_EC_secp256r1, point, sizeof point};
    memcpy(point, trust->key, sizeof point);
    br_sha256_init(&hash);
    br_sha256_update(&hash, prefix, BOOT_HEADER);
    br_sha256_out(&hash, digest);
    return br_ecdsa_i15_vrfy_raw(&br_ec_p256_m15, digest, sizeof digest, &key, prefix + BOOT_HEADER, BOOT_SIGNATURE);
}

/* Check the signature, first time. */
void boot_image_verify(struct boot_verdict *verdict, const uint8_t prefix[BOOT_PREFIX],
                       const struct boot_trust *trust) {
    boot_verdict_fail(verdict);
    if (check_once(prefix, trust) == 1) {
        verdict->first = BOOT_GOOD;
    }
}

/* Second time: a glitch would have to hit both. */
void boot_image_verify_again(struct boot_verdict *verdict, const uint8_t prefix[BOOT_PREFIX],
                             const struct boot_trust *trust) {
    if (verdict->first == BOOT_GOOD && check_once(prefix, trust) == 1) {
        verdict->second = BOOT_GOOD_AGAIN;
    }
}

/* All differing bits of two digests; takes the same time whatever they are. */
static uint8_t difference(const volatile uint8_t *one, const volatile uint8_t *other) {
    uint8_t found = 0;
    for (uint32_t i = 0; i < BOOT_DIGEST; i++) {
        found = (uint8_t)(found | (one[i] ^ other[i]));
    }
    return found;
}

/* Compare two digests, twice. */
void boot_digest_equal(struct boot_verdict *verdict, const uint8_t *one, const uint8_t *other) {
    boot_verdict_fail(verdict);
    if (difference(one, other) == 0) {
        verdict->first = BOOT_GOOD;
    }
    if (difference(other, one) == 0) {
        verdict->second = BOOT_GOOD_AGAIN;
    }
}

/* Mark as failed. */
void boot_verdict_fail(struct boot_verdict *verdict) {
    verdict->first = ~BOOT_GOOD;
    verdict->second = ~BOOT_GOOD_AGAIN;
}

/* Whether both words say so, each looked at by itself. */
bool boot_is_good(const struct boot_verdict *verdict) {
    if (verdict->first != BOOT_GOOD) {
        return false;
    }
    return (verdict->first ^ verdict->second) == (BOOT_GOOD ^ BOOT_GOOD_AGAIN);
}
