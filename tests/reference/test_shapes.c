// Reductions, layouts, indices, products, normalizations, quantization: small graphs with their results worked
// out.
#include "reference_test.h"
#include "runtime/reference/reference_priv.h"

#include <stdio.h>
#include <unistd.h>

#define X23 "  x: f32[2,3] = const[value={1, 2, 3, 4, 5, 6}]\n"

PAIRS(reduce, sum_mean_max_min,
      X23 "  a: s64[1] = const[value={-1}]\n  s: f32[2,1] = reduce_sum(x, a)\n  m: f32[2] = reduce_mean(x, "
          "a)[keepdims=false]\n"
          "  b: f32[1,1] = reduce_max(x)\n  c: f32[] = reduce_min(x)[keepdims=false]\n"
          "  ws: f32[2,1] = const[value={6, 15}]\n  wm: f32[2] = const[value={2, 5}]\n  wb: f32[1,1] = "
          "const[value={6}]\n"
          "  wc: f32[] = const[value={1}]\n  e: s64[0] = const[value={}]\n  n: f32[2,3] = reduce_sum(x, "
          "e)[noop_if_empty=true]\n"
          "  return s, ws, m, wm, b, wb, c, wc, n, x\n")
PAIRS(
    reduce, empty_and_integers,
    "  x: f32[0,2] = const[value={}]\n  a: s64[1] = const[value={0}]\n  s: f32[1,2] = reduce_sum(x, a)\n  m: "
    "f32[1,2] = reduce_max(x, a)\n"
    "  ws: f32[1,2] = const[value={0, 0}]\n  wm: f32[1,2] = const[value={-inf, -inf}]\n"
    "  i: s32[3] = const[value={2147483647, 1, -5}]\n  t: s32[1] = reduce_sum(i)\n  l: s32[1] = reduce_min(i)\n"
    "  wt: s32[1] = const[value={2147483643}]\n  wl: s32[1] = const[value={-5}]\n  return s, ws, m, wm, t, wt, "
    "l, wl\n")
// 2^24 + 1 + 1 in f32, one addition after the other, stays 2^24.
PAIRS(reduce, f32_sums_round_each_addition,
      "  x: f32[3] = const[value={16777216, 1, 1}]\n  s: f32[1] = reduce_sum(x)\n  w: f32[1] = "
      "const[value={16777216}]\n"
      "  d: f64[3] = const[value={16777216, 1, 1}]\n  t: f64[1] = reduce_sum(d)\n  v: f64[1] = "
      "const[value={16777218}]\n  return s, w, t, v\n")
PAIRS(reduce, cumsum,
      X23 "  a: s64[] = const[value={1}]\n  c: f32[2,3] = cumsum(x, a)\n  r: f32[2,3] = cumsum(x, "
          "a)[exclusive=true, reverse=true]\n"
          "  wc: f32[2,3] = const[value={1, 3, 6, 4, 9, 15}]\n  wr: f32[2,3] = const[value={5, 3, 0, 11, 6, "
          "0}]\n  return c, wc, r, wr\n")

PAIRS(
    layout, views,
    X23
    "  s: s64[3] = const[value={0, -1, 1}]\n  r: f32[2,3,1] = reshape(x, s)\n  q: f32[2,3] = squeeze(r)\n"
    "  a: s64[2] = const[value={0, -1}]\n  u: f32[1,2,3,1] = unsqueeze(x, a)\n  f: f32[1,6] = "
    "flatten(x)[axis=0]\n"
    "  wr: f32[2,3,1] = const[value={1, 2, 3, 4, 5, 6}]\n  wu: f32[1,2,3,1] = const[value={1, 2, 3, 4, 5, 6}]\n"
    "  wf: f32[1,6] = const[value={1, 2, 3, 4, 5, 6}]\n  return r, wr, q, x, u, wu, f, wf\n")
PAIRS(layout, transpose_expand_tile,
      X23 "  t: f32[3,2] = transpose(x)\n  s: s64[3] = const[value={2, 1, 1}]\n  e: f32[2,2,3] = expand(x, s)\n"
          "  n: s64[2] = const[value={1, 2}]\n  l: f32[2,6] = tile(x, n)\n"
          "  wt: f32[3,2] = const[value={1, 4, 2, 5, 3, 6}]\n  we: f32[2,2,3] = const[value={1, 2, 3, 4, 5, 6, "
          "1, 2, 3, 4, 5, 6}]\n"
          "  wl: f32[2,6] = const[value={1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}]\n  return t, wt, e, we, l, wl\n")
