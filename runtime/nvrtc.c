// Opens NVRTC and compiles one source with it.
#define _GNU_SOURCE // dlinfo

#include "runtime/nvrtc_priv.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct symbol {
  const char *name;
  size_t offset; // of the function pointer in qn_nvrtc
} symbol;

static const symbol symbols[] = {
#define SYMBOL(result, name, arguments) { "nvrtc" #name, offsetof(qn_nvrtc, name) },
#include "runtime/nvrtc_symbols.def"
};

// --- what was found before ---------------------------------------------------------------------------------
//
// Opening the library costs 8 ms and more; a compile that the cache answers should not pay for it. So the cache
// holds, for each candidate that once opened, its file, the file's size and time, and its version.

// What a bare name resolves to depends on the loader's path too.
static qn_cache_key memory_key(qn_context *context, const char *candidate) {
  qn_buf text = QN_BUF(context);
  const char *loader_path = getenv("LD_LIBRARY_PATH");
  qn_buf_printf(&text, "nvrtc\n%s\n%s\n", candidate, loader_path ? loader_path : "");
  qn_cache_key key = qn_cache_hash(text.text, text.length);
  qn_buf_free(&text);
  return key;
}

static void write_memory(qn_buf *text, const char *path, int major, int minor) {
  struct stat info;
  if (stat(path, &info) != 0) return;
  qn_buf_printf(text, "%d %d %lld %lld %ld %s", major, minor, (long long)info.st_size,
                (long long)info.st_mtim.tv_sec, (long)info.st_mtim.tv_nsec, path);
}

static qn_status set_path(qn_nvrtc *nvrtc, const char *path) {
  size_t size = strlen(path) + 1;
  char *copy = qn_alloc(nvrtc->context, size);
  if (!copy) return qn_fail_memory(nvrtc->context);
  memcpy(copy, path, size);
  qn_free(nvrtc->context, nvrtc->path, nvrtc->path_size);
  nvrtc->path = copy;
  nvrtc->path_size = size;
  return QN_OK;
}

// True if the candidate is known and its file is as it was.
static bool recall(qn_nvrtc *nvrtc, qn_cache *cache, const char *candidate) {
  qn_buf text = QN_BUF(nvrtc->context), now = QN_BUF(nvrtc->context);
  int major = 0, minor = 0, path_at = 0;
  bool known = qn_cache_get(cache, memory_key(nvrtc->context, candidate), &text) &&
               sscanf(text.text, "%d %d %*d %*d %*d %n", &major, &minor, &path_at) == 2 && path_at > 0;
  if (known) {
    write_memory(&now, text.text + path_at, major, minor);
    known = now.length == text.length && memcmp(now.text, text.text, now.length) == 0 &&
            set_path(nvrtc, text.text + path_at) == QN_OK;
  }
  if (known) {
    nvrtc->major = major;
    nvrtc->minor = minor;
  }
  qn_buf_free(&text);
  qn_buf_free(&now);
  return known;
}

static void remember(const qn_nvrtc *nvrtc, qn_cache *cache, const char *candidate) {
  qn_buf text = QN_BUF(nvrtc->context);
  write_memory(&text, nvrtc->path, nvrtc->major, nvrtc->minor);
  if (text.length > 0) qn_cache_put(cache, memory_key(nvrtc->context, candidate), text.text, text.length);
  qn_buf_free(&text);
}

// --- opening -----------------------------------------------------------------------------------------------

// The name of the first symbol that is missing, or NULL.
static const char *resolve(qn_nvrtc *nvrtc) {
  for (size_t i = 0; i < QN_COUNT(symbols); i++) {
    void *address = dlsym(nvrtc->handle, symbols[i].name);
    if (!address) return symbols[i].name;
    memcpy((char *)nvrtc + symbols[i].offset, &address, sizeof(address));
  }
  return NULL;
}

// NVRTC opens libnvrtc-builtins by its bare name. Not every build of it says that it lies beside it, and then
// the loader knows it only if it is open already.
static void open_builtins(qn_nvrtc *nvrtc) {
  const char *slash = strrchr(nvrtc->path, '/');
  qn_buf name = QN_BUF(nvrtc->context);
  if (slash) qn_buf_append(&name, nvrtc->path, (size_t)(slash + 1 - nvrtc->path));
  qn_buf_printf(&name, "libnvrtc-builtins.so.%d.%d", nvrtc->major, nvrtc->minor);
  if (name.status == QN_OK) nvrtc->builtins = dlopen(name.text, RTLD_LAZY | RTLD_LOCAL);
  qn_buf_free(&name);
}

