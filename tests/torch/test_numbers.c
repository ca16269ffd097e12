// Quantizers on the reference executor against their producers' formulas, written out here once more.
#include "torch_test.h"

#include <math.h>
#include <stdlib.h>

enum { TOKENS = 5, WIDTH = 64, COUNT = TOKENS * WIDTH };

// --- numbers -----------------------------------------------------------------------------------------------

static float of_bf16(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float round_bf16(float value) {
  return of_bf16(to_bf16(value));
}

// The finite values of a small float type by its code without the sign.
static float small_value(uint32_t code, int mantissa, int bias) {
  uint32_t exponent = code >> mantissa, fraction = code & ((1u << mantissa) - 1);
  float unit = ldexpf(1, -mantissa);
  return exponent ? ldexpf(1 + (float)fraction * unit, (int)exponent - bias)
                  : ldexpf((float)fraction * unit, 1 - bias);
}

// The code nearest to a value, the even one of two, saturating; by search.
static uint8_t nearest(float value, int mantissa, int bias, uint32_t largest, uint32_t sign) {
  uint32_t best = 0;
  float magnitude = fabsf(value);
  for (uint32_t code = 1; code <= largest; code++) {
    float d = fabsf(small_value(code, mantissa, bias) - magnitude),
          least = fabsf(small_value(best, mantissa, bias) - magnitude);
    if (d < least || (d == least && code % 2 == 0)) best = code;
  }
  return (uint8_t)(best | (signbit(value) ? sign : 0));
}
static uint8_t e4m3(float value) {
  return isnan(value) ? 0x7E : nearest(value, 3, 7, 0x7E, 0x80); // as vLLM's kernels; others have no NaN here
}
static uint8_t e2m1(float value) {
  return nearest(value, 1, 1, 7, 8);
}

static uint8_t s8(float value) {
  return (uint8_t)(int8_t)fmaxf(-128, fminf(127, value));
}

// --- data --------------------------------------------------------------------------------------------------

typedef struct data {
  float x[COUNT]; // values of bf16
  uint16_t bf16[COUNT];
  float amax[TOKENS], low[TOKENS], high[TOKENS], largest;
} data;

static void make(data *d) {
  uint32_t state = 7;
  memset(d, 0, sizeof *d);
  for (int i = 0; i < COUNT; i++) {
    state = state * 1664525u + 1013904223u;
    float value = ((float)(state >> 8) / 8388608.0f - 0.9f) * (float)(1 << i / WIDTH);
    int t = i / WIDTH;
    if (t == TOKENS - 1) value = 0; // a token of zeros
    d->bf16[i] = to_bf16(value);
    d->x[i] = of_bf16(d->bf16[i]);
    d->amax[t] = fmaxf(d->amax[t], fabsf(d->x[i]));
    d->low[t] = fminf(d->low[t], d->x[i]);
    d->high[t] = fmaxf(d->high[t], d->x[i]);
    d->largest = fmaxf(d->largest, d->amax[t]);
  }
}

typedef struct out {
  run r;
  qn_results *results;
} out;

// Reads the graph of one input x, bf16[5,64] or f32[5,64], and of inputs s, and runs it.
static out compute(const data *d, bool half, const char *more_inputs, const qn_tensor *more, const char *nodes,
                   const char *outputs) {
  char inputs[256];
  out o;
  qn_tensor tensors[3] = { { .dtype = half ? QN_BF16 : QN_F32,
                             .rank = 2,
                             .dims = { TOKENS, WIDTH },
                             .data = half ? (const void *)d->bf16 : d->x,
                             .bytes = half ? sizeof d->bf16 : sizeof d->x } };
  uint32_t count = 1;
  snprintf(inputs, sizeof inputs, "x: %s[5,64]%s", half ? "bf16" : "f32", more_inputs);
  for (; more && more->data; more++) tensors[count++] = *more;
  o.r = torch_read(inputs, nodes, outputs);
  cr_assert_eq(count_unread(&o.r), 0);
  qn_status status =
      qn_reference_run(o.r.graph, qn_reference_params(.inputs = tensors, .input_count = count), &o.results);
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(o.r.context)->message);
  return o;
}

static void end_out(out *o) {
  qn_results_destroy(o->results);
  end_run(&o->r);
}

