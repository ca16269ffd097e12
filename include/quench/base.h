// Quench: what every other header stands on: visibility, status, context, allocator, strings.
//
// Every function that can fail returns a `qn_status`. The message and the place belong to the context
// that the object was created with: `qn_context_get_error`. The library never prints, exits or aborts on
// input; an assert that fires is a bug of the library or a broken precondition that the comment states.
#ifndef QUENCH_BASE_H
#define QUENCH_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(QN_STATIC) || !defined(__GNUC__)
#define QN_API
#else
#define QN_API __attribute__((visibility("default")))
#endif

// clang-format off
// One list for enum, name and what the caller should do about it.
#define QN_STATUS_MAP(X)                                                                              \
  X(OK,          "ok",          "nothing to do")                                                      \
  X(INVALID,     "invalid",     "the input breaks a rule of its format: mend the place that is named") \
  X(UNSUPPORTED, "unsupported", "well formed, but outside what Quench does: the message says what")   \
  X(NOT_FOUND,   "not found",   "a name or a file does not exist: check its spelling")                \
  X(UNAVAILABLE, "unavailable", "NVRTC, the CUDA driver or another optional part is absent here: install it or go on without") \
  X(IO,          "io",          "the operating system refused a read or a write: the message holds its word") \
  X(LIMIT,       "limit",       "the input is larger than a stated limit: split it, or raise the limit") \
  X(MEMORY,      "memory",      "the allocator returned NULL: free memory and try again")             \
  X(BUG,         "bug",         "Quench made a graph or a kernel that is wrong: please report it")
// clang-format on

typedef enum qn_status {
#define X(name, text, advice) QN_##name,
  QN_STATUS_MAP(X)
#undef X
} qn_status;

// "ok", "invalid", ... A static string.
QN_API const char *qn_status_name(qn_status status);
// What the caller should do about it. A static string.
QN_API const char *qn_status_advice(qn_status status);

// Returns the status of `expr` from the enclosing function unless it is QN_OK.
#define QN_TRY(expr)                                                                                           \
  do {                                                                                                         \
    qn_status qn_try_status_ = (expr);                                                                         \
    if (qn_try_status_ != QN_OK) return qn_try_status_;                                                        \
  } while (0)

// The last failure of a context. The strings live until the context's next failing call or its destruction.
typedef struct qn_error {
  qn_status status;
  const char *message; // one sentence, no newline: what was expected and what was found
  const char *place;   // "model.onnx: node 'layers.0/Softmax'", "graph.qn:12:7"; "" where there is none
} qn_error;

// Memory functions of the embedder. `realloc(NULL, 0, n)` allocates, `realloc(p, old, 0)` frees and returns
// NULL; blocks are aligned for any type. May return NULL: the call that needed memory then gives QN_MEMORY.
typedef struct qn_allocator {
  void *(*realloc)(void *user, void *ptr, size_t old_size, size_t new_size);
  void *user;
} qn_allocator;

typedef struct qn_context_params {
  const qn_allocator *allocator; // copied; NULL: the C library's
} qn_context_params;

// Holds the allocator and the last error. Everything else hangs on a context and must be destroyed before it.
// Thread-safety: unsafe; different contexts may be used from different threads without any locking.
typedef struct qn_context qn_context;

// `params` may be NULL. Errors: QN_MEMORY.
QN_API qn_status qn_context_create(const qn_context_params *params, qn_context **out_context);
// NULL is allowed.
QN_API void qn_context_destroy(qn_context *context);
// The last failure; status QN_OK and empty strings if there was none. Never NULL.
QN_API const qn_error *qn_context_get_error(const qn_context *context);

// Records a failure and returns `status`: for callbacks that the library calls, and for libraries beside it.
// `place` may be NULL; the texts are copied.
QN_API qn_status qn_context_set_error(qn_context *context, qn_status status, const char *place,
                                      const char *message);

// Receives text piece by piece; how the library hands out anything it would otherwise print.
// A status other than QN_OK stops the writer, which returns it.
typedef qn_status (*qn_write_fn)(void *user, const char *text, size_t length);

typedef struct qn_writer {
  qn_write_fn write;
  void *user;
} qn_writer;

// "0.1.0"
QN_API const char *qn_version(void);

#ifdef __cplusplus
}
#endif
#endif