// Opens one candidate. False, with the reason in the log, if it does not serve.
static bool open_candidate(qn_nvrtc *nvrtc, const char *candidate, qn_buf *log) {
  nvrtc->handle = dlopen(candidate, RTLD_LAZY | RTLD_LOCAL);
  if (!nvrtc->handle) {
    const char *why = dlerror();
    qn_buf_printf(log, "%s: %s\n", candidate, why ? why : "does not open");
    return false;
  }
  struct link_map *map = NULL;
  const char *path =
      dlinfo(nvrtc->handle, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] ? map->l_name : candidate;
  const char *missing = resolve(nvrtc);
  bool serves = false;
  if (missing)
    qn_buf_printf(log, "%s: has no %s\n", path, missing);
  else if (nvrtc->Version(&nvrtc->major, &nvrtc->minor) != 0)
    qn_buf_printf(log, "%s: does not tell its version\n", path);
  else if (nvrtc->major < QN_NVRTC_MIN_MAJOR ||
           (nvrtc->major == QN_NVRTC_MIN_MAJOR && nvrtc->minor < QN_NVRTC_MIN_MINOR))
    qn_buf_printf(log, "%s: NVRTC %d.%d, older than %d.%d\n", path, nvrtc->major, nvrtc->minor,
                  QN_NVRTC_MIN_MAJOR, QN_NVRTC_MIN_MINOR);
  else
    serves = set_path(nvrtc, path) == QN_OK;
  if (serves) {
    open_builtins(nvrtc);
    qn_buf_printf(log, "%s: NVRTC %d.%d\n", nvrtc->path, nvrtc->major, nvrtc->minor);
    return true;
  }
  dlclose(nvrtc->handle);
  nvrtc->handle = NULL;
  return false;
}

static bool try_candidate(qn_nvrtc *nvrtc, const char *candidate, qn_cache *cache, bool remembered,
                          qn_buf *log) {
  if (remembered && recall(nvrtc, cache, candidate)) {
    qn_buf_printf(log, "%s: NVRTC %d.%d, not opened yet\n", nvrtc->path, nvrtc->major, nvrtc->minor);
    return true;
  }
  if (!open_candidate(nvrtc, candidate, log)) return false;
  remember(nvrtc, cache, candidate);
  return true;
}

static bool try_place(qn_nvrtc *nvrtc, const qn_place *place, qn_cache *cache, bool remembered, qn_buf *log) {
  if (place->kind == QN_PLACE_FILE) return try_candidate(nvrtc, place->path, cache, remembered, log);
  bool any = false, found = false;
  for (const char *const *name = qn_nvrtc_names; *name && !found; name++) {
    qn_buf candidate = QN_BUF(nvrtc->context);
    if (place->kind == QN_PLACE_FOLDER) qn_buf_printf(&candidate, "%s/", place->path);
    qn_buf_printf(&candidate, "%s", *name);
    // Files that do not exist are not worth a line each; what the loader knows can only be asked by opening.
    bool try =
        candidate.status == QN_OK && (place->kind == QN_PLACE_LOADER || access(candidate.text, F_OK) == 0);
    if (try) found = try_candidate(nvrtc, candidate.text, cache, remembered, log);
    any |= try;
    qn_buf_free(&candidate);
  }
  if (!any) qn_buf_printf(log, "%s: no libnvrtc there\n", place->path);
  return found;
}

qn_status qn_nvrtc_find(qn_nvrtc *nvrtc, const char *path, qn_cache *cache, bool remembered, qn_buf *log) {
  qn_context *context = nvrtc->context;
  qn_places places;
  QN_TRY(qn_nvrtc_list_places(context, path, &places));
  bool found = false;
  for (uint32_t i = 0; i < places.count && !found; i++)
    found = try_place(nvrtc, &places.items[i], cache, remembered, log);
  qn_status status = QN_OK;
  if (!found && places.count == 1)
    status = qn_fail(context, QN_UNAVAILABLE, "NVRTC", "no usable libnvrtc at '%s' (%s)", places.items[0].path,
                     path ? "the path that was given" : "the variable QUENCH_NVRTC");
  else if (!found)
    status = qn_fail(
        context, QN_UNAVAILABLE, "NVRTC",
        "no libnvrtc %d.%d or newer was found in %u places; install the wheel nvidia-cuda-nvrtc or a CUDA "
        "toolkit, or set QUENCH_NVRTC",
        QN_NVRTC_MIN_MAJOR, QN_NVRTC_MIN_MINOR, places.count);
  qn_places_free(&places);
  return status;
}

void qn_nvrtc_close(qn_nvrtc *nvrtc) {
  if (nvrtc->handle) dlclose(nvrtc->handle);
  if (nvrtc->builtins) dlclose(nvrtc->builtins);
  qn_free(nvrtc->context, nvrtc->path, nvrtc->path_size);
  *nvrtc = (qn_nvrtc){ .context = nvrtc->context };
}

// --- compiling ---------------------------------------------------------------------------------------------

