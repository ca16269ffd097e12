// Approximations. The emulator's values are within half a unit in the last place, and a little, of the exact
// ones; a GPU's are within the bounds that the PTX ISA states.
//
// What is exact comes from the C library in long double: other code than the emulator's, and more exact.
#include "tests/device/operation_test.h"

#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <float.h>
#include <math.h>

typedef long double function(long double x);

typedef struct approximation {
  const char *text;
  const char *operands; // "ff", "ee", "bb"
  function *exact;
  double relative, absolute; // on a GPU
  float low, high;           // where they hold; 0, 0: everywhere
  bool flushes;              // subnormal operands and results are 0
} approximation;

static float as_f32(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
static float decode(char letter, uint64_t bits) {
  uint32_t word = (uint32_t)bits;
  return as_f32(letter == 'e' ? qn_f16_to_f32(word) : letter == 'b' ? qn_bf16_to_f32(word) : word);
}

// The distance between numbers of the type around x.
static double unit(char letter, long double x) {
  int mantissa = letter == 'e' ? 10 : letter == 'b' ? 7 : 23, least = letter == 'e' ? -14 : -126, exponent;
  frexpl(x, &exponent);
  return ldexp(1, (exponent - 1 < least ? least : exponent - 1) - mantissa);
}
static double smallest(char letter) {
  return letter == 'e' ? 0x1p-24 : letter == 'b' ? 0x1p-133 : 0x1p-149;
}
static long double largest(char letter) {
  return letter == 'e' ? 65504 : letter == 'b' ? 0x1.FEp127L : FLT_MAX;
}

static bool is_within(const approximation *a, float x, float found) {
  char letter = a->operands[1];
  float normal = letter == 'e' ? 0x1p-14f : 0x1p-126f;
  if (a->flushes && fabsf(x) < normal) x = copysignf(0, x);
  long double exact = a->exact(x);
  if (isnan(exact)) return isnan(found);
  if (fabsl(exact) == 0 || isinf(exact)) return found == exact && !signbit(found) == !signbit(exact);
  if (a->flushes && fabsl(exact) < normal) return fabsf(found) == 0 || fabsf(found) == normal;
  double error = 0.501 * unit(letter, exact);
  if (!device_is_emulator()) error = a->relative * (double)fabsl(exact) + a->absolute + smallest(letter);
  if (fabsl(exact) + error > largest(letter) && isinf(found)) return true;
  return fabsl(found - exact) <= error;
}

static uint64_t operand(char letter, uint32_t i, uint64_t *random) {
  static const uint32_t notable[] = { 0,          0x80000000, 1,          0x80000001, 0x007FFFFF, 0x00800000,
                                      0x3F800000, 0xBF800000, 0x3F7FFFFF, 0x3F800001, 0x40000000, 0x42FE0000,
                                      0x43000000, 0xC2FC0000, 0xC3150000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000,
                                      0xFF800000, 0x7FC00000, 0x7E800000, 0x40490FDB, 0x3FC90FDB, 0x40C90FDB,
                                      0x4B000000, 0x7149F2CA };
  if (letter != 'f') return i; // every one
  if (i < QN_COUNT(notable)) return notable[i];
  uint32_t bits = device_random(random);
  if (i % 4 == 0) return bits;
  // Numbers between 2^-20 and 2^12.
  return (bits & 0x807FFFFF) | (107 + device_random(random) % 32) << 23;
}

static void check(const approximation *a) {
  enum { COUNT = 65536 };
  static uint64_t in[4 * COUNT], out[COUNT];
  uint64_t random = 0xA1;
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < COUNT; i++) in[4 * i] = operand(a->operands[1], i, &random);
  operation_run(&(operation){ .text = a->text,
                              .operands = a->operands,
                              .target = a->operands[1] == 'b' ? "sm_90a" : NULL },
                in, out, COUNT);
  for (uint32_t i = 0; i < COUNT; i++) {
    float x = decode(a->operands[1], in[4 * i]), found = decode(a->operands[0], out[i]);
    bool bounded = a->low == a->high || (x >= a->low && x <= a->high) || device_is_emulator();
    if (bounded && !is_within(a, x, found) && wrong++ < 3)
      cr_expect_fail("%s of %a is %a, exactly %La", a->text, (double)x, (double)found, a->exact(x));
  }
  cr_expect_eq(wrong, 0, "%s: %u are wrong", a->text, wrong);
}
#define CHECK(...) check(&(const approximation){ __VA_ARGS__ })

static long double reciprocal(long double x) {
  return 1 / x;
}
static long double reciprocal_root(long double x) {
  return 1 / sqrtl(x);
}

Test(approx, reciprocals_and_roots) {
  CHECK("rcp.approx.f32", "ff", reciprocal, .relative = 0x1p-23);
  CHECK("rcp.approx.ftz.f32", "ff", reciprocal, .relative = 0x1p-23, .flushes = true);
  CHECK("sqrt.approx.f32", "ff", sqrtl, .relative = 0x1p-23);
  CHECK("sqrt.approx.ftz.f32", "ff", sqrtl, .relative = 0x1p-23, .flushes = true);
  CHECK("rsqrt.approx.f32", "ff", reciprocal_root, .relative = 0x1.13p-23);
  CHECK("rsqrt.approx.ftz.f32", "ff", reciprocal_root, .relative = 0x1.13p-23, .flushes = true);
}

