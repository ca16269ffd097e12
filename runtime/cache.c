// The disk cache: one file an entry, written to a temporary name and renamed, checked when it is read.
//
// A file is a header and the entry's bytes. Every byte of it is covered: magic, version and key by comparison,
// the length by the file's size, the rest by the checksum.
#include "runtime/cache_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define SUFFIX    ".qnk"
#define TEMPORARY ".tmp-"

enum {
  FORMAT = 1,
  ENTRY_NAME = 40,      // 32 hexadecimal digits and the suffix
  TEMPORARY_AGE = 3600, // seconds after which a temporary file has lost its writer
  TOUCH_AGE = 3600,     // an entry's time is its last use, to this precision
  ENTRY_MAX = 64 << 20  // larger ones are not ours
};

// As stored: little-endian on every machine that CUDA runs on.
typedef struct header {
  char magic[4];
  uint32_t format;
  uint64_t length;   // of the bytes that follow
  uint64_t checksum; // XXH3-64 of them
  qn_cache_key key;
} header;
_Static_assert(sizeof(header) == 40, "no padding in the file");

static const char magic[4] = { 'Q', 'N', 'C', '1' };

qn_cache_key qn_cache_hash(const void *bytes, size_t length) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, length));
  qn_cache_key key;
  memcpy(key.bytes, canonical.digest, sizeof(key.bytes));
  return key;
}

static void entry_name(qn_cache_key key, char out_name[ENTRY_NAME]) {
  for (int i = 0; i < 16; i++) snprintf(out_name + 2 * i, 3, "%02x", key.bytes[i]);
  memcpy(out_name + 32, SUFFIX, sizeof(SUFFIX));
}

// --- opening -----------------------------------------------------------------------------------------------

// The user's folder by the XDG base directory specification: relative paths there are to be ignored.
static void user_folder(qn_buf *out) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (xdg && xdg[0] == '/')
    qn_buf_printf(out, "%s/quench", xdg);
  else if (home && home[0] == '/')
    qn_buf_printf(out, "%s/.cache/quench", home);
}

// mkdir -p, private to the user. Returns 0 or errno.
static int make_folders(char *path) {
  for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = 0;
    int failed = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
    *slash = '/';
    // An unwritable parent may still hold the folder: only the last step decides.
    if (failed && failed != EACCES && failed != EROFS && failed != EPERM && failed != ENOENT) return failed;
  }
  return mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
}

// Opens the folder; NULL, or why it is not used.
static const char *open_folder(qn_cache *cache, char *path) {
  int failed = make_folders(path);
  if (failed) return strerror(failed);
  cache->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cache->folder < 0) return strerror(errno);
  // Code from this folder runs on the device with the user's rights, so nobody else may write it.
  struct stat info;
  const char *why = NULL;
  if (fstat(cache->folder, &info) != 0)
    why = strerror(errno);
  else if (info.st_uid != geteuid())
    why = "the folder belongs to another user";
  else if (info.st_mode & (S_IWGRP | S_IWOTH))
    why = "the folder may be written by other users";
  if (!why) return NULL;
  close(cache->folder);
  cache->folder = -1;
  return why;
}

qn_status qn_cache_open(qn_context *context, const char *folder, uint64_t limit, qn_cache *out_cache) {
  *out_cache = (qn_cache){ .context = context, .folder = -1, .limit = limit };
  qn_buf path = QN_BUF(context), state = QN_BUF(context);
  if (folder)
    qn_buf_printf(&path, "%s", folder);
  else
    user_folder(&path);
  if (folder && !*folder) {
    qn_buf_printf(&state, "off: asked for");
  } else if (path.length == 0) {
    qn_buf_printf(&state, "off: neither XDG_CACHE_HOME nor HOME is an absolute path");
  } else if (path.status == QN_OK) {
    const char *why = open_folder(out_cache, path.text);
    if (why)
      qn_buf_printf(&state, "off: %s: %s", path.text, why);
    else
      qn_buf_printf(&state, "%s", path.text);
  }
  qn_status status = path.status != QN_OK ? path.status : state.status;
  qn_buf_free(&path);
  if (status != QN_OK) {
    qn_buf_free(&state);
    qn_cache_close(out_cache);
    return status;
  }
  out_cache->state = state.text;
  out_cache->state_size = state.capacity;
  return QN_OK;
}

void qn_cache_close(qn_cache *cache) {
  if (cache->folder >= 0) close(cache->folder);
  if (cache->state) qn_realloc(cache->context, cache->state, cache->state_size, 0);
  *cache = (qn_cache){ .context = cache->context, .folder = -1 };
}

// --- reading -----------------------------------------------------------------------------------------------

