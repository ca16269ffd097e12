// Context, errors, memory, arenas and growing text.
#include "ir/base_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 1024, PLACE_MAX = 512, ARENA_BLOCK = 64 * 1024 };

struct qn_context {
  qn_allocator allocator;
  qn_error error;
  char message[MESSAGE_MAX];
  char place[PLACE_MAX];
};

const char *qn_version(void) {
  return QN_VERSION;
}

const char *qn_status_name(qn_status status) {
  switch (status) {
#define X(name, text, advice)                                                                                  \
  case QN_##name: return text;
    QN_STATUS_MAP(X)
#undef X
  }
  return "?";
}

const char *qn_status_advice(qn_status status) {
  switch (status) {
#define X(name, text, advice)                                                                                  \
  case QN_##name: return advice;
    QN_STATUS_MAP(X)
#undef X
  }
  return "";
}

static void *libc_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
  (void)user, (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_size);
}

qn_status qn_context_create(const qn_context_params *params, qn_context **out_context) {
  qn_allocator allocator = { .realloc = libc_realloc };
  if (params && params->allocator) allocator = *params->allocator;
  qn_context *context = allocator.realloc(allocator.user, NULL, 0, sizeof *context);
  *out_context = context;
  if (!context) return QN_MEMORY;
  memset(context, 0, sizeof *context);
  context->allocator = allocator;
  context->error = (qn_error){ .status = QN_OK, .message = context->message, .place = context->place };
  return QN_OK;
}

void qn_context_destroy(qn_context *context) {
  if (!context) return;
  qn_allocator allocator = context->allocator;
  allocator.realloc(allocator.user, context, sizeof *context, 0);
}

const qn_error *qn_context_get_error(const qn_context *context) {
  return &context->error;
}

// Error texts go to terminals and logs: one line, printable. UTF-8 passes; control bytes become \xHH.
static void copy_printable(char *to, size_t capacity, const char *from) {
  size_t n = 0;
  for (; *from; from++) {
    unsigned char c = (unsigned char)*from;
    if (c >= 0x20 && c != 0x7f) {
      if (n + 1 >= capacity) break;
      to[n++] = (char)c;
    } else {
      if (n + 4 >= capacity) break;
      n += (size_t)snprintf(to + n, 5, c == '\n' ? "\\n" : "\\x%02x", c);
    }
  }
  to[n] = 0;
}

