// Every field of a scheme on values that tell its words apart: rules, floors, rules for zero, ranges, zero
// points, ties, signs, roundings. Layouts, axes and padding are in test_places.c, powers of two in
// test_exponents.c.
#include "quant_test.h"

// One group of values under a scheme, with its operands; what is expected of the first scale, zero point and
// codes.
typedef struct {
  const char *scheme;
  double x[4];
  int64_t count;
  double operand; // `scale`, where not 0
  double scale;   // -1: there is none
  uint8_t codes[4];
} field_case;

static void check_cases(const field_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const field_case *c = &cases[i];
    quantization q = { .scheme = c->scheme, .rank = 1, .dims = { c->count }, .x = c->x };
    q.scale = (qn_numbers){ c->operand != 0 ? &c->operand : NULL, c->operand != 0 };
    quantize_well(&q);
    if (c->scale >= 0)
      cr_expect_eq(scale_at(&q, 0), c->scale, "%s: scale %a, not %a", c->scheme, scale_at(&q, 0), c->scale);
    for (int64_t k = 0; k < c->count; k++)
      cr_expect_eq(q.codes[k], c->codes[k], "%s: code %d of %a is 0x%02x, not 0x%02x", c->scheme, (int)k,
                   c->x[k], q.codes[k], c->codes[k]);
    release(&q);
  }
}
#define CASES(name, ...)                                                                                       \
  Test(fields, name) {                                                                                         \
    static const field_case cases[] = { __VA_ARGS__ };                                                         \
    check_cases(cases, QN_COUNT(cases));                                                                       \
  }

#define F(x) ((double)(x))
// clang-format off

// 45.5 / 7 is 6.5, but 45.5 * (1 / 7) in f32 is above it.
CASES(arithmetic,
  { "int8_static", { 45.5 }, 1, 7, -1, { 6 } },
  { "int8_static{arithmetic=reciprocal}", { 45.5 }, 1, 7, -1, { 7 } },
  { "int8_static{arithmetic=multiply}", { 45.5 }, 1, F(1 / 7.0f), -1, { 7 } },
  // The inverse is rounded to the scale's type: 1 / 7 is 0.142578125 in bf16, 0.14282227 in f16.
  { "int8_static{arithmetic=reciprocal, scale=bf16}", { 17.53 }, 1, 7, -1, { 2 } },
  { "int8_static{arithmetic=reciprocal, scale=f16}", { 17.502 }, 1, 7, -1, { 2 } },
  { "int8_static{arithmetic=reciprocal}", { 17.502, 17.53 }, 2, 7, -1, { 3, 3 } },
  // range: the quotient is x * (127 / amax), the stored scale amax / 127 is not used.
  { "int8_token", { 3, -1.5 }, 2, 0, F(3 / 127.0f), { 127, (uint8_t)-64 } })

// amax / 448 and amax * (1 / 448) differ in the last bit for 33 / 448.
CASES(scale_rule,
  { "fp8_group{group=2, floor=none}", { 33, 1 }, 2, 0, F(33 / 448.0f), { 0x7E, 0x56 } },
  { "fp8_group{group=2, floor=none, rule=reciprocal}", { 33, 1 }, 2, 0, F(33 * (1 / 448.0f)), { 0x7E, 0x56 } },
  { "fp8_group{group=2, floor=none, rule=multiplier, arithmetic=multiply}", { 33, 1 }, 2, 0, F(448 / 33.0f), { 0x7E, 0x56 } },
  { "fp8_group{target=e5m2, group=2, floor=none}", { 33, 1 }, 2, 0, F(33 / 57344.0f), { 0x7B, 0x67 } })

// NVFP4's four ways under a global scale, on amax 5 and g 3 or 1 / 3.
CASES(global_scale,
  { "nvfp4{scale_layout=row, group=2}", { 5, 1 }, 2, 3, 2.5, { 7, 2 } },                // 3 * (5 / 6)
  { "nvfp4{scale_layout=row, group=2, rule=divide, arithmetic=divide}", { 5, 1 }, 2, 3, 2.5, { 7, 2 } },
  { "nvfp4{scale_layout=row, group=2, global=divisor, rule=divide}", { 5, 1 }, 2, 0.5, 1.625, { 7, 2 } },
  { "nvfp4{scale_layout=row, group=2, global=divisor, rule=product, arithmetic=divide}", { 5, 1 }, 2, 0.5, 1.625, { 7, 2 } })