static void same_codes(const out *o, uint32_t index, const uint8_t *expected, size_t count) {
  const uint8_t *found = qn_results_get(o->results, index)->data;
  cr_assert_eq(qn_results_get(o->results, index)->bytes, count);
  for (size_t i = 0; i < count; i++)
    cr_assert_eq(found[i], expected[i], "code %zu: found %02x, expected %02x", i, found[i], expected[i]);
}

static void same_floats(const out *o, uint32_t index, const float *expected, size_t count) {
  const float *found = qn_results_get(o->results, index)->data;
  cr_assert_eq(qn_results_get(o->results, index)->bytes, count * 4);
  for (size_t i = 0; i < count; i++)
    cr_assert(found[i] == expected[i], "scale %zu: found %a, expected %a", i, (double)found[i],
              (double)expected[i]);
}

#define CONST(type, name, value) "  " name ": " type "[] = const[value={" value "}]\n"
#define CODES                    CONST("s64", "lo", "-128") CONST("s64", "hi", "127") CONST("s64", "d", "1")

// --- PyTorch and torchao -----------------------------------------------------------------------------------

Test(numbers, per_tensor_takes_the_reciprocal_in_f64) {
  data d;
  uint8_t codes[COUNT];
  make(&d);
  for (int i = 0; i < COUNT; i++) codes[i] = s8(rintf(d.x[i] * (float)(1.0 / 0.0371)) - 3);
  out o = compute(
      &d, true, "", NULL,
      CODES CONST("f64", "s", "0.0371") CONST(
          "s64", "z",
          "-3") "  y: s8[5,64] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_tensor."
                "default\"]\n",
      "y");
  same_codes(&o, 0, codes, COUNT);
  end_out(&o);
}

Test(numbers, per_channel) {
  data d;
  uint8_t codes[COUNT];
  float scales[WIDTH];
  int64_t zero_points[WIDTH];
  make(&d);
  for (int i = 0; i < WIDTH; i++) scales[i] = 0.011f + 0.003f * (float)i, zero_points[i] = i % 5 - 2;
  for (int i = 0; i < COUNT; i++)
    codes[i] = s8(rintf(d.x[i] * (1.0f / scales[i % WIDTH])) + (float)zero_points[i % WIDTH]);
  qn_tensor more[3] = {
    { .dtype = QN_F32, .rank = 1, .dims = { WIDTH }, .data = scales, .bytes = sizeof scales },
    { .dtype = QN_S64, .rank = 1, .dims = { WIDTH }, .data = zero_points, .bytes = sizeof zero_points },
  };
  out o = compute(
      &d, true, ", s: f32[64], z: s64[64]", more,
      CODES CONST(
          "s64", "a",
          "1") "  y: s8[5,64] = extern(x, s, z, a, lo, hi, d)[name=\"quantized_decomposed.quantize_per_channel."
               "default\"]\n",
      "y");
  same_codes(&o, 0, codes, COUNT);
  end_out(&o);
}

Test(numbers, choose_qparams_per_token) {
  data d;
  uint8_t codes[COUNT];
  float scales[TOKENS];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / WIDTH] = fmaxf(d.amax[i / WIDTH], 1e-5f) / 127;
    codes[i] = s8(rintf(d.x[i] * (1.0f / scales[i / WIDTH])));
  }
  out o = compute(
      &d, false, "", NULL,
      CODES
      "  s: f32[5,1], z: f32[5,1] = extern(x, d)[name=\"quantized_decomposed.choose_qparams_per_token."
      "default\"]\n"
      "  y: s8[5,64] = extern(x, s, z, lo, hi, d)[name=\"quantized_decomposed.quantize_per_token.default\"]\n",
      "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
}

