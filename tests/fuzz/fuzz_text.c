// Bytes as `.qn` text: whatever is read is sound, is written, and reads back to the same bytes.
#include "ir/base_priv.h"

#include <quench/graph.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth, qn_context *context, const char *what) {
  if (truth) return;
  const qn_error *error = qn_context_get_error(context);
  fprintf(stderr, "%s: %s: %s\n", what, error->place, error->message);
  abort();
}

static qn_buf text_of(const qn_graph *graph) {
  qn_context *context = qn_graph_get_context(graph);
  qn_buf buf = QN_BUF(context);
  qn_writer writer = qn_buf_writer(&buf);
  expect(qn_graph_write_text(graph, NULL, &writer) == QN_OK, context, "write");
  return buf;
}

static void expect_text(const qn_graph *graph, const qn_buf *expected, const char *what) {
  qn_buf found = text_of(graph);
  bool same = found.length == expected->length && memcmp(found.text, expected->text, found.length) == 0;
  if (!same) fprintf(stderr, "--- expected\n%s\n--- found\n%s\n", expected->text, found.text);
  expect(same, qn_graph_get_context(graph), what);
  qn_buf_free(&found);
}

static void check(qn_context *context, qn_graph *graph) {
  expect(qn_graph_verify(graph) == QN_OK, context, "verify");
  qn_buf text = text_of(graph), drawing = QN_BUF(context);

  qn_graph *other;
  expect(qn_graph_read_text(context, "again", text.text, text.length, &other) == QN_OK, context, "read again");
  expect_text(other, &text, "written again");
  qn_graph_destroy(other);

  expect(qn_graph_clone(graph, &other) == QN_OK, context, "clone");
  expect_text(other, &text, "clone");
  qn_graph_destroy(other);

  qn_writer writer = qn_buf_writer(&drawing);
  expect(qn_graph_write_dot(graph, NULL, &writer) == QN_OK, context, "draw");
  expect(qn_graph_infer_types(graph) == QN_OK && qn_graph_verify(graph) == QN_OK, context, "infer");
  qn_buf_free(&drawing);
  qn_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  qn_context *context;
  qn_graph *graph;
  if (qn_context_create(NULL, &context) != QN_OK) return 0;
  if (qn_graph_read_text(context, "fuzz", (const char *)data, size, &graph) == QN_OK) check(context, graph);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
  return 0;
}