PAIRS(layout, repeat,
      X23 "  y: f32[2,6] = repeat(x)[axis=-1, count=2]\n  w: f32[2,6] = const[value={1, 1, 2, 2, 3, 3, 4, 4, "
          "5, 5, 6, 6}]\n"
          "  z: f32[4,3] = repeat(x)[count=2]\n  v: f32[4,3] = const[value={1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, "
          "6}]\n  return y, w, z, v\n")
PAIRS(
    layout, concat_split,
    X23
    "  c: f32[2,6] = concat(x, x)[axis=1]\n  n: s64[2] = const[value={1, 2}]\n  a: f32[2,1], b: f32[2,2] = "
    "split(x, n)[axis=-1]\n"
    "  wc: f32[2,6] = const[value={1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}]\n  wa: f32[2,1] = const[value={1, 4}]\n"
    "  wb: f32[2,2] = const[value={2, 3, 5, 6}]\n  return c, wc, a, wa, b, wb\n")
PAIRS(layout, slices,
      X23 "  s: s64[1] = const[value={-1}]\n  e: s64[1] = const[value={-9223372036854775808}]\n  a: s64[1] = "
          "const[value={1}]\n"
          "  p: s64[1] = const[value={-2}]\n  y: f32[2,2] = slice(x, s, e, a, p)\n  w: f32[2,2] = "
          "const[value={3, 1, 6, 4}]\n"
          "  b: s64[1] = const[value={9223372036854775807}]\n  z: f32[2,0] = slice(x, b, b, a)\n  v: f32[2,0] "
          "= const[value={}]\n"
          "  o: s64[1] = const[value={0}]\n  h: s64[1] = const[value={9223372036854775807}]\n  g: f32[2,1] = "
          "slice(x, o, h, a, h)\n"
          "  wg: f32[2,1] = const[value={1, 4}]\n  return y, w, z, v, g, wg\n")
PAIRS(layout, pad_modes,
      "  x: f32[3] = const[value={1, 2, 3}]\n  p: s64[2] = const[value={2, 1}]\n  f: f32[] = const[value={9}]\n"
      "  c: f32[6] = pad(x, p, f)\n  r: f32[6] = pad(x, p)[mode=reflect]\n  e: f32[6] = pad(x, p)[mode=edge]\n "
      " w: f32[6] = pad(x, p)[mode=wrap]\n"
      "  wc: f32[6] = const[value={9, 9, 1, 2, 3, 9}]\n  wr: f32[6] = const[value={3, 2, 1, 2, 3, 2}]\n"
      "  we: f32[6] = const[value={1, 1, 1, 2, 3, 3}]\n  ww: f32[6] = const[value={2, 3, 1, 2, 3, 1}]\n"
      "  n: s64[2] = const[value={-1, 0}]\n  k: f32[2] = pad(x, n)\n  wk: f32[2] = const[value={2, 3}]\n  "
      "return c, wc, r, wr, e, we, w, ww, k, wk\n")
PAIRS(layout, packed_elements_move,
      "  x: s4[3] = const[value={-8, 7, -1}]\n  t: s64[1] = const[value={2}]\n  y: s4[6] = tile(x, t)\n  w: "
      "s4[6] = const[value={-8, 7, -1, -8, 7, -1}]\n  return y, w\n")

PAIRS(index, gathers,
      X23 "  i: s64[2] = const[value={-1, 0}]\n  g: f32[2,2] = gather(x, i)[axis=1]\n  j: s64[2,1] = "
          "const[value={2, -3}]\n"
          "  e: f32[2,1] = gather_elements(x, j)[axis=1]\n  k: s64[2,2] = const[value={0, 1, -1, -1}]\n  n: "
          "f32[2] = gather_nd(x, k)\n"
          "  wg: f32[2,2] = const[value={3, 1, 6, 4}]\n  we: f32[2,1] = const[value={3, 4}]\n  wn: f32[2] = "
          "const[value={2, 6}]\n"
          "  b: s64[2,1] = const[value={2, 0}]\n  h: f32[2] = gather_nd(x, b)[batch_dims=1]\n  wh: f32[2] = "
          "const[value={3, 4}]\n"
          "  u: f32[2] = const[value={8, 9}]\n  s: f32[2,3] = scatter_nd(x, k, u)\n  ws: f32[2,3] = "
          "const[value={1, 8, 3, 4, 5, 9}]\n"
          "  return g, wg, e, we, n, wn, h, wh, s, ws\n")
