// NVRTC, opened at run time: where it is looked for, what is called in it, one compilation.
#ifndef QUENCH_RUNTIME_NVRTC_PRIV_H
#define QUENCH_RUNTIME_NVRTC_PRIV_H

#include "ir/base_priv.h"
#include "runtime/cache_priv.h"
#include <quench/runtime.h>

// The oldest NVRTC whose language and PTX the kernels are written for.
enum { QN_NVRTC_MIN_MAJOR = 12, QN_NVRTC_MIN_MINOR = 4 };

// --- searching (nvrtc_search.c) ---------------------------------------------------------------------------

typedef enum qn_place_kind {
  QN_PLACE_FILE,   // the library itself
  QN_PLACE_FOLDER, // a folder that may hold it under one of the names
  QN_PLACE_LOADER  // the names alone, resolved by the dynamic loader
} qn_place_kind;

typedef struct qn_place {
  qn_place_kind kind;
  const char *path; // "" for QN_PLACE_LOADER
} qn_place;

typedef struct qn_places {
  qn_arena arena; // of the paths
  qn_place *items;
  uint32_t count, capacity;
} qn_places;

// The names of the library, newest first; NULL ends the list.
extern const char *const qn_nvrtc_names[];

// Lists the places in the order of docs/nvrtc.md. `path` is qn_compiler_params.nvrtc_path, may be NULL.
qn_status qn_nvrtc_list_places(qn_context *context, const char *path, qn_places *out_places);
void qn_places_free(qn_places *places);

// --- opening (nvrtc.c) ------------------------------------------------------------------------------------

typedef struct qn_nvrtc {
  qn_context *context;
  void *handle;   // of dlopen; NULL while the library is only known from the cache's memory
  void *builtins; // libnvrtc-builtins of the same folder, kept open; may be NULL
  char *path;     // as the loader resolved it; NULL before qn_nvrtc_find
  size_t path_size;
  int major, minor;
#define SYMBOL(result, name, arguments) result(*name) arguments;
#include "runtime/nvrtc_symbols.def"
} qn_nvrtc;

// Finds the library: the first in the order that opens, has every symbol and is new enough. Opening takes
// milliseconds, so what was found is remembered in the cache; with `remembered` a library whose file has not
// changed since is returned unopened, with path and version. Each try is a line of `log`.
// Errors: QN_UNAVAILABLE.
qn_status qn_nvrtc_find(qn_nvrtc *nvrtc, const char *path, qn_cache *cache, bool remembered, qn_buf *log);
void qn_nvrtc_close(qn_nvrtc *nvrtc);

// Compiles one source, with `nvrtc` open. `out_binary` and `out_log` receive the bytes; PTX comes without its
// terminating zero. Errors: QN_UNSUPPORTED if this NVRTC does not know the target, QN_BUG with the first error
// line if the source does not compile (the whole log is in `out_log` then).
qn_status qn_nvrtc_compile(const qn_nvrtc *nvrtc, const char *source, const char *name, qn_target target,
                           qn_binary binary, const char *const *options, int option_count, qn_buf *out_binary,
                           qn_buf *out_log);

#endif
