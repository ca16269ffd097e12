// Shared by the tests of passes/: a graph from text, some passes over it, the text that is left.
#ifndef QUENCH_TESTS_PASSES_TEST_H
#define QUENCH_TESTS_PASSES_TEST_H

#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>

typedef struct run {
  qn_context *context;
  qn_graph *graph;
  qn_pipeline *pipeline;
  qn_buf text;
} run;

// Runs `passes` (NULL: all) over the graph, with every check after each pass. Asserts that all of it succeeds.
static inline run run_passes(const char *passes, const char *source, qn_pipeline_params params) {
  run r = { 0 };
  cr_assert_eq(qn_context_create(NULL, &r.context), QN_OK);
  qn_status status = qn_graph_read_text(r.context, "test.qn", source, strlen(source), &r.graph);
  const qn_error *error = qn_context_get_error(r.context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  params.passes = passes;
  params.checks = QN_CHECK_VERIFY | QN_CHECK_CLONE | QN_CHECK_ROUND_TRIP;
  status = qn_pipeline_run(r.graph, &params, &r.pipeline);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  r.text = QN_BUF(r.context);
  qn_writer writer = qn_buf_writer(&r.text);
  cr_assert_eq(qn_graph_write_text(r.graph, &(qn_text_params){ .no_metadata = true }, &writer), QN_OK);
  return r;
}

static inline void end_run(run *r) {
  qn_buf_free(&r->text);
  qn_pipeline_destroy(r->pipeline);
  qn_graph_destroy(r->graph);
  qn_context_destroy(r->context);
}

// Runs the passes and asserts what text they leave.
static inline void expect_text(const char *passes, const char *source, const char *expected) {
  run r = run_passes(passes, source, (qn_pipeline_params){ 0 });
  cr_expect_str_eq(r.text.text, expected, "expected:\n%s\nfound:\n%s", expected, r.text.text);
  end_run(&r);
}

#endif
