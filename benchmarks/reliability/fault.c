/* Counts the system calls that change files below a folder, and at the n-th one kills the process (of a write, half
   is done first), or lets it and all later ones fail for want of room.

   Preloaded by harness.py. Actions: 0 only count, 1 SIGKILL, 2 ENOSPC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, NO_ROOM };
static char prefix[PATH_MAX];
static long at = -1, seen = 0;
static int action = COUNT, log_to = -1, armed = 0;
static char watched[65536]; /* by file descriptor: it was opened for writing below the folder */

#define NEXT(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void fault_arm(const char *below, long number, int what, const char *log) {
    static int (*open_next)(const char *, int, ...);
    if (!open_next) open_next = dlsym(RTLD_NEXT, "open64");
    armed = 0;
    strncpy(prefix, below, sizeof prefix - 1);
    at = number, action = what, seen = 0;
    memset(watched, 0, sizeof watched);
    log_to = log && *log ? open_next(log, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
    armed = 1;
}

/* Whether a path lies below the folder; `full` gets the whole path. */
static int is_below(int folder, const char *path, char *full) {
    char link[64], base[PATH_MAX];
    if (!armed || !path) return 0;
    if (path[0] == '/') snprintf(full, PATH_MAX, "%s", path);
    else {
        if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        snprintf(full, PATH_MAX, "%s/%s", base, path);
    }
    return strncmp(full, prefix, strlen(prefix)) == 0;
}

static int path_of(int file, char *full) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, full, PATH_MAX - 1);
    if (length < 0) return 0;
    full[length] = 0;
    return 1;
}

/* Whether a file that is written to counts. */
static int counts(int file, char *full) {
    if (!armed || file < 0 || file >= (int)sizeof watched || !watched[file]) return 0;
    return path_of(file, full) && !strncmp(full, prefix, strlen(prefix));
}

static void watch(int file, int on) { if (file >= 0 && file < (int)sizeof watched) watched[file] = on; }

/* Count a call; 1 if it has to fail. */
static int count(const char *name, const char *path) {
    static ssize_t (*write_next)(int, const void *, size_t);
    if (!write_next) write_next = dlsym(RTLD_NEXT, "write");
    long number = __sync_add_and_fetch(&seen, 1);
    if (log_to >= 0) {
        char line[PATH_MAX + 64];
        write_next(log_to, line, snprintf(line, sizeof line, "%ld %s %s\n", number, name, path));
    }
    if (at > 0 && number == at && action == KILL) kill(getpid(), SIGKILL);
    if (at > 0 && number >= at && action == NO_ROOM && (!strcmp(name, "write") || !strcmp(name, "open") || !strcmp(name, "mkdir"))) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

#define OPEN(call, folder) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, int); va_end(more); } \
    char full[PATH_MAX]; \
    int in = (flags & (O_WRONLY | O_RDWR)) && is_below(folder, path, full); \
    if (in && count("open", full)) return -1; \
    int file = call; \
    watch(file, in); \
    return file;
int open(const char *path, int flags, ...) { NEXT(open); OPEN(real(path, flags, mode), AT_FDCWD) }
int open64(const char *path, int flags, ...) { NEXT(open64); OPEN(real(path, flags, mode), AT_FDCWD) }
int openat(int at_folder, const char *path, int flags, ...) { NEXT(openat); OPEN(real(at_folder, path, flags, mode), at_folder) }
int openat64(int at_folder, const char *path, int flags, ...) { NEXT(openat64); OPEN(real(at_folder, path, flags, mode), at_folder) }
int creat(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

#define FOPEN(call) \
    char full[PATH_MAX]; \
    int in = strpbrk(how, "wa+") && is_below(AT_FDCWD, path, full); \
    if (in && count("open", full)) return NULL; \
    FILE *file = call; \
    if (file) watch(fileno(file), in); \
    return file;
FILE *fopen(const char *path, const char *how) { NEXT(fopen); FOPEN(real(path, how)) }
FILE *fopen64(const char *path, const char *how) { NEXT(fopen64); FOPEN(real(path, how)) }
int close(int file) { NEXT(close); if (armed) watch(file, 0); return real(file); }

#define WRITE(half, whole) \
    char full[PATH_MAX]; \
    if (counts(file, full)) { \
        if (action == KILL && seen + 1 == at) half; \
        if (count("write", full)) return -1; \
    } \
    return whole;
ssize_t write(int file, const void *bytes, size_t size) {
    NEXT(write);
    WRITE(real(file, bytes, size / 2), real(file, bytes, size))
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t place) {
    NEXT(pwrite64);
    WRITE(real(file, bytes, size / 2, place), real(file, bytes, size, place))
}
ssize_t writev(int file, const struct iovec *pieces, int number) {
    NEXT(writev);
    WRITE(real(file, pieces, number > 0), real(file, pieces, number))
}
int ftruncate64(int file, off64_t size) {
    NEXT(ftruncate64);
    char full[PATH_MAX];
    if (counts(file, full)) count("truncate", full);
    return real(file, size);
}

#define NAMED(word, folder, path) char full[PATH_MAX]; if (is_below(folder, path, full) && count(word, full)) return -1
int rename(const char *from, const char *to) { NEXT(rename); NAMED("rename", AT_FDCWD, to); return real(from, to); }
int renameat(int a, const char *from, int b, const char *to) { NEXT(renameat); NAMED("rename", b, to); return real(a, from, b, to); }
int unlink(const char *path) { NEXT(unlink); NAMED("unlink", AT_FDCWD, path); return real(path); }
int unlinkat(int folder, const char *path, int flags) { NEXT(unlinkat); NAMED("unlink", folder, path); return real(folder, path, flags); }
int rmdir(const char *path) { NEXT(rmdir); NAMED("rmdir", AT_FDCWD, path); return real(path); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); NAMED("mkdir", AT_FDCWD, path); return real(path, mode); }
int truncate64(const char *path, off64_t size) { NEXT(truncate64); NAMED("truncate", AT_FDCWD, path); return real(path, size); }
