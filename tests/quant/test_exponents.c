// The five rules that make a power of two: every finite f16 and bf16 as amax, and f32 and f64 on both sides of
// every threshold, against the rules' definitions in exact arithmetic.
#include "quant_test.h"

// The smallest e with x <= bound * 2^e, by search from one that is too small.
static int round_up(double x, double bound) {
  int e = ilogb(x) - 40;
  while (x > ldexp(bound, e)) e++;
  return e;
}

// The exponent of the scale of a group whose amax is x > 0.
static int exponent_of(qn_scale_rule rule, qn_dtype target, double x) {
  static const struct {
    qn_dtype dtype;
    double largest;
    int power, mantissa;
  } formats[] = { { QN_E4M3, 448, 8, 3 }, { QN_E5M2, 57344, 15, 2 }, { QN_E2M1, 6, 2, 1 } };
  size_t f = 0;
  while (formats[f].dtype != target) f++;
  int floor_log2 = ilogb(x), below = floor_log2 - formats[f].power;
  double fraction = ldexp(x, -floor_log2); // 1 <= fraction < 2
  switch (rule) {
  case QN_RULE_FLOOR: return below;
  case QN_RULE_UP: return round_up(x, formats[f].largest);
  case QN_RULE_UP_1_75: return below + (fraction >= 1.75);
  case QN_RULE_EVEN:
    return below + (nearbyint(ldexp(fraction, formats[f].mantissa)) >= ldexp(2, formats[f].mantissa));
  default: return below + (fraction > 1);
  }
}

static uint8_t code_of(qn_scale_rule rule, qn_dtype target, double x) {
  if (x == 0) return 0;
  int code = exponent_of(rule, target, x) + 127;
  return (uint8_t)(code < 0 ? 0 : code > 254 ? 254 : code);
}

static const char *const RULES[] = { "floor", "up", "up_1_75", "even", "ceil" };
static const char *const TARGETS[] = { "e4m3", "e5m2", "e2m1" };

// Groups of one: every value is its own amax.
static void check_all(const double *x, uint64_t count, bool wide) {
  for (size_t r = 0; r < QN_COUNT(RULES); r++)
    for (size_t t = 0; t < QN_COUNT(TARGETS); t++) {
      char text[96];
      snprintf(text, sizeof text, "mxfp8{target=%s, rule=%s, group=1}", TARGETS[t], RULES[r]);
      quantization q = { .scheme = text, .rank = 1, .dims = { (int64_t)count }, .x = x, .wide = wide };
      quantize_well(&q);
      for (uint64_t i = 0; i < count; i++) {
        uint8_t expected =
            code_of((qn_scale_rule)(QN_RULE_FLOOR + (int)r), (qn_dtype)q.parsed.target, fabs(x[i]));
        cr_assert_eq(q.scales[i], expected, "%s of %a: %u, not %u", text, x[i], q.scales[i], expected);
      }
      release(&q);
    }
}

static void check_all_of(qn_dtype dtype) {
  static double x[0x10000];
  uint64_t count = 0;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    qn_elements_load(dtype, &(uint16_t){ (uint16_t)bits }, 1, &x[count]);
    if (isfinite(x[count])) count++;
  }
  check_all(x, count, false);
}

Test(exponents, every_f16) {
  check_all_of(QN_F16);
}
Test(exponents, every_bf16) {
  check_all_of(QN_BF16);
}

// log2 in f32 is wrong up to 11 ulp above a power of two.
static uint64_t around_thresholds(double *x, bool wide) {
  static const double fractions[] = { 1, 1.5, 1.75, 1.875, 1.9375 };
  uint64_t count = 0;
  for (int e = -140; e <= 127; e++)
    for (size_t f = 0; f < QN_COUNT(fractions); f++)
      for (int step = -12; step <= 12; step++) {
        double center = ldexp(fractions[f], e), value = center;
        for (int i = 0; i < abs(step); i++) {
          double toward = step < 0 ? 0 : (double)INFINITY;
          value = wide ? nextafter(value, toward) : (double)nextafterf((float)value, (float)toward);
        }
        x[count++] = value;
      }
  return count;
}

Test(exponents, f32_around_every_threshold) {
  static double x[268 * 5 * 25];
  uint64_t count = around_thresholds(x, false);
  check_all(x, count, false);
}
Test(exponents, f64_around_every_threshold) {
  static double x[268 * 5 * 25];
  uint64_t count = around_thresholds(x, true);
  check_all(x, count, true);
}

Test(exponents, inf_and_nothing_but_nan) {
  static const double x[] = { (double)INFINITY, -(double)INFINITY, (double)NAN };
  for (size_t r = 0; r < QN_COUNT(RULES); r++) {
    char text[64];
    snprintf(text, sizeof text, "mxfp4{rule=%s, group=1}", RULES[r]);
    quantization q = { .scheme = text, .rank = 1, .dims = { 3 }, .x = x };
    quantize_well(&q);
    cr_assert_eq(q.scales[0], 255);
    cr_assert_eq(q.scales[1], 255);
    cr_assert_eq(q.scales[2], 0); // NaN is no magnitude
    release(&q);
  }
}

// A floor becomes the power of two that is not below it; zero=one is in front of it.
Test(exponents, floors_and_groups_of_zeros) {
  static const struct {
    const char *fields;
    double x;
    uint8_t scale;
  } cases[] = {
    { "", 0, 0 },
    { "zero=one", 0, 127 },
    { "zero=one", 0x1p-100, 127 - 102 },
    { "floor=scale_1e-10", 0, 127 - 33 },
    { "floor=scale_1e-10", 0x1p-31, 127 - 33 },
    { "floor=scale_1e-10", 0x1p-30, 127 - 32 },
    { "floor=codes_512", 0, 127 - 17 },
    { "floor=eps_f32", 0, 127 - 23 },
    { "floor=amax_1e-10", 0, 127 - 36 }, // 1e-10 is 1.7 * 2^-34
    { "rule=up, floor=amax_1e-10", 0, 127 - 35 },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    char text[96];
    snprintf(text, sizeof text, "mxfp4%s%s%s", *cases[i].fields ? "{" : "", cases[i].fields,
             *cases[i].fields ? "}" : "");
    quantization q = { .scheme = text, .rank = 1, .dims = { 1 }, .x = &cases[i].x };
    quantize_well(&q);
    cr_assert_eq(q.scales[0], cases[i].scale, "%s of %a: %u", text, cases[i].x, q.scales[0]);
    release(&q);
  }
}

// FP8 groups whose scales are powers of two and stored as f32.
Test(exponents, powers_of_two_in_f32) {
  static const double x[] = { 449, 448, -1, 0.5 };
  quantization q = { .scheme = "fp8_group{rule=up, group=2}", .rank = 1, .dims = { 4 }, .x = x };
  quantize_well(&q);
  cr_assert_eq(scale_at(&q, 0), 2);
  cr_assert_eq(scale_at(&q, 1), 0x1p-8);
  cr_assert_eq(q.codes[0], e4m3_of(224.5));
  release(&q);
  // The floor, 1e-10, as the power of two not below it, which is divided by as well.
  static const double small[] = { 0x1p-34, 0 };
  quantization f = {
    .scheme = "fp8_group{rule=up, group=2, floor=scale_1e-10}", .rank = 1, .dims = { 2 }, .x = small
  };
  quantize_well(&f);
  cr_assert_eq(scale_at(&f, 0), 0x1p-33);
  cr_assert_eq(f.codes[0], e4m3_of(0.5));
  release(&f);
}
