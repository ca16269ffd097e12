// Each row of QN_SCHEME_MAP as it stands, a test named after it: its formula on a tensor of 5 tokens of 2 heads
// of 80, whose groups of 32 and 128 end short.
#include "quant_test.h"

enum { TOKENS = 5, COLUMNS = 160, COUNT = TOKENS * COLUMNS };

typedef struct {
  float x, amax, low, high; // of the value's group
  float s, z, g;            // scale and zero point as given or computed, global scale
} terms;

// How many values share a scale, as lengths along the last axis: 0 all values, -1 one column of all tokens.
typedef struct {
  const char *name;
  int group;
  float (*scale)(terms t);      // NULL: it is given
  float (*zero_point)(terms t); // NULL: 0, or given
  double (*code)(terms t);
  bool has_zero_point, global;
} family;

static bool together(int group, int a, int b) {
  if (group == 0) return true;
  if (group < 0) return a % COLUMNS == b % COLUMNS;
  return a / COLUMNS == b / COLUMNS && a % COLUMNS / group == b % COLUMNS / group;
}
static int index_of_group(int group, int i) {
  int across = group > 0 ? (COLUMNS + group - 1) / group : 0;
  return group == 0 ? 0 : group < 0 ? i % COLUMNS : i / COLUMNS * across + i % COLUMNS / group;
}

static void check_family(const family *f, const char *scheme) {
  double *x = create_values(COUNT, 21), scales[COLUMNS * TOKENS], zeros[COLUMNS * TOKENS];
  for (int i = 0; i < COLUMNS * TOKENS; i++)
    scales[i] = (double)(0.013f * (float)(i % 7 + 1)), zeros[i] = i % 5 - 2;
  const int last = index_of_group(f->group, COUNT - 1);
  quantization q = { .scheme = scheme, .rank = 3, .dims = { 1, TOKENS, COLUMNS }, .x = x };
  const uint64_t count = f->global ? 1 : (uint64_t)last + 1;
  if (!f->scale && strcmp(f->name, "fp8_cast") != 0) q.scale = (qn_numbers){ scales, count };
  if (f->global) q.scale = (qn_numbers){ scales, 1 };
  if (f->has_zero_point && !f->scale) q.zero_point = (qn_numbers){ zeros, count };
  quantize_well(&q);
  for (int i = 0; i < COUNT; i++) {
    terms t = { .x = (float)x[i], .low = (float)x[i], .high = (float)x[i], .g = (float)scales[0] };
    for (int k = 0; k < COUNT; k++) {
      if (!together(f->group, i, k)) continue;
      t.amax = fmaxf(t.amax, fabsf((float)x[k]));
      t.low = fminf(t.low, (float)x[k]), t.high = fmaxf(t.high, (float)x[k]);
    }
    const int at = index_of_group(f->group, i);
    t.s = f->scale ? f->scale(t) : (float)scales[at];
    t.z = f->zero_point ? f->zero_point(t) : f->has_zero_point ? (float)zeros[at] : 0;
    if (f->scale) {
      uint64_t place = (uint64_t)at;
      if (q.parsed.scale_layout == QN_SCALES_SWIZZLED)
        place = (uint64_t)(at / 10 * 16 + at % 10 / 4 * 512 + at % 10 % 4);
      cr_assert_eq((float)scale_at(&q, place), t.s, "scale %d: %g, not %g", at, scale_at(&q, place),
                   (double)t.s);
      if (f->zero_point) cr_assert_eq((float)zero_point_at(&q, place), t.z);
    }
    int code = (int)f->code(t), found = q.codes[i];
    if (q.parsed.target == QN_S16)
      found = ((const int16_t *)(const void *)q.codes)[i];
    else
      code &= q.parsed.target == QN_S4 ? 0xF : 0xFF;
    cr_assert_eq(found, code, "code %d is %d, not %d", i, found, code);
  }
  release(&q);
  free(x);
}

static double clamp_to(double code, double least, double greatest) {
  return fmax(least, fmin(greatest, code));
}
static float power_of(float amax, int exponent) {
  return amax == 0 ? 0x1p-127f : exp2f((float)(ilogbf(amax) - exponent));
}

#define TERM(name, type, expression)                                                                           \
  static type name(terms t) {                                                                                  \
    return (expression);                                                                                       \
  }
