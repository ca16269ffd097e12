// Quantization in its parts behind an attention: what it becomes, and what stays because no scheme has its
// bits.
#include "passes_test.h"

TestSuite(spellings, .timeout = 20);

#define HEAD                                                                                                   \
  "graph \"g\" (q: bf16[1,8,9,64], k: bf16[1,2,9,64], v: bf16[1,2,9,64], s: f32[], w: f32[512], p: "           \
  "bf16[512]) {\n"                                                                                             \
  "  o: bf16[1,8,9,64] = attention(q, k, v)\n"                                                                 \
  "  t: bf16[1,9,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"                                                    \
  "  shape: s64[3] = const[value={0, 0, -1}]\n"                                                                \
  "  r: bf16[1,9,512] = reshape(t, shape)\n"                                                                   \
  "  low: f32[] = const[value={-448}]\n"                                                                       \
  "  high: f32[] = const[value={448}]\n"                                                                       \
  "  least: f32[] = const[value={-128}]\n"                                                                     \
  "  most: f32[] = const[value={127}]\n"                                                                       \
  "  last: s64[1] = const[value={-1}]\n"                                                                       \
  "  f: f32[1,9,512] = cast(r)[to=f32]\n"

// The text that the passes leave has `wanted`.
static void expect(const char *source, const char *wanted) {
  run r = run_passes(NULL, source, (qn_pipeline_params){ 0 });
  cr_expect(strstr(r.text.text, wanted), "no %s in\n%s", wanted, r.text.text);
  end_run(&r);
}
#define SPELLING(name, text, wanted)                                                                           \
  Test(spellings, name) {                                                                                      \
    expect(HEAD text "}\n", wanted);                                                                           \
  }

// --- FP8, static -------------------------------------------------------------------------------------------

SPELLING(divide_clip_cast,
         "  d: f32[1,9,512] = div(f, s)\n  c: f32[1,9,512] = clip(d, low, high)\n"
         "  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y\n",
         "attention(q, k, v, _, _, _, _, s)[out_layout=bsm, out_type=bf16, output=fp8_static]")
SPELLING(reciprocal_min_max_cast,
         "  i: f32[] = reciprocal(s)\n  d: f32[1,9,512] = mul(i, f)\n  m: f32[1,9,512] = max(low, d)\n"
         "  c: f32[1,9,512] = min(m, high)\n  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y\n",
         "output=fp8_static{arithmetic=reciprocal}")
SPELLING(multiplier_without_clip,
         "  d: f32[1,9,512] = mul(f, s)\n  y: e5m2[1,9,512] = cast(d)[to=e5m2]\n  return y\n",
         "output=fp8_static{target=e5m2, arithmetic=multiply}")
SPELLING(one_scale_for_each_channel,
         "  d: f32[1,9,512] = div(f, w)\n  c: f32[1,9,512] = clip(d, low, high)\n"
         "  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y\n",
         "attention(q, k, v, _, _, _, _, w)[out_layout=bsm, out_type=bf16, output=fp8_channel]")
SPELLING(arithmetic_in_bf16,
         "  u: bf16[] = const[value={0.375}]\n  d: bf16[1,9,512] = div(r, u)\n  y: e4m3[1,9,512] = "
         "cast(d)[to=e4m3]\n"
         "  return y\n",
         "output=fp8_static{scale=bf16, compute=bf16}")
SPELLING(a_factor_for_each_channel,
         "  a: bf16[1,9,512] = mul(r, p)\n  g: f32[1,9,512] = cast(a)[to=f32]\n  d: f32[1,9,512] = div(g, s)\n"
         "  y: e4m3[1,9,512] = cast(d)[to=e4m3]\n  return y\n",
         "attention(q, k, v, _, _, _, _, s, _, _, _, _, _, p)[out_layout=bsm, out_type=bf16, "
         "output=fp8_static{round=bf16}]")