PAIRS(index, shapes_ranges_triangles,
      X23 "  s: s64[1] = shape(x)[start=-1]\n  ws: s64[1] = const[value={3}]\n  n: s64[] = size(x)\n  wn: "
          "s64[] = const[value={6}]\n"
          "  a: s64[] = const[value={10}]\n  b: s64[] = const[value={0}]\n  c: s64[] = const[value={-4}]\n  r: "
          "s64[3] = range(a, b, c)\n"
          "  wr: s64[3] = const[value={10, 6, 2}]\n  d: s64[2] = const[value={1, 2}]\n  f: f16[1,2] = "
          "fill(d)[value=f16[1]{1.5}]\n"
          "  wf: f16[1,2] = const[value={1.5, 1.5}]\n  k: s64[] = const[value={1}]\n  t: f32[2,3] = trilu(x, "
          "k)\n  l: f32[2,3] = trilu(x)[upper=false]\n"
          "  wt: f32[2,3] = const[value={0, 2, 3, 0, 0, 6}]\n  wl: f32[2,3] = const[value={1, 0, 0, 4, 5, 0}]\n"
          "  return s, ws, n, wn, r, wr, f, wf, t, wt, l, wl\n")

PAIRS(linear, matmul_gemm,
      X23
      "  b: f32[3,1] = const[value={1, 10, 100}]\n  m: f32[2,1] = matmul(x, b)\n  v: f32[3] = const[value={1, "
      "10, 100}]\n  u: f32[2] = matmul(x, v)\n"
      "  wm: f32[2,1] = const[value={321, 654}]\n  wu: f32[2] = const[value={321, 654}]\n"
      "  k: f32[2,2,3] = const[value={1, 2, 3, 4, 5, 6, 0, 0, 1, 1, 0, 0}]\n  s: f32[2,2,1] = matmul(k, b)\n"
      "  ws: f32[2,2,1] = const[value={321, 654, 100, 1}]\n"
      "  return m, wm, u, wu, s, ws\n")
PAIRS(linear, gemm_transposed,
      X23 "  c: f32[2] = const[value={1, 2}]\n  g: f32[2,2] = gemm(x, x, c)[trans_b=true, alpha=0.5, beta=2]\n"
          "  wg: f32[2,2] = const[value={9, 20, 18, 42.5}]\n  h: f32[3,3] = gemm(x, x)[trans_a=true]\n"
          "  wh: f32[3,3] = const[value={17, 22, 27, 22, 29, 36, 27, 36, 45}]\n  return g, wg, h, wh\n")
PAIRS(linear, conv,
      "  x: f32[1,1,3,3] = const[value={1, 2, 3, 4, 5, 6, 7, 8, 9}]\n  w: f32[1,1,2,2] = const[value={1, 0, 0, "
      "1}]\n  b: f32[1] = const[value={10}]\n"
      "  y: f32[1,1,2,2] = conv(x, w, b)\n  wy: f32[1,1,2,2] = const[value={16, 18, 22, 24}]\n"
      "  z: f32[1,1,2,2] = conv(x, w)[strides={2, 2}, pads={1, 1, 0, 0}]\n  wz: f32[1,1,2,2] = const[value={1, "
      "3, 7, 14}]\n  return y, wy, z, wz\n")
PAIRS(
    normalize, softmax_and_norms,
    "  x: f32[2,2] = const[value={0, 0, 0, -inf}]\n  s: f32[2,2] = softmax(x)\n  t: f32[2,2] = "
    "softmax(x)[axis=0]\n"
    "  ws: f32[2,2] = const[value={0.5, 0.5, 1, 0}]\n  wt: f32[2,2] = const[value={0.5, 1, 0.5, 0}]\n"
    "  a: f32[1,2] = const[value={1, 3}]\n  g: f32[2] = const[value={2, 2}]\n  b: f32[2] = const[value={1, "
    "1}]\n"
    "  l: f32[1,2], mean: f32[1,1], inv: f32[1,1] = layer_norm(a, g, b)[epsilon=0]\n  r: f32[1,2] = "
    "rms_norm(a, g)[epsilon=4]\n"
    "  wl: f32[1,2] = const[value={-1, 3}]\n  wm: f32[1,1] = const[value={2}]\n  wi: f32[1,1] = "
    "const[value={1}]\n"
    "  wr: f32[1,2] = const[value={0.666666687, 2}]\n  return s, ws, t, wt, l, wl, mean, wm, inv, wi, r, wr\n")
