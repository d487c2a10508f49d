// A disk that fails as it is told, loaded before the C library of a server under test.
//
// Calls that touch FAILING_DISK_DIRECTORY, or what is below it, look into the file
// FAILING_DISK_CONTROL first:
//
//     <generation> <kind> <skip> <count> <errno> <sleep in milliseconds>
//
// After `skip` calls of the kind the next `count` sleep, and fail unless `errno` is 0. Another
// generation counts from the start. Each call that is hit adds a line to FAILING_DISK_HITS.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static long generation_seen = -1;
static long calls_seen;

static int is_below(const char *path) {
    const char *directory = getenv("FAILING_DISK_DIRECTORY");
    if (directory == NULL) {
        return 0;
    }
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void tell_hit(long generation, const char *kind, const char *path) {
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%ld %s %s\n", generation, kind, path);
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    int file = syscall(SYS_openat, AT_FDCWD, getenv("FAILING_DISK_HITS"), flags, 0644);
    if (file >= 0) {
        syscall(SYS_write, file, line, length);
        syscall(SYS_close, file);
    }
}

// Returns whether the call fails; `errno` says why.
static int fails(const char *kind, const char *path) {
    int errno_before = errno;
    char text[256] = {0}, kind_told[16] = {0};
    long generation, skip, count, error, sleep_ms;
    int file = syscall(SYS_openat, AT_FDCWD, getenv("FAILING_DISK_CONTROL"), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        errno = errno_before;
        return 0;
    }
    syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    const char *format = "%ld %15s %ld %ld %ld %ld";
    int found = sscanf(text, format, &generation, kind_told, &skip, &count, &error, &sleep_ms);
    int is_hit = 0;
    if (found == 6 && strcmp(kind, kind_told) == 0) {
        pthread_mutex_lock(&turn);
        if (generation != generation_seen) {
            generation_seen = generation;
            calls_seen = 0;
        }
        is_hit = calls_seen >= skip && calls_seen - skip < count;
        calls_seen++;
        pthread_mutex_unlock(&turn);
    }
    if (is_hit) {
        tell_hit(generation, kind, path);
        struct timespec pause = {sleep_ms / 1000, sleep_ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
        if (error != 0) {
            errno = error;
            return 1;
        }
    }
    errno = errno_before;
    return 0;
}

static int fails_at(const char *kind, int file) {
    char link[64], path[PATH_MAX];
    int errno_before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = errno_before;
    if (length < 0) {
        return 0;
    }
    path[length] = 0;
    return is_below(path) && fails(kind, path);
}

ssize_t write(int file, const void *bytes, size_t length) {
    return fails_at("write", file) ? -1 : syscall(SYS_write, file, bytes, length);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    return fails_at("write", file) ? -1 : syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    return pwrite64(file, bytes, length, at);
}

ssize_t read(int file, void *bytes, size_t length) {
    return fails_at("read", file) ? -1 : syscall(SYS_read, file, bytes, length);
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t at) {
    return fails_at("read", file) ? -1 : syscall(SYS_pread64, file, bytes, length, at);
}

ssize_t pread(int file, void *bytes, size_t length, off_t at) {
    return pread64(file, bytes, length, at);
}

int fsync(int file) {
    return fails_at("sync", file) ? -1 : syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    return fails_at("sync", file) ? -1 : syscall(SYS_fdatasync, file);
}

int ftruncate64(int file, off64_t length) {
    return fails_at("truncate", file) ? -1 : syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) {
    return ftruncate64(file, length);
}

int openat64(int directory, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    mode_t mode = makes ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (is_below(path) && fails("open", path)) {
        return -1;
    }
    return syscall(SYS_openat, directory, path, flags, mode);
}

#define OPENS(name, given, directory)                                            \
    int name given {                                                             \
        va_list arguments;                                                       \
        va_start(arguments, flags);                                              \
        int makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;  \
        mode_t mode = makes ? va_arg(arguments, mode_t) : 0;                     \
        va_end(arguments);                                                       \
        return openat64(directory, path, flags, mode);                           \
    }

OPENS(openat, (int directory, const char *path, int flags, ...), directory)
OPENS(open, (const char *path, int flags, ...), AT_FDCWD)
OPENS(open64, (const char *path, int flags, ...), AT_FDCWD)
