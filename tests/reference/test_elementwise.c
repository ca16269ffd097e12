// Operations on elements: values worked out by hand, all edges of integers, halves and broadcasting.
#include "reference_test.h"

#define F32(name, list) "  " name ": f32[4] = const[value={" list "}]\n"
#define UNARY(op, in, out)                                                                                     \
  PAIRS(elementwise, op, F32("x", in) "  y: f32[4] = " #op "(x)\n" F32("w", out) "  return y, w\n")

UNARY(neg, "1, -2, 0, inf", "-1, 2, -0, -inf")
UNARY(abs, "1, -2, -0, -inf", "1, 2, 0, inf")
UNARY(sqrt, "4, 2, 0, -0", "2, 1.41421354, 0, -0")
UNARY(rsqrt, "4, 2, 0, inf", "0.5, 0.707106769, inf, 0")
UNARY(reciprocal, "4, 3, 0, -inf", "0.25, 0.333333343, inf, -0")
UNARY(exp, "0, 1, -inf, 100", "1, 2.71828175, 0, inf")
UNARY(log, "1, 2, 0, inf", "0, 0.693147182, -inf, inf")
UNARY(sin, "0, 1, -1, 100", "0, 0.841470957, -0.841470957, -0.506365657")
UNARY(cos, "0, 1, -1, 100", "1, 0.540302277, 0.540302277, 0.862318873")
UNARY(tanh, "0, 1, -1, 100", "0, 0.761594176, -0.761594176, 1")
UNARY(erf, "0, 1, -1, 100", "0, 0.842700779, -0.842700779, 1")
UNARY(sigmoid, "0, 1, -200, 200", "0.5, 0.731058598, 0, 1")
UNARY(relu, "1, -2, -0, inf", "1, 0, 0, inf")
UNARY(gelu, "0, 1, -1, 10", "0, 0.841344774, -0.158655256, 10")
UNARY(swish, "0, 1, -1, 100", "0, 0.731058598, -0.268941432, 100")
UNARY(floor, "1.5, -1.5, 2, -0", "1, -2, 2, -0")
UNARY(ceil, "1.5, -1.5, 2, -0", "2, -1, 2, -0")
UNARY(round, "0.5, 1.5, 2.5, -0.5", "0, 2, 2, -0")

PAIRS(elementwise, gelu_by_tanh,
      F32("x", "0, 1, -1, 3") "  y: f32[4] = gelu(x)[approximate=tanh]\n" F32(
          "w", "0, 0.841192007, -0.158808008, 2.99636269") "  return y, w\n")

PAIRS(elementwise, integers_wrap,
      "  a: s8[4] = const[value={127, -128, -128, 100}]\n"
      "  b: s8[4] = const[value={1, -1, 127, 100}]\n"
      "  s: s8[4] = add(a, b)\n  d: s8[4] = sub(a, b)\n  m: s8[4] = mul(a, b)\n  q: s8[4] = div(a, b)\n  n: "
      "s8[4] = neg(a)\n"
      "  ws: s8[4] = const[value={-128, 127, -1, -56}]\n"
      "  wd: s8[4] = const[value={126, -127, 1, 0}]\n"
      "  wm: s8[4] = const[value={127, -128, -128, 16}]\n"
      "  wq: s8[4] = const[value={127, -128, -1, 1}]\n"
      "  wn: s8[4] = const[value={-127, -128, -128, -100}]\n"
      "  return s, ws, d, wd, m, wm, q, wq, n, wn\n")
PAIRS(elementwise, s64_ends,
      "  a: s64[3] = const[value={-9223372036854775808, 9223372036854775807, -9223372036854775808}]\n"
      "  b: s64[3] = const[value={-1, 1, 2}]\n"
      "  s: s64[3] = add(a, b)\n  q: s64[3] = div(a, b)\n  r: s64[3] = mod(a, b)\n  n: s64[3] = neg(a)\n  k: "
      "s64[3] = abs(a)\n"
      "  ws: s64[3] = const[value={9223372036854775807, -9223372036854775808, -9223372036854775806}]\n"
      "  wq: s64[3] = const[value={-9223372036854775808, 9223372036854775807, -4611686018427387904}]\n"
      "  wr: s64[3] = const[value={0, 0, 0}]\n"
      "  wn: s64[3] = const[value={-9223372036854775808, -9223372036854775807, -9223372036854775808}]\n"
      "  wk: s64[3] = const[value={-9223372036854775808, 9223372036854775807, -9223372036854775808}]\n"
      "  return s, ws, q, wq, r, wr, n, wn, k, wk\n")
PAIRS(elementwise, u64_is_unsigned,
      "  a: u64[2] = const[value={18446744073709551615, 1}]\n  b: u64[2] = const[value={2, "
      "18446744073709551615}]\n"
      "  q: u64[2] = div(a, b)\n  r: u64[2] = mod(a, b)\n  m: u64[2] = max(a, b)\n  l: bool[2] = less(a, b)\n  "
      "c: u64[2] = clip(a)\n"
      "  wq: u64[2] = const[value={9223372036854775807, 0}]\n  wr: u64[2] = const[value={1, 1}]\n"
      "  wm: u64[2] = const[value={18446744073709551615, 18446744073709551615}]\n  wl: bool[2] = "
      "const[value={0, 1}]\n"
      "  return q, wq, r, wr, m, wm, l, wl, c, a\n")
PAIRS(elementwise, mod_signs,
      "  a: s32[4] = const[value={7, -7, 7, -7}]\n  b: s32[4] = const[value={3, 3, -3, -3}]\n"
      "  p: s32[4] = mod(a, b)\n  f: s32[4] = mod(a, b)[fmod=true]\n"
      "  wp: s32[4] = const[value={1, 2, -2, -1}]\n  wf: s32[4] = const[value={1, -1, 1, -1}]\n"
      "  x: f32[4] = const[value={5.5, -5.5, 5.5, -5.5}]\n  y: f32[4] = const[value={2, 2, -2, -2}]\n"
      "  g: f32[4] = mod(x, y)[fmod=true]\n  h: f32[4] = mod(x, y)\n"
      "  wg: f32[4] = const[value={1.5, -1.5, 1.5, -1.5}]\n  wh: f32[4] = const[value={1.5, 0.5, -0.5, -1.5}]\n"
      "  return p, wp, f, wf, g, wg, h, wh\n")
PAIRS(
    elementwise, pow_of_mixed_types,
    "  a: f32[3] = const[value={2, 3, 0.5}]\n  b: s64[3] = const[value={10, -1, 2}]\n  p: f32[3] = pow(a, b)\n"
    "  c: s32[4] = const[value={2, -1, 3, 2}]\n  e: s32[4] = const[value={31, -3, 4, -1}]\n  r: s32[4] = "
    "pow(c, e)\n"
    "  wp: f32[3] = const[value={1024, 0.333333343, 0.25}]\n  wr: s32[4] = const[value={-2147483648, -1, 81, "
    "0}]\n"
    "  return p, wp, r, wr\n")
PAIRS(elementwise, nan_in_min_max_clip,
      F32("a", "nan, 1, 1, -0")
          F32("b", "1, nan, 2, 0") "  n: f32[4] = min(a, b)\n  x: f32[4] = max(a, b)\n  l: f32[] = "
                                   "const[value={0.5}]\n  c: f32[4] = clip(a, l)\n" F32("wn", "nan, nan, 1, 0")
                                       F32("wx", "nan, nan, 2, 0")
                                           F32("wc",
                                               "nan, 1, 1, 0.5") "  nn: bool[4] = is_nan(n)\n  nx: bool[4] = "
                                                                 "is_nan(x)\n  nc: bool[4] = is_nan(c)\n"
                                                                 "  wnn: bool[4] = const[value={1, 1, 0, 0}]\n "
                                                                 " wnc: bool[4] = const[value={1, 0, 0, 0}]\n"
                                                                 "  return nn, wnn, nx, wnn, nc, wnc, c, wc\n")
PAIRS(elementwise, compare_floats,
      F32("a", "1, nan, inf, -0")
          F32("b", "2, nan, inf, 0") "  e: bool[4] = equal(a, b)\n  l: bool[4] = less(a, b)\n  le: bool[4] = "
                                     "less_equal(a, b)\n  g: bool[4] = greater(a, b)\n"
                                     "  ge: bool[4] = greater_equal(a, b)\n"
                                     "  we: bool[4] = const[value={0, 0, 1, 1}]\n  wl: bool[4] = "
                                     "const[value={1, 0, 0, 0}]\n  wle: bool[4] = const[value={1, 0, 1, 1}]\n"
                                     "  wg: bool[4] = const[value={0, 0, 0, 0}]\n"
                                     "  return e, we, l, wl, le, wle, g, wg, ge, we\n")
PAIRS(elementwise, compare_integers,
      "  a: s32[3] = const[value={1, 2, -3}]\n  b: s32[3] = const[value={1, 3, -4}]\n"
      "  e: bool[3] = equal(a, b)\n  l: bool[3] = less(a, b)\n  le: bool[3] = less_equal(a, b)\n  g: bool[3] = "
      "greater(a, b)\n"
      "  ge: bool[3] = greater_equal(a, b)\n"
      "  we: bool[3] = const[value={1, 0, 0}]\n  wl: bool[3] = const[value={0, 1, 0}]\n  wle: bool[3] = "
      "const[value={1, 1, 0}]\n"
      "  wg: bool[3] = const[value={0, 0, 1}]\n  wge: bool[3] = const[value={1, 0, 1}]\n"
      "  return e, we, l, wl, le, wle, g, wg, ge, wge\n")
PAIRS(elementwise, logic,
      "  a: bool[4] = const[value={0, 0, 1, 1}]\n  b: bool[4] = const[value={0, 1, 0, 1}]\n"
      "  x: bool[4] = and(a, b)\n  y: bool[4] = or(a, b)\n  z: bool[4] = xor(a, b)\n  n: bool[4] = not(a)\n"
      "  wx: bool[4] = const[value={0, 0, 0, 1}]\n  wy: bool[4] = const[value={0, 1, 1, 1}]\n  wz: bool[4] = "
      "const[value={0, 1, 1, 0}]\n"
      "  wn: bool[4] = const[value={1, 1, 0, 0}]\n"
      "  return x, wx, y, wy, z, wz, n, wn\n")
PAIRS(elementwise, is_inf_of_a_sign,
      F32("a", "inf, -inf, nan, 1") "  b: bool[4] = is_inf(a)\n  n: bool[4] = is_inf(a)[positive=false]\n"
                                    "  wb: bool[4] = const[value={1, 1, 0, 0}]\n  wn: bool[4] = "
                                    "const[value={0, 1, 0, 0}]\n  return b, wb, n, wn\n")
PAIRS(elementwise, broadcasting,
      "  a: f32[2,1,3] = const[value={1, 2, 3, 4, 5, 6}]\n  b: f32[2,1] = const[value={10, 20}]\n"
      "  y: f32[2,2,3] = add(a, b)\n  w: f32[2,2,3] = const[value={11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, "
      "26}]\n"
      "  e: f32[0,3] = const[value={}]\n  s: f32[] = const[value={1}]\n  z: f32[0,3] = mul(e, s)\n"
      "  return y, w, z, e\n")
PAIRS(elementwise, where_keeps_bits,
      "  c: bool[2,1] = const[value={0, 1}]\n  a: f32[2] = const[value={0x7f800001, -0}]\n  b: f32[] = "
      "const[value={5}]\n"
      "  y: f32[2,2] = where(c, a, b)\n  w: f32[2,2] = const[value={5, 5, 0x7f800001, -0}]\n  return y, w\n")
PAIRS(
    elementwise, clip_integers,
    "  x: s32[4] = const[value={-5, 0, 5, 10}]\n  l: s32[] = const[value={-1}]\n  h: s32[] = const[value={7}]\n"
    "  y: s32[4] = clip(x, l, h)\n  z: s32[4] = clip(x, _, h)\n"
    "  wy: s32[4] = const[value={-1, 0, 5, 7}]\n  wz: s32[4] = const[value={-5, 0, 5, 7}]\n  return y, wy, z, "
    "wz\n")

// --- rounding ----------------------------------------------------------------------------------------------

// 2049 + 1 lies between f16 neighbours: the f32 sum is rounded once, half to even.
PAIRS(elementwise, results_round_to_the_declared_type,
      "  a: f16[3] = const[value={2048, 2048, 65504}]\n  b: f16[3] = const[value={1, 3, 65504}]\n  y: f16[3] = "
      "add(a, b)\n"
      "  w: f16[3] = const[value={2048, 2052, inf}]\n"
      "  c: bf16[2] = const[value={256, 1}]\n  d: bf16[2] = const[value={1, 0.00390625}]\n  z: bf16[2] = "
      "add(c, d)\n"
      "  v: bf16[2] = const[value={256, 1}]\n  return y, w, z, v\n")
PAIRS(elementwise, cast_floats,
      "  x: f32[6] = const[value={1e9, -inf, 0.0009765625, 465, 464, -0}]\n"
      "  h: f16[6] = cast(x)[to=f16]\n  e: e4m3[6] = cast(x)[to=e4m3]\n  n: e4m3[6] = cast(x)[to=e4m3, "
      "saturate=false]\n"
      "  f: e5m2[6] = cast(x)[to=e5m2]\n  g: e5m2[6] = cast(x)[to=e5m2, saturate=false]\n"
      "  wh: f16[6] = const[value={inf, -inf, 0.0009765625, 465, 464, -0}]\n"
      "  we: e4m3[6] = const[value={448, -448, 0, 448, 448, -0}]\n"
      "  wn: e4m3[6] = const[value={nan, 0xff, 0, nan, 448, -0}]\n"
      "  wf: e5m2[6] = const[value={57344, -57344, 0.0009765625, 448, 448, -0}]\n"
      "  wg: e5m2[6] = const[value={inf, -inf, 0.0009765625, 448, 448, -0}]\n"
      "  return h, wh, e, we, n, wn, f, wf, g, wg\n")
// Through f32 the first would round twice: to 1 + 2^-4, a tie, and then down.
PAIRS(elementwise, cast_f64_rounds_once,
      "  x: f64[2] = const[value={1.0625000000000002, 1.0625}]\n  y: e4m3[2] = cast(x)[to=e4m3]\n"
      "  w: e4m3[2] = const[value={1.125, 1}]\n  return y, w\n")
PAIRS(elementwise, cast_integers,
      "  a: s64[4] = const[value={300, -1, 2147483648, 9007199254740993}]\n"
      "  b: u8[4] = cast(a)[to=u8]\n  c: s32[4] = cast(a)[to=s32]\n  d: bool[4] = cast(a)[to=bool]\n  f: "
      "f64[4] = cast(a)[to=f64]\n"
      "  wb: u8[4] = const[value={44, 255, 0, 1}]\n  wc: s32[4] = const[value={300, -1, -2147483648, 1}]\n"
      "  wd: bool[4] = const[value={1, 1, 1, 1}]\n  wf: f64[4] = const[value={300, -1, 2147483648, "
      "9007199254740992}]\n"
      "  x: f32[5] = const[value={1.9, -1.9, nan, 1e20, -1e20}]\n  s: s32[5] = cast(x)[to=s32]\n  u: u8[5] = "
      "cast(x)[to=u8]\n"
      "  ws: s32[5] = const[value={1, -1, 0, 2147483647, -2147483648}]\n  wu: u8[5] = const[value={1, 0, 0, "
      "255, 0}]\n"
      "  l: s64[5] = cast(x)[to=s64]\n  wl: s64[5] = const[value={1, -1, 0, 9223372036854775807, "
      "-9223372036854775808}]\n"
      "  return b, wb, c, wc, d, wd, f, wf, s, ws, u, wu, l, wl\n")
// 2^54 + 2^30 + 1: the tie of f32 is broken by the last bit, which f64 cannot hold.
PAIRS(elementwise, cast_large_integers_to_f32_rounds_once,
      "  a: s64[2] = const[value={18014399583223809, 18014399583223808}]\n  y: f32[2] = cast(a)[to=f32]\n"
      "  w: f32[2] = const[value={18014400656965632, 18014398509481984}]\n  return y, w\n")
PAIRS(elementwise, cast_packed,
      "  a: s32[3] = const[value={-8, 7, 9}]\n  p: s4[3] = cast(a)[to=s4]\n  b: s32[3] = cast(p)[to=s32]\n"
      "  w: s32[3] = const[value={-8, 7, -7}]\n  wp: s4[3] = const[value={-8, 7, -7}]\n"
      "  x: f32[3] = const[value={5, -0.25, 100}]\n  e: e2m1[3] = cast(x)[to=e2m1]\n  we: e2m1[3] = "
      "const[value={4, -0, 6}]\n"
      "  return b, w, p, wp, e, we\n")

// The graph cannot know; the inputs do.
Test(elementwise, shapes_that_disagree) {
  float values[3] = { 1, 2, 3 };
  qn_tensor inputs[2] = { { .dtype = QN_F32, .rank = 1, .dims = { 2 }, .data = values, .bytes = 8 },
                          { .dtype = QN_F32, .rank = 1, .dims = { 3 }, .data = values, .bytes = 12 } };
  check_failure_with("graph (a: f32[N], b: f32[M]) {\n  y: f32[...] = add(a, b)\n  return y\n}\n", inputs, 2,
                     QN_INVALID, "'y' (add)", "dim -1");
}
FAILS(elementwise, integer_division_by_zero, QN_INVALID, "'y' (div)", "division by zero at element 1",
      "  a: s32[2] = const[value={1, 2}]\n  b: s32[2] = const[value={1, 0}]\n  y: s32[2] = div(a, b)\n  return "
      "y\n")
FAILS(elementwise, sine_of_integers, QN_UNSUPPORTED, "'y' (sin)", "s32",
      "  a: s32[1] = const[value={1}]\n  y: ? = sin(a)\n  return y\n")
