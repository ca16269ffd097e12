// The spec of an attention node, and the question that a fusion asks.

#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <quench/kernel.h>

static qn_context *ctx;
static qn_graph *graph;

static void setup(void) {
  cr_assert_eq(qn_context_create(NULL, &ctx), QN_OK);
}
static void teardown(void) {
  qn_graph_destroy(graph);
  qn_context_destroy(ctx);
}

TestSuite(spec_from_node, .init = setup, .fini = teardown);

// The attention of a graph in the text form, with these inputs and this body.
static qn_node read(const char *inputs, const char *body) {
  qn_buf text = QN_BUF(ctx);
  qn_buf_printf(&text, "graph \"g\" (%s) {\n%s\nreturn o\n}\n", inputs, body);
  qn_status status = qn_graph_read_text(ctx, "test", text.text, text.length, &graph);
  cr_assert_eq(status, QN_OK, "%s: %s", qn_context_get_error(ctx)->place, qn_context_get_error(ctx)->message);
  qn_buf_free(&text);
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
    if (qn_node_get_op(graph, node) == QN_OP_attention) return node;
  cr_assert_fail("no attention");
  return QN_NONE;
}

#define QKV "q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64]"

Test(spec_from_node, reads_what_the_node_says) {
  qn_kernel_spec spec;
  qn_node node = read(QKV ", m: f32[B,1,T,T], s: f32[]",
                      "o: e5m2[B,8,T,64] = attention(q, k, v, m, _, _, _, s)[scale=0.25, causal=bottom_right, "
                      "output=fp8_static{target=e5m2}, numerics=direct]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_80, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.target, QN_TARGET_sm_80);
  cr_expect_eq(spec.dtype, QN_BF16);
  cr_expect_eq(spec.out_dtype, QN_BF16);
  cr_expect_eq(spec.head_dim, 64);
  cr_expect_eq(spec.v_head_dim, 64);
  cr_expect_eq(spec.heads, 8);
  cr_expect_eq(spec.kv_heads, 2);
  cr_expect_eq(spec.causal, QN_CAUSAL_BOTTOM_RIGHT);
  cr_expect_eq(spec.mask, QN_MASK_ADDITIVE);
  cr_expect_eq(spec.mask_dtype, QN_F32);
  cr_expect_eq(spec.window_left, -1);
  cr_expect_float_eq(spec.scale, 0.25f, 0);
  cr_expect_eq(spec.output.family, QN_SCHEME_fp8_static);
  cr_expect_eq(spec.output.target, QN_E5M2);
  cr_expect_eq(spec.numerics, QN_DIRECT);
}

Test(spec_from_node, merged_heads_are_divided) {
  qn_kernel_spec spec;
  qn_node node =
      read("q: f16[B,T,512], k: f16[B,T,128], v: f16[B,2,T,64], m: bool[T,T]",
           "o: f16[B,T,512] = attention(q, k, v, m)[heads=8, kv_heads=2, q_layout=bsm, k_layout=bsm, "
           "out_layout=bsm]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.heads, 8);
  cr_expect_eq(spec.kv_heads, 2);
  cr_expect_eq(spec.head_dim, 64);
  cr_expect_eq(spec.mask, QN_MASK_BOOLEAN);
}

static bool packed(const char *inputs, const char *body) {
  qn_kernel_spec spec;
  qn_node node = read(inputs, body);
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  qn_graph_destroy(graph);
  graph = NULL;
  return spec.pack_heads;
}

// A tile has 128 rows here.
Test(spec_from_node, heads_are_packed_where_that_halves_the_tiles) {
  cr_expect(
      packed("q: f16[B,8,1,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,1,64] = attention(q, k, v)"));
  cr_expect(packed("q: f16[B,64,8,64], k: f16[B,T,2,64], v: f16[B,T,2,64]",
                   "o: f16[B,64,8,64] = attention(q, k, v)[q_layout=bshd, k_layout=bshd, v_layout=bshd, "
                   "out_layout=bshd]"));
  cr_expect_not(packed("q: f16[B,8,65,64], k: f16[B,2,T,64], v: f16[B,2,T,64]",
                       "o: f16[B,8,65,64] = attention(q, k, v)"));
  cr_expect_not(
      packed("q: f16[B,8,1,64], k: f16[B,8,T,64], v: f16[B,8,T,64]", "o: f16[B,8,1,64] = attention(q, k, v)"));
  cr_expect_not(
      packed("q: f16[B,8,S,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,S,64] = attention(q, k, v)"));
}

static qn_schedule schedule_of(const char *inputs, const char *body) {
  qn_kernel_spec spec;
  qn_node node = read(inputs, body);
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  qn_graph_destroy(graph);
  graph = NULL;
  return spec.schedule;
}

// A warp has 16 rows here: a tile of five whole positions of three heads leaves one row.
Test(spec_from_node, heads_are_not_packed_where_scales_of_tokens_forbid_it) {
  cr_expect(packed("q: f32[B,3,20,64], k: f32[B,1,T,64], v: f32[B,1,T,64], s: f32[]",
                   "o: e4m3[B,3,20,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_static]"));
  cr_expect_not(
      packed("q: f32[B,3,20,64], k: f32[B,1,T,64], v: f32[B,1,T,64]",
             "o: e4m3[B,20,192], c: f32[B,20,1] = attention(q, k, v)[out_layout=bsm, output=fp8_token]"));
}

Test(spec_from_node, few_queries_of_many_keys_share_them) {
  static const struct {
    const char *inputs, *body;
    qn_schedule schedule;
  } cases[] = {
    { "q: f16[B,8,1,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,1,64] = attention(q, k, v)",
      QN_SCHEDULE_split },
    { "q: f16[B,8,8,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,8,64] = attention(q, k, v)",
      QN_SCHEDULE_split },
    { "q: f16[B,8,9,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,9,64] = attention(q, k, v)",
      QN_SCHEDULE_mma },
    { "q: f16[B,8,S,64], k: f16[B,2,T,64], v: f16[B,2,T,64]", "o: f16[B,8,S,64] = attention(q, k, v)",
      QN_SCHEDULE_mma },
    { "q: f16[B,8,1,64], k: f16[B,2,512,64], v: f16[B,2,512,64]", "o: f16[B,8,1,64] = attention(q, k, v)",
      QN_SCHEDULE_split },
    { "q: f16[B,8,1,64], k: f16[B,2,511,64], v: f16[B,2,511,64]", "o: f16[B,8,1,64] = attention(q, k, v)",
      QN_SCHEDULE_mma },
    { "q: f16[B,8,1,64], k: f16[B,2,T,64], v: f16[B,2,T,64]",
      "o: f16[B,8,1,64] = attention(q, k, v)[causal=bottom_right, window_left=511]", QN_SCHEDULE_mma },
    { "q: f16[B,8,1,64], k: f16[B,2,T,64], v: f16[B,2,T,64]",
      "o: f16[B,8,1,64] = attention(q, k, v)[causal=bottom_right, window_left=512]", QN_SCHEDULE_split },
    { "q: f16[B,8,1,64], k: f16[B,2,T,64], v: f16[B,2,T,64]",
      "o: f16[B,8,1,64] = attention(q, k, v)[window_left=100]", QN_SCHEDULE_split },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++)
    cr_expect_eq(schedule_of(cases[i].inputs, cases[i].body), cases[i].schedule, "%s, %s", cases[i].inputs,
                 cases[i].body);
}

Test(spec_from_node, what_stands_between_scores_and_softmax) {
  qn_kernel_spec spec;
  qn_node node = read(QKV ", n: bf16[8], a: f32[8], l: s64[B]",
                      "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, l, _, n, a)[window_left=255, "
                      "window_right=0, softcap=30]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.window_left, 255);
  cr_expect_eq(spec.window_right, 0);
  cr_expect_float_eq(spec.softcap, 30, 0);
  cr_expect_eq(spec.sinks_dtype, QN_BF16);
  cr_expect(spec.alibi);
  cr_expect(spec.kv_lengths);
  cr_expect_eq(spec.lengths_dtype, QN_S64);
  cr_expect_not(spec.varlen);
}

Test(spec_from_node, sequences_end_to_end) {
  qn_kernel_spec spec;
  qn_node node =
      read("q: f16[T,512], k: f16[N,2,64], v: f16[N,128], c: s32[B], d: s32[B]",
           "o: f16[T,512] = attention(q, k, v, _, _, _, _, _, _, _, c, d)[causal=bottom_right, heads=8, "
           "kv_heads=2, q_layout=tm, k_layout=thd, v_layout=tm, out_layout=tm]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_80, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.heads, 8);
  cr_expect_eq(spec.kv_heads, 2);
  cr_expect_eq(spec.head_dim, 64);
  cr_expect_eq(spec.v_head_dim, 64);
  cr_expect(spec.varlen);
  cr_expect_eq(spec.lengths_dtype, QN_S32);
  cr_expect_eq(spec.sinks_dtype, QN_ANY);
}

static void refused(const char *inputs, const char *body, const char *why, const char *expected,
                    const char *found) {
  qn_kernel_spec spec;
  qn_reason reason;
  qn_node node = read(inputs, body);
  cr_expect_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, &reason), QN_UNSUPPORTED, "%s",
               body);
  cr_expect_str_eq(qn_why_name(reason.why), why, "%s: %s", body, qn_why_name(reason.why));
  cr_expect_str_eq(reason.expected, expected, "%s: %s", body, reason.expected);
  cr_expect_str_eq(reason.found, found, "%s: %s", body, reason.found);
  cr_expect_not_null(strstr(qn_context_get_error(ctx)->message, found));
  qn_graph_destroy(graph);
  graph = NULL;
}

Test(spec_from_node, refusals) {
  refused("q: bf16[B,8,T,D], k: bf16[B,2,T,D], v: bf16[B,2,T,D]", "o: bf16[B,8,T,D] = attention(q, k, v)",
          "unknown_shape", "a constant number of heads and head_dim", "head_dim of q is D");
  refused("q: bf16[B,8,T,64], k: bf16[B,2,N,64], v: bf16[B,2,N,64], m: f32[...]",
          "o: bf16[B,8,T,64] = attention(q, k, v, m)", "mask_shape", "a mask of known rank",
          "a mask of unknown rank");
  refused("q: bf16[B,8,T,64], k: bf16[B,2,N,64], v: bf16[B,2,N,64], m: f32[T,1]",
          "o: bf16[B,8,T,64] = attention(q, k, v, m)", "mask_shape", "a mask with a column for each key",
          "a mask of 1 columns");
  refused(QKV, "o: bf16[B,8,T,64] = attention(q, k, v)[softmax_type=f64]", "softmax_type", "f32", "f64");
  refused(QKV, "o: f16[B,8,T,64] = attention(q, k, v)[out_type=f16]", "dtype",
          "an output in f32 or in the element type of q", "f16 from q in bf16");
  refused(QKV ", p: bf16[B,2,P,64], r: bf16[B,2,P,64]", "o: bf16[B,8,T,64] = attention(q, k, v, _, p, r)",
          "kv_cache", "no cache operands", "past_key");
  refused(QKV, "o: bf16[B,8,T,64] = attention(q, k, v)[window_left=-2]", "window",
          "window_left and window_right from 0 on, or -1 for none", "window_left -2, window_right -1");
  refused(QKV ", n: f16[8]", "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, n)", "sinks",
          "sinks in f32 or in the element type of q", "f16 with q in bf16");
  refused(QKV ", n: ?", "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, n)", "sinks",
          "sinks in f32 or in the element type of q", "an unknown type");
  refused(QKV ", a: bf16[8]", "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, a)", "alibi",
          "alibi_slopes in f32", "bf16");
  refused(QKV ", n: ?", "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, n)", "variable_length",
          "lengths in s32 or s64", "?");
  refused("q: bf16[T,8,64], k: bf16[N,2,64], v: bf16[N,2,64], c: s32[B], d: s64[B]",
          "o: bf16[T,8,64] = attention(q, k, v, _, _, _, _, _, _, _, c, d)[q_layout=thd, k_layout=thd, "
          "v_layout=thd, out_layout=thd]",
          "variable_length", "cu_seqlens_q and cu_seqlens_kv in one element type", "s32 and s64");
}

// Operands by position: mask, past_key, past_value, kv_lengths, output_scale, sinks, alibi_slopes,
// cu_seqlens_q, cu_seqlens_kv, output_zero_point, pre_scale, scale_bound, page_table, k_scale, v_scale.
Test(spec_from_node, output_operands) {
  qn_kernel_spec spec;
  qn_node node =
      read(QKV ", s: f16[512], z: s8[512], p: f32[512]",
           "o: s8[B,T,512], b: ?, c: ?, u: bf16[B,T,512] = attention(q, k, v, _, _, _, _, s, _, _, _, _, z, p)"
           "[out_layout=bsm, output=int8_channel{scale=f16, axis=2}]\nw: f32[B,T,512] = cast(u)[to=f32]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_80, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.output.axis, -1);
  cr_expect_eq(spec.output.zero_point, QN_ZERO_POINT_AFTER);
  cr_expect_eq(spec.pre_scale_dtype, QN_F32);
  cr_expect_not(spec.scale_bound);
  cr_expect(spec.unquantized);
}

Test(spec_from_node, a_zero_point_that_is_not_given_is_none) {
  qn_kernel_spec spec;
  qn_node node =
      read(QKV ", s: f32[1]", "o: s8[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=int8_static]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_80, &spec, NULL), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  cr_expect_eq(spec.output.zero_point, QN_ZERO_POINT_NONE);
  cr_expect_not(spec.unquantized);
  cr_expect_eq(spec.pre_scale_dtype, QN_ANY);
}

Test(spec_from_node, output_refusals) {
  refused(QKV ", s: f16[]", "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_static]",
          "scale_type", "output_scale in f32", "f16");
  refused(QKV ", s: f32[2]", "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_static]",
          "scale_length", "output_scale of one element", "2");
  refused(QKV ", s: f32[N]", "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_static]",
          "scale_length", "output_scale of one element", "an unknown number");
  refused(QKV ", s: f32[8]", "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_channel]",
          "scale_length", "output_scale of 64 elements", "8");
  refused(QKV ", s: f32[64]",
          "o: e4m3[B,T,512] = attention(q, k, v, _, _, _, _, s)[out_layout=bsm, output=fp8_channel]",
          "scale_length", "output_scale of 512 elements", "64");
  refused(QKV ", s: f32[8]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_channel{axis=1}]", "scale_length",
          "output_scale of 64 elements", "8");
  refused(QKV ", s: f32[64]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_channel{axis=1}]", "granularity",
          "channels of the last axis", "fp8_channel{axis=1}");
  refused(QKV ", s: f32[], z: u8[]",
          "o: s8[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, z)[output=int8_static]",
          "scale_type", "output_zero_point in s8", "u8");
  refused(QKV ", s: f32[], z: s8[64]",
          "o: s8[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, z)[output=int8_static]",
          "scale_length", "output_zero_point of one element", "64");
  refused(QKV ", s: f32[], z: e4m3[]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, z)[output=fp8_static]",
          "zero_point", "a scheme that takes the zero point that is given", "fp8_static");
  refused(QKV ", s: f32[], p: bf16[32]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, _, p)[output=fp8_static]",
          "scale_length", "pre_scale of 64 elements", "32");
  refused(QKV ", s: f32[], p: f64[64]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, _, p)[output=fp8_static]",
          "scale_type", "pre_scale in f32, f16 or bf16", "f64");
  refused(QKV ", s: f32[], b: f32[]",
          "o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s, _, _, _, _, _, _, b)[output=fp8_static]",
          "scheme", "a dynamic scheme under scale_bound", "fp8_static");
}

Test(spec_from_node, caches) {
  qn_reason reason;
  qn_kernel_spec spec;
  qn_node node = read("q: bf16[B,8,T,64], k: e4m3[P,16,2,64], v: e4m3[P,16,2,64], n: s32[B], t: s32[B,M], "
                      "ks: f32[1], vs: f32[2]",
                      "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, n, _, _, _, _, _, _, _, _, t, ks, vs)"
                      "[k_layout=pshd, v_layout=pshd]");
  qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, &reason);
  cr_expect_eq(spec.kv_dtype, QN_E4M3);
  cr_expect_eq(spec.page_size, 16);
  cr_expect_eq(spec.k_scale, QN_KV_SCALE_TENSOR);
  cr_expect_eq(spec.v_scale, QN_KV_SCALE_HEAD);
  cr_expect(spec.kv_lengths);
  qn_graph_destroy(graph);
  node = read("q: bf16[B,8,T,64], k: bf16[P,2,32,64], v: bf16[P,2,32,64], t: s32[B,M]",
              "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, t)"
              "[k_layout=phsd, v_layout=phsd]");
  qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, &reason);
  cr_expect_eq(spec.kv_dtype, QN_ANY);
  cr_expect_eq(spec.page_size, 32);
  cr_expect_eq(spec.kv_heads, 2);
  cr_expect_eq(spec.k_scale, QN_KV_SCALE_NONE);
  qn_graph_destroy(graph);
  node = read("q: bf16[B,8,T,64], k: bf16[P,2,32,64], v: bf16[P,32,2,64], n: s32[B], t: s32[B,3], m: bool[96]",
              "o: bf16[B,8,T,64] = attention(q, k, v, m, _, _, n, _, _, _, _, _, _, _, _, t)"
              "[k_layout=phsd, v_layout=pshd]");
  cr_assert_eq(qn_kernel_spec_from_node(graph, node, QN_TARGET_sm_90a, &spec, &reason), QN_OK, "%s",
               reason.found);
  cr_expect_eq(spec.mask, QN_MASK_BOOLEAN);
}

Test(spec_from_node, cache_refusals) {
#define PAGED "[k_layout=pshd, v_layout=pshd]"
  refused("q: bf16[B,8,T,64], k: bf16[P,16,2,64], v: bf16[P,32,2,64], t: s32[B,M]",
          "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, t)" PAGED, "kv_cache",
          "pages of one size for k and v", "16 and 32");
  refused("q: bf16[B,8,T,64], k: bf16[P,S,2,64], v: bf16[P,S,2,64], t: s32[B,M]",
          "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, t)" PAGED,
          "unknown_shape", "pages of a constant size", "an unknown one");
  refused("q: bf16[B,8,T,64], k: bf16[P,16,2,64], v: bf16[P,16,2,64], t: s64[B,M]",
          "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, t)" PAGED, "kv_cache",
          "a page table in s32", "s64");
  refused("q: bf16[B,8,T,64], k: bf16[P,16,2,64], v: bf16[P,16,2,64], n: s32[B], t: s32[B,2], m: bool[16]",
          "o: bf16[B,8,T,64] = attention(q, k, v, m, _, _, n, _, _, _, _, _, _, _, _, t)" PAGED, "mask_shape",
          "a mask with a column for each key", "a mask of 16 columns");
  refused("q: bf16[B,8,T,64], k: e4m3[B,2,T,64], v: e4m3[B,2,T,64], s: f32[3]",
          "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, _, s)", "scale_length",
          "k_scale of 2 elements", "3");
  refused("q: bf16[B,8,T,64], k: e4m3[B,2,T,64], v: e4m3[B,2,T,64], s: f16[2]",
          "o: bf16[B,8,T,64] = attention(q, k, v, _, _, _, _, _, _, _, _, _, _, _, _, _, _, s)", "scale_type",
          "v_scale in f32", "f16");
  refused("q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: f16[B,2,T,64]", "o: bf16[B,8,T,64] = attention(q, k, v)",
          "dtype", "one element type for k and v", "k in bf16, v in f16");
}

Test(spec_from_node, legality_asks_for_the_scheme_to_come) {
  static const qn_target target = QN_TARGET_sm_90a;
  qn_legality legality = qn_legality_of_target(&target);
  qn_scheme fp8 = qn_scheme_of(QN_SCHEME_fp8_static), int16 = qn_scheme_of(QN_SCHEME_int16_static);
  qn_reason reason;
  qn_node node = read(QKV, "o: bf16[B,8,T,64] = attention(q, k, v)[causal=top_left]");
  cr_expect(legality.fuses(legality.user, graph, node, &fp8, &reason));
  cr_expect_not(legality.fuses(legality.user, graph, node, &int16, &reason));
  cr_expect_eq(reason.why, QN_WHY_scheme);
  cr_expect_eq(qn_context_get_error(ctx)->status, QN_OK, "a refusal is not a failure of the context");
}