static bool read_all(int file, void *to, size_t length) {
  for (char *at = to; length > 0;) {
    ssize_t got = read(file, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    length -= (size_t)got;
  }
  return true;
}

// Makes the time of an entry that is in use the present, so that it outlives those that are not.
static void touch(int file, const struct stat *info) {
  if (time(NULL) - info->st_mtim.tv_sec > TOUCH_AGE) (void)futimens(file, NULL);
}

// False if the file is not a whole entry of that key.
static bool read_entry(qn_cache *cache, int file, const struct stat *info, qn_cache_key key, qn_buf *out) {
  header head;
  if (!S_ISREG(info->st_mode) || info->st_size < (off_t)sizeof(head) || info->st_size > ENTRY_MAX) return false;
  size_t length = (size_t)info->st_size - sizeof(head);
  if (!read_all(file, &head, sizeof(head))) return false;
  if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.format != FORMAT || head.length != length)
    return false;
  if (memcmp(&head.key, &key, sizeof(key)) != 0) return false;
  char *bytes = qn_alloc(cache->context, length);
  bool whole = bytes && read_all(file, bytes, length) && XXH3_64bits(bytes, length) == head.checksum;
  if (whole) qn_buf_append(out, bytes, length);
  qn_free(cache->context, bytes, length);
  return whole && out->status == QN_OK;
}

bool qn_cache_get(qn_cache *cache, qn_cache_key key, qn_buf *out) {
  if (cache->folder < 0) return false;
  char name[ENTRY_NAME];
  entry_name(key, name);
  int file = openat(cache->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) return false;
  struct stat info;
  bool found = fstat(file, &info) == 0 && read_entry(cache, file, &info, key, out);
  if (found)
    touch(file, &info);
  else
    qn_cache_remove(cache, key);
  close(file);
  return found;
}

void qn_cache_remove(qn_cache *cache, qn_cache_key key) {
  if (cache->folder < 0) return;
  char name[ENTRY_NAME];
  entry_name(key, name);
  (void)unlinkat(cache->folder, name, 0);
}

// --- writing -----------------------------------------------------------------------------------------------

static bool write_all(int file, const void *from, size_t length) {
  for (const char *at = from; length > 0;) {
    ssize_t put = write(file, at, length);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    length -= (size_t)put;
  }
  return true;
}

typedef struct entry {
  char name[ENTRY_NAME];
  uint64_t size;
  struct timespec used;
} entry;

static int oldest_first(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
  if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
  return strcmp(x->name, y->name);
}

static bool ends_with(const char *text, const char *suffix) {
  size_t length = strlen(text), end = strlen(suffix);
  return length >= end && strcmp(text + length - end, suffix) == 0;
}

// Removes what dead writers left, and the oldest entries until the rest is within three quarters of the limit,
// so that not every put has to evict.
static void evict(qn_cache *cache) {
  int again = openat(cache->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = again >= 0 ? fdopendir(again) : NULL;
  if (!stream) {
    if (again >= 0) close(again);
    return;
  }
  entry *entries = NULL;
  uint32_t count = 0, capacity = 0;
  uint64_t total = 0;
  for (struct dirent *item; (item = readdir(stream)) != NULL;) {
    struct stat info;
    bool temporary = strncmp(item->d_name, TEMPORARY, strlen(TEMPORARY)) == 0;
    if (!temporary && (!ends_with(item->d_name, SUFFIX) || strlen(item->d_name) >= ENTRY_NAME)) continue;
    if (fstatat(cache->folder, item->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (temporary) {
      if (time(NULL) - info.st_mtim.tv_sec > TEMPORARY_AGE) (void)unlinkat(cache->folder, item->d_name, 0);
      continue;
    }
    if (QN_RESERVE(cache->context, entries, capacity, (uint64_t)count + 1) != QN_OK) break;
    entry *next = &entries[count++];
    *next = (entry){ .size = (uint64_t)info.st_size, .used = info.st_mtim };
    memcpy(next->name, item->d_name, strlen(item->d_name) + 1);
    total += next->size;
  }
  closedir(stream);
  if (total > cache->limit) {
    qsort(entries, count, sizeof(*entries), oldest_first);
    for (uint32_t i = 0; i < count && total > cache->limit / 4 * 3; i++) {
      (void)unlinkat(cache->folder, entries[i].name, 0);
      total -= entries[i].size;
    }
  }
  qn_free(cache->context, entries, capacity * sizeof(*entries));
}

void qn_cache_put(qn_cache *cache, qn_cache_key key, const void *bytes, size_t length) {
  if (cache->folder < 0 || length > ENTRY_MAX - sizeof(header)) return;
  header head = { .format = FORMAT, .length = length, .checksum = XXH3_64bits(bytes, length), .key = key };
  memcpy(head.magic, magic, sizeof(magic));

  // The process and an address that no other thread of it has at this moment: unique among running writers.
  char temporary[64], name[ENTRY_NAME];
  snprintf(temporary, sizeof(temporary), TEMPORARY "%ld-%p", (long)getpid(), (void *)&head);
  entry_name(key, name);
  int file = openat(cache->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  bool written = write_all(file, &head, sizeof(head)) && write_all(file, bytes, length);
  written = close(file) == 0 && written;
  if (!written || renameat(cache->folder, temporary, cache->folder, name) != 0)
    (void)unlinkat(cache->folder, temporary, 0);
  else
    evict(cache);
}