Test(numbers, choose_qparams_of_a_tensor) {
  data d;
  uint8_t codes[COUNT];
  float low = 0, high = 0;
  make(&d);
  for (int t = 0; t < TOKENS; t++) low = fminf(low, d.low[t]), high = fmaxf(high, d.high[t]);
  float scale = fmaxf((high - low) / 255, 0x1p-12f), zero_point = -128 - rintf(low / scale);
  for (int i = 0; i < COUNT; i++) codes[i] = s8(rintf(d.x[i] * (float)(1.0 / (double)scale)) + zero_point);
  out o =
      compute(&d, false, "", NULL,
              CODES CONST("f64", "e",
                          "0.000244140625") "  s: f64[1], z: s64[1] = extern(x, lo, hi, e, "
                                            "d)[name=\"quantized_decomposed.choose_qparams.tensor\"]\n"
                                            "  y: s8[5,64] = extern(x, s, z, lo, hi, "
                                            "d)[name=\"quantized_decomposed.quantize_per_tensor.tensor\"]\n",
              "y, s, z");
  same_codes(&o, 0, codes, COUNT);
  cr_expect_eq(*(const double *)qn_results_get(o.results, 1)->data, (double)scale);
  cr_expect_eq(*(const int64_t *)qn_results_get(o.results, 2)->data, (int64_t)zero_point);
  end_out(&o);
}

#define AFFINE                                                                                                 \
  CODES CONST("f64", "e", "1.1920928955078125e-07") CONST("s64", "f", "6")                                     \
      CONST("bool", "k", "1") "  b: s64[2] = const[value={1, 64}]\n"

// amax and the quotient of it are rounded to bf16, what follows is f32.
Test(numbers, torchao_token_of_bf16) {
  data d;
  uint8_t codes[COUNT];
  float scales[TOKENS];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / WIDTH] = fmaxf(round_bf16(d.amax[i / WIDTH] / 127.5f), 0x1p-23f);
    codes[i] = s8(rintf(d.x[i] * (1.0f / scales[i / WIDTH])));
  }
  out o = compute(
      &d, true, "", NULL,
      AFFINE "  s: f32[5,1], z: s8[5,1] = extern(x, _, b, d, lo, hi, e, f, d, k)[name=\"torchao.choose_qparams_"
             "affine.default\", raw=\"mapping_type=SYMMETRIC\"]\n"
             "  y: s8[5,64] = extern(x, b, s, z, d, lo, hi)[name=\"torchao.quantize_affine.default\"]\n",
      "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
}

// The scale, its reciprocal and the product are bf16.
Test(numbers, torchao_token_with_a_bf16_scale) {
  data d;
  uint8_t codes[COUNT];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    float scale = fmaxf(round_bf16(d.amax[i / WIDTH] / 127.5f), 0x1p-23f);
    codes[i] = s8(rintf(round_bf16(d.x[i] * round_bf16(1.0f / scale))));
  }
  out o = compute(
      &d, true, "", NULL,
      AFFINE
      "  s: bf16[5,1], z: s8[5,1] = extern(x, _, b, d, lo, hi, e, _, d, k)[name=\"torchao.choose_qparams_"
      "affine.default\", raw=\"mapping_type=SYMMETRIC\"]\n"
      "  y: s8[5,64] = extern(x, b, s, z, d, lo, hi)[name=\"torchao.quantize_affine.default\"]\n",
      "y");
  same_codes(&o, 0, codes, COUNT);
  end_out(&o);
}

Test(numbers, torchao_token_asymmetric) {
  data d;
  uint8_t codes[COUNT];
  float scales[TOKENS];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    int t = i / WIDTH;
    scales[t] = fmaxf((d.high[t] - d.low[t]) / 255, 0x1p-23f);
    codes[i] = s8(rintf(d.x[i] * (1.0f / scales[t])) - 128 - rintf(d.low[t] / scales[t]));
  }
  out o = compute(
      &d, false, "", NULL,
      AFFINE CONST(
          "s64", "t",
          "3") "  s: f32[5,1], z: s32[5,1] = extern(x, _, b, d, lo, hi, e, f, t, "
               "k)[name=\"torchao.choose_qparams_"
               "affine.default\", raw=\"mapping_type=ASYMMETRIC\"]\n"
               "  y: s8[5,64] = extern(x, b, s, z, d, lo, hi)[name=\"torchao.quantize_affine.default\"]\n",
      "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
}