qn_status qn_fail(qn_context *context, qn_status status, const char *place, const char *format, ...) {
  char text[MESSAGE_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  context->error.status = status;
  copy_printable(context->message, MESSAGE_MAX, text);
  copy_printable(context->place, PLACE_MAX, place ? place : "");
  return status;
}

qn_status qn_context_set_error(qn_context *context, qn_status status, const char *place, const char *message) {
  return qn_fail(context, status, place, "%s", message);
}

qn_status qn_fail_memory(qn_context *context) {
  return qn_fail(context, QN_MEMORY, NULL, "the allocator returned no memory");
}

qn_status qn_fail_within(qn_context *context, qn_status status, const char *format, ...) {
  char outer[PLACE_MAX], joined[2 * PLACE_MAX + 4];
  va_list args;
  va_start(args, format);
  vsnprintf(outer, sizeof outer, format, args);
  va_end(args);
  snprintf(joined, sizeof joined, "%s%s%s", outer, context->place[0] ? ": " : "", context->place);
  copy_printable(context->place, PLACE_MAX, joined);
  return status;
}

void *qn_realloc(qn_context *context, void *ptr, size_t old_size, size_t new_size) {
  return context->allocator.realloc(context->allocator.user, ptr, old_size, new_size);
}

void *qn_alloc(qn_context *context, size_t size) {
  return qn_realloc(context, NULL, 0, size ? size : 1);
}

void *qn_alloc_zero(qn_context *context, size_t size) {
  void *ptr = qn_alloc(context, size);
  if (ptr) memset(ptr, 0, size);
  return ptr;
}

void qn_free(qn_context *context, void *ptr, size_t size) {
  if (ptr) qn_realloc(context, ptr, size ? size : 1, 0);
}

qn_status qn_reserve_(qn_context *context, void **array, uint32_t *capacity, uint64_t needed, size_t element) {
  if (needed <= *capacity) return QN_OK;
  uint64_t grown = *capacity + (uint64_t)*capacity / 2;
  if (grown < needed) grown = needed;
  if (grown < 16) grown = 16;
  if (grown > UINT32_MAX) return qn_fail(context, QN_LIMIT, NULL, "more than 2^32 - 1 entries in one table");
  void *moved = qn_realloc(context, *array, *capacity * element, (size_t)grown * element);
  if (!moved) return qn_fail_memory(context);
  *array = moved;
  *capacity = (uint32_t)grown;
  return QN_OK;
}

// --- arena -------------------------------------------------------------------------------------------------

struct qn_arena_block {
  struct qn_arena_block *next;
  size_t size, used; // of the bytes after the header
};
enum { BLOCK_HEADER = (sizeof(struct qn_arena_block) + 15) & ~15 };

void *qn_arena_alloc(qn_arena *arena, size_t size) {
  if (size > SIZE_MAX - BLOCK_HEADER - 16) return NULL;
  size = (size + 15) & ~(size_t)15;
  struct qn_arena_block *block = arena->block;
  if (!block || block->size - block->used < size) {
    size_t bytes = QN_MAX(size, (size_t)ARENA_BLOCK);
    struct qn_arena_block *fresh = qn_alloc(arena->context, BLOCK_HEADER + bytes);
    if (!fresh) return NULL;
    *fresh = (struct qn_arena_block){ .next = block, .size = bytes };
    arena->block = block = fresh;
  }
  char *ptr = (char *)block + BLOCK_HEADER + block->used;
  block->used += size;
  return ptr;
}

char *qn_arena_copy(qn_arena *arena, const char *text, size_t length) {
  char *copy = qn_arena_alloc(arena, length + 1);
  if (!copy) return NULL;
  if (length) memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

static void free_blocks(qn_context *context, struct qn_arena_block *block) {
  while (block) {
    struct qn_arena_block *next = block->next;
    qn_free(context, block, BLOCK_HEADER + block->size);
    block = next;
  }
}

void qn_arena_reset(qn_arena *arena) {
  if (!arena->block) return;
  free_blocks(arena->context, arena->block->next);
  arena->block->next = NULL;
  arena->block->used = 0;
}

void qn_arena_free(qn_arena *arena) {
  free_blocks(arena->context, arena->block);
  arena->block = NULL;
}

// --- text --------------------------------------------------------------------------------------------------

static bool buf_room(qn_buf *buf, size_t more) {
  if (buf->status != QN_OK) return false;
  if (buf->length + more + 1 <= buf->capacity) return true;
  size_t grown = QN_MAX(buf->capacity * 2, buf->length + more + 1);
  grown = QN_MAX(grown, (size_t)256);
  char *moved = qn_realloc(buf->context, buf->text, buf->capacity, grown);
  if (!moved) {
    buf->status = qn_fail_memory(buf->context);
    return false;
  }
  buf->text = moved;
  buf->capacity = grown;
  return true;
}

void qn_buf_append(qn_buf *buf, const char *text, size_t length) {
  if (!buf_room(buf, length)) return;
  if (length) memcpy(buf->text + buf->length, text, length);
  buf->length += length;
  buf->text[buf->length] = 0;
}

void qn_buf_printf(qn_buf *buf, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length >= 0 && buf_room(buf, (size_t)length)) {
    vsnprintf(buf->text + buf->length, (size_t)length + 1, format, again);
    buf->length += (size_t)length;
  }
  va_end(again);
}

void qn_buf_free(qn_buf *buf) {
  if (buf->text) qn_realloc(buf->context, buf->text, buf->capacity, 0);
  *buf = QN_BUF(buf->context);
}

static qn_status buf_write(void *user, const char *text, size_t length) {
  qn_buf *buf = user;
  qn_buf_append(buf, text, length);
  return buf->status;
}

qn_writer qn_buf_writer(qn_buf *buf) {
  return (qn_writer){ .write = buf_write, .user = buf };
}

qn_status qn_write(const qn_writer *writer, const char *text) {
  return writer->write(writer->user, text, strlen(text));
}

qn_status qn_writef(const qn_writer *writer, const char *format, ...) {
  char text[512];
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  qn_status status = QN_OK;
  // Longer texts go out in one piece too, so that a writer never sees half a word.
  if (length >= (int)sizeof text) {
    char *big = malloc((size_t)length + 1);
    if (big) {
      vsnprintf(big, (size_t)length + 1, format, again);
      status = writer->write(writer->user, big, (size_t)length);
      free(big);
    } else {
      status = QN_MEMORY;
    }
  } else if (length > 0) {
    status = writer->write(writer->user, text, (size_t)length);
  }
  va_end(again);
  return status;
}

qn_status qn_read_file(qn_context *context, const char *path, char **out_data, size_t *out_length) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    qn_status status = errno == ENOENT ? QN_NOT_FOUND : QN_IO;
    return qn_fail(context, status, path, "cannot open: %s", strerror(errno));
  }
  size_t length = 0, capacity = 0;
  char *data = NULL;
  for (;;) {
    if (length + 1 >= capacity) {
      size_t grown = capacity ? capacity * 2 : 64 * 1024;
      char *moved = qn_realloc(context, data, capacity, grown);
      if (!moved) break;
      data = moved;
      capacity = grown;
    }
    size_t got = fread(data + length, 1, capacity - length - 1, file);
    length += got;
    if (got == 0) break;
  }
  bool failed = ferror(file), complete = feof(file) && !failed;
  int error = errno;
  fclose(file);
  if (complete) {
    // Trim to the promised size, so that the caller can free it by length.
    char *trimmed = qn_realloc(context, data, capacity, length + 1);
    if (trimmed) {
      trimmed[length] = 0;
      *out_data = trimmed;
      *out_length = length;
      return QN_OK;
    }
  }
  if (data) qn_realloc(context, data, capacity, 0);
  if (failed) return qn_fail(context, QN_IO, path, "cannot read: %s", strerror(error));
  return qn_fail_memory(context);
}
