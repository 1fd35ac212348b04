/* LD_PRELOAD: writes down, in order, everything a process does to the files of one directory, so that the disk after a
 * power cut at any moment can be worked out (tests/proof/journal.py does).
 *
 * EDGED_JOURNAL_DIR    absolute path of the directory; everything below it is watched
 * EDGED_JOURNAL_LOG    where the records go, outside of it
 * EDGED_JOURNAL_MARKS  a file outside of it: what is written there is a promise, noted in the same order
 *
 * A record is one write(2) under one lock, made after the call it tells of and before that call returns. What can't be
 * told (shared writable mappings, O_SYNC, symbolic links) is noted as such, and the reader refuses the whole journal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
enum { OTHER, DATA, MARKS };
enum { CREATE = 'C', WRITE = 'W', TRUNCATE = 'T', SYNC = 'S', DIRECTORY_SYNC = 'D', RENAME = 'R', UNLINK = 'U',
       MAKE_DIRECTORY = 'M', LINK = 'L', PROMISE = 'P', UNTOLD = '!' };

struct header { uint8_t kind; uint8_t pad[3]; uint32_t first, second, data; uint64_t inode, offset; } __attribute__((packed));

static char kinds[FDS], folders[FDS], shared_memory[FDS];
static uint64_t inodes[FDS];
static const char *directory, *marks;
static size_t directory_length;
static int journal = -1;
static pthread_mutex_t lock;


__attribute__((constructor)) static void begin(void)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &recursive);
    directory = getenv("EDGED_JOURNAL_DIR");
    marks = getenv("EDGED_JOURNAL_MARKS");
    const char *log = getenv("EDGED_JOURNAL_LOG");
    if (directory && marks && log) {
        directory_length = strlen(directory);
        journal = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

static void note(uint8_t kind, uint64_t inode, uint64_t offset, const char *first, const char *second, const void *data,
                 size_t length)
{
    int saved = errno;
    struct header header = { .kind = kind, .inode = inode, .offset = offset, .first = first ? strlen(first) : 0,
                             .second = second ? strlen(second) : 0, .data = length };
    size_t size = sizeof header + header.first + header.second + length, done = 0;
    char *record = malloc(size), *at = record;
    if (!record) abort();
    at = mempcpy(at, &header, sizeof header);
    at = mempcpy(at, first ? first : "", header.first);
    at = mempcpy(at, second ? second : "", header.second);
    memcpy(at, data ? data : "", length);
    while (done < size) {
        long written = syscall(SYS_write, journal, record + done, size - done);
        if (written <= 0) abort();
        done += written;
    }
    free(record);
    errno = saved;
}

/* Where `path` is below the watched directory ("" for itself), or NULL. `full` holds PATH_MAX bytes. */
static const char *below(int at, const char *path, char *full)
{
    if (journal < 0 || !path) return NULL;
    if (path[0] == '/') {
        snprintf(full, PATH_MAX, "%s", path);
    } else {
        char link[64], base[PATH_MAX];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return NULL;
        base[length] = 0;
        if ((size_t)snprintf(full, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
    }
    if (strncmp(full, directory, directory_length)) return NULL;
    if (full[directory_length] == 0) return full + directory_length;
    return full[directory_length] == '/' ? full + directory_length + 1 : NULL;
}

static int exists(int at, const char *path)
{
    struct stat found;
    return fstatat(at, path, &found, AT_SYMLINK_NOFOLLOW) == 0;
}

static void opened(int fd, int at, const char *path, int flags, int was_there)
{
    char full[PATH_MAX];
    struct stat found;
    if (fd < 0 || fd >= FDS || journal < 0) return;
    kinds[fd] = OTHER;
    if (path && !strcmp(path, marks)) { kinds[fd] = MARKS; return; }
    const char *name = below(at, path, full);
    if (!name || fstat(fd, &found)) return;
    kinds[fd] = DATA;
    folders[fd] = S_ISDIR(found.st_mode);
    inodes[fd] = found.st_ino;
    size_t length = strlen(name);
    shared_memory[fd] = length > 4 && !strcmp(name + length - 4, "-shm"); /* never read after a power cut */
    if ((flags & O_CREAT) && !was_there) note(CREATE, found.st_ino, 0, name, NULL, NULL, 0);
    else if ((flags & O_TRUNC) && !folders[fd]) note(TRUNCATE, found.st_ino, 0, NULL, NULL, NULL, 0);
    if ((flags & O_DSYNC) && (flags & O_ACCMODE) != O_RDONLY) note(UNTOLD, 0, 0, "O_SYNC", NULL, NULL, 0);
}

static int watched(int fd) { return journal >= 0 && fd >= 0 && fd < FDS && kinds[fd] == DATA && !folders[fd]; }

static void region(int fd, off_t offset, size_t length)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int copy = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    char *data = malloc(length ? length : 1);
    if (copy < 0 || !data || pread(copy, data, length, offset) != (ssize_t)length) abort();
    syscall(SYS_close, copy);
    note(WRITE, inodes[fd], offset, NULL, NULL, data, length);
    free(data);
}

static void at_position(int fd, ssize_t length)
{
    if (length > 0) region(fd, lseek(fd, 0, SEEK_CUR) - length, length);
}

#define LOCKED(type, expression) \
    pthread_mutex_lock(&lock); type result = (expression); int saved = errno; (void)saved

#define UNLOCKED pthread_mutex_unlock(&lock); errno = saved; return result

#define OPENER(name, at_parameter, at)                                                                                  \
    int name(at_parameter const char *path, int flags, ...)                                                             \
    {                                                                                                                   \
        mode_t mode = 0;                                                                                                \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                            \
            va_list rest;                                                                                               \
            va_start(rest, flags);                                                                                      \
            mode = va_arg(rest, mode_t);                                                                                \
            va_end(rest);                                                                                               \
        }                                                                                                               \
        int was_there = !(flags & O_CREAT) || exists(at, path);                                                         \
        LOCKED(int, syscall(SYS_openat, at, path, flags | O_LARGEFILE, mode));                                          \
        opened(result, at, path, flags, was_there);                                                                     \
        UNLOCKED;                                                                                                       \
    }
