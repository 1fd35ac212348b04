/* Flash in memory whose power fails at any operation, in the middle of it too. Tests only. */
#ifndef SIM_H
#define SIM_H

#include "boot_update.h" /* struct boot_target, struct boot_update */

#include <setjmp.h> /* power cut */

#define SIM_SECTOR 1024u /* small, so that the journal changes sectors often */
#define SIM_SLOT (64u * 1024u)
#define SIM_SIZE (2u * SIM_SECTOR + 2u * SIM_SLOT)

/* What a cut leaves of the operation that it hits. */
enum tear {
    TEAR_NOTHING,  /* not begun */
    TEAR_ONE,      /* its first unit */
    TEAR_HALF,     /* its first half */
    TEAR_ALMOST,   /* all but the last octet */
    TEAR_ALL,      /* done, and then cut */
    TEAR_GARBAGE,  /* every octet old, new or between: bits of both */
    TEAR_GARBAGE_2,
    TEAR_GARBAGE_3,
    TEARS
};

struct sim {
    uint8_t octets[SIM_SIZE];
    uint8_t ram[SIM_SLOT];
    long operations;  /* done since the power came */
    long cut_at;      /* which of them the cut hits; -1: none */
    enum tear tear;
    bool fails;       /* the operation fails and says so, instead of a cut */
    uint32_t random;
    jmp_buf cut;
};

void sim_init(struct sim *sim);
struct boot_flash sim_flash(struct sim *sim);
struct boot_target sim_target(struct sim *sim);
/* Send octets, and wait for the answer. */
struct boot_answer sim_data(struct boot_update *update, uint32_t offset, const uint8_t *octets, uint32_t count);
/* Read a whole file; ends the program when it can't. */
uint32_t sim_file(const char *path, uint8_t *to, uint32_t room);
#define CHECK(what)                                                                                                  \
    do {                                                                                                             \
        if (!(what)) {                                                                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                               \
            abort();                                                                                                 \
        }                                                                                                            \
    } while (0)

#endif
