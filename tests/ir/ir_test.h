// Shared by the tests of ir/: reading, writing and comparing text.
#ifndef QUENCH_TESTS_IR_TEST_H
#define QUENCH_TESTS_IR_TEST_H

#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <quench/graph.h>

static inline qn_context *make_context(void) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  return context;
}

// Reads a text that must be well formed.
static inline qn_graph *read_text(qn_context *context, const char *text) {
  qn_graph *graph;
  qn_status status = qn_graph_read_text(context, "t.qn", text, strlen(text), &graph);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, QN_OK, "%s: %s\n%s", error->place, error->message, text);
  return graph;
}

// The text of a graph, to be freed with qn_buf_free.
static inline qn_buf text_of(const qn_graph *graph, const qn_text_params *params) {
  qn_buf buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_graph_write_text(graph, params, &writer), QN_OK);
  return buf;
}

#endif