#define NOTHING
#define WITH_AT int at,
OPENER(open, NOTHING, AT_FDCWD)
OPENER(open64, NOTHING, AT_FDCWD)
OPENER(openat, WITH_AT, at)
OPENER(openat64, WITH_AT, at)

int close(int fd)
{
    LOCKED(int, 0);
    if (fd >= 0 && fd < FDS && fd != journal) kinds[fd] = OTHER;
    result = fd == journal ? 0 : syscall(SYS_close, fd);
    saved = errno;
    UNLOCKED;
}

ssize_t write(int fd, const void *data, size_t length)
{
    LOCKED(ssize_t, syscall(SYS_write, fd, data, length));
    if (result > 0 && journal >= 0 && fd >= 0 && fd < FDS && kinds[fd] == MARKS)
        note(PROMISE, 0, 0, NULL, NULL, data, result);
    if (watched(fd)) at_position(fd, result);
    UNLOCKED;
}

#define PWRITER(name)                                                                                                   \
    ssize_t name(int fd, const void *data, size_t length, __off64_t offset)                                             \
    {                                                                                                                   \
        LOCKED(ssize_t, syscall(SYS_pwrite64, fd, data, length, offset));                                               \
        if (result > 0 && watched(fd)) note(WRITE, inodes[fd], offset, NULL, NULL, data, result);                       \
        UNLOCKED;                                                                                                       \
    }
PWRITER(pwrite)
PWRITER(pwrite64)

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    LOCKED(ssize_t, syscall(SYS_writev, fd, parts, count));
    if (watched(fd)) at_position(fd, result);
    UNLOCKED;
}

