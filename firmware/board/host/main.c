/* The head as a Linux process: command line, signals, and lives from reset to reset. */
#include <errno.h>  /* errno */
#include <signal.h> /* sigaction, sigprocmask */
#include <stdio.h>  /* fprintf */
#include <string.h> /* strcmp, strerror */
#include <sys/prctl.h> /* prctl */

#include "board.h" /* board_sleep */
#include "boot.h"  /* host_boot */
#include "host.h"  /* our own declarations */
#include "loop.h"  /* loop_start, loop_turn */

enum { EXIT_GOOD = 0, EXIT_USAGE = 64, EXIT_CANNOT = 73 };

static volatile sig_atomic_t stopping;

/* What the command line says. */
struct words {
    const char *socket;
    const char *pty;
    const char *pins;
    const char *store;
    bool boot; /* begin with the boot loader */
};

/* Note that the process shall end. */
static void stop(int number) {
    (void)number;
    stopping = 1;
}

/* Signals come only while the board sleeps, so that none is missed. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = stop};
    sigset_t ending;
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ending, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* Where an option's value goes; NULL when there is no such option. */
static const char **place(struct words *words, const char *option) {
    if (strcmp(option, "--socket") == 0) {
        return &words->socket;
    }
    if (strcmp(option, "--pty") == 0) {
        return &words->pty;
    }
    if (strcmp(option, "--pins") == 0) {
        return &words->pins;
    }
    return strcmp(option, "--store") == 0 ? &words->store : NULL;
}

/* Take the command line apart. */
static bool parse(struct words *words, int count, char **arguments) {
    for (int i = 1; i < count; i += 2) {
        if (strcmp(arguments[i], "--boot") == 0) {
            words->boot = true;
            i--;
            continue;
        }
        const char **to = place(words, arguments[i]);
        if (to == NULL || i + 1 == count) {
            return false;
        }
        *to = arguments[i + 1];
    }
    return (words->socket != NULL) != (words->pty != NULL) && (!words->boot || words->store != NULL);
}

/* Say what can't be had. */
static bool complain(const char *path) {
    (void)fprintf(stderr, "edged-head: %s: %s\n", path, strerror(errno));
    return false;
}

/* Open everything that the command line names. */
static bool open_all(const struct words *words) {
    if (words->store != NULL && !keep_open(words->store, host_unique_id(), UNIQUE_ID_SIZE)) {
        return complain(words->store);
    }
    if (words->pins != NULL && !hands_listen(words->pins)) {
        return complain(words->pins);
    }
    if (words->socket != NULL && !line_listen(words->socket)) {
        return complain(words->socket);
    }
    if (words->pty != NULL && !line_open_pty(words->pty)) {
        return complain(words->pty);
    }
    return true;
}

/* Live until the next reset; returns its cause. */
static enum reset_cause live(enum reset_cause cause) {
    static struct head head;
    host_begin(cause);
    loop_start(&head);
    while (!stopping && !host_asked.reset) {
        board_sleep(loop_turn(&head));
    }
    return host_asked.cause;
}

int main(int count, char **arguments) {
    struct words words = {.socket = NULL};
    if (!parse(&words, count, arguments)) {
        (void)fprintf(stderr, "usage: edged-head (--socket PATH | --pty LINK) [--pins PATH] [--store DIRECTORY [--boot]]\n");
        return EXIT_USAGE;
    }
    catch_signals();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* never outlives the test that started it */
    if ((words.boot && !host_boot(words.store, arguments)) || !open_all(&words)) {
        return EXIT_CANNOT;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    enum reset_cause cause = host_boot_cause();
    while (!stopping) {
        cause = live(cause);
        if (words.boot && !stopping) {
            host_boot_again(cause, arguments);
        }
    }
    host_begin(cause);
    line_close();
    hands_close();
    return EXIT_GOOD;
}
