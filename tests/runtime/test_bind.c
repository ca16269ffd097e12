// From the tensors of an attention to the arguments of a launch: strides, results and their shapes, and what no
// kernel is given. No device: the kernel's spec is made by hand.
#include "ir/base_priv.h"
#include "runtime/bind_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>
#include <stdio.h>

static qn_context *context;
static qn_graph *graph;

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  graph = NULL;
}
static void tear_down(void) {
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}
TestSuite(bind, .init = set_up, .fini = tear_down);

// --- a subject ---------------------------------------------------------------------------------------------

// Three sequences of five queries and seven keys, four heads on two, head_dim 64.
typedef struct subject {
  qn_kernel_spec spec;
  qn_layout out_layout, kv_layout;
  qn_tensor operands[QN_ATTENTION_OPERAND_COUNT]; // rank -1: absent
  qn_binding binding;
  qn_reason reason;
} subject;

static const int32_t zeros[64];

static qn_tensor tensor(qn_dtype dtype, int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d) {
  return (qn_tensor){ .dtype = dtype, .rank = rank, .dims = { a, b, c, d }, .data = zeros };
}

static subject plain(qn_scheme_family family) {
  subject s = { .spec = { .target = QN_TARGET_sm_90a,
                          .dtype = QN_BF16,
                          .out_dtype = QN_BF16,
                          .head_dim = 64,
                          .v_head_dim = 64,
                          .heads = 4,
                          .kv_heads = 2,
                          .window_left = -1,
                          .window_right = -1,
                          .output = qn_scheme_of(family) },
                .out_layout = QN_LAYOUT_BSM,
                .kv_layout = QN_LAYOUT_BSHD };
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) s.operands[i].rank = -1;
  s.operands[QN_ATTENTION_Q] = tensor(QN_BF16, 4, 3, 5, 4, 64);
  s.operands[QN_ATTENTION_K] = s.operands[QN_ATTENTION_V] = tensor(QN_BF16, 4, 3, 7, 2, 64);
  qn_dtype scale = qn_scheme_get_read_scale(&s.spec.output);
  if (scale != QN_ANY) s.operands[QN_ATTENTION_OUTPUT_SCALE] = tensor(scale, 0, 0, 0, 0, 0);
  return s;
}

static bool is_bound(subject *s) {
  const qn_tensor *operands[QN_ATTENTION_OPERAND_COUNT];
  qn_value inputs[3], out;
  const qn_attr attrs[] = { { .name = "heads", .i = 4 },
                            { .name = "kv_heads", .i = 2 },
                            { .name = "q_layout", .i = QN_LAYOUT_BSHD },
                            { .name = "k_layout", .i = s->kv_layout },
                            { .name = "v_layout", .i = s->kv_layout },
                            { .name = "out_layout", .i = s->out_layout } };
  qn_graph_destroy(graph);
  cr_assert_eq(qn_graph_create(context, "test", &graph), QN_OK);
  for (int i = 0; i < 3; i++)
    cr_assert_eq(
        qn_graph_add_input(graph, NULL, qn_type_get(graph, QN_BF16, QN_RANK_UNKNOWN, NULL), &inputs[i]), QN_OK);
  // Pages ask for a table, which the binding reads from the operands alone.
  qn_value all[QN_ATTENTION_OPERAND_COUNT] = { inputs[0], inputs[1], inputs[2] };
  if (s->spec.page_size > 0)
    cr_assert_eq(qn_graph_add_input(graph, NULL, qn_type_get(graph, QN_S32, QN_RANK_UNKNOWN, NULL),
                                    &all[QN_ATTENTION_PAGE_TABLE]),
                 QN_OK);
  cr_assert_eq(qn_graph_add(graph,
                            qn_node_params(.op = QN_OP_attention, .operands = all,
                                           .operand_count = QN_ATTENTION_OPERAND_COUNT, .attrs = attrs,
                                           .attr_count = QN_COUNT(attrs), .result_count = 1),
                            &out),
               QN_OK, "%s", qn_context_get_error(context)->message);
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++)
    operands[i] = s->operands[i].rank >= 0 ? &s->operands[i] : NULL;
  return qn_bind_node(&s->spec, graph, qn_graph_get_last(graph), operands, QN_ATTENTION_OPERAND_COUNT,
                           &s->binding, &s->reason);
}

static void assert_bound(subject *s) {
  bool bound = is_bound(s);
  cr_assert(bound, "%s: expected %s, found %s", qn_why_name(s->reason.why), s->reason.expected,
            s->reason.found);
}

static void assert_refused(subject *s, const char *found) {
  cr_assert_not(is_bound(s), "it is bound, though %s", found);
  cr_expect_str_eq(s->reason.found, found, "%s", s->reason.found);
}

// --- results -----------------------------------------------------------------------------------------------

