// The decoder's memory: protobuf-c allocates through the context, and all of it goes at once with the model.
#include "formats/onnx/onnx_priv.h"

// Blocks from this size on are held one by one, so that the decoder's own large scratch arrays can be given
// back at once; all else comes from an arena and is freed with it.
enum { BIG = 64 * 1024 };

struct qn_onnx_big {
  struct qn_onnx_big *next, **link;
  size_t size;
};
// Arena memory is aligned to 16. A big block is handed out behind its header, 8 off: that is how they are told
// apart.
static_assert(sizeof(struct qn_onnx_big) == 24, "big blocks are 8 off from 16");

static void *take(void *user, size_t size) {
  qn_onnx_memory *memory = user;
  void *ptr = NULL;
  if (size < BIG) {
    ptr = qn_arena_alloc(&memory->arena, size);
  } else if (size <= SIZE_MAX - sizeof(struct qn_onnx_big)) {
    struct qn_onnx_big *big = qn_alloc(memory->arena.context, sizeof *big + size);
    if (big) {
      *big = (struct qn_onnx_big){ .next = memory->big, .link = &memory->big, .size = size };
      if (big->next) big->next->link = &big->next;
      memory->big = big;
      ptr = big + 1;
    }
  }
  if (!ptr) memory->failed = true;
  return ptr;
}

static void give(void *user, void *ptr) {
  qn_onnx_memory *memory = user;
  if (!((uintptr_t)ptr & 8)) return;
  struct qn_onnx_big *big = (struct qn_onnx_big *)ptr - 1;
  *big->link = big->next;
  if (big->next) big->next->link = big->link;
  qn_free(memory->arena.context, big, sizeof *big + big->size);
}

void qn_onnx_memory_init(qn_onnx_memory *memory, qn_context *context) {
  *memory = (qn_onnx_memory){ .allocator = { .alloc = take, .free = give, .allocator_data = memory },
                              .arena = QN_ARENA(context) };
}

void qn_onnx_memory_free(qn_onnx_memory *memory) {
  while (memory->big) give(memory, memory->big + 1);
  qn_arena_free(&memory->arena);
}

void *qn_onnx_alloc(qn_onnx_memory *memory, size_t size) {
  void *ptr = take(memory, size ? size : 1);
  if (ptr) memset(ptr, 0, size);
  return ptr;
}

char *qn_onnx_printf(qn_onnx_memory *memory, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = length < 0 ? NULL : take(memory, (size_t)length + 1);
  if (!text) return NULL;
  va_start(args, format);
  vsnprintf(text, (size_t)length + 1, format, args);
  va_end(args);
  return text;
}