PAIRS(normalize, rotary,
      "  x: f32[1,1,1,4] = const[value={1, 2, 3, 4}]\n  c: f32[2,2] = const[value={1, 1, 0, 0}]\n  s: f32[2,2] "
      "= const[value={0, 0, 1, 1}]\n"
      "  p: s64[1,1] = const[value={1}]\n  y: f32[1,1,1,4] = rotary_embedding(x, c, s, p)\n"
      "  z: f32[1,1,1,4] = rotary_embedding(x, c, s, p)[interleaved=true]\n"
      "  wy: f32[1,1,1,4] = const[value={-3, -4, 1, 2}]\n  wz: f32[1,1,1,4] = const[value={-2, 1, -4, 3}]\n  "
      "return y, wy, z, wz\n")

PAIRS(
    quantize, per_tensor,
    "  x: f32[5] = const[value={0.5, 1.5, 2.5, 1000, nan}]\n  s: f32[] = const[value={1}]\n  z: s8[] = "
    "const[value={10}]\n"
    "  y: s8[5] = quantize(x, s, z)[scheme=int8_static]\n  wy: s8[5] = const[value={10, 12, 12, 127, 10}]\n"
    "  f: e4m3[5] = quantize(x, s)[scheme=fp8_static]\n  wf: e4m3[5] = const[value={0.5, 1.5, 2.5, 448, nan}]\n"
    "  n: e5m2[5] = quantize(x, s)[scheme=fp8_static{target=e5m2, saturate=false}]\n  wn: e5m2[5] = "
    "const[value={0.5, 1.5, 2.5, 1024, 0x7f}]\n"
    "  d: f32[5] = dequantize(y, s, z)[scheme=int8_static, to=f32]\n  wd: f32[5] = const[value={0, 2, 2, 117, "
    "0}]\n"
    "  return y, wy, f, wf, n, wn, d, wd\n")
PAIRS(quantize, channels_and_groups,
      X23
      "  s: f32[3] = const[value={1, 2, 0.5}]\n  c: s8[2,3] = quantize(x, s)[scheme=int8_channel]\n  wc: "
      "s8[2,3] = const[value={1, 1, 6, 4, 2, 12}]\n"
      "  t: f32[2,2] = const[value={1, 2, 4, 0.5}]\n  g: s8[2,3] = quantize(x, t)[scheme=int8_block{group=2}]\n"
      "  wg: s8[2,3] = const[value={1, 2, 2, 1, 1, 12}]\n  p: s4[2,3] = quantize(x, "
      "s)[scheme=int8_channel{target=s4}]\n"
      "  wp: s4[2,3] = const[value={1, 1, 6, 4, 2, 7}]\n  return c, wc, g, wg, p, wp\n")
// The quotient 2.5009766 rounds to 3 in f32; in bf16 it is 2.5 first, a tie.
PAIRS(quantize, arithmetic_and_rounding_of_the_quotient,
      "  x: f32[2] = const[value={17.5, 2.25}]\n  s: f32[] = const[value={7}]\n  d: s8[2] = quantize(x, "
      "s)[scheme=int8_static]\n"
      "  wd: s8[2] = const[value={2, 0}]\n  m: s8[2] = quantize(x, "
      "s)[scheme=int8_static{arithmetic=multiply}]\n  wm: s8[2] = const[value={122, 16}]\n"
      "  y: f32[1] = const[value={2.5009766}]\n  o: f32[] = const[value={1}]\n  e: s8[1] = quantize(y, "
      "o)[scheme=int8_static]\n"
      "  we: s8[1] = const[value={3}]\n  b: s8[1] = quantize(y, o)[scheme=int8_static{compute=bf16}]\n  wb: "
      "s8[1] = const[value={2}]\n"
      "  return d, wd, m, wm, e, we, b, wb\n")