Test(approx, exponentials_and_logarithms) {
  CHECK("ex2.approx.f32", "ff", exp2l, .relative = 0x1p-22);
  CHECK("ex2.approx.ftz.f32", "ff", exp2l, .relative = 0x1p-22, .flushes = true);
  CHECK("ex2.approx.f16", "ee", exp2l, .relative = 0x1.13p-10);
  CHECK("ex2.approx.ftz.bf16", "bb", exp2l, .relative = 0x1p-7, .flushes = true);
  CHECK("lg2.approx.f32", "ff", log2l, .relative = 0x1p-22, .absolute = 0x1p-22);
  CHECK("lg2.approx.ftz.f32", "ff", log2l, .relative = 0x1p-22, .absolute = 0x1p-22, .flushes = true);
}

Test(approx, circular_and_hyperbolic) {
  CHECK("sin.approx.f32", "ff", sinl, .absolute = 0x1.7p-21, .low = -6.28f, .high = 6.28f);
  CHECK("cos.approx.f32", "ff", cosl, .absolute = 0x1.7p-21, .low = -6.28f, .high = 6.28f);
  CHECK("sin.approx.ftz.f32", "ff", sinl, .absolute = 0x1.7p-21, .low = -6.28f, .high = 6.28f, .flushes = true);
  CHECK("tanh.approx.f32", "ff", tanhl, .relative = 0x1p-11);
  CHECK("tanh.approx.f16", "ee", tanhl, .absolute = 0x1.03p-11);
  CHECK("tanh.approx.bf16", "bb", tanhl, .absolute = 0x1p-8);
}

// A pair is two of them.
Test(approx, pairs) {
  static uint64_t in[4 * 256], out[256], low[256], high[256], one[4 * 256];
  const char *const texts[][2] = { { "ex2.approx.f16x2", "ex2.approx.f16" },
                                   { "tanh.approx.f16x2", "tanh.approx.f16" } };
  uint64_t random = 7;
  for (size_t t = 0; t < QN_COUNT(texts); t++) {
    for (int i = 0; i < 256; i++) in[4 * i] = device_random(&random);
    operation_run(&(operation){ .text = texts[t][0], .operands = "EE" }, in, out, 256);
    for (int i = 0; i < 256; i++) one[4 * i] = in[4 * i] & 0xFFFF;
    operation_run(&(operation){ .text = texts[t][1], .operands = "ee" }, one, low, 256);
    for (int i = 0; i < 256; i++) one[4 * i] = in[4 * i] >> 16;
    operation_run(&(operation){ .text = texts[t][1], .operands = "ee" }, one, high, 256);
    for (int i = 0; i < 256; i++) cr_expect_eq(out[i], high[i] << 16 | low[i]);
  }
}

// --- quotients: a / b within 2 ulp, and what div.approx makes of large divisors -------------------------

static float divided(uint64_t a, uint64_t b) {
  return as_f32((uint32_t)a) / as_f32((uint32_t)b);
}
static uint64_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return isnan(value) ? 0x7FFFFFFF : bits;
}
static uint64_t div_full(const uint64_t *s) {
  return bits_of(divided(s[0], s[1]));
}
static uint64_t div_approx(const uint64_t *s) {
  uint64_t divisor = s[1] & 0x7FFFFFFF, sign = (s[0] ^ s[1]) & 0x80000000;
  if (divisor <= 0x7E800000 || divisor >= 0x7F800000) return div_full(s);
  return (s[0] & 0x7FFFFFFF) >= 0x7F800000 ? 0x7FFFFFFF : sign;
}

Test(approx, quotients) {
  if (!device_is_emulator()) cr_skip_test("div.approx of subnormals is as the machine likes");
  const operation table[] = {
    { "div.full.f32", "fff", div_full },
    { "div.approx.f32", "fff", div_approx },
  };
  OPERATIONS_CHECK(table);
}

// The upper halves of f64: 20 bits of the mantissa, zeros below.
Test(approx, coarse_f64) {
  static uint64_t in[4 * 512], out[512];
  uint64_t random = 8;
  for (int i = 0; i < 512; i++)
    in[4 * i] = ((uint64_t)device_random(&random) << 32 | device_random(&random)) >> 1;
  for (int t = 0; t < 2; t++) {
    operation_run(&(operation){ .text = t ? "rsqrt.approx.ftz.f64" : "rcp.approx.ftz.f64", .operands = "gg" },
                  in, out, 512);
    for (int i = 0; i < 512; i++) {
      double x, found;
      memcpy(&x, &in[4 * i], 8);
      memcpy(&found, &out[i], 8);
      double exact = t ? 1 / sqrt(x) : 1 / x;
      if (isnan(x) || !(fabs(exact) >= DBL_MIN) || fabs(x) < DBL_MIN) continue;
      cr_expect_leq(fabs(found - exact), fabs(exact) * 0x1p-18, "of %a: %a", x, found);
      cr_expect_eq(out[i] & UINT32_MAX, 0);
    }
  }
}
