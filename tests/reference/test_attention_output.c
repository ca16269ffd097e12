// attention under an output scheme gives the bytes of attention followed by quantize: codes, scales, zero
// points, and the unquantized result, for every family, layout and mode. And attention over a cache: pages,
// codes, their scales.
#include "reference_test.h"

#include <stdio.h>

// --- fused and unfused -------------------------------------------------------------------------------------

enum { BATCH = 2, HEADS = 4, LENGTH = 5, DIM = 16, VALUES = BATCH * HEADS * LENGTH * DIM };

static double noise(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return ((double)(*state >> 24) - 128) / 32;
}

// `operands`: definitions of the operands of quantizing; `names`: which of scale, zero point, pre_scale and
// scale_bound they give, as the operands of quantize and of attention.
typedef struct {
  const char *scheme, *layout, *dims, *operands, *quantize, *attention;
  int results; // of quantize
} output_case;

static void check_fused(const output_case *c, const char *dtype, const char *out_type, qn_reference_mode mode) {
  char text[2048];
  uint16_t bits[3][VALUES];
  qn_dtype type = qn_dtype_find(dtype);
  qn_tensor tensors[3];
  uint32_t seed = 1;
  for (int k = 0; k < 3; k++) {
    int64_t heads = k == 0 ? HEADS : 2, length = k == 0 ? LENGTH : 4;
    tensors[k] =
        (qn_tensor){ .dtype = type, .rank = 4, .dims = { BATCH, heads, length, DIM }, .data = bits[k] };
    tensors[k].bytes = (uint64_t)(BATCH * heads * length * DIM) * 2;
    for (uint64_t i = 0; i < tensors[k].bytes / 2; i++)
      qn_elements_store(type, &(double){ noise(&seed) }, 1, true, &bits[k][i]);
  }
  static const char *const first[] = { "y: ?[...]", "y: ?[...], ys: ?[...]",
                                       "y: ?[...], ys: ?[...], yz: ?[...]" };
  static const char *const outputs[] = { "y, z", "y, z, ys, zs", "y, z, ys, zs, yz, zz" };
  snprintf(
      text, sizeof text,
      "graph (q: %s[2,4,5,16], k: %s[2,2,4,16], v: %s[2,2,4,16]) {\n%s"
      "  o: %s[%s] = attention(q, k, v)[causal=bottom_right, out_layout=%s, out_type=%s]\n"
      "  %s = quantize(o%s)[scheme=%s]\n"
      "  z: ?[...], zs: ?[...], zz: ?[...], u: %s[%s] = attention(q, k, v, _, _, _, _%s)[causal=bottom_right, "
      "out_layout=%s, out_type=%s, output=%s]\n"
      "  return %s, o, u\n}\n",
      dtype, dtype, dtype, c->operands, out_type, c->dims, c->layout, out_type, first[c->results - 1],
      c->quantize, c->scheme, out_type, c->dims, c->attention, c->layout, out_type, c->scheme,
      outputs[c->results - 1]);
  outcome out = run_text(text, mode, tensors, 3);
  cr_assert_eq(out.status, QN_OK, "%s: %s\n%s", qn_context_get_error(out.context)->place,
               qn_context_get_error(out.context)->message, text);
  for (uint32_t i = 0; i < qn_results_get_count(out.results); i += 2) {
    const qn_tensor *y = qn_results_get(out.results, i), *z = qn_results_get(out.results, i + 1);
    cr_assert_eq(y->dtype, z->dtype);
    cr_assert_eq(y->bytes, z->bytes);
    cr_assert(memcmp(y->data, z->data, y->bytes) == 0, "result %u\n%s", i / 2, text);
  }
  end(&out);
}

#define SCALE "  s: f32[] = const[value={0.0123}]\n"
#define SCALES                                                                                                 \
  "  s: f32[10,2] = "                                                                                          \
  "const[value={0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9,2}]\n"
#define ZERO  "  n: s8[] = const[value={-7}]\n"
#define PRE   "  p: f32[16] = const[value={1.5,-2,0.3,0.7,5,6,7,8,0.9,0.1,0.11,0.12,13,1.4,1.5,0}]\n"
#define BOUND "  b: f32[] = const[value={1.25}]\n"