static void expect_result(const subject *s, uint32_t at, uint32_t index, size_t address, qn_dtype dtype,
                          const char *dims) {
  const qn_bound_result *result = &s->binding.results[at];
  char found[96] = "";
  for (int32_t d = 0; d < result->shape.rank; d++)
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld", d ? "," : "",
             (long long)result->shape.dims[d]);
  cr_assert_lt(at, s->binding.result_count);
  cr_expect_eq(result->index, index);
  cr_expect_eq(result->address, address);
  cr_expect_eq(result->shape.dtype, dtype);
  cr_expect_str_eq(found, dims, "%s, not %s", found, dims);
}
#define EXPECT_RESULT(s, at, name, field, dtype, dims)                                                         \
  expect_result(s, at, QN_ATTENTION_##name, offsetof(qn_attention_args, field), dtype, dims)

Test(bind, an_unfused_kernel_has_one_result) {
  subject s = plain(QN_SCHEME_none);
  assert_bound(&s);
  cr_expect_eq(s.binding.result_count, 1);
  EXPECT_RESULT(&s, 0, OUT, out, QN_BF16, "3,5,256");
  cr_expect_eq(s.binding.args.workspace, 0);
}

// 15 tokens of 256: 16 groups of 16, 2 of 128.
Test(bind, results_of_each_kind_of_scheme) {
  subject s = plain(QN_SCHEME_nvfp4);
  s.spec.unquantized = true;
  assert_bound(&s);
  cr_expect_eq(s.binding.result_count, 3);
  EXPECT_RESULT(&s, 0, OUT, out, QN_E2M1, "3,5,256");
  EXPECT_RESULT(&s, 1, BLOCK_SCALE, block_scale, QN_E4M3, "128,16");
  EXPECT_RESULT(&s, 2, UNQUANTIZED, unquantized, QN_BF16, "3,5,256");
  cr_expect_eq(s.binding.args.block_scale_rows, 128);

  s = plain(QN_SCHEME_int8_token_zp);
  assert_bound(&s);
  cr_expect_eq(s.binding.result_count, 3);
  EXPECT_RESULT(&s, 1, BLOCK_SCALE, block_scale, QN_F32, "3,5,1");
  EXPECT_RESULT(&s, 2, ZERO_POINT, zero_points, QN_S32, "3,5,1");

  s = plain(QN_SCHEME_fp8_channel);
  s.operands[QN_ATTENTION_OUTPUT_SCALE] = tensor(QN_F32, 1, 256, 0, 0, 0);
  s.spec.unquantized = true;
  assert_bound(&s);
  cr_expect_eq(s.binding.result_count, 2);
  EXPECT_RESULT(&s, 1, UNQUANTIZED, unquantized, QN_BF16, "3,5,256");
}

// 256 codes become 320; scales are those of what was added, too.
Test(bind, padded_codes) {
  subject s = plain(QN_SCHEME_nvfp4);
  s.spec.output.pad = 160;
  s.spec.unquantized = true;
  assert_bound(&s);
  EXPECT_RESULT(&s, 0, OUT, out, QN_E2M1, "3,5,320");
  EXPECT_RESULT(&s, 1, BLOCK_SCALE, block_scale, QN_E4M3, "128,20");
  EXPECT_RESULT(&s, 2, UNQUANTIZED, unquantized, QN_BF16, "3,5,256");
  cr_expect_eq(s.binding.args.out_stride.position, 320);
  cr_expect_eq(s.binding.args.out_stride.head, 64);
  cr_expect_eq(s.binding.args.out_stride.batch, 5 * 320);
  cr_expect_eq(s.binding.args.unquantized_stride.position, 256);
}

// --- strides of scales -------------------------------------------------------------------------------------

Test(bind, strides_of_scales) {
  static const struct {
    qn_scheme_family family;
    qn_scale_layout layout;
    qn_layout out;
    uint16_t group;
    qn_scale_strides strides; // batch, head, position, group
    uint32_t rows;
  } cases[] = {
    { QN_SCHEME_fp8_group, QN_SCALES_ROW, QN_LAYOUT_BSM, 32, { 40, 2, 8, 1 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_ROW, QN_LAYOUT_TM, 128, { 10, 0, 2, 1 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_ROW, QN_LAYOUT_BSHD, 32, { 40, 2, 8, 1 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_ROW, QN_LAYOUT_BHSD, 32, { 40, 10, 2, 1 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_COLUMN, QN_LAYOUT_BSM, 32, { 5, 30, 1, 15 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_COLUMN, QN_LAYOUT_BSHD, 32, { 20, 1, 4, 60 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_COLUMN, QN_LAYOUT_BHSD, 32, { 20, 5, 1, 60 }, 15 },
    { QN_SCHEME_fp8_group, QN_SCALES_TMA_ALIGNED, QN_LAYOUT_BSM, 32, { 5, 32, 1, 16 }, 16 },
    { QN_SCHEME_mxfp8, QN_SCALES_PACKED, QN_LAYOUT_BSM, 32, { 5, 32, 1, 16 }, 16 },
    { QN_SCHEME_fp8_token, QN_SCALES_ROW, QN_LAYOUT_BSM, 0, { 5, 0, 1, 1 }, 15 },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    subject s = plain(cases[i].family);
    s.spec.output.scale_layout = (uint8_t)cases[i].layout;
    s.spec.output.group = cases[i].group;
    s.out_layout = cases[i].out;
    assert_bound(&s);
    const qn_scale_strides *found = &s.binding.args.block_scale_stride, *wanted = &cases[i].strides;
    cr_expect(found->batch == wanted->batch && found->head == wanted->head &&
                  found->position == wanted->position && found->group == wanted->group,
              "case %zu: %lld, %lld, %lld, %lld", i, (long long)found->batch, (long long)found->head,
              (long long)found->position, (long long)found->group);
    cr_expect_eq(s.binding.args.block_scale_rows, cases[i].rows, "case %zu: %u rows", i,
                 s.binding.args.block_scale_rows);
  }
}

Test(bind, scales_that_have_no_place) {
  static const char found[] = "other ones";
  subject s = plain(QN_SCHEME_fp8_token);
  s.out_layout = QN_LAYOUT_BSHD; // a scale for each head of a token
  assert_refused(&s, found);
  s = plain(QN_SCHEME_nvfp4);
  s.out_layout = QN_LAYOUT_BHSD; // tokens of a head
  assert_refused(&s, found);
  s = plain(QN_SCHEME_fp8_group); // groups of 128 in heads of 64
  s.out_layout = QN_LAYOUT_BSHD;
  assert_refused(&s, found);
  s = plain(QN_SCHEME_fp8_group);
  s.spec.output.group = 0;
  assert_refused(&s, found);
}

// --- operands of the output scheme -------------------------------------------------------------------------

Test(bind, numbers_for_channels) {
  subject s = plain(QN_SCHEME_int8_channel);
  s.operands[QN_ATTENTION_OUTPUT_SCALE] = tensor(QN_F32, 1, 256, 0, 0, 0);
  s.operands[QN_ATTENTION_OUTPUT_ZERO_POINT] = tensor(QN_S8, 1, 256, 0, 0, 0);
  s.operands[QN_ATTENTION_PRE_SCALE] = tensor(QN_F16, 1, 256, 0, 0, 0);
  s.spec.pre_scale_dtype = QN_F16;
  assert_bound(&s);
  cr_expect_eq(s.binding.args.output_scale_head, 64);
  cr_expect_eq(s.binding.args.pre_scale_head, 64);
  s.out_layout = QN_LAYOUT_BSHD; // the last axis is a head's
  s.operands[QN_ATTENTION_OUTPUT_SCALE].dims[0] = s.operands[QN_ATTENTION_OUTPUT_ZERO_POINT].dims[0] = 64;
  assert_bound(&s);
  cr_expect_eq(s.binding.args.output_scale_head, 0);
  cr_expect_eq(s.binding.args.pre_scale_head, 64, "the last two axes");
  s.operands[QN_ATTENTION_PRE_SCALE].dims[0] = 64;
  assert_bound(&s);
  cr_expect_eq(s.binding.args.pre_scale_head, 0);
}

Test(bind, numbers_that_do_not_fit) {
  subject s = plain(QN_SCHEME_int8_channel);
  s.operands[QN_ATTENTION_OUTPUT_SCALE] = tensor(QN_F32, 1, 64, 0, 0, 0);
  s.operands[QN_ATTENTION_OUTPUT_ZERO_POINT] = tensor(QN_S8, 1, 256, 0, 0, 0);
  assert_refused(&s, "output_scale as [64]");
  s.operands[QN_ATTENTION_OUTPUT_SCALE].dims[0] = 256;
  s.operands[QN_ATTENTION_OUTPUT_ZERO_POINT].dims[0] = 1;
  assert_refused(&s, "output_zero_point as [1]");
  s.operands[QN_ATTENTION_OUTPUT_ZERO_POINT].rank = -1;
  assert_refused(&s, "no output_zero_point");
  s = plain(QN_SCHEME_fp8_static);
  s.operands[QN_ATTENTION_OUTPUT_SCALE] = tensor(QN_F32, 1, 2, 0, 0, 0);
  assert_refused(&s, "output_scale as [2]");
  s = plain(QN_SCHEME_nvfp4);
  s.operands[QN_ATTENTION_OUTPUT_SCALE].dtype = QN_E4M3;
  assert_refused(&s, "output_scale in e4m3, not f32");
  s = plain(QN_SCHEME_fp8_token);
  s.spec.scale_bound = true;
  assert_refused(&s, "no scale_bound");
  s.operands[QN_ATTENTION_SCALE_BOUND] = tensor(QN_F32, 1, 3, 0, 0, 0);
  assert_refused(&s, "scale_bound as [3]");
  s = plain(QN_SCHEME_fp8_token);
  s.spec.pre_scale_dtype = QN_F32;
  s.operands[QN_ATTENTION_PRE_SCALE] = tensor(QN_F32, 1, 64, 0, 0, 0);
  assert_refused(&s, "pre_scale as [64]");
}

// What belongs to a scheme is not asked of the kernel's twin without one.
Test(bind, the_unfused_twin_reads_less) {
  subject s = plain(QN_SCHEME_none);
  s.spec.pre_scale_dtype = QN_F32;
  s.spec.scale_bound = s.spec.unquantized = true;
  assert_bound(&s);
  cr_expect_eq(s.binding.operand_count, 3);
  cr_expect_eq(s.binding.result_count, 1);
}

// --- caches ------------------------------------------------------------------------------------------------

// Three sequences of up to three pages of four positions; there are eight pages.
static subject paged(const int32_t *table, const int32_t *lengths) {
  subject s = plain(QN_SCHEME_fp8_static);
  s.spec.page_size = 4;
  s.spec.kv_dtype = QN_E4M3;
  s.spec.k_scale = QN_KV_SCALE_TENSOR;
  s.spec.v_scale = QN_KV_SCALE_HEAD;
  s.spec.kv_lengths = true;
  s.spec.lengths_dtype = QN_S32;
  s.kv_layout = QN_LAYOUT_PSHD;
  s.operands[QN_ATTENTION_K] = s.operands[QN_ATTENTION_V] = tensor(QN_E4M3, 4, 8, 4, 2, 64);
  s.operands[QN_ATTENTION_K_SCALE] = tensor(QN_F32, 0, 0, 0, 0, 0);
  s.operands[QN_ATTENTION_V_SCALE] = tensor(QN_F32, 1, 2, 0, 0, 0);
  s.operands[QN_ATTENTION_PAGE_TABLE] = tensor(QN_S32, 2, 3, 3, 0, 0);
  s.operands[QN_ATTENTION_PAGE_TABLE].data = table;
  s.operands[QN_ATTENTION_KV_LENGTHS] = tensor(QN_S32, 1, 3, 0, 0, 0);
  s.operands[QN_ATTENTION_KV_LENGTHS].data = lengths;
  return s;
}

Test(bind, pages) {
  static const int32_t table[] = { 7, 0, -1, 3, -1, -1, 1, 2, 5 }, lengths[] = { 8, 1, 12 };
  subject s = paged(table, lengths);
  assert_bound(&s);
  const qn_attention_args *args = &s.binding.args;
  cr_expect_eq(args->batch, 3);
  cr_expect_eq(args->kv_len, 12);
  cr_expect_eq(args->page_table_stride, 3);
  cr_expect_eq(args->k_stride.batch, 4 * 2 * 64);
  cr_expect_eq(args->k_stride.position, 2 * 64);
  cr_expect_eq(args->k_stride.head, 64);
  s.kv_layout = QN_LAYOUT_PHSD;
  s.operands[QN_ATTENTION_K] = s.operands[QN_ATTENTION_V] = tensor(QN_E4M3, 4, 8, 2, 4, 64);
  assert_bound(&s);
  cr_expect_eq(args->v_stride.position, 64);
  cr_expect_eq(args->v_stride.head, 4 * 64);
}

Test(bind, pages_that_lead_outside_are_refused) {
  static const int32_t table[] = { 7, 8, -1, 3, -1, -1, 1, 2, 5 }, lengths[] = { 4, 1, 12 },
                       longer[] = { 5, 1, 12 }, longest[] = { 4, 1, 13 };
  subject s = paged(table, lengths);
  assert_bound(&s);
  s.operands[QN_ATTENTION_KV_LENGTHS].data = longer;
  assert_refused(&s, "page_table[0, 1] is 8 of 8");
  s.operands[QN_ATTENTION_KV_LENGTHS].data = longest;
  assert_refused(&s, "kv_lengths[2] is 13 of 12");
  s = paged(table, lengths);
  s.spec.page_size = 8;
  assert_refused(&s, "pages of 4 positions, not 8");
  s = paged(table, lengths);
  s.operands[QN_ATTENTION_PAGE_TABLE].dims[0] = 2;
  assert_refused(&s, "k as [8,4,2,64]");
  s = paged(table, lengths);
  s.operands[QN_ATTENTION_V_SCALE].dims[0] = 4;
  assert_refused(&s, "v_scale as [4]");
  s = paged(table, lengths);
  s.operands[QN_ATTENTION_V].dtype = QN_BF16;
  assert_refused(&s, "v in bf16, not e4m3");
}
