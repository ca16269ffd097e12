// Where NVRTC is looked for, in order. docs/nvrtc.md tells the same to people: keep the two in step.
#include "runtime/nvrtc_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

const char *const qn_nvrtc_names[] = { "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", NULL };

static char *join(qn_places *places, const char *a, const char *b, const char *c) {
  size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
  char *path = qn_arena_alloc(&places->arena, size);
  if (path) snprintf(path, size, "%s%s%s", a, b, c);
  return path;
}

// `path` may be NULL after a failed join.
static qn_status add(qn_places *places, qn_place_kind kind, const char *path) {
  qn_context *context = places->arena.context;
  if (!path) return qn_fail_memory(context);
  QN_TRY(QN_RESERVE(context, places->items, places->capacity, (uint64_t)places->count + 1));
  places->items[places->count++] = (qn_place){ kind, path };
  return QN_OK;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Orders names with numbers by the numbers: "cuda-12.9" before "cuda-12.10" before "cuda-13.0".
static int compare_versions(const char *a, const char *b) {
  while (*a && *b) {
    if (is_digit(*a) && is_digit(*b)) {
      while (*a == '0') a++;
      while (*b == '0') b++;
      size_t a_digits = strspn(a, "0123456789"), b_digits = strspn(b, "0123456789");
      if (a_digits != b_digits) return a_digits < b_digits ? -1 : 1;
      int order = strncmp(a, b, a_digits);
      if (order != 0) return order;
      a += a_digits;
      b += b_digits;
    } else {
      if (*a != *b) return *a < *b ? -1 : 1;
      a++;
      b++;
    }
  }
  return (*a != 0) - (*b != 0);
}

static int newest_first(const void *a, const void *b) {
  return compare_versions(*(const char *const *)b, *(const char *const *)a);
}

typedef qn_status (*place_fn)(qn_places *places, const char *path);

// Calls `visit` with "<folder>/<entry>" for each entry that begins with `prefix`, newest first. A folder that
// is not there has no entries.
static qn_status for_each_version(qn_places *places, const char *folder, const char *prefix, place_fn visit) {
  qn_context *context = places->arena.context;
  DIR *stream = opendir(folder);
  if (!stream) return QN_OK;
  char **paths = NULL;
  uint32_t count = 0, capacity = 0;
  qn_status status = QN_OK;
  for (struct dirent *entry; status == QN_OK && (entry = readdir(stream)) != NULL;) {
    if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || entry->d_name[0] == '.') continue;
    status = QN_RESERVE(context, paths, capacity, (uint64_t)count + 1);
    if (status != QN_OK) break;
    if (!(paths[count] = join(places, folder, "/", entry->d_name)))
      status = qn_fail_memory(context);
    else
      count++;
  }
  closedir(stream);
  if (count > 1) qsort(paths, count, sizeof(*paths), newest_first);
  for (uint32_t i = 0; i < count && status == QN_OK; i++) status = visit(places, paths[i]);
  qn_free(context, paths, capacity * sizeof(*paths));
  return status;
}

static qn_status add_lib(qn_places *places, const char *folder) {
  return add(places, QN_PLACE_FOLDER, join(places, folder, "/lib", ""));
}

// The folders of a toolkit installed at `root`.
static qn_status add_toolkit(qn_places *places, const char *root) {
  QN_TRY(add(places, QN_PLACE_FOLDER, join(places, root, "/lib64", "")));
  QN_TRY(add_lib(places, root));
  const char *targets = join(places, root, "/targets", "");
  if (!targets) return qn_fail_memory(places->arena.context);
  return for_each_version(places, targets, "", add_lib);
}

// The folders of NVIDIA's wheels in one Python's library folder.
static qn_status add_wheels(qn_places *places, const char *python) {
  static const char *const site[] = { "/site-packages", "/dist-packages" };
  static const char *const wheel[] = { "/nvidia/cu13/lib", "/nvidia/cuda_nvrtc/lib" };
  for (size_t i = 0; i < QN_COUNT(site); i++)
    for (size_t j = 0; j < QN_COUNT(wheel); j++)
      QN_TRY(add(places, QN_PLACE_FOLDER, join(places, python, site[i], wheel[j])));
  return QN_OK;
}

// Every Python below `root`, newest first.
static qn_status add_pythons(qn_places *places, const char *root) {
  static const char *const lib[] = { "/lib", "/lib64" };
  for (size_t i = 0; i < QN_COUNT(lib); i++) {
    const char *folder = join(places, root, lib[i], "");
    if (!folder) return qn_fail_memory(places->arena.context);
    QN_TRY(for_each_version(places, folder, "python3", add_wheels));
  }
  return QN_OK;
}

// The value of an environment variable; NULL if it is unset or empty.
static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

static qn_status add_by_variable(qn_places *places, const char *name, place_fn visit) {
  const char *value = variable(name);
  return value ? visit(places, value) : QN_OK;
}

static qn_status list(qn_places *places, const char *path) {
  // A place that was named is the only one: falling back to another would hide that the name is wrong.
  if (!path) path = variable("QUENCH_NVRTC");
  if (path) {
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return add(places, folder ? QN_PLACE_FOLDER : QN_PLACE_FILE, join(places, path, "", ""));
  }
  QN_TRY(add_by_variable(places, "CUDA_HOME", add_toolkit));
  QN_TRY(add_by_variable(places, "CUDA_PATH", add_toolkit));
  QN_TRY(add(places, QN_PLACE_LOADER, ""));
  QN_TRY(add_toolkit(places, "/usr/local/cuda"));
  QN_TRY(for_each_version(places, "/usr/local", "cuda-", add_toolkit));
  QN_TRY(add_toolkit(places, "/opt/cuda"));
  QN_TRY(add_by_variable(places, "CONDA_PREFIX", add_toolkit));
  QN_TRY(add_by_variable(places, "VIRTUAL_ENV", add_pythons));
  QN_TRY(add_by_variable(places, "CONDA_PREFIX", add_pythons));
  const char *home = variable("HOME");
  if (home) {
    const char *local = join(places, home, "/.local", "");
    if (!local) return qn_fail_memory(places->arena.context);
    QN_TRY(add_pythons(places, local));
  }
  QN_TRY(add_pythons(places, "/usr/local"));
  return add_pythons(places, "/usr");
}

qn_status qn_nvrtc_list_places(qn_context *context, const char *path, qn_places *out_places) {
  *out_places = (qn_places){ .arena = QN_ARENA(context) };
  qn_status status = list(out_places, path);
  if (status != QN_OK) qn_places_free(out_places);
  return status;
}

void qn_places_free(qn_places *places) {
  qn_free(places->arena.context, places->items, places->capacity * sizeof(*places->items));
  qn_arena_free(&places->arena);
  *places = (qn_places){ .arena = places->arena };
}