PAIRS(quantize, dynamic,
      "  x: f32[3] = const[value={-1, 0, 1.55}]\n  y: u8[3], s: f32[], z: u8[] = "
      "quantize(x)[scheme=int8_dynamic]\n"
      "  wy: u8[3] = const[value={0, 100, 255}]\n  ws: f32[] = const[value={0.00999999978}]\n  wz: u8[] = "
      "const[value={100}]\n"
      "  o: f32[2] = const[value={0, 0}]\n  a: u8[2], b: f32[], c: u8[] = quantize(o)[scheme=int8_dynamic]\n"
      "  wa: u8[2] = const[value={0, 0}]\n  wb: f32[] = const[value={1}]\n  wc: u8[] = const[value={0}]\n  "
      "return y, wy, s, ws, z, wz, a, wa, b, wb, c, wc\n")

// --- bad input ---------------------------------------------------------------------------------------------

// A graph whose operands the shape rules cannot see: x f32[2,3] and i s64[n].
static void refuse(const char *expression, uint32_t count, const int64_t *list, qn_status status,
                   const char *message) {
  float values[6] = { 1, 2, 3, 4, 5, 6 };
  qn_tensor inputs[2] = { { .dtype = QN_F32, .rank = 2, .dims = { 2, 3 }, .data = values, .bytes = 24 },
                          { .dtype = QN_S64, .rank = 1, .dims = { count }, .data = list, .bytes = 8 * count } };
  char text[512];
  snprintf(text, sizeof(text), "graph (x: f32[A,B], i: s64[N]) {\n  y: ? = %s\n  return y\n}\n", expression);
  check_failure_with(text, inputs, 2, status, "'y'", message);
}
#define LIST(...)                                                                                              \
  sizeof((int64_t[]){ __VA_ARGS__ }) / 8, (int64_t[]) {                                                        \
    __VA_ARGS__                                                                                                \
  }

Test(bad_input, operands) {
  refuse("reshape(x, i)", LIST(4, 2), QN_INVALID, "6 elements in a shape of 8");
  refuse("reshape(x, i)", LIST(-1, -1), QN_INVALID, "two dims");
  refuse("reshape(x, i)", LIST(-1, 4), QN_INVALID, "no dim makes");
  refuse("reshape(x, i)", LIST(-2, -3), QN_INVALID, "dim 0 would be -2");
  refuse("expand(x, i)", LIST(1 << 20, 1 << 20, 2, 3), QN_LIMIT, "2^30");
  refuse("expand(x, i)", LIST(-1, 3), QN_INVALID, "operand");
  refuse("tile(x, i)", LIST(INT64_MAX, 1), QN_LIMIT, "repeated");
  refuse("pad(x, i)", LIST(INT64_MAX, 0, INT64_MAX, 0), QN_LIMIT, "padded");
  refuse("gather(x, i)", LIST(2), QN_INVALID, "index 2 of an axis with 2");
  refuse("gather(x, i)", LIST(INT64_MIN), QN_INVALID, "index");
  refuse("reduce_sum(x, i)", LIST(5), QN_INVALID, "axis 5");
  refuse("reduce_sum(x, i)", LIST(0, -2), QN_INVALID, "twice");
  refuse("unsqueeze(x, i)", LIST(0, 1, 2, 3, 4, 5, 6), QN_UNSUPPORTED, "more than 8");
  refuse("fill(i)", LIST(INT64_MAX, INT64_MAX), QN_LIMIT, "2^30");
  refuse("matmul(x, x)", LIST(1), QN_INVALID, "inner dims");
  refuse("slice(x, i, i, i, i)", LIST(0), QN_INVALID, "step of axis 0 is 0");
}

Test(bad_input, symbols_bind_once) {
  float values[6] = { 0 };
  qn_tensor inputs[2] = { { .dtype = QN_F32, .rank = 1, .dims = { 2 }, .data = values, .bytes = 8 },
                          { .dtype = QN_F32, .rank = 1, .dims = { 5 }, .data = values, .bytes = 20 } };
  check_failure_with("graph (a: f32[N], b: f32[2*N]) {\n  return a, b\n}\n", inputs, 2, QN_INVALID,
                     "'b' (input)", "declared as 4 here, found 5");
  check_failure_with("graph (a: f16[N]) {\n  return a\n}\n", inputs, 1, QN_INVALID, "'a' (input)",
                     "declared f16, found f32");
  check_failure_with("graph (a: f32[N]) {\n  return a\n}\n", inputs, 0, QN_INVALID, "'a' (input)", "no tensor");
  check_failure_with("graph (a: f32[N]) {\n  return a\n}\n", inputs, 2, QN_INVALID, "",
                     "2 tensors are given for 1");
  inputs[0].bytes = 7;
  check_failure_with("graph (a: f32[N]) {\n  return a\n}\n", inputs, 1, QN_INVALID, "'a' (input)", "7 bytes");
}
FAILS(bad_input, extern_operations, QN_UNSUPPORTED, "(extern)", "ai::Op",
      "  y: f32[1] = extern[name=\"ai::Op\"]\n  return y\n")