// Appends what one pair of NVRTC's size and copy functions yields, without a terminating zero.
static qn_status append_result(const qn_nvrtc *nvrtc, void *program, int (*size_of)(void *, size_t *),
                               int (*copy)(void *, char *), const char *what, qn_buf *out) {
  size_t size = 0;
  int result = size_of(program, &size);
  if (result == 0 && size == 0) return QN_OK;
  char *bytes = result == 0 ? qn_alloc(nvrtc->context, size) : NULL;
  if (result == 0 && !bytes) return qn_fail_memory(nvrtc->context);
  if (result == 0) result = copy(program, bytes);
  if (result == 0) {
    bool text = copy != nvrtc->GetCUBIN;
    qn_buf_append(out, bytes, text && bytes[size - 1] == 0 ? size - 1 : size);
  }
  qn_free(nvrtc->context, bytes, size);
  if (result != 0)
    return qn_fail(nvrtc->context, QN_UNAVAILABLE, "NVRTC", "cannot give the %s: %s", what,
                   nvrtc->GetErrorString(result));
  return out->status;
}

static bool knows_target(const qn_nvrtc *nvrtc, qn_target target) {
  static const int sm[] = {
#define X(name, arch, number, doc) number,
    QN_TARGET_MAP(X)
#undef X
  };
  int count = 0, archs[256];
  if (nvrtc->GetNumSupportedArchs(&count) != 0 || count <= 0 || count > (int)QN_COUNT(archs) ||
      nvrtc->GetSupportedArchs(archs) != 0)
    return true; // it would not say: the compile will
  for (int i = 0; i < count; i++)
    if (archs[i] == sm[target]) return true;
  return false;
}

// The first line of the log that speaks of an error, as (text, length).
static const char *first_error(const char *log, int *out_length) {
  const char *error = log ? strstr(log, "error") : NULL;
  if (!error) error = log ? log : "no log";
  while (log && error > log && error[-1] != '\n') error--;
  *out_length = (int)strcspn(error, "\n");
  return error;
}

static qn_status compile(const qn_nvrtc *nvrtc, void *program, const char *name, qn_target target,
                         qn_binary binary, const char *const *options, int option_count, qn_buf *out_binary,
                         qn_buf *out_log) {
  // "sm_90a" gives machine code for that chip alone, "compute_90a" the PTX for it.
  char arch[64];
  const char *number = strchr(qn_target_name(target), '_') + 1;
  snprintf(arch, sizeof(arch), "--gpu-architecture=%s_%s", binary == QN_CUBIN ? "sm" : "compute", number);
  const char *all[16] = { arch };
  int count = 1;
  for (int i = 0; i < option_count && count < (int)QN_COUNT(all); i++) all[count++] = options[i];

  int result = nvrtc->CompileProgram(program, count, all);
  QN_TRY(append_result(nvrtc, program, nvrtc->GetProgramLogSize, nvrtc->GetProgramLog, "log", out_log));
  if (result != 0) {
    int length;
    const char *error = first_error(out_log->text, &length);
    return qn_fail(nvrtc->context, QN_BUG, name, "the generated source does not compile for %s: %s: %.*s",
                   qn_target_name(target), nvrtc->GetErrorString(result), length, error);
  }
  return binary == QN_CUBIN
             ? append_result(nvrtc, program, nvrtc->GetCUBINSize, nvrtc->GetCUBIN, "cubin", out_binary)
             : append_result(nvrtc, program, nvrtc->GetPTXSize, nvrtc->GetPTX, "PTX", out_binary);
}

qn_status qn_nvrtc_compile(const qn_nvrtc *nvrtc, const char *source, const char *name, qn_target target,
                           qn_binary binary, const char *const *options, int option_count, qn_buf *out_binary,
                           qn_buf *out_log) {
  if (!knows_target(nvrtc, target))
    return qn_fail(nvrtc->context, QN_UNSUPPORTED, nvrtc->path,
                   "NVRTC %d.%d does not compile for %s; a newer one does", nvrtc->major, nvrtc->minor,
                   qn_target_name(target));
  // A name without a folder would get the one that the process happens to run in, and PTX with line numbers holds
  // it: the same kernel would have other bytes there.
  char file[256];
  snprintf(file, sizeof file, "/quench/%s.cu", name);
  void *program = NULL;
  int result = nvrtc->CreateProgram(&program, source, file, 0, NULL, NULL);
  if (result != 0)
    return qn_fail(nvrtc->context, QN_UNAVAILABLE, nvrtc->path, "cannot create a program: %s",
                   nvrtc->GetErrorString(result));
  qn_status status = compile(nvrtc, program, name, target, binary, options, option_count, out_binary, out_log);
  nvrtc->DestroyProgram(&program);
  return status;
}