CASES(floors,
  { "fp8_token{floor=none}", { 0x1p-40, 0 }, 2, 0, F(0x1p-40f / 448), { 0x7E, 0 } },
  { "fp8_token{floor=amax_1e-10}", { 0x1p-40, 0 }, 2, 0, F(1e-10f / 448), { 0x48, 0 } },
  { "fp8_token{floor=amax_1e-12}", { 0x1p-42, 0 }, 2, 0, F(1e-12f / 448), { 0x6D, 0 } },
  { "fp8_token{floor=scale_1e-10}", { 0x1p-33, 0 }, 2, 0, F(1e-10f), { 0x39, 0 } },
  // As a value of the type that the scale is computed in: 0x1.b8p-34 in bf16.
  { "fp8_token{floor=scale_1e-10, scale_compute=bf16}", { 0x1p-40, 0 }, 2, 0, 0x1.b8p-34, { 0x05, 0 } },
  { "fp8_token", { 0x1p-18, 0 }, 2, 0, F(1 / (448.0f * 512)), { 0x36, 0 } },
  { "fp8_token{floor=eps_f32}", { 0x1p-23, 0 }, 2, 0, 0x1p-23, { 0x38, 0 } },
  { "nvfp4{scale_layout=row, floor=subnormal}", { 0x1p-20, 0 }, 2, 1, 0x1p-9, { 0, 0 } },
  { "nvfp4{scale_layout=row, floor=normal}", { 0x1p-5, 0 }, 2, 1, 0x1p-6, { 4, 0 } })

// Zeros, and a scale that underflows; NaN is 0x7F, the largest FP4 is 7.
CASES(groups_of_zeros,
  { "fp8_token{floor=none}", { 0, -0.0 }, 2, 0, 0, { 0x7F, 0x7F } },
  { "fp8_token{floor=none, nan=largest}", { 0, -0.0 }, 2, 0, 0, { 0x7E, 0x7E } },
  { "fp8_token{floor=none, zero=codes}", { 0, -0.0 }, 2, 0, 0, { 0, 0x80 } },
  { "fp8_token{floor=none, zero=one}", { 0, -0.0 }, 2, 0, 1, { 0, 0x80 } },
  { "fp8_token{floor=none, zero=eps}", { 0, -0.0 }, 2, 0, 0x1p-23, { 0, 0x80 } },
  { "fp8_token{floor=none, zero=eps, scale=f16}", { 0x1p-30, 0 }, 2, 0, 0x1p-10, { 0, 0 } },
  { "fp8_token{floor=none, zero=eps, scale=bf16}", { 0, 0 }, 2, 0, 0x1p-7, { 0, 0 } },
  { "nvfp4{scale_layout=row}", { 0, -0.0 }, 2, 3, 0, { 0, 8 } },
  { "nvfp4{scale_layout=row, zero=eps}", { 0x1p-12, -0.0 }, 2, 3, 0.125, { 0, 8 } },
  { "nvfp4{scale_layout=row, zero=one, floor=subnormal}", { 0, -0.0 }, 2, 3, 1, { 0, 8 } },
  { "nvfp4{scale_layout=row, zero=computed}", { 0, 1e-30 }, 2, 3, 0, { 7, 7 } },
  { "int8_token{zero=codes}", { 0, 0 }, 2, 0, 0, { 0, 0 } })

CASES(scale_types_and_their_rounding,
  // 5 / 448 in bf16 is 0.01116943, and 5 divided by that is above 447.6: rounding of the quotient to bf16 gives 448.
  { "fp8_token{floor=none, scale=bf16}", { 5 }, 1, 0, 0x1.6ep-7, { 0x7E } },
  { "fp8_token{floor=none, scale=f16}", { 5 }, 1, 0, 0x1.6dcp-7, { 0x7E } },
  { "fp8_token{floor=none, scale_compute=bf16}", { 5 }, 1, 0, 0x1.6ep-7, { 0x7E } },
  { "fp8_token{floor=none, scale_compute=f16}", { 5 }, 1, 0, 0x1.6dcp-7, { 0x7E } },
  // Stored as e4m3: what is divided by is what is stored.
  { "fp8_group{group=4, floor=none, scale=e4m3}", { 448, 100 }, 2, 0, 1, { 0x7E, 0x6C } },
  { "fp8_group{group=4, floor=none, scale=e4m3}", { 480, 100 }, 2, 0, 1.125, { 0x7D, 0x6B } },
  // It saturates.
  { "fp8_group{group=4, floor=none, scale=e4m3}", { 0x1p20, 100 }, 2, 0, 448, { 0x7E, 0x26 } })