// The token of zeros has scale 0, and 0 / 0 is NaN.
Test(numbers, torchao_float8_token) {
  data d;
  uint8_t codes[COUNT];
  float scales[TOKENS];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / WIDTH] = round_bf16(d.amax[i / WIDTH] / 448);
    codes[i] = i / WIDTH == TOKENS - 1 ? 0x7F : e4m3(d.x[i] / scales[i / WIDTH]);
  }
  const char *chooser = "  b: s64[2] = const[value={1, 64}]\n"
                        "  s: f32[5,1] = extern(x, b)[name=\"torchao.choose_scale_float8.default\"]\n";
  char nodes[2048];
  snprintf(nodes, sizeof nodes,
           "%s  y: e4m3[5,64] = extern(x, s)[name=\"torchao.quantize_affine_float8.default\"]\n", chooser);
  out o = compute(&d, true, "", NULL, nodes, "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
  // The same spelled out.
  snprintf(nodes, sizeof nodes,
           "%s" CONST("s64", "f", "6") CONST("s64", "d", "24") CONST("f64", "lo", "-448")
               CONST("f64", "hi", "448") "  w: f32[5,64] = extern(x, f)[name=\"aten._to_copy.default\"]\n"
                                         "  q: f32[5,64] = extern(w, s)[name=\"aten.div.Tensor\"]\n"
                                         "  c: f32[5,64] = extern(q, lo, hi)[name=\"aten.clamp.default\"]\n"
                                         "  y: e4m3[5,64] = extern(c, d)[name=\"aten._to_copy.default\"]\n",
           chooser);
  o = compute(&d, true, "", NULL, nodes, "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
}

// --- vLLM --------------------------------------------------------------------------------------------------

static qn_tensor scalar(qn_dtype dtype, const void *value) {
  return (qn_tensor){ .dtype = dtype, .rank = 1, .dims = { 1 }, .data = value, .bytes = 4 };
}

Test(numbers, vllm_static_fp8) {
  data d;
  uint8_t codes[COUNT];
  float scale = 0.00317f;
  make(&d);
  for (int i = 0; i < COUNT; i++) codes[i] = e4m3(d.x[i] * (1.0f / scale));
  qn_tensor more[2] = { scalar(QN_F32, &scale) };
  out o = compute(&d, true, ", s: f32[1]", more,
                  "  y: e4m3[5,64] = extern(_, x, s)[name=\"_C.static_scaled_fp8_quant.default\"]\n", "y");
  same_codes(&o, 0, codes, COUNT);
  end_out(&o);
}

Test(numbers, vllm_dynamic_fp8) {
  data d;
  uint8_t codes[COUNT];
  make(&d);
  float scale = d.largest / 448;
  for (int i = 0; i < COUNT; i++) codes[i] = e4m3(d.x[i] * (1.0f / scale));
  out o = compute(&d, true, "", NULL,
                  "  y: e4m3[5,64], s: f32[1] = extern(_, x)[name=\"_C.dynamic_scaled_fp8_quant.default\"]\n",
                  "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, &scale, 1);
  end_out(&o);
}

Test(numbers, vllm_token_fp8_with_an_upper_bound) {
  data d;
  uint8_t codes[COUNT];
  float scales[TOKENS], bound = 1.7f;
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / WIDTH] = fmaxf(fminf(d.amax[i / WIDTH], bound) / 448, 1.0f / (448 * 512));
    codes[i] = e4m3(d.x[i] / scales[i / WIDTH]);
  }
  qn_tensor more[2] = { scalar(QN_F32, &bound) };
  out o = compute(&d, true, ", u: f32[1]", more,
                  "  y: e4m3[5,64], s: f32[5,1] = extern(_, x, _, "
                  "u)[name=\"_C.dynamic_per_token_scaled_fp8_quant.default\"]\n",
                  "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_floats(&o, 1, scales, TOKENS);
  end_out(&o);
}

#define GROUPS                                                                                                 \
  CONST("s64", "g", "16")                                                                                      \
  CONST("f64", "e", "1e-10")                                                                                   \
  CONST("f64", "lo", "-448") CONST("f64", "hi", "448") CONST("bool", "f", "0") CONST("bool", "t", "1")

static float group_amax(const data *d, int group) {
  float amax = 0;
  for (int i = 0; i < 16; i++) amax = fmaxf(amax, fabsf(d->x[group * 16 + i]));
  return amax;
}

Test(numbers, vllm_group_fp8) {
  data d;
  uint8_t codes[COUNT];
  float scales[COUNT / 16];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / 16] = fmaxf(group_amax(&d, i / 16), 1e-10f) / 448;
    codes[i] = e4m3(d.x[i] / scales[i / 16]);
  }
  static const char *const forms[] = { "f, f, f", "f, t, f",
                                       "f, t, t" }; // what the graph sees is [T, G] in each
  for (int form = 0; form < 3; form++) {
    char nodes[1024];
    snprintf(nodes, sizeof nodes,
             GROUPS "  y: e4m3[5,64], s: f32[5,4] = extern(x, _, _, g, e, lo, hi, "
                    "%s)[name=\"_C.per_token_group_fp8_quant.default\"]\n",
             forms[form]);
    out o = compute(&d, true, "", NULL, nodes, "y, s");
    same_codes(&o, 0, codes, COUNT);
    same_floats(&o, 1, scales, COUNT / 16);
    end_out(&o);
  }
}

