// Bytes as a dump of oneDNN Graph: whatever is read is sound, goes through the pipeline, and is written as
// text.
#include "ir/base_priv.h"

#include <quench/onednn.h>
#include <quench/pipeline.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth, qn_context *context, const char *what) {
  if (truth) return;
  const qn_error *error = qn_context_get_error(context);
  fprintf(stderr, "%s: %s: %s\n", what, error->place, error->message);
  abort();
}

static void check(qn_context *context, qn_graph *graph) {
  qn_pipeline *pipeline = NULL;
  expect(qn_graph_verify(graph) == QN_OK, context, "verify");
  qn_status status = qn_pipeline_run(graph, qn_pipeline_params(.checks = QN_CHECK_VERIFY), &pipeline);
  expect(status == QN_OK || status == QN_LIMIT, context, "pipeline");
  qn_buf text = QN_BUF(context);
  qn_writer writer = qn_buf_writer(&text);
  expect(qn_graph_write_text(graph, NULL, &writer) == QN_OK, context, "write");
  qn_buf_free(&text);
  qn_pipeline_destroy(pipeline);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  qn_context *context;
  qn_graph *graph;
  if (qn_context_create(NULL, &context) != QN_OK) return 0;
  if (qn_onednn_read(context, "fuzz", data, size, &graph) == QN_OK) check(context, graph);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
  return 0;
}