CASES(roundings_of_value_and_quotient,
  // 1.00390625 is a tie of bf16, 1.0625 one of e4m3.
  { "fp8_static", { 1.0634765625 }, 1, 1, -1, { 0x39 } },
  { "fp8_static{round=bf16}", { 1.0634765625 }, 1, 1, -1, { 0x38 } },
  { "fp8_static{round=f16}", { 1.0634765625 }, 1, 1, -1, { 0x39 } },
  { "fp8_static{compute=bf16}", { 2.126953125 }, 1, 2, -1, { 0x38 } },
  { "fp8_static{compute=f16}", { 2.126953125 }, 1, 2, -1, { 0x39 } },
  { "int8_static{compute=bf16}", { 100.2, -55.7 }, 2, 1, -1, { 100, (uint8_t)-56 } })

CASES(saturation_and_nan,
  { "fp8_static", { 1e6, -(double)INFINITY, (double)NAN }, 3, 2, -1, { 0x7E, 0xFE, 0x7F } },
  { "fp8_static{saturate=false}", { 1e6, -(double)INFINITY, 464.5 }, 3, 1, -1, { 0x7F, 0xFF, 0x7F } },
  { "fp8_static{target=e5m2, saturate=false}", { 1e6, -(double)INFINITY, (double)NAN }, 3, 2, -1, { 0x7C, 0xFC, 0x7F } },
  { "fp8_static{target=e5m2}", { 1e6, -(double)INFINITY, (double)NAN }, 3, 2, -1, { 0x7B, 0xFB, 0x7F } },
  { "fp8_static{nan=largest}", { (double)NAN }, 1, 2, -1, { 0x7E } },
  { "fp8_static{target=e5m2, nan=largest}", { (double)NAN }, 1, 2, -1, { 0x7B } },
  { "int8_static", { 1e6, -(double)INFINITY, (double)NAN }, 3, 2, -1, { 127, 0x80, 0 } },
  { "fp8_cast", { 0.3, -1e9, 448 }, 3, 0, -1, { 0x2A, 0xFE, 0x7E } },
  { "fp8_cast{target=e5m2}", { 0.3, -1e9, 448 }, 3, 0, -1, { 0x35, 0xFB, 0x5F } })

CASES(signs_of_zero,
  { "fp4_block{group=4}", { 0, -0.0, 0.1, -0.1 }, 4, 1, -1, { 0, 8, 0, 8 } },
  { "fp4_block{group=4, zero_sign=exact}", { 0, -0.0, 0.1, -0.1 }, 4, 1, -1, { 0, 0, 0, 8 } },
  { "fp4_block{group=4, zero_sign=dropped}", { 0, -0.0, 0.1, -0.1 }, 4, 1, -1, { 0, 0, 0, 0 } },
  { "fp4_block{group=4, zero_sign=set}", { 0, -0.0, 0.1, -0.1 }, 4, 1, -1, { 8, 8, 0, 8 } },
  { "fp8_static{zero_sign=exact}", { 0, -0.0, -0x1p-20, 0x1p-20 }, 4, 1, -1, { 0, 0, 0x80, 0 } },
  { "fp4_block{group=4, zero_sign=dropped}", { 1, -1, 6, -6 }, 4, 1, -1, { 2, 10, 7, 15 } })

CASES(narrow_codes,
  { "int8_static", { -200, 200 }, 2, 1, -1, { 0x80, 127 } },
  { "int8_static{narrow=true}", { -200, 200 }, 2, 1, -1, { 0x81, 127 } },
  { "int4_static", { -200, 200 }, 2, 1, -1, { 8, 7 } },
  { "int4_static{narrow=true}", { -200, 200 }, 2, 1, -1, { 9, 7 } },
  { "int8_static{target=u8, narrow=true}", { -200, 300 }, 2, 1, -1, { 0, 255 } })

CASES(half_the_range,
  { "int8_token{range=half}", { 51, -25.5 }, 2, 0, F(51 / 127.5f), { 127, (uint8_t)-64 } },
  { "int8_token{range=half, arithmetic=divide}", { 51, -51 }, 2, 0, F(51 / 127.5f), { 127, 0x80 } },
  { "int8_token{range=half, arithmetic=divide, narrow=true}", { 51, -51 }, 2, 0, F(51 / 127.0f), { 127, 0x81 } },
  { "int8_token{target=s4, range=half, arithmetic=divide}", { 15, -15 }, 2, 0, 2, { 7, 8 } })

