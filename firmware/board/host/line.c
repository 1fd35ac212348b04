/* The daemon's port: a Unix socket, or a pseudo-terminal. One caller at a time; a new one takes the place of the old. */
#include <errno.h>   /* errno */
#include <fcntl.h>   /* open, O_… */
#include <stdlib.h>  /* posix_openpt, grantpt, unlockpt, ptsname_r */
#include <string.h>  /* memcpy, memmove */
#include <termios.h> /* cfmakeraw */
#include <unistd.h>  /* read, write, close */

#include "board.h" /* board_uart_… */
#include "host.h"  /* our own declarations */

enum { RING = 1024, PTY_NAME = 64 };

/* The line's state; there is one line. */
static struct {
    int listening; /* -1 with a pseudo-terminal */
    int caller;    /* -1 when nobody is there */
    int slave;     /* kept open, so that a pseudo-terminal lives on when the daemon closes it */
    uint8_t out[RING];
    size_t waiting;
} line = {.listening = -1, .caller = -1, .slave = -1};

bool line_listen(const char *path) {
    line.listening = socket_listen(path);
    return line.listening >= 0;
}

/* Make the slave a raw line and let `link` point to it. */
static bool open_slave(const char *link) {
    char name[PTY_NAME];
    struct termios settings;
    if (grantpt(line.caller) != 0 || unlockpt(line.caller) != 0 || ptsname_r(line.caller, name, sizeof name) != 0) {
        return false;
    }
    line.slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line.slave < 0 || tcgetattr(line.slave, &settings) != 0) {
        return false;
    }
    cfmakeraw(&settings);
    (void)unlink(link);
    return tcsetattr(line.slave, TCSANOW, &settings) == 0 && symlink(name, link) == 0;
}

bool line_open_pty(const char *link) {
    line.caller = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return line.caller >= 0 && open_slave(link);
}

/* The caller is gone, and what it hasn't read with it. */
static void hang_up(void) {
    if (line.listening >= 0 && line.caller >= 0) {
        (void)close(line.caller);
        line.caller = -1;
    }
    line.waiting = 0;
}

void line_close(void) {
    hang_up();
    const int open_files[] = {line.listening, line.caller, line.slave};
    for (size_t i = 0; i < sizeof open_files / sizeof open_files[0]; i++) {
        if (open_files[i] >= 0) {
            (void)close(open_files[i]);
        }
    }
}

void line_reset(void) {
    line.waiting = 0;
}

/* Send what waits, as far as the caller takes it. */
static void flush(void) {
    if (line.waiting == 0) {
        return;
    }
    const ssize_t sent = line.caller < 0 ? (ssize_t)line.waiting : write(line.caller, line.out, line.waiting);
    if (sent > 0) {
        line.waiting -= (size_t)sent;
        memmove(line.out, line.out + sent, line.waiting);
    } else if (sent < 0 && errno == EAGAIN && line.listening < 0) {
        line.waiting = 0; /* nobody reads the terminal: as on a wire, it is lost */
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up();
    }
}

size_t line_polls(struct pollfd *polls) {
    size_t count = 0;
    if (line.listening >= 0) {
        polls[count++] = (struct pollfd){.fd = line.listening, .events = POLLIN};
    }
    if (line.caller >= 0) {
        const short events = line.waiting > 0 ? POLLIN | POLLOUT : POLLIN;
        polls[count++] = (struct pollfd){.fd = line.caller, .events = events};
    }
    return count;
}

void line_work(void) {
    if (line.listening >= 0) {
        const int caller = socket_accept(line.listening);
        if (caller >= 0) {
            hang_up();
            line.caller = caller;
        }
    }
    flush();
}

size_t board_uart_read(uint8_t *to, size_t room) {
    if (line.caller < 0) {
        return 0;
    }
    const ssize_t got = read(line.caller, to, room);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        hang_up();
    }
    return got > 0 ? (size_t)got : 0;
}

size_t board_uart_room(void) {
    return sizeof line.out - line.waiting;
}

void board_uart_write(const uint8_t *octets, size_t length) {
    memcpy(line.out + line.waiting, octets, length);
    line.waiting += length;
    flush();
}
