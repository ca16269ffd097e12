// Shared by the tests of formats/torch: a graph from its parts, read by the pass, and the text that is left.
#ifndef QUENCH_TESTS_TORCH_TEST_H
#define QUENCH_TESTS_TORCH_TEST_H

#include "formats/torch/torch_priv.h"
#include "tests/passes/passes_test.h"

#include <stdio.h>

enum { TORCH_TEXT_MAX = 16384 };

static inline void torch_text(char text[TORCH_TEXT_MAX], const char *inputs, const char *nodes,
                              const char *outputs) {
  int length = snprintf(text, TORCH_TEXT_MAX, "graph \"g\" (%s) {\n%s  return %s\n}\n", inputs, nodes, outputs);
  cr_assert_lt(length, TORCH_TEXT_MAX);
}

// The graph after read-torch.
static inline run torch_read(const char *inputs, const char *nodes, const char *outputs) {
  char text[TORCH_TEXT_MAX];
  torch_text(text, inputs, nodes, outputs);
  return run_passes("read-torch,dead-code", text, (qn_pipeline_params){ 0 });
}

// Remarks about what was not read.
static inline uint32_t count_unread(const run *r) {
  uint32_t unread = 0;
  for (uint32_t i = 0; i < qn_pipeline_get_remark_count(r->pipeline); i++) {
    qn_remark remark;
    cr_assert_eq(qn_pipeline_get_remark(r->pipeline, i, &remark), QN_OK);
    unread += strcmp(remark.code, "unread") == 0;
  }
  return unread;
}

#endif