SPELLING(a_cast, "  y: e5m2[1,9,512] = cast(r)[to=e5m2]\n  return y\n", "output=fp8_cast{target=e5m2}")
SPELLING(a_cast_of_what_is_clipped,
         "  c: f32[1,9,512] = clip(f, low, high)\n  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y\n",
         "output=fp8_cast")

// --- integers ----------------------------------------------------------------------------------------------

SPELLING(
    round_clip_cast,
    "  d: f32[1,9,512] = div(f, s)\n  i: f32[1,9,512] = round(d)\n  c: f32[1,9,512] = clip(i, least, most)\n"
    "  y: s8[1,9,512] = cast(c)[to=s8]\n  return y\n",
    "output=int8_static]")
SPELLING(zero_point_after_rounding,
         "  zero: f32[] = const[value={7}]\n  d: f32[1,9,512] = div(f, s)\n  i: f32[1,9,512] = round(d)\n"
         "  z: f32[1,9,512] = add(i, zero)\n  c: f32[1,9,512] = clip(z, least, most)\n"
         "  y: s8[1,9,512] = cast(c)[to=s8]\n  return y\n",
         "output=int8_static]")
SPELLING(zero_point_before_rounding,
         "  zero: f32[] = const[value={7}]\n  d: f32[1,9,512] = div(f, s)\n  z: f32[1,9,512] = add(zero, d)\n"
         "  i: f32[1,9,512] = round(z)\n  c: f32[1,9,512] = clip(i, least, most)\n"
         "  y: s8[1,9,512] = cast(c)[to=s8]\n  return y\n",
         "output=int8_static{zero_point=before}")
SPELLING(codes_from_minus_127_on,
         "  narrow: f32[] = const[value={-127}]\n  d: f32[1,9,512] = div(f, w)\n  i: f32[1,9,512] = round(d)\n"
         "  c: f32[1,9,512] = clip(i, narrow, most)\n  y: s8[1,9,512] = cast(c)[to=s8]\n  return y\n",
         "output=int8_channel{narrow=true}")

// --- dynamic -----------------------------------------------------------------------------------------------

#define AMAX "  a: f32[1,9,512] = abs(f)\n  amax: f32[1,9,1] = reduce_max(a, last)\n"
SPELLING(fp8_of_each_token,
         AMAX "  eps: f32[] = const[value={1e-10}]\n  floor: f32[1,9,1] = max(amax, eps)\n"
              "  u: f32[1,9,1] = div(floor, high)\n  d: f32[1,9,512] = div(f, u)\n"
              "  c: f32[1,9,512] = clip(d, low, high)\n  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y, u\n",
         "y: e4m3[1,9,512], u: f32[1,9,1] = attention(q, k, v)[out_layout=bsm, out_type=bf16, "
         "output=fp8_token{floor=amax_1e-10}]")
SPELLING(a_multiplier_for_each_token,
         AMAX "  eps: f32[] = const[value={1e-12}]\n  floor: f32[1,9,1] = clip(amax, eps)\n"
              "  u: f32[1,9,1] = div(high, floor)\n  d: f32[1,9,512] = mul(f, u)\n"
              "  y: e4m3[1,9,512] = cast(d)[to=e4m3]\n  return y, u\n",
         "output=fp8_token{rule=multiplier, floor=amax_1e-12, arithmetic=multiply}")
SPELLING(integers_of_each_token,
         AMAX
         "  half: f32[] = const[value={127.5}]\n  eps: f32[] = const[value={1.1920928955078125e-07}]\n"
         "  n: f32[1,9,1] = div(amax, half)\n  u: f32[1,9,1] = max(n, eps)\n  d: f32[1,9,512] = div(f, u)\n"
         "  i: f32[1,9,512] = round(d)\n  c: f32[1,9,512] = clip(i, least, most)\n"
         "  y: s8[1,9,512] = cast(c)[to=s8]\n  return y, u\n",
         "output=int8_token{range=half, floor=eps_f32, arithmetic=divide}")
