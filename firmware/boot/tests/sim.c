/* Flash in memory whose power fails. */
#include "sim.h"

#include "bearssl.h" /* br_ecdsa_i15_vrfy_raw */
#include <stdio.h>   /* fopen */
#include <stdlib.h>  /* exit */
#include <string.h>  /* memset */

/* The next number of a small generator (xorshift). */
static uint32_t draw(struct sim *sim) {
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 17;
    sim->random ^= sim->random << 5;
    return sim->random;
}

/* An octet that was on its way from `old` to `new`. */
static uint8_t between(struct sim *sim, uint8_t old, uint8_t new) {
    uint8_t mask = (uint8_t)draw(sim);
    return (uint8_t)((old & mask) | (new & ~mask));
}

/* How many of the first octets of a torn operation are done. */
static uint32_t done_of(enum tear tear, uint32_t count) {
    switch (tear) {
    case TEAR_ONE:
        return 16;
    case TEAR_HALF:
        return count / 2;
    case TEAR_ALMOST:
        return count - 1;
    case TEAR_ALL:
        return count;
    default:
        return 0;
    }
}

/* Bring `count` octets to what `from` says (NULL: erased), and cut the power, or fail, where it is time. */
static bool change(struct sim *sim, uint32_t at, const uint8_t *from, uint32_t count) {
    bool cut = sim->operations++ == sim->cut_at;
    uint32_t whole = cut ? done_of(sim->tear, count) : count;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t new = from ? from[i] : 0xFF;
        if (i < whole) {
            sim->octets[at + i] = new;
        } else if (sim->tear >= TEAR_GARBAGE) {
            sim->octets[at + i] = between(sim, sim->octets[at + i], new);
        }
    }
    if (cut && !sim->fails) {
        longjmp(sim->cut, 1);
    }
    return !cut;
}

static bool read_flash(void *board, uint32_t at, void *to, uint32_t count) {
    struct sim *sim = board;
    CHECK(at <= SIM_SIZE && count <= SIM_SIZE - at);
    memcpy(to, sim->octets + at, count);
    return true;
}

/* Like NOR flash: only erased octets may be written, in whole units. */
static bool write_flash(void *board, uint32_t at, const void *from, uint32_t count) {
    struct sim *sim = board;
    CHECK(at <= SIM_SIZE && count <= SIM_SIZE - at && at % 16 == 0 && count % 16 == 0 && count > 0);
    for (uint32_t i = 0; i < count; i++) {
        CHECK(sim->octets[at + i] == 0xFF);
    }
    return change(sim, at, from, count);
}

static bool erase_flash(void *board, uint32_t at) {
    struct sim *sim = board;
    CHECK(at < SIM_SIZE && at % SIM_SECTOR == 0);
    return change(sim, at, NULL, SIM_SECTOR);
}

static bool put_ram(void *board, uint32_t offset, const uint8_t *octets, uint32_t count) {
    struct sim *sim = board;
    CHECK(offset <= SIM_SLOT && count <= SIM_SLOT - offset);
    memcpy(sim->ram + offset, octets, count);
    return true;
}

static bool get_ram(void *board, uint32_t offset, uint8_t *octets, uint32_t count) {
    struct sim *sim = board;
    memcpy(octets, sim->ram + offset, count);
    return true;
}

void sim_init(struct sim *sim) {
    memset(sim, 0, sizeof *sim);
    memset(sim->octets, 0xFF, SIM_SIZE);
    sim->cut_at = -1;
    sim->random = 0x2545F491u;
}

struct boot_flash sim_flash(struct sim *sim) {
    return (struct boot_flash){.board = sim,
                               .sector = SIM_SECTOR,
                               .unit = 16,
                               .slot_size = SIM_SLOT,
                               .slot = {2 * SIM_SECTOR, 2 * SIM_SECTOR + SIM_SLOT},
                               .journal = {0, SIM_SECTOR},
                               .read = read_flash,
                               .write = write_flash,
                               .erase = erase_flash};
}

struct boot_target sim_target(struct sim *sim) {
    return (struct boot_target){.board = sim, .put = put_ram, .get = get_ram};
}

struct boot_answer sim_data(struct boot_update *update, uint32_t offset, const uint8_t *octets, uint32_t count) {
    struct boot_answer told = boot_update_data(update, offset, octets, count);
    while (told.status == BOOT_LATER) {
        told = boot_update_work(update);
    }
    return told;
}

uint32_t sim_file(const char *path, uint8_t *to, uint32_t room) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    size_t count = fread(to, 1, room, file);
    fclose(file);
    return (uint32_t)count;
}

/* The real function is pure and slow; thousands of starts ask it the same few questions. */
uint32_t __real_br_ecdsa_i15_vrfy_raw(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                      const br_ec_public_key *key, const void *sig, size_t sig_len);
uint32_t __wrap_br_ecdsa_i15_vrfy_raw(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                      const br_ec_public_key *key, const void *sig, size_t sig_len);
uint32_t __wrap_br_ecdsa_i15_vrfy_raw(const br_ec_impl *impl, const void *hash, size_t hash_len,
                                      const br_ec_public_key *key, const void *sig, size_t sig_len) {
    static struct {
        uint8_t asked[32 + 64 + 65];
        uint32_t answer;
        bool known;
    } memory[8];
    static unsigned turn;
    uint8_t asked[32 + 64 + 65];
    CHECK(hash_len == 32 && sig_len == 64 && key->qlen == 65);
    memcpy(asked, hash, 32);
    memcpy(asked + 32, sig, 64);
    memcpy(asked + 96, key->q, 65);
    for (unsigned i = 0; i < 8; i++) {
        if (memory[i].known && memcmp(memory[i].asked, asked, sizeof asked) == 0) {
            return memory[i].answer;
        }
    }
    turn = (turn + 1) % 8;
    memcpy(memory[turn].asked, asked, sizeof asked);
    memory[turn].answer = __real_br_ecdsa_i15_vrfy_raw(impl, hash, hash_len, key, sig, sig_len);
    memory[turn].known = true;
    return memory[turn].answer;
}
