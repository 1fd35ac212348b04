/* The board that is a Linux process: what its parts tell each other. */
#ifndef EDGED_HOST_H
#define EDGED_HOST_H

#include <poll.h>    /* struct pollfd */
#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "pins.h" /* struct pins, enum reset_cause */

enum { POLLS_MAX = 8 };

/* What has been asked of the process. */
struct asked {
    bool reset; /* by the hands at its pins, by the head itself, by the watchdog */
    enum reset_cause cause;
    bool stuck; /* the main loop hangs from now on */
};

extern struct asked host_asked;

/* ---- board.c ---- */

/* Begin a life of the head: clocks and rings from the beginning. */
void host_begin(enum reset_cause cause);

/* Where the unique id goes, before the first life. */
uint8_t *host_unique_id(void);

/* ---- line.c: the daemon's port ---- */

/* Listen on a Unix socket, or open a pseudo-terminal that `link` points to; false and errno when that fails. */
bool line_listen(const char *path);
bool line_open_pty(const char *link);
void line_close(void);

/* Forget what hasn't been sent: the head was reset. */
void line_reset(void);

/* What to wait for, and what to do when it has come. */
size_t line_polls(struct pollfd *polls);
void line_work(void);

/* ---- hands.c: the pins ---- */

/* Listen for hands on a Unix socket; without this, outputs are printed. */
bool hands_listen(const char *path);
void hands_close(void);
size_t hands_polls(struct pollfd *polls);
void hands_work(void);

/* The levels now; counts as a sample of the millisecond `now_ms`. */
void hands_read(struct pins *pins, uint64_t now_ms);

/* An output has changed: tell everybody. At most 63 characters. */
void hands_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- socket.c ---- */

/* A listening Unix socket at `path`, in place of a dead one; -1 and errno when that fails. */
int socket_listen(const char *path);

/* The next caller of a listening socket, not blocking; -1 when there is none. */
int socket_accept(int listening);

/* ---- keep.c: the non-volatile store ---- */

/* Keep records and the unique id in a directory; without this, in memory only. False and errno when it can't be used. */
bool keep_open(const char *directory, uint8_t *id, size_t id_size);

#endif
