// A folder for one test, removed with everything in it.
#ifndef TESTS_RUNTIME_SCRATCH_H
#define TESTS_RUNTIME_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scratch {
  char path[256];
} scratch;

static inline scratch scratch_create(void) {
  scratch folder;
  const char *root = getenv("TMPDIR");
  snprintf(folder.path, sizeof(folder.path), "%s/quench-test-XXXXXX", root && *root ? root : "/tmp");
  if (!mkdtemp(folder.path)) abort();
  return folder;
}

static inline void scratch_remove(const char *path) {
  DIR *stream = opendir(path);
  if (stream) {
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      char inner[1024];
      snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
      struct stat info;
      if (lstat(inner, &info) == 0 && S_ISDIR(info.st_mode))
        scratch_remove(inner);
      else
        (void)unlink(inner);
    }
    closedir(stream);
  }
  (void)rmdir(path);
}

// The number of entries whose name ends in `suffix`, and the last of them as a path.
static inline int scratch_count(const char *path, const char *suffix, char out_last[1024]) {
  int count = 0;
  DIR *stream = opendir(path);
  for (struct dirent *entry; stream && (entry = readdir(stream)) != NULL;) {
    size_t length = strlen(entry->d_name), end = strlen(suffix);
    if (length < end || strcmp(entry->d_name + length - end, suffix) != 0) continue;
    if (out_last) snprintf(out_last, 1024, "%s/%s", path, entry->d_name);
    count++;
  }
  if (stream) closedir(stream);
  return count;
}

#endif