SPELLING(integers_of_each_token_with_zero_points,
         "  lows: f32[1,9,1] = reduce_min(f, last)\n  highs: f32[1,9,1] = reduce_max(f, last)\n"
         "  zero: f32[] = const[value={0}]\n  mn: f32[1,9,1] = min(lows, zero)\n  mx: f32[1,9,1] = max(highs, "
         "zero)\n"
         "  range: f32[] = const[value={255}]\n  eps: f32[] = const[value={1.1920928955078125e-07}]\n"
         "  e: f32[1,9,1] = sub(mx, mn)\n  n: f32[1,9,1] = div(e, range)\n  u: f32[1,9,1] = max(n, eps)\n"
         "  ms: f32[1,9,1] = div(mn, u)\n  mr: f32[1,9,1] = round(ms)\n  z0: f32[1,9,1] = sub(least, mr)\n"
         "  zc: f32[1,9,1] = clip(z0, least, most)\n  z: s8[1,9,1] = cast(zc)[to=s8]\n"
         "  zf: f32[1,9,1] = cast(z)[to=f32]\n  i: f32[1,9,1] = reciprocal(u)\n  d: f32[1,9,512] = mul(f, i)\n"
         "  dr: f32[1,9,512] = round(d)\n  a: f32[1,9,512] = add(dr, zf)\n"
         "  c: f32[1,9,512] = clip(a, least, most)\n  y: s8[1,9,512] = cast(c)[to=s8]\n  return y, u, z\n",
         "y: s8[1,9,512], u: f32[1,9,1], z: s8[1,9,1] = attention(q, k, v)[out_layout=bsm, out_type=bf16, ")
SPELLING(fp8_of_each_group,
         "  split: s64[4] = const[value={1, 9, 4, 128}]\n  join: s64[3] = const[value={1, 9, 512}]\n"
         "  fg: f32[1,9,4,128] = reshape(f, split)\n  a: f32[1,9,4,128] = abs(fg)\n"
         "  amax: f32[1,9,4,1] = reduce_max(a, last)\n  eps: f32[] = const[value={1e-10}]\n"
         "  m: f32[1,9,4,1] = clip(amax, eps)\n  u: f32[1,9,4,1] = div(m, high)\n"
         "  d: f32[1,9,4,128] = div(fg, u)\n  c: f32[1,9,4,128] = clip(d, low, high)\n"
         "  x: e4m3[1,9,4,128] = cast(c)[to=e4m3]\n  y: e4m3[1,9,512] = reshape(x, join)\n  return y, u\n",
         "output=fp8_group]")

// --- what stays --------------------------------------------------------------------------------------------

SPELLING(bounds_of_another_type_stay,
         "  most240: f32[] = const[value={240}]\n  d: f32[1,9,512] = div(f, s)\n"
         "  c: f32[1,9,512] = clip(d, low, most240)\n  y: e4m3[1,9,512] = cast(c)[to=e4m3]\n  return y\n",
         "cast(c)[to=e4m3]")
SPELLING(integers_without_bounds_stay,
         "  d: f32[1,9,512] = div(f, s)\n  i: f32[1,9,512] = round(d)\n  y: s8[1,9,512] = cast(i)[to=s8]\n"
         "  return y\n",
         "cast(i)[to=s8]")
SPELLING(a_floor_that_no_scheme_has_stays,
         AMAX "  eps: f32[] = const[value={1e-8}]\n  floor: f32[1,9,1] = max(amax, eps)\n"
              "  u: f32[1,9,1] = div(floor, high)\n  d: f32[1,9,512] = div(f, u)\n"
              "  y: e4m3[1,9,512] = cast(d)[to=e4m3]\n  return y, u\n",
         "reduce_max(a, last)")
SPELLING(a_range_that_is_not_of_the_codes_stays,
         AMAX "  range: f32[] = const[value={440}]\n  u: f32[1,9,1] = div(amax, range)\n"
              "  d: f32[1,9,512] = div(f, u)\n  y: e4m3[1,9,512] = cast(d)[to=e4m3]\n  return y, u\n",
         "reduce_max(a, last)")