static const output_case OUTPUTS[] = {
  { "fp8_cast", "bsm", "2,5,64", "", "", "", 1 },
  { "fp8_static", "bsm", "2,5,64", SCALE, ", s", ", s", 1 },
  { "fp8_static{arithmetic=reciprocal}", "tm", "10,64", SCALE, ", s", ", s", 1 },
  { "int8_static", "bhsd", "2,4,5,16", SCALE ZERO, ", s, n", ", s, _, _, _, _, n", 1 },
  { "fp8_block{group=32}", "tm", "10,64", SCALES, ", s", ", s", 1 },
  { "fp8_static{round=bf16}", "bshd", "2,5,4,16", SCALE PRE, ", s, _, p", ", s, _, _, _, _, _, p", 1 },
  { "fp8_dynamic", "bshd", "2,5,4,16", "", "", "", 2 },
  { "fp8_token", "bsm", "2,5,64", BOUND, ", _, _, _, b", ", _, _, _, _, _, _, _, b", 2 },
  { "fp8_group{group=8, scale_layout=tma_aligned}", "thd", "10,4,16", PRE, ", _, _, p", ", _, _, _, _, _, _, p",
    2 },
  { "mxfp8{rule=up, scale_layout=packed}", "tm", "10,64", "", "", "", 2 },
  { "nvfp4{pad=48}", "tm", "10,64", SCALE, ", s", ", s", 2 },
  { "mxfp4{scale_layout=column}", "bsm", "2,5,64", "", "", "", 2 },
  { "int8_token", "bsm", "2,5,64", "", "", "", 2 },
  { "int8_dynamic", "tm", "10,64", "", "", "", 3 },
  { "int8_token_zp", "tm", "10,64", "", "", "", 3 },
};

Test(attention_output, fused_gives_the_bytes_of_unfused) {
  static const char *const types[] = { "f16", "bf16" }, *const outs[] = { "f16", "bf16", "f32" };
  for (size_t c = 0; c < QN_COUNT(OUTPUTS); c++)
    for (int i = 0; i < 12; i++)
      check_fused(&OUTPUTS[c], types[i % 2], outs[i / 2 % 3], (qn_reference_mode)(i / 6));
}

// direct numerics: the sum is not rounded to bf16 in front of the quantizer, but the unquantized result is.
PAIRS(attention_output, direct_numerics_round_the_unquantized_result_alone,
      "  q: bf16[1,1,1,1] = const[value={0}]\n  k: bf16[1,1,2,1] = const[value={0, 0}]\n"
      "  v: bf16[1,1,2,1] = const[value={1, 1.0078125}]\n  s: f32[] = const[value={0.001953125}]\n"
      "  y: s16[1,1,1,1], a: ?[...], b: ?[...], u: bf16[1,1,1,1] = attention(q, k, v, _, _, _, _, "
      "s)[numerics=direct, "
      "output=int16_static]\n  wy: s16[1,1,1,1] = const[value={514}]\n  wu: bf16[1,1,1,1] = const[value={1}]\n"
      "  e: s16[1,1,1,1] = attention(q, k, v, _, _, _, _, s)[output=int16_static]\n  we: s16[1,1,1,1] = "
      "const[value={512}]\n"
      "  return y, wy, u, wu, e, we\n")

FAILS(attention_output, a_scale_that_is_missing, QN_INVALID, "'y' (attention)",
      "a static scheme without its scale",
      "  q: f32[1,1,1,1] = const[value={0}]\n  y: e4m3[1,1,1,1] = attention(q, q, q)[output=fp8_static]\n  "
      "return y\n")

// --- the cache ---------------------------------------------------------------------------------------------

// Two sequences of 3 and 2 keys in pages of 2, G 2 kv heads of dim 1; what no sequence reaches is NaN or no
// page.
#define QUERIES "  q: f32[2,2,1,1] = const[value={1, 2, 3, -1}]\n  n: s32[2] = const[value={3, 2}]\n"
#define CACHED                                                                                                 \
  "  k: f32[2,2,4,1] = const[value={1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 0, 0, 9, 10, 0, 0}]\n"                       \
  "  w: f32[2,2,1,1] = attention(q, k, k, _, _, _, n)\n"
