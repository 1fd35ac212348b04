/* The flash of the head as a process: a file in its store. */
#include "flash.h"

#include <errno.h>    /* errno */
#include <fcntl.h>    /* open */
#include <stdio.h>    /* snprintf */
#include <string.h>   /* memset */
#include <sys/stat.h> /* fstat */
#include <unistd.h>   /* pread, pwrite */

enum { PATH_ROOM = 4096 };
enum { SECTOR = 4096, UNIT = 16, SLOT = 2 * 1024 * 1024, FLASH_SIZE = 2 * SECTOR + 2 * SLOT };

static int file = -1;

/* Read octets. */
static bool read_flash(void *board, uint32_t at, void *to, uint32_t count) {
    (void)board;
    return pread(file, to, count, at) == (ssize_t)count;
}

/* Write octets; what is written here is there after a kill, and after a power cut of the box it may not be. */
static bool write_flash(void *board, uint32_t at, const void *from, uint32_t count) {
    (void)board;
    return pwrite(file, from, count, at) == (ssize_t)count;
}

/* Erase the sector that begins there. */
static bool erase_flash(void *board, uint32_t at) {
    static uint8_t erased[SECTOR];
    (void)board;
    memset(erased, 0xFF, sizeof erased);
    return pwrite(file, erased, sizeof erased, at) == (ssize_t)sizeof erased;
}

/* A path in the store. */
static int open_in(const char *store, const char *name, int flags) {
    char path[PATH_ROOM];
    int length = snprintf(path, sizeof path, "%s/%s", store, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, flags | O_CLOEXEC, 0600);
}

/* Erase what a new or shorter file lacks. */
static bool fill(void) {
    struct stat status;
    if (fstat(file, &status) != 0) {
        return false;
    }
    for (uint32_t at = (uint32_t)(status.st_size / SECTOR) * SECTOR; at < FLASH_SIZE; at += SECTOR) {
        if (!erase_flash(NULL, at)) {
            return false;
        }
    }
    return true;
}

/* Read the public key. */
static bool read_key(const char *store, struct boot_trust *trust) {
    int key = open_in(store, "boot-key", O_RDONLY);
    if (key < 0) {
        return false;
    }
    ssize_t count = read(key, trust->key, sizeof trust->key);
    close(key);
    errno = EINVAL;
    return count == (ssize_t)sizeof trust->key;
}

bool host_flash_open(const char *store, struct boot_flash *flash, struct boot_trust *trust) {
    file = open_in(store, "flash", O_RDWR | O_CREAT);
    if (file < 0 || !fill()) {
        return false;
    }
    trust->board = "host";
    trust->load_address = 0;
    *flash = (struct boot_flash){.sector = SECTOR,
                                 .unit = UNIT,
                                 .slot_size = SLOT,
                                 .slot = {2 * SECTOR, 2 * SECTOR + SLOT},
                                 .journal = {0, SECTOR},
                                 .read = read_flash,
                                 .write = write_flash,
                                 .erase = erase_flash};
    return read_key(store, trust);
}
