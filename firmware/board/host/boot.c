/* The boot stage of the head as a process. */
#include "boot.h"

#include "boot_board.h"  /* what this file brings */
#include "boot_update.h" /* BOOT_TRIAL_US */
#include "flash.h"       /* the file */

#include <errno.h>    /* errno */
#include <stdio.h>    /* fprintf */
#include <stdlib.h>   /* getenv, setenv */
#include <string.h>   /* strerror */
#include <sys/mman.h> /* memfd_create */
#include <unistd.h>   /* fexecve */

enum { PATH_ROOM = 4096 };

/* What the loader tells the image that it starts. */
#define STARTED "EDGED_HEAD_STARTED" /* "A", "B", with "?" behind it on trial */
#define LOADER "EDGED_HEAD_LOADER"   /* path of the loader */
#define CAUSE "EDGED_HEAD_CAUSE"     /* of the reset that began this */
#define TRIAL_MS "EDGED_HEAD_TRIAL_MS" /* tests only: a shorter trial */

static struct boot_flash flash;
static struct boot_trust trust;
static struct boot_start started = {.slot = BOOT_NO_SLOT};
static bool active;

/* Write to the file that will run; nothing of a slot that was tried before stays behind it. */
static bool put_file(void *board, uint32_t offset, const uint8_t *octets, uint32_t count) {
    return (offset != 0 || ftruncate(*(int *)board, 0) == 0) &&
           pwrite(*(int *)board, octets, count, offset) == (ssize_t)count;
}

static bool get_file(void *board, uint32_t offset, uint8_t *octets, uint32_t count) {
    return pread(*(int *)board, octets, count, offset) == (ssize_t)count;
}

/* Where this program lies, for the image that comes back to it. */
static void remember_loader(void) {
    char path[PATH_ROOM];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        (void)setenv(LOADER, path, 1);
    }
}

/* Start what was chosen in this process; returns when the system won't. */
static void start(const struct boot_choice *choice, int image, char **words) {
    extern char **environ;
    char how[3] = {(char)('A' + choice->slot), choice->trial ? '?' : 0, 0};
    (void)setenv(STARTED, how, 1);
    if (boot_may_start(choice)) {
        (void)fexecve(image, words, environ);
    }
    (void)unsetenv(STARTED);
}

/* Be the loader. */
static void load(char **words) {
    static struct boot_choice choice;
    int image = memfd_create("edged-head", MFD_CLOEXEC);
    struct boot_target target = {.board = &image, .put = put_file, .get = get_file};
    remember_loader();
    if (image < 0) {
        return;
    }
    boot_choose(&choice, &flash, &trust, &target);
    if (choice.slot != BOOT_NO_SLOT) {
        start(&choice, image, words);
        if (choice.trial) {
            host_boot_again(RESET_WATCHDOG, words); /* as a processor that faults: the trial is over */
        }
    }
    close(image);
}

bool host_boot(const char *store, char **words) {
    if (!host_flash_open(store, &flash, &trust)) {
        fprintf(stderr, "edged-head: %s/flash or %s/boot-key: %s\n", store, store, strerror(errno));
        return false;
    }
    active = true;
    const char *how = getenv(STARTED);
    if (how == NULL) {
        load(words);
        return true;
    }
    started.slot = how[0] == 'B';
    started.trial = how[0] != 0 && how[1] == '?';
    (void)unsetenv(STARTED);
    return true;
}

bool host_boot_is_loader(void) {
    return active && started.slot == BOOT_NO_SLOT;
}

bool host_boot_has_slots(void) {
    return active;
}

enum reset_cause host_boot_cause(void) {
    const char *cause = getenv(CAUSE);
    enum reset_cause found = cause ? (enum reset_cause)strtoul(cause, NULL, 10) : RESET_POWER;
    (void)unsetenv(CAUSE);
    return found;
}

void host_boot_again(enum reset_cause cause, char **words) {
    const char *loader = getenv(LOADER);
    char number[12];
    (void)snprintf(number, sizeof number, "%u", (unsigned)cause);
    (void)setenv(CAUSE, number, 1);
    (void)unsetenv(STARTED);
    if (active && loader != NULL) {
        (void)execv(loader, words);
    }
}

const struct boot_flash *boot_board_flash(void) {
    return active ? &flash : NULL;
}

const struct boot_trust *boot_board_trust(void) {
    return &trust;
}

struct boot_start boot_board_start(void) {
    return started;
}

uint64_t boot_board_trial_us(void) {
    const char *shorter = getenv(TRIAL_MS);
    return shorter ? 1000u * strtoul(shorter, NULL, 10) : BOOT_TRIAL_US;
}