#define TABLE "  t: s32[2,2] = const[value={2, 0, 3, -1}]\n"
PAIRS(
    attention_output, pages_in_the_order_of_the_table,
    QUERIES CACHED TABLE
    // Position first: page 0 holds key 2 of sequence 0, page 2 keys 0 and 1 of it, page 3 those of sequence 1.
    "  p: f32[4,2,2,1] = const[value={3, 6, nan, nan, nan, nan, nan, nan, 1, 4, 2, 5, 7, 9, 8, 10}]\n"
    "  y: f32[2,2,1,1] = attention(q, p, p, _, _, _, n, _, _, _, _, _, _, _, _, t)[k_layout=pshd, "
    "v_layout=pshd]\n"
    // Head first.
    "  h: f32[4,2,2,1] = const[value={3, nan, 6, nan, nan, nan, nan, nan, 1, 2, 4, 5, 7, 8, 9, 10}]\n"
    "  z: f32[2,2,1,1] = attention(q, h, h, _, _, _, n, _, _, _, _, _, _, _, _, t)[k_layout=phsd, "
    "v_layout=phsd]\n"
    "  return y, w, z, w\n")

#define PAGES(table, lengths)                                                                                  \
  "  q: f32[2,1,1,1] = const[value={1, 2}]\n  p: f32[2,2,1,1] = const[value={1, 2, 3, 4}]\n" table lengths     \
  "  y: f32[2,1,1,1] = attention(q, p, p, _, _, _, n, _, _, _, _, _, _, _, _, t)[k_layout=pshd, "              \
  "v_layout=pshd]\n"                                                                                           \
  "  return y\n"
FAILS(attention_output, a_page_that_there_is_not, QN_INVALID, "'y' (attention)",
      "page_table[1,0] is 2, k has 2 pages",
      PAGES("  t: s32[2,1] = const[value={0, 2}]\n", "  n: s32[2] = const[value={1, 2}]\n"))
FAILS(attention_output, more_keys_than_pages, QN_INVALID, "'y' (attention)", "kv_lengths[1] is 3 of 2",
      PAGES("  t: s32[2,1] = const[value={0, 1}]\n", "  n: s32[2] = const[value={1, 3}]\n"))
FAILS(attention_output, pages_without_lengths, QN_INVALID, "'y' (attention)",
      "k in pages without a page table of rank 2 and kv_lengths",
      "  q: f32[1,1,1,1] = const[value={1}]\n  p: f32[1,1,1,1] = const[value={1}]\n  t: s32[1,1] = "
      "const[value={0}]\n"
      "  y: f32[1,1,1,1] = attention(q, p, p, _, _, _, _, _, _, _, _, _, _, _, _, t)[k_layout=pshd, "
      "v_layout=pshd]\n"
      "  return y\n")

// Codes stand for their values times the scale, one for all or one a kv head.
PAIRS(attention_output, a_cache_of_codes_with_scales,
      "  q: f32[1,2,1,2] = const[value={1, -2, 0.5, 3}]\n"
      "  k: e4m3[1,2,3,2] = const[value={1, 2, 448, 0.5, -3, 4, 5, 6, 7, 8, -9, 10}]\n"
      "  v: e5m2[1,2,3,2] = const[value={1, 2, 4, 0.5, -3, 4, 5, 6, 7, 8, -10, 10}]\n"
      "  ks: f32[1] = const[value={0.3}]\n  vs: f32[2] = const[value={0.7, 1.9}]\n"
      "  y: f32[1,2,1,2], u1: ?[...], u2: ?[...], u3: ?[...], pk: e4m3[1,2,3,2] = attention(q, k, v, _, _, _, "
      "_, _, _, _, "
      "_, _, _, _, _, _, ks, vs)\n"
      "  kf: f32[1,2,3,2] = cast(k)[to=f32]\n  km: f32[1,2,3,2] = mul(kf, ks)\n"
      "  vf: f32[1,2,3,2] = cast(v)[to=f32]\n  vt: f32[2,1,1] = const[value={0.7, 1.9}]\n  vm: f32[1,2,3,2] = "
      "mul(vf, vt)\n"
      "  w: f32[1,2,1,2] = attention(q, km, vm)\n  return y, w, pk, k\n")
FAILS(attention_output, scales_for_other_heads, QN_INVALID, "'y' (attention)",
      "v_scale has 3 elements for 1 kv_heads",
      "  q: f32[1,1,1,1] = const[value={1}]\n  s: f32[3] = const[value={1, 2, 3}]\n"
      "  y: f32[1,1,1,1] = attention(q, q, q, _, _, _, _, _, _, _, _, _, _, _, _, _, _, s)\n  return y\n")
