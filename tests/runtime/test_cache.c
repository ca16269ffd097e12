// The disk cache: hits, misses, damage, unusable folders, eviction, many processes at once.
#include "runtime/cache_priv.h"
#include "tests/runtime/scratch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static qn_context *context;
static scratch folder;

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  folder = scratch_create();
}

static void tear_down(void) {
  scratch_remove(folder.path);
  qn_context_destroy(context);
}

TestSuite(cache, .init = set_up, .fini = tear_down);

static qn_cache open_cache(const char *path, uint64_t limit) {
  qn_cache cache;
  cr_assert_eq(qn_cache_open(context, path, limit, &cache), QN_OK);
  return cache;
}

static qn_cache_key key_of(const char *text) {
  return qn_cache_hash(text, strlen(text));
}

// Whether the entry is there and is `text`.
static bool holds(qn_cache *cache, const char *key, const char *text) {
  qn_buf out = QN_BUF(context);
  bool found = qn_cache_get(cache, key_of(key), &out);
  if (found) cr_assert(out.length == strlen(text) && memcmp(out.text, text, out.length) == 0, "other bytes");
  qn_buf_free(&out);
  return found;
}

static void put(qn_cache *cache, const char *key, const char *text) {
  qn_cache_put(cache, key_of(key), text, strlen(text));
}

Test(cache, gives_back_what_was_put) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  cr_assert_str_eq(cache.state, folder.path);
  cr_assert_not(holds(&cache, "a", ""));
  put(&cache, "a", "first");
  put(&cache, "b", "");
  cr_assert(holds(&cache, "a", "first"));
  cr_assert(holds(&cache, "b", ""));
  put(&cache, "a", "second");
  cr_assert(holds(&cache, "a", "second"));
  qn_cache_close(&cache);
  cache = open_cache(folder.path, 1 << 20);
  cr_assert(holds(&cache, "a", "second"), "another opening sees it");
  qn_cache_remove(&cache, key_of("a"));
  cr_assert_not(holds(&cache, "a", ""));
  cr_assert_eq(scratch_count(folder.path, "", NULL), 3, "nothing temporary is left: '.', '..' and b");
  qn_cache_close(&cache);
}

Test(cache, makes_private_folders) {
  char path[512], parent[512];
  snprintf(parent, sizeof(parent), "%s/x", folder.path);
  snprintf(path, sizeof(path), "%s/y/z", parent);
  umask(0);
  qn_cache cache = open_cache(path, 1 << 20);
  put(&cache, "a", "b");
  cr_assert(holds(&cache, "a", "b"));
  struct stat info;
  cr_assert_eq(stat(path, &info), 0);
  cr_assert_eq(info.st_mode & 0777, 0700);
  cr_assert_eq(stat(parent, &info), 0);
  cr_assert_eq(info.st_mode & 0777, 0700);
  char file[1024];
  cr_assert_eq(scratch_count(path, ".qnk", file), 1);
  cr_assert_eq(stat(file, &info), 0);
  cr_assert_eq(info.st_mode & 0777, 0600);
  qn_cache_close(&cache);
}

Test(cache, every_damaged_byte_is_a_miss_and_removed) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  char file[1024];
  put(&cache, "a", "payload");
  cr_assert_eq(scratch_count(folder.path, ".qnk", file), 1);
  struct stat info;
  cr_assert_eq(stat(file, &info), 0);
  for (off_t at = 0; at < info.st_size; at++)
    for (int bit = 0; bit < 8; bit += 7) {
      put(&cache, "a", "payload");
      int descriptor = open(file, O_RDWR);
      char byte;
      cr_assert_eq(pread(descriptor, &byte, 1, at), 1);
      byte = (char)(byte ^ (1 << bit));
      cr_assert_eq(pwrite(descriptor, &byte, 1, at), 1);
      close(descriptor);
      cr_assert_not(holds(&cache, "a", "payload"), "byte %d bit %d", (int)at, bit);
      cr_assert_neq(access(file, F_OK), 0, "the damaged entry is gone");
    }
  qn_cache_close(&cache);
}

