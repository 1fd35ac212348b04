/* Unix sockets of the board that is a process. */
#include <errno.h>      /* errno */
#include <string.h>     /* memcpy, strlen */
#include <sys/socket.h> /* socket, bind, listen, accept4 */
#include <sys/un.h>     /* sockaddr_un */
#include <unistd.h>     /* close, unlink */

#include "host.h" /* our own declarations */

enum { WAITING = 4 /* callers that may wait to be accepted */ };

int socket_listen(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, length + 1U);
    const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listening < 0) {
        return -1;
    }
    (void)unlink(path);
    if (bind(listening, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listening, WAITING) != 0) {
        const int error = errno;
        (void)close(listening);
        errno = error;
        return -1;
    }
    return listening;
}

int socket_accept(int listening) {
    return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