// A scale that is given.
#define GIVEN(row, fields, group, zeros, expression)                                                           \
  TERM(row##_code, double, expression)                                                                         \
  Test(families, row) {                                                                                        \
    check_family(&(family){ #row, group, NULL, NULL, row##_code, zeros, false }, #row fields);                 \
  }
// A scale that is computed.
#define FOUND(row, group, is_global, scale_of, expression)                                                     \
  TERM(row##_scale, float, scale_of)                                                                           \
  TERM(row##_code, double, expression)                                                                         \
  Test(families, row) {                                                                                        \
    check_family(&(family){ #row, group, row##_scale, NULL, row##_code, false, is_global }, #row);             \
  }
#define FOUND_WITH_ZERO(row, group, scale_of, zero_of, expression)                                             \
  TERM(row##_scale, float, scale_of)                                                                           \
  static float row##_zero(terms t) {                                                                           \
    t.s = row##_scale(t);                                                                                      \
    return (zero_of);                                                                                          \
  }                                                                                                            \
  TERM(row##_code, double, expression)                                                                         \
  Test(families, row) {                                                                                        \
    check_family(&(family){ #row, group, row##_scale, row##_zero, row##_code, true, false }, #row);            \
  }

// clang-format off
GIVEN(fp8_cast, "", 0, false, e4m3_of((double)t.x))
GIVEN(fp8_static, "", 0, false, e4m3_of((double)(t.x / t.s)))
GIVEN(fp8_channel, "", -1, false, e4m3_of((double)(t.x / t.s)))
GIVEN(fp8_block, "{group=32}", 32, false, e4m3_of((double)(t.x / t.s)))
GIVEN(int8_static, "", 0, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -128, 127))
GIVEN(int8_channel, "", -1, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -128, 127))
GIVEN(int8_block, "{group=128}", 128, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -128, 127))
GIVEN(int4_static, "", 0, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -8, 7))
GIVEN(int4_block, "{group=32}", 32, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -8, 7))
GIVEN(int16_static, "", 0, true, clamp_to((double)(rintf(t.x / t.s) + t.z), -32768, 32767))
GIVEN(fp4_block, "{group=32}", 32, false, e2m1_of((double)(t.x / t.s)))

FOUND(fp8_dynamic, 0, false, t.amax / 448, e4m3_of((double)(t.x * (1 / t.s))))
FOUND(fp8_token, COLUMNS, false, fmaxf(t.amax / 448, 1 / (448.0f * 512)), e4m3_of((double)(t.x / t.s)))
FOUND(fp8_group, 128, false, fmaxf(t.amax, 1e-10f) / 448, e4m3_of((double)(t.x / t.s)))
FOUND(mxfp8, 32, false, power_of(t.amax, 8), e4m3_of((double)(t.x * (1 / t.s))))
FOUND(mxfp4, 32, false, power_of(t.amax, 2), e2m1_of((double)(t.x * (1 / t.s))))
FOUND(nvfp4, 16, true, e4m3_value(e4m3_of((double)(t.g * (t.amax * (1 / 6.0f))))),
      e2m1_of((double)(t.x * (t.s == 0 ? 0 : 1 / (t.s * (1 / t.g))))))
FOUND(int8_token, COLUMNS, false, t.amax / 127, clamp_to((double)rintf(t.x * (127 / t.amax)), -128, 127))
FOUND_WITH_ZERO(int8_dynamic, 0, (fmaxf(t.high, 0) - fminf(t.low, 0)) / 255, rintf(0 - fminf(t.low, 0) / t.s),
                clamp_to((double)(rintf(t.x / t.s) + t.z), 0, 255))
FOUND_WITH_ZERO(int8_token_zp, COLUMNS, (t.high - t.low) / 255, rintf(-128 - t.low / t.s),
                clamp_to((double)(rintf(t.x * (1 / t.s)) + t.z), -128, 127))
// clang-format on

// No row is without its test.
Test(families, every_row_is_here) {
  static const char *const tested[] = {
    "fp8_cast",    "fp8_static",  "fp8_channel",  "fp8_block",  "fp8_dynamic",  "fp8_token",  "fp8_group",
    "mxfp8",       "int8_static", "int8_channel", "int8_block", "int8_dynamic", "int8_token", "int8_token_zp",
    "int4_static", "int4_block",  "int16_static", "fp4_block",  "nvfp4",        "mxfp4",
  };
  cr_assert_eq(QN_COUNT(tested), QN_SCHEME_FAMILY_COUNT - 1);
  for (int i = 1; i < QN_SCHEME_FAMILY_COUNT; i++)
    cr_expect_str_eq(tested[i - 1], qn_scheme_family_name((qn_scheme_family)i));
}
