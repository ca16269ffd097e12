// An allocator that gives out: every allocation of reading, verifying, writing and drawing fails once. Each
// time the answer is QN_MEMORY and nothing is lost.
#include "ir_test.h"

#include <stdlib.h>

typedef struct budget {
  long left; // allocations until one fails; the later ones succeed again
  long live; // blocks given out
} budget;

static void *limited_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
  budget *b = user;
  (void)old_size;
  if (new_size == 0) {
    b->live -= ptr != NULL;
    free(ptr);
    return NULL;
  }
  if (b->left-- == 0) return NULL;
  b->live += ptr == NULL;
  return realloc(ptr, new_size);
}

static const char text[] =
    "graph \"g\" (x: bf16[B,8,2*T + 1,64], s: f32[], w: f32[\"a b\"]) {\n"
    "  c: s64[3] = const[value={0, 0, -1}]\n"
    "  o: bf16[B,8,2*T + 1,64] = attention(x, x, x)[causal=top_left] {id=3, layer=\"m.0\"}\n"
    "  n, m = split(w)\n"
    "  r = reshape(o, c)\n"
    "  y = quantize(r, s)[scheme=fp8_static{axis=1}] {name=\"q\"}\n"
    "  \"e \\n\": ? = extern(y)[name=\"op\", raw=\"\\x00\"]\n"
    "  return y as \"out\"\n"
    "}\n";

static qn_status everything(qn_context *context, qn_graph **out_graph, qn_buf *out) {
  QN_TRY(qn_graph_read_text(context, "t.qn", text, sizeof text - 1, out_graph));
  QN_TRY(qn_graph_verify(*out_graph));
  qn_writer writer = qn_buf_writer(out);
  QN_TRY(qn_graph_write_text(*out_graph, NULL, &writer));
  QN_TRY(qn_graph_write_dot(*out_graph, NULL, &writer));
  return qn_graph_infer_types(*out_graph);
}

// The number of allocations after which everything succeeds. Compares what is written with `expected` if given.
static long run_until_enough(const char *expected) {
  for (long allocations = 0;; allocations++) {
    cr_assert_lt(allocations, 10000);
    budget b = { .left = allocations };
    qn_allocator allocator = { .realloc = limited_realloc, .user = &b };
    qn_context *context;
    qn_status status = qn_context_create(&(qn_context_params){ .allocator = &allocator }, &context);
    if (status == QN_OK) {
      qn_graph *graph = NULL;
      qn_buf out = QN_BUF(context);
      status = everything(context, &graph, &out);
      if (status == QN_OK) cr_assert_str_eq(out.text, expected);
      qn_buf_free(&out);
      qn_graph_destroy(graph);
      qn_context_destroy(context);
    }
    cr_assert_eq(b.live, 0, "%ld blocks lost after %ld allocations", b.live, allocations);
    if (status == QN_OK) return allocations;
    cr_assert_eq(status, QN_MEMORY, "%s after %ld allocations", qn_status_name(status), allocations);
  }
}

Test(memory, every_allocation_may_fail) {
  qn_context *context = make_context();
  qn_graph *graph = NULL;
  qn_buf expected = QN_BUF(context);
  cr_assert_eq(everything(context, &graph, &expected), QN_OK);
  cr_assert_gt(run_until_enough(expected.text), 20);
  qn_buf_free(&expected);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}