Test(cache, truncated_and_extended_entries_are_misses) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  char file[1024];
  put(&cache, "a", "payload");
  cr_assert_eq(scratch_count(folder.path, ".qnk", file), 1);
  struct stat info;
  cr_assert_eq(stat(file, &info), 0);
  for (off_t length = 0; length <= info.st_size + 1; length++) {
    put(&cache, "a", "payload");
    cr_assert_eq(truncate(file, length), 0);
    cr_assert_eq(holds(&cache, "a", "payload"), length == info.st_size, "length %d", (int)length);
  }
  qn_cache_close(&cache);
}

Test(cache, an_entry_under_another_name_is_a_miss) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  char a[1024], b[1024];
  put(&cache, "a", "of a");
  cr_assert_eq(scratch_count(folder.path, ".qnk", a), 1);
  put(&cache, "b", "of b");
  qn_cache_remove(&cache, key_of("a"));
  cr_assert_eq(scratch_count(folder.path, ".qnk", b), 1);
  cr_assert_eq(rename(b, a), 0);
  cr_assert_not(holds(&cache, "a", "of b"));
  qn_cache_close(&cache);
}

Test(cache, what_is_no_file_is_a_miss) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  char file[1024], target[1100];
  put(&cache, "a", "payload");
  cr_assert_eq(scratch_count(folder.path, ".qnk", file), 1);
  snprintf(target, sizeof(target), "%s.moved", file);
  cr_assert_eq(rename(file, target), 0);
  cr_assert_eq(symlink(target, file), 0);
  cr_assert_not(holds(&cache, "a", "payload"), "links are not followed");
  (void)unlink(file);
  cr_assert_eq(mkfifo(file, 0600), 0);
  cr_assert_not(holds(&cache, "a", "payload"), "a pipe does not block");
  (void)unlink(file);
  cr_assert_eq(mkdir(file, 0700), 0);
  cr_assert_not(holds(&cache, "a", "payload"));
  put(&cache, "a", "payload"); // cannot be renamed over a folder
  cr_assert_eq(scratch_count(folder.path, ".tmp-", NULL), 0);
  qn_cache_close(&cache);
}

static void assert_off(const char *path, const char *words) {
  qn_cache cache = open_cache(path, 1 << 20);
  cr_assert_eq(strncmp(cache.state, "off: ", 5), 0, "%s", cache.state);
  cr_assert_not_null(strstr(cache.state, words), "%s", cache.state);
  put(&cache, "a", "payload");
  cr_assert_not(holds(&cache, "a", "payload"));
  qn_cache_close(&cache);
}

Test(cache, folders_that_cannot_be_used_are_said) {
  char file[512], below[600], open_to_all[512];
  snprintf(file, sizeof(file), "%s/file", folder.path);
  close(open(file, O_CREAT | O_WRONLY, 0600));
  snprintf(below, sizeof(below), "%s/cache", file);
  snprintf(open_to_all, sizeof(open_to_all), "%s/open", folder.path);
  cr_assert_eq(mkdir(open_to_all, 0700), 0);
  cr_assert_eq(chmod(open_to_all, 0777), 0);
  assert_off("", "asked for");
  assert_off(file, "");
  assert_off(below, "Not a directory");
  assert_off("/proc/quench", "/proc/quench: ");
  assert_off(open_to_all, "written by other users");
}

// The superuser writes where the mode forbids it, so for him another place stands in for a read-only folder.
Test(cache, a_folder_that_cannot_be_written_still_answers) {
  qn_cache cache = open_cache(folder.path, 1 << 20);
  put(&cache, "a", "payload");
  cr_assert_eq(chmod(folder.path, 0500), 0);
  put(&cache, "b", "other");
  cr_assert(holds(&cache, "a", "payload"));
  if (geteuid() != 0) cr_assert_not(holds(&cache, "b", "other"));
  cr_assert_eq(chmod(folder.path, 0700), 0);
  qn_cache_close(&cache);
  // Folder gone under an open cache: nothing can be written, nothing fails.
  cache = open_cache(folder.path, 1 << 20);
  scratch_remove(folder.path);
  put(&cache, "c", "payload");
  cr_assert_not(holds(&cache, "c", "payload"));
  qn_cache_close(&cache);
}