// Exponents of four groups in a word, the first in the low byte.
Test(numbers, vllm_group_fp8_packed) {
  data d;
  uint8_t codes[COUNT];
  uint32_t words[TOKENS] = { 0 };
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    int exponent;
    float fraction = frexpf(fmaxf(fmaxf(group_amax(&d, i / 16), 1e-10f) / 448, 1e-10f), &exponent);
    if (fraction == 0.5f) exponent--; // a power of two is its own
    codes[i] = e4m3(d.x[i] * ldexpf(1, -exponent));
    if (i % 16 == 0) words[i / WIDTH] |= (uint32_t)(exponent + 127) << (i / 16 % 4 * 8);
  }
  out o = compute(&d, true, "", NULL,
                  GROUPS "  y: e4m3[5,64], s: s32[5,1] = extern(x, _, _, g, e, lo, "
                         "hi)[name=\"_C.per_token_group_fp8_quant_packed.default\"]\n",
                  "y, s");
  same_codes(&o, 0, codes, COUNT);
  same_codes(&o, 1, (const uint8_t *)words, sizeof words);
  end_out(&o);
}

// With true divisions, where the kernel takes approximate ones.
Test(numbers, vllm_nvfp4_swizzled) {
  data d;
  static uint8_t codes[COUNT / 2], scales[128 * 4];
  make(&d);
  float global = 448.0f * 6.0f / d.largest;
  memset(codes, 0, sizeof codes), memset(scales, 0, sizeof scales);
  for (int i = 0; i < COUNT; i++) {
    int t = i / WIDTH, block = i / 16;
    uint8_t scale = e4m3(global * (group_amax(&d, block) * (1.0f / 6.0f)));
    float s = small_value(scale, 3, 7), factor = s != 0 ? 1.0f / (s * (1.0f / global)) : 0;
    codes[i / 2] |= (uint8_t)(e2m1(d.x[i] * factor) << (i % 2 * 4));
    scales[t * 16 + block % 4] = scale; // ((m>>7)*kT + (k>>2))*512 + (m&31)*16 + ((m>>5)&3)*4 + (k&3)
  }
  qn_tensor more[2] = { scalar(QN_F32, &global) };
  out o = compute(
      &d, true, ", g: f32[1]", more,
      CONST("bool", "t", "1") CONST(
          "s64", "d", "24") "  y: u8[5,32], s: s32[128,1] = extern(x, g, t)[name=\"_C.scaled_fp4_quant.out\"]\n"
                            "  v: e4m3[128,4] = extern(s, d)[name=\"aten.view.dtype\"]\n",
      "y, s, v");
  same_codes(&o, 0, codes, sizeof codes);
  same_codes(&o, 1, scales, sizeof scales);
  same_codes(&o, 2, scales, sizeof scales);
  end_out(&o);
}

