// The runner: order, fuel, the rewrite log with the embedder's ids, dumps after each pass.
#include "passes_test.h"

#include <stdio.h>

TestSuite(pipeline, .timeout = 20);

#define SOURCE                                                                                                 \
  "graph \"g\" (q: f16[1,8,9,64], k: f16[1,2,9,64], v: f16[1,2,9,64], s: f32[]) {\n"                           \
  "  o: f16[1,8,9,64] = attention(q, k, v) {id=11}\n"                                                          \
  "  shape: s64[3] = const[value={0, 0, -1}] {id=12}\n"                                                        \
  "  t: f16[1,9,8,64] = transpose(o)[perm={0, 2, 1, 3}] {id=13}\n"                                             \
  "  r: f16[1,9,512] = reshape(t, shape) {id=14}\n"                                                            \
  "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static] {id=15}\n"                                           \
  "  return y\n}\n"

// The last rewrite knows every node that went into the fused one, through the rewrites before it.
Test(pipeline, a_rewrite_lists_the_embedders_ids) {
  run r = run_passes(NULL, SOURCE, (qn_pipeline_params){ 0 });
  uint32_t count = qn_pipeline_get_rewrite_count(r.pipeline);
  cr_assert_gt(count, 0);
  qn_rewrite rewrite;
  cr_assert_eq(qn_pipeline_get_rewrite(r.pipeline, count - 1, &rewrite), QN_OK);
  cr_expect_str_eq(rewrite.pass, "fuse-attention-quant");
  cr_expect_str_eq(rewrite.rule, "attention_fp8_static");
  const uint64_t expected[] = { 11, 13, 14, 15 };
  cr_assert_eq(rewrite.id_count, QN_COUNT(expected));
  for (uint32_t i = 0; i < QN_COUNT(expected); i++) cr_expect_eq(rewrite.ids[i], expected[i]);
  cr_assert_eq(rewrite.created_count, 1);
  cr_expect_eq(qn_pipeline_find_rewrite(r.pipeline, rewrite.created[0]), count - 1);
  cr_expect_eq(qn_pipeline_get_rewrite(r.pipeline, count, &rewrite), QN_INVALID);
  end_run(&r);
}

Test(pipeline, the_result_keeps_its_name) {
  run r = run_passes(NULL, SOURCE, (qn_pipeline_params){ 0 });
  qn_value y = qn_graph_find_value(r.graph, "y", 1);
  cr_assert_neq(y, QN_NONE);
  cr_expect_eq(qn_node_get_op(r.graph, qn_value_get_node(r.graph, y)), QN_OP_attention);
  end_run(&r);
}

// With fuel n the graph is what it was after n rewrites, and every such graph is valid.
Test(pipeline, fuel_stops_after_that_many_rewrites) {
  run whole = run_passes(NULL, SOURCE, (qn_pipeline_params){ 0 });
  uint32_t count = qn_pipeline_get_rewrite_count(whole.pipeline);
  for (uint32_t fuel = 1; fuel <= count; fuel++) {
    run r = run_passes(NULL, SOURCE, (qn_pipeline_params){ .fuel = fuel });
    cr_expect_eq(qn_pipeline_get_rewrite_count(r.pipeline), fuel);
    if (fuel == count) cr_expect_str_eq(r.text.text, whole.text.text);
    end_run(&r);
  }
  end_run(&whole);
}

typedef struct pass_log {
  char text[512];
} pass_log;

static qn_status note_pass(void *user, const qn_graph *graph, uint32_t index, const char *pass, bool changed) {
  (void)graph;
  pass_log *r = user;
  size_t length = strlen(r->text);
  snprintf(r->text + length, sizeof r->text - length, "%u %s%s\n", index, pass, changed ? " changed" : "");
  return QN_OK;
}

Test(pipeline, every_pass_reports) {
  pass_log record = { "" };
  run r = run_passes(NULL, SOURCE, (qn_pipeline_params){ .on_pass = note_pass, .user = &record });
  cr_expect_str_eq(
      record.text,
      "0 input\n1 read-torch\n2 fold\n3 canonicalize\n4 recover-attention\n5 recover-quantize\n6 absorb-layout "
      "changed\n7 fuse-attention-quant changed\n8 dead-code\n");
  end_run(&r);
}

Test(pipeline, an_unknown_pass_is_named) {
  qn_context *context;
  qn_graph *graph;
  qn_pipeline *pipeline;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_graph_create(context, "g", &graph), QN_OK);
  cr_expect_eq(qn_pipeline_run(graph, qn_pipeline_params(.passes = "fold,inline"), &pipeline), QN_INVALID);
  cr_expect_str_eq(qn_context_get_error(context)->message, "no pass is called 'inline'");
  cr_expect_null(pipeline);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}

// What has an effect is never removed, used or not; the rest goes.
Test(pipeline, effects_stay) {
  expect_text("dead-code",
              "graph \"g\" (x: f32[4]) {\n  a: ? = extern(x)[name=\"vllm::cache_update\"]\n  b: ? = "
              "extern(x)[name=\"ai.onnx::Foo\", pure=true]\n"
              "  c: f32[4] = relu(x)\n  return x\n}\n",
              "graph \"g\" (x: f32[4]) {\n  a: ? = extern(x)[name=\"vllm::cache_update\"]\n  return x\n}\n");
}

Test(pipeline, statistics_count_tries_and_matches) {
  run r = run_passes(NULL, SOURCE, (qn_pipeline_params){ 0 });
  bool found = false;
  for (uint32_t i = 0; i < qn_pipeline_get_rule_stats_count(r.pipeline); i++) {
    qn_rule_stats stats;
    cr_assert_eq(qn_pipeline_get_rule_stats(r.pipeline, i, &stats), QN_OK);
    if (strcmp(stats.rule, "attention_fp8_static") != 0) continue;
    found = true;
    cr_expect_eq(stats.matched, 1);
    cr_expect_geq(stats.tried, 1);
    cr_expect_gt(stats.steps, 0);
  }
  cr_expect(found);
  end_run(&r);
}