Test(cache, the_users_folder_follows_xdg) {
  char home[512], expected[600];
  snprintf(home, sizeof(home), "%s/home", folder.path);
  setenv("HOME", home, 1);
  setenv("XDG_CACHE_HOME", folder.path, 1);
  qn_cache cache = open_cache(NULL, 1 << 20);
  snprintf(expected, sizeof(expected), "%s/quench", folder.path);
  cr_assert_str_eq(cache.state, expected);
  qn_cache_close(&cache);
  setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
  cache = open_cache(NULL, 1 << 20);
  snprintf(expected, sizeof(expected), "%s/.cache/quench", home);
  cr_assert_str_eq(cache.state, expected);
  qn_cache_close(&cache);
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  cache = open_cache(NULL, 1 << 20);
  cr_assert_not_null(strstr(cache.state, "HOME"));
  qn_cache_close(&cache);
}

static void set_age(const char *key, long seconds) {
  char path[512];
  qn_cache_key name = key_of(key);
  int at = snprintf(path, sizeof(path), "%s/", folder.path);
  for (int i = 0; i < 16; i++) at += snprintf(path + at, sizeof(path) - (size_t)at, "%02x", name.bytes[i]);
  snprintf(path + at, sizeof(path) - (size_t)at, ".qnk");
  struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - seconds } };
  cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(cache, the_least_recently_used_go_first) {
  static char large[1000];
  memset(large, 'x', sizeof(large) - 1);
  qn_cache cache = open_cache(folder.path, 4200);
  put(&cache, "a", large);
  put(&cache, "b", large);
  put(&cache, "c", large);
  set_age("a", 30000);
  set_age("b", 20000);
  set_age("c", 10000);
  cr_assert(holds(&cache, "a", large), "reading makes it young");
  put(&cache, "d", large);
  cr_assert(holds(&cache, "b", large), "within the limit nothing goes");
  set_age("b", 20000);
  put(&cache, "e", large);
  cr_assert_not(holds(&cache, "b", large));
  cr_assert_not(holds(&cache, "c", large));
  cr_assert(holds(&cache, "a", large));
  cr_assert(holds(&cache, "d", large));
  cr_assert(holds(&cache, "e", large));
  qn_cache_close(&cache);
}

Test(cache, eviction_clears_what_dead_writers_left_and_nothing_else) {
  char old[512], fresh[512], foreign[512];
  snprintf(old, sizeof(old), "%s/.tmp-1-0x1", folder.path);
  snprintf(fresh, sizeof(fresh), "%s/.tmp-2-0x1", folder.path);
  snprintf(foreign, sizeof(foreign), "%s/notes.txt", folder.path);
  const char *const all[] = { old, fresh, foreign };
  for (int i = 0; i < 3; i++) close(open(all[i], O_CREAT | O_WRONLY, 0600));
  struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - 7200 } };
  cr_assert_eq(utimensat(AT_FDCWD, old, times, 0), 0);
  cr_assert_eq(utimensat(AT_FDCWD, foreign, times, 0), 0);
  qn_cache cache = open_cache(folder.path, 10);
  put(&cache, "a", "larger than the limit");
  cr_assert_neq(access(old, F_OK), 0);
  cr_assert_eq(access(fresh, F_OK), 0);
  cr_assert_eq(access(foreign, F_OK), 0);
  qn_cache_close(&cache);
}

// Eight processes write, read and damage the same few entries (cache_hammer.c).
Test(cache, processes_share_it, .timeout = 60) {
  pid_t children[8];
  for (int i = 0; i < 8; i++) {
    char seed[2] = { (char)('0' + i), 0 };
    char *args[] = { (char[]){ FAKE_DIR "/cache_hammer" }, folder.path, seed, NULL };
    cr_assert_eq(posix_spawn(&children[i], args[0], NULL, NULL, args, environ), 0);
  }
  for (int i = 0; i < 8; i++) {
    int status;
    cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d ended with %d", i, status);
  }
  char last[1024];
  int left = 0;
  DIR *stream = opendir(folder.path);
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    left += strncmp(entry->d_name, ".tmp-", 5) == 0;
  closedir(stream);
  cr_assert_eq(left, 0);
  cr_assert_gt(scratch_count(folder.path, ".qnk", last), 0);
}