FAILS(bad_input, elided_constants, QN_INVALID, "(const)", "without its bytes",
      "  y: f32[100] = const[value={#0123456789abcdef}]\n  return y\n")

Test(house, every_operation_has_its_function) {
  for (qn_op op = QN_OP_NONE + 1; op < QN_OP_COUNT; op++) {
    bool leaf = op == QN_OP_input || op == QN_OP_const || op == QN_OP_extern;
    cr_assert_eq(qn_ref_find(op) == NULL, leaf, "%s", qn_op_get_info(op)->name);
  }
}

// --- .npy --------------------------------------------------------------------------------------------------

static void npy(const char *header, size_t body, qn_dtype dtype, qn_status status, const char *message) {
  char path[] = "/tmp/quench_npy_XXXXXX";
  int file = mkstemp(path);
  qn_context *context;
  qn_npy *array = NULL;
  uint8_t front[10] = {
    0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)strlen(header), (uint8_t)(strlen(header) >> 8)
  };
  FILE *out = fdopen(file, "wb");
  fwrite(front, 1, 10, out);
  fwrite(header, 1, strlen(header), out);
  for (size_t i = 0; i < body; i++) fputc((int)i, out);
  fclose(out);
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_status found = qn_npy_read_file(context, path, dtype, &array);
  cr_assert_eq(found, status, "%s: %s", header, qn_context_get_error(context)->message);
  if (found != QN_OK)
    cr_assert(strstr(qn_context_get_error(context)->message, message), "%s",
              qn_context_get_error(context)->message);
  qn_npy_destroy(array);
  qn_context_destroy(context);
  remove(path);
}

Test(npy, hostile_headers) {
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, QN_ANY, QN_OK, "");
  npy("{'shape':(),'fortran_order':False,'descr':'|u1'}", 1, QN_E4M3, QN_OK, "");
  npy("{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }", 2, QN_BF16, QN_OK, "");
  npy("{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }", 2, QN_ANY, QN_UNSUPPORTED,
      "need their type");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23, QN_ANY, QN_INVALID,
      "24 bytes, the file holds 23");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, QN_F16, QN_INVALID, "cannot be f16");
  npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, QN_ANY, QN_UNSUPPORTED, "big-endian");
  npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4, QN_ANY, QN_UNSUPPORTED, "Fortran");
  npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, QN_ANY, QN_UNSUPPORTED, "<c8");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4, QN_ANY, QN_INVALID,
      "64 bits");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", 4, QN_ANY,
      QN_INVALID, "2^64");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, QN_ANY, QN_UNSUPPORTED,
      "8 dims");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, QN_ANY, QN_INVALID, "integers");
  npy("{'descr': '<f4', 'fortran_order': False}", 4, QN_ANY, QN_INVALID, "lacks");
  npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, QN_ANY, QN_INVALID, "twice");
  npy("{'descr': '<f4', 'fortran_order': False, 'shape': (", 4, QN_ANY, QN_INVALID, "tuple");
  npy("{'descr", 0, QN_ANY, QN_INVALID, "quoted");
  npy("", 0, QN_ANY, QN_INVALID, "dict");
}

Test(npy, round_trip) {
  char path[] = "/tmp/quench_npy_XXXXXX";
  close(mkstemp(path));
  qn_context *context;
  qn_npy *array;
  uint16_t values[6] = { 0, 1, 2, 0x3f80, 0xffff, 5 };
  qn_tensor tensor = { .dtype = QN_BF16, .rank = 2, .dims = { 2, 3 }, .data = values, .bytes = 12 };
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_npy_write_file(context, path, &tensor), QN_OK);
  cr_assert_eq(qn_npy_read_file(context, path, QN_BF16, &array), QN_OK);
  const qn_tensor *back = qn_npy_get_tensor(array);
  cr_assert(back->rank == 2 && back->dims[1] == 3 && memcmp(back->data, values, 12) == 0);
  qn_npy_destroy(array);
  cr_assert_eq(qn_npy_write_file(context, "/nonexistent/x.npy", &tensor), QN_IO);
  qn_context_destroy(context);
  remove(path);
}