SPELLING(a_reciprocal_in_bf16_is_a_multiplier,
         "  b: bf16[] = cast(s)[to=bf16]\n  i: bf16[] = reciprocal(b)\n  d: bf16[1,9,512] = mul(r, i)\n"
         "  y: e4m3[1,9,512] = cast(d)[to=e4m3]\n  return y\n",
         "attention(q, k, v, _, _, _, _, i)[out_layout=bsm, out_type=bf16, output=fp8_static{scale=bf16, "
         "arithmetic=multiply, compute=bf16}]")

Test(spellings, what_does_not_come_from_attention_stays) {
  static const char text[] = "graph \"g\" (x: f32[2,64], s: f32[]) {\n"
                             "  low: f32[] = const[value={-448}]\n"
                             "  high: f32[] = const[value={448}]\n"
                             "  d: f32[2,64] = div(x, s)\n"
                             "  c: f32[2,64] = clip(d, low, high)\n"
                             "  y: e4m3[2,64] = cast(c)[to=e4m3]\n"
                             "  z: e4m3[2,64] = cast(x)[to=e4m3]\n"
                             "  return y, z\n}\n";
  expect_text("recover-quantize", text, text);
}

// Consumers that quantize alike, each with constants and scales of its own, are one.
Test(spellings, equal_dynamic_quantizes_are_one) {
  expect_text("canonicalize",
              "graph \"g\" (x: bf16[3,64]) {\n"
              "  g: f32[] = const[value={37.5}]\n"
              "  h: f32[] = const[value={37.5}]\n"
              "  a: e2m1[3,64], as: e4m3[128,4] = quantize(x, g)[scheme=nvfp4]\n"
              "  b: e2m1[3,64], bs: e4m3[128,4] = quantize(x, h)[scheme=nvfp4]\n"
              "  c: s8[3,64], cs: f32[3,1], cz: s32[3,1] = quantize(x)[scheme=int8_token_zp]\n"
              "  d: s8[3,64], ds: f32[3,1], dz: s32[3,1] = quantize(x)[scheme=int8_token_zp]\n"
              "  e: e4m3[3,64], es: e8m0[3,2] = quantize(x)[scheme=mxfp8]\n"
              "  f: e4m3[3,64], fs: e8m0[3,2] = quantize(x)[scheme=mxfp8{rule=up}]\n"
              "  return a, as, b, bs, c, cs, cz, d, ds, dz, e, es, f, fs\n}\n",
              "graph \"g\" (x: bf16[3,64]) {\n"
              "  g: f32[] = const[value={37.5}]\n"
              "  a: e2m1[3,64], as: e4m3[128,4] = quantize(x, g)[scheme=nvfp4]\n"
              "  c: s8[3,64], cs: f32[3,1], cz: s32[3,1] = quantize(x)[scheme=int8_token_zp]\n"
              "  e: e4m3[3,64], es: e8m0[3,2] = quantize(x)[scheme=mxfp8]\n"
              "  f: e4m3[3,64], fs: e8m0[3,2] = quantize(x)[scheme=mxfp8{rule=up}]\n"
              "  return a, as, a as \"b\", as as \"bs\", c, cs, cz, c as \"d\", cs as \"ds\", cz as \"dz\", e, "
              "es, f, fs\n}\n");
}

// Another factor, or another bound, is another quantization.
Test(spellings, quantizes_with_other_operands_are_two) {
  static const char text[] = "graph \"g\" (x: bf16[3,64], p: bf16[64], b: f32[], c: f32[]) {\n"
                             "  y: e4m3[3,64], ys: f32[3,1] = quantize(x, _, _, _, b)[scheme=fp8_token]\n"
                             "  z: e4m3[3,64], zs: f32[3,1] = quantize(x, _, _, _, c)[scheme=fp8_token]\n"
                             "  w: e4m3[3,64], ws: f32[3,1] = quantize(x, _, _, p)[scheme=fp8_token]\n"
                             "  return y, ys, z, zs, w, ws\n}\n";
  expect_text("canonicalize", text, text);
}
