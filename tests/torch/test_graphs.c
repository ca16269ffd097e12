// Whole graphs of tests/torch/graphs through the pipeline: what fuses, and by which rule, or why not; and what
// the graph as read and as fused computes, against each other and against what PyTorch gave.
//
// Those that tests/models/torch_graphs.py exported return pairs, found and wanted. Those of vLLM, which needs a
// GPU, are transcribed, and have their formulas in test_numbers.c.
#include "torch_test.h"

#include <math.h>
#include <stdlib.h>

TestSuite(graphs, .timeout = 60);

enum { INPUTS_MAX = 4, ELEMENTS_MAX = 1024 };

typedef struct inputs {
  qn_tensor tensors[INPUTS_MAX];
  uint8_t bytes[INPUTS_MAX][ELEMENTS_MAX * 4];
  uint32_t count;
} inputs;

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// As `numbers` of torch_graphs.py. A symbol is 2 or 5: the first dim, or another.
static void make_inputs(const qn_graph *graph, inputs *in) {
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_input) continue;
    qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, node, 0)));
    qn_tensor *tensor = &in->tensors[in->count];
    uint8_t *bytes = in->bytes[in->count];
    uint32_t state = ++in->count;
    uint64_t count = 1;
    *tensor = (qn_tensor){ .dtype = type.dtype, .rank = type.rank, .data = bytes };
    for (int32_t i = 0; i < type.rank; i++) {
      if (!qn_dim_is_const(graph, type.dims[i], &tensor->dims[i])) tensor->dims[i] = i == 0 ? 2 : 5;
      count *= (uint64_t)tensor->dims[i];
    }
    cr_assert_leq(count, ELEMENTS_MAX);
    tensor->bytes = qn_dtype_bytes(type.dtype, count);
    for (uint64_t i = 0; i < count; i++) {
      state = state * 1664525u + 1013904223u;
      float value = (float)(state >> 8) / 8388608.0f - 1.0f;
      if (type.dtype == QN_BF16)
        memcpy(bytes + i * 2, &(uint16_t){ to_bf16(value) }, 2);
      else
        memcpy(bytes + i * 4, &value, 4);
    }
  }
}

static run run_file(const char *name, const char *passes, qn_pipeline_params params) {
  char path[512], *text;
  size_t length;
  qn_context *context;
  snprintf(path, sizeof path, "%s/%s.qn", TORCH_GRAPHS, name);
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_read_file(context, path, &text, &length), QN_OK, "%s", path);
  run r = run_passes(passes, text, params);
  qn_free(context, text, length + 1);
  qn_context_destroy(context);
  return r;
}

// The rule that fused the attention, or the code of what stood in the way; of an operation that was not read,
// that.
static void expect_outcome(const run *r, const char *target, const char *expected) {
  const char *outcome = "none";
  for (uint32_t i = 0; i < qn_pipeline_get_remark_count(r->pipeline); i++) {
    qn_remark remark;
    cr_assert_eq(qn_pipeline_get_remark(r->pipeline, i, &remark), QN_OK);
    if (strcmp(remark.op, "quantize") == 0) continue;
    outcome = remark.fused ? remark.rule : remark.code;
    if (strcmp(remark.op, "attention") == 0) break;
  }
  cr_expect_str_eq(outcome, expected, "%s: expected %s, found %s", target, expected, outcome);
}