// clang-format on

// Every value of e2m1, everything between two of them, the ties, and one ulp on both sides of them.
Test(fields, ties_of_e2m1) {
  static const double values[] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6 };
  for (int to_zero = 0; to_zero < 2; to_zero++)
    for (int wide = 0; wide < 2; wide++)
      for (int code = 0; code < 7; code++) {
        float tie = (float)((values[code] + values[code + 1]) / 2);
        double x[6] = { (double)tie, (double)nextafterf(tie, 0), (double)nextafterf(tie, 7) };
        for (int i = 0; i < 3; i++) x[3 + i] = -x[i];
        quantization q = { .scheme = to_zero ? "fp4_block{group=6, ties=towards_zero}" : "fp4_block{group=6}",
                           .rank = 1,
                           .dims = { 6 },
                           .x = x,
                           .scale = ONE(1),
                           .wide = wide };
        quantize_well(&q);
        for (int i = 0; i < 6; i++) {
          int sign = i < 3 ? 0 : 8, expected = i % 3 == 1   ? code
                                               : i % 3 == 2 ? code + 1
                                               : to_zero    ? code
                                                            : code + code % 2;
          cr_expect_eq(q.codes[i], sign + expected, "%a: %u, not %d", x[i], q.codes[i], sign + expected);
        }
        release(&q);
      }
}

// --- zero points -------------------------------------------------------------------------------------------

typedef struct {
  const char *scheme;
  double x[3], scale, zero_point;
  uint8_t codes[3];
} zero_point_case;

Test(fields, zero_points_that_are_computed) {
  static const zero_point_case cases[] = {
    // ONNX DynamicQuantizeLinear: the range holds 0.
    { "int8_dynamic", { 1, 2, 4 }, (double)(4 / 255.0f), 0, { 64, 127, 255 } },
    { "int8_dynamic", { -4, -2, -1 }, (double)(4 / 255.0f), 255, { 0, 128, 191 } },
    { "int8_dynamic", { -1, 0, 2 }, (double)(3 / 255.0f), 85, { 0, 85, 255 } },
    { "int8_dynamic", { 0, -0.0, 0 }, 1, 0, { 0, 0, 0 } },
    // From min to max: the zero point is no code.
    { "int8_token_zp", { 100, 101, 102 }, (double)(2 / 255.0f), -12878, { 0x80, (uint8_t)-1, 127 } },
    // -0.5 / (5.1 / 255) = -25: -128 + 25.
    { "int8_token_zp{range=with_zero, zero_point_type=s8}",
      { -0.5, 0, 4.6 },
      (double)((4.6f + 0.5f) / 255),
      -103,
      { 0x80, (uint8_t)-103, 127 } },
    { "int8_token_zp{range=with_zero, floor=eps_f32}", { 0, 0, 0 }, 0x1p-23, -128, { 0x80, 0x80, 0x80 } },
    { "int8_token_zp{range=with_zero, zero=eps, scale=bf16}", { 0, 0, 0 }, 0x1p-7, 0, { 0, 0, 0 } },
    // min / s is -2.5: qmin - round(-2.5) is -126, round(qmin + 2.5) is -126 too; of -3.5 -124 and -124; of
    // -1.5 ...
    { "int8_token_zp{range=with_zero}", { -1.5, 0, 253.5 }, 1, -126, { 0x80, (uint8_t)-126, 127 } },
    { "int8_token_zp{target=u8, range=with_zero, zero_point_rule=inner}",
      { -1.5, 0, 253.5 },
      1,
      2,
      { 0, 2, 255 } },
    { "int8_token_zp{target=u8, range=with_zero, narrow=true}", { -2, 0, 253 }, 1, 2, { 0, 2, 255 } },
    { "int8_token_zp{range=with_zero, narrow=true, zero_point_rule=inner}",
      { -127, 0, 127 },
      1,
      0,
      { 0x81, 0, 127 } },
    // Odd qmin: round(-127 + 2.5) is -124, -127 - round(-2.5) is -125.
    { "int8_token_zp{range=with_zero, narrow=true}",
      { -2.5, 0, 251.5 },
      1,
      -124,
      { 0x82, (uint8_t)-124, 127 } },
    { "int8_token_zp{range=with_zero, narrow=true, zero_point_rule=inner}",
      { -2.5, 0, 251.5 },
      1,
      -125,
      { 0x81, (uint8_t)-125, 127 } },
    // The sum is rounded: -2.5 + -126 is -128.5, its even neighbour -128.
    { "int8_token_zp{range=with_zero, zero_point=before}",
      { -1.5, 0, 253.5 },
      1,
      -126,
      { 0x80, (uint8_t)-126, 127 } },
    // Steps in bf16: 255 + 1.5 is 256 there, 256 / 255 is 1.0078125.
    { "int8_token_zp{range=with_zero, scale_compute=bf16}",
      { -1.5, 0, 255 },
      1.0078125,
      -126,
      { 0x81, (uint8_t)-126, 127 } },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    const zero_point_case *c = &cases[i];
    quantization q = { .scheme = c->scheme, .rank = 1, .dims = { 3 }, .x = c->x };
    quantize_well(&q);
    cr_expect_eq(scale_at(&q, 0), c->scale, "%zu %s: scale %a", i, c->scheme, scale_at(&q, 0));
    cr_expect_eq(zero_point_at(&q, 0), c->zero_point, "%zu %s: zero point %g", i, c->scheme,
                 zero_point_at(&q, 0));
    for (int k = 0; k < 3; k++)
      cr_expect_eq(q.codes[k], c->codes[k], "%zu %s: code %d is %d", i, c->scheme, k, q.codes[k]);
    release(&q);
  }
}

