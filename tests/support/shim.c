/* Stands between a program and the C library, for what it does to files below SHIM_PREFIX: counts every call that changes
 * something, and lets one of them be the last.
 *
 *   SHIM_PREFIX    a folder
 *   SHIM_COUNT     a file that gets the number of calls when the program ends by itself
 *   SHIM_KILL_AT   the call, counted from 1, that is not made: the process is killed. Of a write half is made
 *   SHIM_FAIL_FLAG a file: as long as it exists, every call fails with SHIM_ERRNO
 *   SHIM_FAIL_FROM a file: calls are counted for the next line as long as it exists
 *   SHIM_FAIL_AT   the call, counted from 1, that fails with SHIM_ERRNO, as do the SHIM_FAIL_CALLS - 1 after it
 *   SHIM_HANG_FLAG a file: as long as it exists, no call comes back
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned long calls;

#define REAL(name, result, ...)                                  \
  static result (*real)(__VA_ARGS__);                            \
  if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int below(const char *path) {
  const char *prefix = getenv("SHIM_PREFIX");
  return prefix && path && strncmp(path, prefix, strlen(prefix)) == 0;
}

static int open_below(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

static unsigned long number_of(const char *name) {
  const char *text = getenv(name);
  return text ? strtoul(text, NULL, 10) : 0;
}

static int fails(void) {
  static unsigned long asked;
  const char *fail = getenv("SHIM_FAIL_FLAG"), *hang = getenv("SHIM_HANG_FLAG");
  while (hang && access(hang, F_OK) == 0) usleep(1000);
  const char *from = getenv("SHIM_FAIL_FROM");
  int is_among = 0;
  if (from && access(from, F_OK) == 0) {
    unsigned long at = number_of("SHIM_FAIL_AT"), number = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
    is_among = number >= at && number < at + number_of("SHIM_FAIL_CALLS");
  }
  if (!is_among && !(fail && access(fail, F_OK) == 0)) return 0;
  errno = getenv("SHIM_ERRNO") ? (int)number_of("SHIM_ERRNO") : EROFS;
  return 1;
}

/* True if this is the call at which the process is killed. */
static int is_last(void) {
  unsigned long last = number_of("SHIM_KILL_AT"), number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  return last && number == last;
}

static void end(void) {
  raise(SIGKILL);
  for (;;) pause();
}

__attribute__((destructor)) static void tell(void) {
  const char *path = getenv("SHIM_COUNT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%lu", calls);
  fclose(file);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
  if (open_below(fd)) {
    if (fails()) return -1;
    if (is_last()) {
      real(fd, bytes, length / 2, at);
      end();
    }
  }
  return real(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL("write", ssize_t, int, const void *, size_t);
  if (fd > 2 && open_below(fd)) {
    if (fails()) return -1;
    if (is_last()) {
      real(fd, bytes, length / 2);
      end();
    }
  }
  return real(fd, bytes, length);
}

int open64(const char *path, int flags, ...) {
  REAL("open64", int, const char *, int, ...);
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  if ((flags & O_ACCMODE) != O_RDONLY && below(path)) {
    if (fails()) return -1;
    if ((flags & O_CREAT) && is_last()) end();
  }
  return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  int mode = va_arg(more, int);
  va_end(more);
  return open64(path, flags, mode);
}

#define OF_PATH(name, parameters, given, path)            \
  int name parameters {                                   \
    static int(*real) parameters;                         \
    if (!real) real = (int(*) parameters)dlsym(RTLD_NEXT, #name); \
    if (path) {                                           \
      if (fails()) return -1;                             \
      if (is_last()) end();                               \
    }                                                     \
    return real given;                                    \
  }

OF_PATH(rename, (const char *from, const char *to), (from, to), below(from))
OF_PATH(mkdir, (const char *path, mode_t mode), (path, mode), below(path))
OF_PATH(rmdir, (const char *path), (path), below(path))
OF_PATH(unlink, (const char *path), (path), below(path))
OF_PATH(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), open_below(folder) || below(path))
OF_PATH(fsync, (int fd), (fd), open_below(fd))
OF_PATH(fdatasync, (int fd), (fd), open_below(fd))
OF_PATH(ftruncate64, (int fd, off64_t length), (fd, length), open_below(fd))
OF_PATH(sync_file_range, (int fd, off64_t at, off64_t length, unsigned flags), (fd, at, length, flags), open_below(fd))