static qn_results *execute(const run *r, const inputs *in) {
  qn_results *results = NULL;
  qn_status status = qn_reference_run(
      r->graph, qn_reference_params(.inputs = in->tensors, .input_count = in->count), &results);
  const qn_error *error = qn_context_get_error(r->context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  return results;
}

// Where a code stands among all of its type.
static int rank_of(qn_dtype dtype, uint8_t code) {
  if (dtype == QN_U8) return code;
  if (dtype == QN_S8) return (int8_t)code;
  return code & 0x80 ? -(code & 0x7F) : code;
}

// Floats agree to 1e-5 of the largest.
static void compare_with_torch(const run *r, const qn_results *results, uint32_t apart) {
  for (uint32_t i = 0; i < qn_results_get_count(results); i += 2) {
    const qn_tensor *found = qn_results_get(results, i), *wanted = qn_results_get(results, i + 1);
    qn_difference difference;
    cr_assert_eq(found->dtype, wanted->dtype, "output %u: %s, not %s", i, qn_dtype_name(found->dtype),
                 qn_dtype_name(wanted->dtype));
    cr_assert_eq(qn_tensor_compare(r->context, found, wanted, &difference), QN_OK);
    if (qn_dtype_bits(found->dtype) != 8) {
      cr_expect_leq(difference.max_rel, apart ? 2e-2 : 1e-5, "output %u: %g", i, difference.max_rel);
      continue;
    }
    cr_expect_leq(difference.different, apart, "output %u: %llu codes differ", i,
                  (unsigned long long)difference.different);
    const uint8_t *a = found->data, *b = wanted->data;
    for (uint64_t k = 0; k < found->bytes; k++)
      cr_expect_leq(abs(rank_of(found->dtype, a[k]) - rank_of(found->dtype, b[k])), apart ? 2 : 0,
                    "output %u: code %llu is %02x, not %02x", i, (unsigned long long)k, a[k], b[k]);
  }
}

static void same_bytes(const qn_results *a, const qn_results *b) {
  cr_assert_eq(qn_results_get_count(a), qn_results_get_count(b));
  for (uint32_t i = 0; i < qn_results_get_count(a); i++) {
    const qn_tensor *x = qn_results_get(a, i), *y = qn_results_get(b, i);
    cr_assert_eq(x->bytes, y->bytes);
    cr_expect(memcmp(x->data, y->data, x->bytes) == 0, "output %u changes by fusing", i);
  }
}

// The outcome is the same without a target and for sm_90a. `apart`: codes that differ from PyTorch's. Of f32
// there are none; of bf16 PyTorch's CPU kernel rounds probabilities and sums on its way, so a few do, and where
// values cancel one is two codes away.
static void check(const char *name, const char *outcome, uint32_t apart) {
  qn_target target = qn_target_find("sm_90a");
  run read = run_file(name, "read-torch", (qn_pipeline_params){ 0 }),
      fused = run_file(name, NULL, (qn_pipeline_params){ 0 }),
      legal = run_file(name, NULL, (qn_pipeline_params){ .legality = qn_legality_of_target(&target) });
  expect_outcome(&fused, "without a target", outcome);
  expect_outcome(&legal, "sm_90a", outcome);
  if (strcmp(outcome, "unread") != 0) {
    static inputs in;
    memset(&in, 0, sizeof in);
    make_inputs(read.graph, &in);
    qn_results *a = execute(&read, &in), *b = execute(&fused, &in), *c = execute(&legal, &in);
    same_bytes(a, b), same_bytes(a, c);
    if (strncmp(name, "vllm", 4) != 0) compare_with_torch(&fused, b, apart);
    qn_results_destroy(a), qn_results_destroy(b), qn_results_destroy(c);
  }
  end_run(&read), end_run(&fused), end_run(&legal);
}

#define GRAPH(name, outcome, apart)                                                                            \
  Test(graphs, name) {                                                                                         \
    check(#name, outcome, apart);                                                                              \
  }

// clang-format off
GRAPH(before_the_reshape,               "attention_int8_static",    0)
GRAPH(causal_grouped,                   "attention_fp8_static",     0)
GRAPH(decomposed_per_channel,           "attention_int8_channel",   0)
GRAPH(decomposed_per_tensor,            "attention_int8_static",    0)
GRAPH(decomposed_per_token,             "attention_int8_token",     0)
GRAPH(plain_bf16_quotient,              "attention_fp8_static",     8)
GRAPH(plain_cast,                       "attention_fp8_cast",       0)
GRAPH(plain_divide,                     "attention_fp8_static",     0)
GRAPH(plain_int8,                       "attention_int8_static",    0)
GRAPH(plain_reciprocal,                 "attention_fp8_static",     10)
GRAPH(pt2e_dynamic,                     "dynamic_scale",            0)
GRAPH(pt2e_static,                      "attention_int8_static",    0)
GRAPH(symbolic,                         "attention_fp8_static",     0)
GRAPH(torchao_float8_group,             "attention_fp8_group",      0)
GRAPH(torchao_float8_static,            "attention_fp8_static",     0)
GRAPH(torchao_float8_tensor,            "dynamic_scale",            0)
GRAPH(torchao_float8_token,             "attention_fp8_token",      0)
GRAPH(torchao_float8_token_bf16,        "attention_fp8_token",      4)
GRAPH(torchao_float8_token_operation,   "attention_fp8_token",      0)
GRAPH(torchao_int8_asymmetric,          "attention_int8_token_zp",  0)
GRAPH(torchao_int8_bf16,                "attention_int8_token",     13)
GRAPH(torchao_int8_dynamic,             "attention_int8_token",     0)
GRAPH(torchao_int8_dynamic_decomposed,  "op",                       0)
GRAPH(vllm_dynamic_fp8,                 "dynamic_scale",            0)
GRAPH(vllm_group_fp8,                   "attention_fp8_group",      0)
GRAPH(vllm_group_fp8_packed,            "attention_fp8_group",      0)
GRAPH(vllm_int8,                        "attention_int8_static",    0)
GRAPH(vllm_int8_token,                  "attention_int8_token",     0)
GRAPH(vllm_int8_zero_point,             "attention_int8_static",    0)
GRAPH(vllm_ir_static_fp8,               "attention_fp8_static",     0)
GRAPH(vllm_native_fp8,                  "attention_fp8_static",     0)
GRAPH(vllm_nvfp4,                       "attention_nvfp4",          0)
GRAPH(vllm_static_fp8,                  "attention_fp8_static",     0)
GRAPH(vllm_token_fp8,                   "attention_fp8_token",      0)
GRAPH(vllm_without_lengths,             "unread",                   0)
// clang-format on
