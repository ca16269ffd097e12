// Inside of the library: failing, memory, growing text. See include/quench/base.h for the outside.
#ifndef QUENCH_IR_BASE_PRIV_H
#define QUENCH_IR_BASE_PRIV_H

#include <quench/base.h>
#include <stdarg.h>
#include <string.h>

#define QN_PRINTF(string, first) __attribute__((format(printf, string, first)))
#define QN_COUNT(array)          (sizeof(array) / sizeof((array)[0]))
#define QN_MIN(a, b)             ((a) < (b) ? (a) : (b))
#define QN_MAX(a, b)             ((a) > (b) ? (a) : (b))

// Records the failure in the context and returns `status`: `return qn_fail(ctx, QN_INVALID, place, "...")`.
// `place` may be NULL. Newlines and unprintable bytes in the message are escaped.
qn_status qn_fail(qn_context *context, qn_status status, const char *place, const char *format, ...)
    QN_PRINTF(4, 5);
qn_status qn_fail_memory(qn_context *context);
// Keeps the message of the last failure and puts `place` in front of its place: "model.onnx: node 'x'".
qn_status qn_fail_within(qn_context *context, qn_status status, const char *format, ...) QN_PRINTF(3, 4);

// Memory through the context's allocator. NULL on failure; sizes are those of the allocation.
void *qn_alloc(qn_context *context, size_t size);
void *qn_alloc_zero(qn_context *context, size_t size);
void *qn_realloc(qn_context *context, void *ptr, size_t old_size, size_t new_size);
void qn_free(qn_context *context, void *ptr, size_t size);

// Makes room for `needed` elements in a growing array (at least doubling): QN_TRY(QN_RESERVE(ctx, p, cap, n)).
// New elements are uninitialised.
#define QN_RESERVE(context, array, capacity, needed)                                                           \
  qn_reserve_((context), (void **)&(array), &(capacity), (needed), sizeof(*(array)))
qn_status qn_reserve_(qn_context *context, void **array, uint32_t *capacity, uint64_t needed, size_t element);

// An arena: blocks that are freed together. Zero-initialise with QN_ARENA(ctx). Memory is not zeroed.
typedef struct qn_arena {
  qn_context *context;
  struct qn_arena_block *block; // newest first
} qn_arena;
#define QN_ARENA(ctx) ((qn_arena){ .context = (ctx) })
void *qn_arena_alloc(qn_arena *arena, size_t size);                    // aligned to 16; NULL on failure
char *qn_arena_copy(qn_arena *arena, const char *text, size_t length); // with a terminating zero
void qn_arena_reset(qn_arena *arena);                                  // keeps one block for reuse
void qn_arena_free(qn_arena *arena);

// Text that grows. After a failed allocation `status` is QN_MEMORY and further appends do nothing, so only the
// end needs to be checked. `text` is zero-terminated once anything was appended.
typedef struct qn_buf {
  qn_context *context;
  char *text;
  size_t length, capacity;
  qn_status status;
} qn_buf;
#define QN_BUF(ctx) ((qn_buf){ .context = (ctx) })
void qn_buf_append(qn_buf *buf, const char *text, size_t length);
void qn_buf_printf(qn_buf *buf, const char *format, ...) QN_PRINTF(2, 3);
void qn_buf_free(qn_buf *buf);
// A writer that appends to the buffer.
qn_writer qn_buf_writer(qn_buf *buf);

// Formatted text to a writer.
qn_status qn_writef(const qn_writer *writer, const char *format, ...) QN_PRINTF(2, 3);
qn_status qn_write(const qn_writer *writer, const char *text);

// A whole file in memory (allocated `*out_length + 1` bytes from the context, zero-terminated).
qn_status qn_read_file(qn_context *context, const char *path, char **out_data, size_t *out_length);

#endif