// after: round(0.5) + 1 is 1; before: round(0.5 + 1) is 2.
Test(fields, zero_points_that_are_given) {
  static const double x[] = { 0.5, 1.5, -300, 300 };
  static const struct {
    const char *scheme;
    uint8_t codes[4];
  } cases[] = {
    { "int8_static", { 1, 3, 0x80, 127 } },
    { "int8_static{zero_point=before}", { 2, 2, 0x80, 127 } },
    { "int8_static{target=u8}", { 1, 3, 0, 255 } },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    quantization q = {
      .scheme = cases[i].scheme, .rank = 1, .dims = { 4 }, .x = x, .scale = ONE(1), .zero_point = ONE(1)
    };
    quantize_well(&q);
    cr_expect(memcmp(q.codes, cases[i].codes, 4) == 0, "%s: %d %d", cases[i].scheme, q.codes[0], q.codes[1]);
    release(&q);
  }
  // One a channel.
  quantization q = { .scheme = "int8_channel",
                     .rank = 2,
                     .dims = { 2, 2 },
                     .x = x,
                     .scale = { (const double[]){ 0.5, 2 }, 2 },
                     .zero_point = { (const double[]){ 10, -10 }, 2 } };
  quantize_well(&q);
  static const uint8_t expected[] = { 11, (uint8_t)-9, 0x80, 127 };
  cr_expect(memcmp(q.codes, expected, 4) == 0);
  release(&q);
}

// --- f64 ---------------------------------------------------------------------------------------------------

// Nothing but codes and stored scales is rounded: `round`, `compute` and `scale_compute` are left out.
Test(fields, wide_rounds_codes_alone) {
  static const double x[] = { 1.0625 + 0x1p-40, 1.0625 };
  quantization q = { .scheme = "fp8_static{round=bf16, compute=bf16}",
                     .rank = 1,
                     .dims = { 2 },
                     .x = x,
                     .scale = ONE(1),
                     .wide = true };
  quantize_well(&q);
  cr_expect_eq(q.codes[0], 0x39);
  cr_expect_eq(q.codes[1], 0x38);
  release(&q);
  // 3 * (1 / 448), not rounded to bf16, then to the f32 that is stored.
  static const double y[] = { 3 };
  quantization d = { .scheme = "fp8_token{rule=reciprocal, floor=none, scale_compute=bf16}",
                     .rank = 1,
                     .dims = { 1 },
                     .x = y,
                     .wide = true };
  quantize_well(&d);
  cr_expect_eq(scale_at(&d, 0), (double)(float)(3 * (1.0 / 448)));
  release(&d);
  // Stored as f64, as the reference executor does in mode f64: then that is what is divided by.
  const qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_token);
  const double z[] = { 3, 1 };
  double stored;
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  const qn_quantize_args args = {
    .scheme = &scheme, .rank = 1, .dims = (const int64_t[]){ 2 }, .wide = true, .stored_scale = QN_F64
  };
  uint8_t codes[2];
  cr_assert_eq(qn_quantize(context, &args, z, &(qn_quantized){ .codes = codes, .scales = &stored }), QN_OK);
  cr_expect_eq(stored, 3 / 448.0);
  qn_context_destroy(context);
}