ssize_t sendfile64(int to, int from, __off64_t *offset, size_t count)
{
    LOCKED(ssize_t, syscall(SYS_sendfile, to, from, offset, count));
    if (watched(to)) at_position(to, result);
    UNLOCKED;
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { return sendfile64(to, from, offset, count); }

ssize_t copy_file_range(int from, __off64_t *source, int to, __off64_t *target, size_t length, unsigned flags)
{
    LOCKED(ssize_t, syscall(SYS_copy_file_range, from, source, to, target, length, flags));
    if (result > 0 && watched(to)) {
        if (target) region(to, *target - result, result);
        else at_position(to, result);
    }
    UNLOCKED;
}

#define FTRUNCATE(name)                                                                                                 \
    int name(int fd, __off64_t length)                                                                                  \
    {                                                                                                                   \
        LOCKED(int, syscall(SYS_ftruncate, fd, length));                                                                \
        if (!result && watched(fd)) note(TRUNCATE, inodes[fd], length, NULL, NULL, NULL, 0);                            \
        UNLOCKED;                                                                                                       \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

static int synced(int fd, long number)
{
    LOCKED(int, syscall(number, fd));
    if (!result && journal >= 0 && fd >= 0 && fd < FDS && kinds[fd] == DATA)
        note(folders[fd] ? DIRECTORY_SYNC : SYNC, inodes[fd], 0, NULL, NULL, NULL, 0);
    UNLOCKED;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int renamed(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    char first[PATH_MAX], second[PATH_MAX];
    LOCKED(int, syscall(SYS_renameat2, from_at, from, to_at, to, flags));
    if (!result) {
        const char *source = below(from_at, from, first), *target = below(to_at, to, second);
        if (source && target && !flags) note(RENAME, 0, 0, source, target, NULL, 0);
        else if (source || target) note(UNTOLD, 0, 0, "a rename across the edge", NULL, NULL, 0);
    }
    UNLOCKED;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return renamed(a, from, b, to, flags); }

static int removed(int at, const char *path, int flags)
{
    char full[PATH_MAX];
    LOCKED(int, syscall(SYS_unlinkat, at, path, flags));
    const char *name = result ? NULL : below(at, path, full);
    if (name) note(UNLINK, 0, 0, name, NULL, NULL, 0);
    UNLOCKED;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path)
{
    int result = removed(AT_FDCWD, path, 0);
    return result && errno == EISDIR ? removed(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

static int made(int at, const char *path, mode_t mode)
{
    char full[PATH_MAX];
    struct stat found;
    LOCKED(int, syscall(SYS_mkdirat, at, path, mode));
    const char *name = result ? NULL : below(at, path, full);
    if (name && !fstatat(at, path, &found, 0)) note(MAKE_DIRECTORY, found.st_ino, 0, name, NULL, NULL, 0);
    UNLOCKED;
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return made(at, path, mode); }

static int untold(long result, int at, const char *path, const char *what)
{
    char full[PATH_MAX];
    if (!result && below(at, path, full)) note(UNTOLD, 0, 0, what, NULL, NULL, 0);
    return result;
}
static int linked(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char first[PATH_MAX], second[PATH_MAX];
    LOCKED(int, syscall(SYS_linkat, from_at, from, to_at, to, flags));
    const char *source = result ? NULL : below(from_at, from, first), *target = result ? NULL : below(to_at, to, second);
    if (source && target) note(LINK, 0, 0, source, target, NULL, 0);
    else if (source || target) note(UNTOLD, 0, 0, "a link across the edge", NULL, NULL, 0);
    UNLOCKED;
}
int link(const char *from, const char *to) { return linked(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return linked(a, from, b, to, flags); }
int symlink(const char *from, const char *to)
{
    return untold(syscall(SYS_symlink, from, to), AT_FDCWD, to, "a symbolic link");
}
int truncate(const char *path, off_t length)
{
    return untold(syscall(SYS_truncate, path, length), AT_FDCWD, path, "truncate by name");
}

static void *mapped(void *address, size_t length, int protection, int flags, int fd, __off64_t offset)
{
    void *result = (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
    if (result != MAP_FAILED && (flags & MAP_SHARED) && (protection & PROT_WRITE) && watched(fd) && !shared_memory[fd])
        note(UNTOLD, 0, 0, "a shared writable mapping", NULL, NULL, 0);
    return result;
}
void *mmap(void *a, size_t l, int p, int f, int d, __off64_t o) { return mapped(a, l, p, f, d, o); }
void *mmap64(void *a, size_t l, int p, int f, int d, __off64_t o) { return mapped(a, l, p, f, d, o); }

static int allocated(int fd, int mode, __off64_t offset, __off64_t length)
{
    int result = syscall(SYS_fallocate, fd, mode, offset, length);
    if (!result && watched(fd)) note(UNTOLD, 0, 0, "fallocate", NULL, NULL, 0);
    return result;
}
int fallocate(int fd, int m, __off64_t o, __off64_t l) { return allocated(fd, m, o, l); }
int fallocate64(int fd, int m, __off64_t o, __off64_t l) { return allocated(fd, m, o, l); }
int posix_fallocate(int fd, __off64_t o, __off64_t l) { return allocated(fd, 0, o, l) ? errno : 0; }
int posix_fallocate64(int fd, __off64_t o, __off64_t l) { return allocated(fd, 0, o, l) ? errno : 0; }
