/* The non-volatile store: one file a record, and the unique id, which a microcontroller has by birth. */
#include <errno.h>      /* errno */
#include <fcntl.h>      /* openat, O_… */
#include <string.h>     /* memcpy, memset */
#include <sys/random.h> /* getrandom */
#include <unistd.h>     /* read, write, fsync, close */

#include "board.h" /* board_store_… */
#include "host.h"  /* our own declarations */

enum { MODE = 0600 };

static const char *const names[BOARD_STORE_RECORDS] = {"record-0", "record-1"};

static struct {
    int directory; /* -1: in memory only */
    bool written[BOARD_STORE_RECORDS];
    uint8_t memory[BOARD_STORE_RECORDS][BOARD_STORE_SIZE];
} keep = {.directory = -1};

/* Read a whole file of the directory. */
static bool load(const char *name, uint8_t *to, size_t length) {
    const int file = openat(keep.directory, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    const bool whole = read(file, to, length) == (ssize_t)length;
    (void)close(file);
    return whole;
}

/* Write a whole file in place, as flash is written; the other record stands in for one cut short. */
static bool save(const char *name, const uint8_t *octets, size_t length) {
    const int file = openat(keep.directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MODE);
    if (file < 0) {
        return false;
    }
    const bool whole = write(file, octets, length) == (ssize_t)length && fsync(file) == 0;
    return close(file) == 0 && whole;
}

bool keep_open(const char *directory, uint8_t *id, size_t id_size) {
    keep.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (keep.directory < 0) {
        return false;
    }
    if (load("id", id, id_size)) {
        return true;
    }
    return getrandom(id, id_size, 0) == (ssize_t)id_size && save("id", id, id_size);
}

bool board_store_read(unsigned record, uint8_t *to, size_t length) {
    if (record >= BOARD_STORE_RECORDS || length > BOARD_STORE_SIZE) {
        return false;
    }
    if (keep.directory >= 0) {
        return load(names[record], to, length);
    }
    memcpy(to, keep.memory[record], length);
    return keep.written[record];
}

bool board_store_write(unsigned record, const uint8_t *octets, size_t length) {
    if (record >= BOARD_STORE_RECORDS || length > BOARD_STORE_SIZE) {
        return false;
    }
    if (keep.directory >= 0) {
        return save(names[record], octets, length);
    }
    memcpy(keep.memory[record], octets, length);
    keep.written[record] = true;
    return true;
}