Test(numbers, vllm_int8) {
  data d;
  uint8_t codes[4][COUNT];
  float scale = 0.0471f, scales[2][TOKENS];
  int32_t zero_point = -19, zero_points[TOKENS];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    int t = i / WIDTH;
    float x = d.x[i], low = INFINITY, high = -INFINITY;
    for (int k = 0; k < WIDTH; k++)
      low = fminf(low, d.x[t * WIDTH + k]), high = fmaxf(high, d.x[t * WIDTH + k]);
    codes[0][i] = s8(rintf(x / scale));
    codes[1][i] = s8(rintf(x * (1.0f / scale)) + (float)zero_point);
    scales[0][t] = d.amax[t] / 127;
    codes[2][i] = s8(rintf(x * (d.amax[t] == 0 ? 0 : 127 / d.amax[t])));
    scales[1][t] = (high - low) / 255;
    if (t == TOKENS - 1) continue; // of zeros: 0 / 0
    zero_points[t] = (int32_t)rintf(-128 - low / scales[1][t]);
    codes[3][i] = s8(rintf(x * (1.0f / scales[1][t])) + (float)zero_points[t]);
  }
  qn_tensor more[3] = { scalar(QN_F32, &scale), scalar(QN_S32, &zero_point) };
  out o = compute(&d, true, ", s: f32[1], z: s32[1]", more,
                  "  a: s8[5,64] = extern(_, x, s)[name=\"_C.static_scaled_int8_quant.default\"]\n"
                  "  b: s8[5,64] = extern(_, x, s, z)[name=\"_C.static_scaled_int8_quant.default\"]\n"
                  "  c: s8[5,64], cs: f32[5,1] = extern(_, x)[name=\"_C.dynamic_scaled_int8_quant.default\"]\n"
                  "  d: s8[5,64], ds: f32[5,1], dz: s32[5,1] = extern(_, "
                  "x)[name=\"_C.dynamic_scaled_int8_quant.default\"]\n",
                  "a, b, c, cs, d, ds, dz");
  same_codes(&o, 0, codes[0], COUNT);
  same_codes(&o, 1, codes[1], COUNT);
  same_codes(&o, 2, codes[2], COUNT);
  same_floats(&o, 3, scales[0], TOKENS);
  cr_expect_arr_eq(qn_results_get(o.results, 4)->data, codes[3], COUNT - WIDTH);
  cr_expect_arr_eq(qn_results_get(o.results, 5)->data, scales[1], 4 * (TOKENS - 1));
  cr_expect_arr_eq(qn_results_get(o.results, 6)->data, zero_points, 4 * (TOKENS - 1));
  end_out(&o);
}

Test(numbers, vllm_ir) {
  data d;
  uint8_t codes[2][COUNT];
  float scales[TOKENS], groups[COUNT / 16];
  make(&d);
  for (int i = 0; i < COUNT; i++) {
    scales[i / WIDTH] = fmaxf(d.amax[i / WIDTH] / 448, 1.0f / (448 * 512));
    codes[0][i] = e4m3(d.x[i] * (1.0f / scales[i / WIDTH]));
    groups[i / 16] = fmaxf(group_amax(&d, i / 16) / 448, 1.0f / (448 * 512));
    codes[1][i] = e4m3(d.x[i] / groups[i / 16]);
  }
  out o = compute(
      &d, true, "", NULL,
      CONST("bool", "t", "1") CONST("bool", "f", "0") CONST(
          "s64", "c",
          "24") "  g: s64[2] = const[value={1, 16}]\n"
                "  y: e4m3[5,64], s: f32[5,1] = extern(x, t, c)[name=\"vllm_ir.dynamic_quant_fp8.default\"]\n"
                "  z: e4m3[5,64], r: f32[5,4] = extern(x, g, t, f, "
                "c)[name=\"vllm_ir.dynamic_group_quant_fp8.default\"]\n",
      "y, s, z, r");
  same_codes(&o, 0, codes[0], COUNT);
  same_floats(&o, 1, scales, TOKENS);
  same_codes(&o, 2, codes[1], COUNT);
  same_floats(&o, 3, groups, COUNT / 16);
  end_out(&o);
}

// --- arithmetic --------------------------------------------------------------------------------------------

// A scalar tensor is not rounded to bf16, the quotient is.
Test(numbers, scalar_that_does_not_promote) {
  data d;
  uint16_t expected[COUNT];
  float scale = 0.3f;
  make(&d);
  for (int i = 0; i < COUNT; i++) expected[i] = to_bf16(d.x[i] / scale);
  qn_tensor more[2] = { { .dtype = QN_F32, .data = &scale, .bytes = 4 } };
  out o =
      compute(&d, true, ", s: f32[]", more, "  y: bf16[5,64] = extern(x, s)[name=\"aten.div.Tensor\"]\n", "y");
  same_codes(&o, 0, (const uint8_t *)expected, sizeof expected);
  end_out(&o);
}
