// Arithmetic on f32 and f64 in every rounding, against sums and products that are exact (exact.h).
#include "tests/device/exact.h"
#include "tests/device/operation_test.h"

#include <math.h>

#define A s[0]
#define B s[1]
#define C s[2]
#define EXPECT(name, value)                                                                                    \
  static uint64_t name(const uint64_t *s) {                                                                    \
    return (uint64_t)(value);                                                                                  \
  }
#define NAN32 0x7FFFFFFFu
#define ONE32 0x3F800000u

// Subnormals to zeros of their sign; numbers to [0, 1], NaN to +0.
static uint64_t ftz(uint64_t bits) {
  return bits & 0x7F800000 ? bits : bits & 0x80000000;
}
static uint64_t sat(uint64_t bits) {
  if (bits & 0x80000000 || bits > 0x7F800000) return 0;
  return bits > ONE32 ? ONE32 : bits;
}

// a + b is a * 1 + b, a * b is a * b + a zero of its sign.
static uint64_t sum(uint64_t a, uint64_t b, exact_rounding r) {
  return exact_fma(exact_f32, a, ONE32, b, r);
}
static uint64_t product(uint64_t a, uint64_t b, exact_rounding r) {
  return exact_fma(exact_f32, a, b, (a ^ b) & 0x80000000, r);
}

#define ROUNDINGS(X) X(rn, EXACT_RN) X(rz, EXACT_RZ) X(rm, EXACT_RM) X(rp, EXACT_RP)
#define DEFINE(name, rounding)                                                                                 \
  EXPECT(add_##name, sum(A, B, rounding))                                                                      \
  EXPECT(sub_##name, sum(A, B ^ 0x80000000, rounding))                                                         \
  EXPECT(mul_##name, product(A, B, rounding))                                                                  \
  EXPECT(fma_##name, exact_fma(exact_f32, A, B, C, rounding))
ROUNDINGS(DEFINE)
EXPECT(add_ftz, ftz(sum(ftz(A), ftz(B), EXACT_RN)))
EXPECT(mul_ftz, ftz(product(ftz(A), ftz(B), EXACT_RN)))
EXPECT(fma_ftz, ftz(exact_fma(exact_f32, ftz(A), ftz(B), ftz(C), EXACT_RN)))
EXPECT(add_sat, sat(sum(A, B, EXACT_RN)))
EXPECT(fma_rz_sat, sat(exact_fma(exact_f32, A, B, C, EXACT_RZ)))
EXPECT(mul_rp_ftz_sat, sat(ftz(product(ftz(A), ftz(B), EXACT_RP))))

Test(floating, sums_and_products_in_every_rounding) {
  const operation table[] = {
    { "add.f32", "fff", add_rn },
    { "add.rn.f32", "fff", add_rn },
    { "add.rz.f32", "fff", add_rz },
    { "add.rm.f32", "fff", add_rm },
    { "add.rp.f32", "fff", add_rp },
    { "sub.f32", "fff", sub_rn },
    { "sub.rz.f32", "fff", sub_rz },
    { "sub.rm.f32", "fff", sub_rm },
    { "sub.rp.f32", "fff", sub_rp },
    { "mul.f32", "fff", mul_rn },
    { "mul.rz.f32", "fff", mul_rz },
    { "mul.rm.f32", "fff", mul_rm },
    { "mul.rp.f32", "fff", mul_rp },
    { "fma.rn.f32", "ffff", fma_rn },
    { "fma.rz.f32", "ffff", fma_rz },
    { "fma.rm.f32", "ffff", fma_rm },
    { "fma.rp.f32", "ffff", fma_rp },
    { "mad.rn.f32", "ffff", fma_rn },
    { "add.ftz.f32", "fff", add_ftz },
    { "mul.ftz.f32", "fff", mul_ftz },
    { "fma.rn.ftz.f32", "ffff", fma_ftz },
    { "add.sat.f32", "fff", add_sat },
    { "fma.rz.sat.f32", "ffff", fma_rz_sat },
    { "mul.rp.ftz.sat.f32", "fff", mul_rp_ftz_sat },
  };
  OPERATIONS_CHECK(table);
}

#define PAIR(name, function, rounding)                                                                         \
  static uint64_t name(const uint64_t *s) {                                                                    \
    const uint64_t low[] = { A & UINT32_MAX, B & UINT32_MAX, C & UINT32_MAX };                                 \
    const uint64_t high[] = { A >> 32, B >> 32, C >> 32 };                                                     \
    return function(low) | function(high) << 32;                                                               \
  }
PAIR(add_pair, add_rn, EXACT_RN)
PAIR(mul_pair, mul_rm, EXACT_RM)
PAIR(fma_pair, fma_rn, EXACT_RN)
PAIR(fma_ftz_pair, fma_ftz, EXACT_RN)

Test(floating, pairs) {
  const operation table[] = {
    { "add.rn.f32x2", "FFF", add_pair, .target = "sm_100a" },
    { "mul.rm.f32x2", "FFF", mul_pair, .target = "sm_100a" },
    { "fma.rn.f32x2", "FFFF", fma_pair, .target = "sm_100a" },
    { "fma.rn.ftz.f32x2", "FFFF", fma_ftz_pair, .target = "sm_100a" },
  };
  OPERATIONS_CHECK(table);
}

// --- quotients and roots: the neighbour for which the product is right ----------------------------------

// The largest number of which `above` does not say that it is beyond the exact result, for results that are
// positive and finite; then by the rounding. `above` gives the sign of (candidate - exact), `middle` that of
// the number halfway to the next one.
typedef int compare_function(uint64_t candidate, uint64_t a, uint64_t b);

// Halfway between a number and the next: its significand twice, plus one, at half the power.
static int compare_quotient_parts(exact_parts q, uint64_t b, uint64_t a) {
  exact difference = { 0 };
  exact_parts minus = exact_take(exact_f32, a);
  minus.negative = !minus.negative;
  exact_add(&difference, q, exact_take(exact_f32, b));
  exact_add(&difference, minus, (exact_parts){ false, 1, 0 });
  return exact_is_zero(&difference) ? 0 : exact_is_negative(&difference) ? -1 : 1;
}
static int compare_root_parts(exact_parts q, uint64_t a) {
  exact difference = { 0 };
  exact_parts minus = exact_take(exact_f32, a);
  minus.negative = !minus.negative;
  exact_add(&difference, q, q);
  exact_add(&difference, minus, (exact_parts){ false, 1, 0 });
  return exact_is_zero(&difference) ? 0 : exact_is_negative(&difference) ? -1 : 1;
}

// |a / b|, or the root of a where b is 0, by bisection over all positive floats; `negative` is the result's
// sign.
static uint64_t search(uint64_t a, uint64_t b, bool negative, exact_rounding r) {
  uint64_t low = 0, high = 0x7F7FFFFF; // low is never beyond the result
  while (low < high) {
    uint64_t middle = (low + high + 1) / 2;
    exact_parts q = exact_take(exact_f32, middle);
    if ((b ? compare_quotient_parts(q, b, a) : compare_root_parts(q, a)) > 0)
      high = middle - 1;
    else
      low = middle;
  }
  exact_parts q = exact_take(exact_f32, low), halfway = { false, 2 * q.significand + 1, q.power - 1 };
  bool exactly = (b ? compare_quotient_parts(q, b, a) : compare_root_parts(q, a)) == 0;
  int side = b ? compare_quotient_parts(halfway, b, a) : compare_root_parts(halfway, a);
  bool away = r == (negative ? EXACT_RM : EXACT_RP);
  if (!exactly && (r == EXACT_RN ? side < 0 || (side == 0 && low & 1) : away)) low++;
  return low | (negative ? 0x80000000 : 0);
}

static uint64_t quotient(uint64_t a, uint64_t b, exact_rounding r) {
  uint64_t sign = (a ^ b) & 0x80000000, x = a & 0x7FFFFFFF, y = b & 0x7FFFFFFF;
  if (x > 0x7F800000 || y > 0x7F800000 || (x == y && (x == 0 || x == 0x7F800000))) return NAN32;
  if (x == 0x7F800000 || y == 0) return sign | 0x7F800000;
  if (y == 0x7F800000 || x == 0) return sign;
  return search(x, y, sign != 0, r);
}
static uint64_t root(uint64_t a, exact_rounding r) {
  if ((a & 0x7FFFFFFF) == 0 || a == 0x7F800000) return a;
  return a > 0x7F800000 ? NAN32 : search(a, 0, false, r);
}
#define DEFINE_QUOTIENTS(name, rounding)                                                                       \
  EXPECT(div_##name, quotient(A, B, rounding))                                                                 \
  EXPECT(rcp_##name, quotient(ONE32, A, rounding))                                                             \
  EXPECT(sqrt_##name, root(A, rounding))
ROUNDINGS(DEFINE_QUOTIENTS)
EXPECT(div_ftz, ftz(quotient(ftz(A), ftz(B), EXACT_RN)))

Test(floating, quotients_and_roots_in_every_rounding) {
  const operation table[] = {
    { "div.rn.f32", "fff", div_rn },      { "div.rz.f32", "fff", div_rz },  { "div.rm.f32", "fff", div_rm },
    { "div.rp.f32", "fff", div_rp },      { "rcp.rn.f32", "ff", rcp_rn },   { "rcp.rz.f32", "ff", rcp_rz },
    { "rcp.rm.f32", "ff", rcp_rm },       { "rcp.rp.f32", "ff", rcp_rp },   { "sqrt.rn.f32", "ff", sqrt_rn },
    { "sqrt.rz.f32", "ff", sqrt_rz },     { "sqrt.rm.f32", "ff", sqrt_rm }, { "sqrt.rp.f32", "ff", sqrt_rp },
    { "div.rn.ftz.f32", "fff", div_ftz },
  };
  OPERATIONS_CHECK(table);
}

// --- f64: operands of moderate exponents, in exact.h's range --------------------------------------------

static uint64_t moderate(uint64_t bits) {
  uint64_t exponent = bits >> 52 & 0x7FF;
  if (exponent > 973 && exponent < 1073) return bits;
  return (bits & 0x800FFFFFFFFFFFFF) | (973 + exponent % 100) << 52;
}

typedef struct wide_case {
  const char *text;
  int operands;
  exact_rounding rounding;
  char kind;
} wide_case;

Test(floating, f64_in_every_rounding) {
  const wide_case cases[] = {
    { "add.f64", 2, EXACT_RN, '+' },    { "add.rz.f64", 2, EXACT_RZ, '+' }, { "add.rm.f64", 2, EXACT_RM, '+' },
    { "add.rp.f64", 2, EXACT_RP, '+' }, { "sub.rp.f64", 2, EXACT_RP, '-' }, { "mul.rn.f64", 2, EXACT_RN, '*' },
    { "mul.rz.f64", 2, EXACT_RZ, '*' }, { "mul.rm.f64", 2, EXACT_RM, '*' }, { "fma.rn.f64", 3, EXACT_RN, 'f' },
    { "fma.rz.f64", 3, EXACT_RZ, 'f' }, { "fma.rm.f64", 3, EXACT_RM, 'f' }, { "fma.rp.f64", 3, EXACT_RP, 'f' },
  };
  static uint64_t in[4 * 512], out[512];
  const uint64_t one = UINT64_C(1023) << 52, minus = UINT64_C(1) << 63;
  uint64_t random = 64;
  for (int i = 0; i < 4 * 512; i++)
    in[i] = moderate((uint64_t)device_random(&random) << 32 | device_random(&random));
  for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
    operation_run(&(operation){ .text = cases[c].text, .operands = cases[c].operands == 2 ? "ggg" : "gggg" },
                  in, out, 512);
    for (int i = 0; i < 512; i++) {
      const uint64_t *s = in + 4 * i;
      bool sums = cases[c].kind == '+' || cases[c].kind == '-';
      uint64_t last = cases[c].kind == 'f'   ? C
                      : cases[c].kind == '*' ? (A ^ B) & minus
                      : cases[c].kind == '-' ? B ^ minus
                                             : B;
      uint64_t expected = exact_fma(exact_f64, A, sums ? one : B, last, cases[c].rounding);
      cr_expect_eq(out[i], expected, "%s of %llx, %llx, %llx is %llx, not %llx", cases[c].text,
                   (unsigned long long)A, (unsigned long long)B, (unsigned long long)C,
                   (unsigned long long)out[i], (unsigned long long)expected);
    }
  }
}

static double as_f64(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
EXPECT(div64, bits_of(as_f64(A) / as_f64(B)))
EXPECT(rcp64, bits_of(1 / as_f64(A)))
EXPECT(sqrt64, bits_of(sqrt(as_f64(A))))
EXPECT(abs64, A & ~(UINT64_C(1) << 63))
EXPECT(neg64, A ^ UINT64_C(1) << 63)
EXPECT(copysign64, (A & UINT64_C(1) << 63) | (B & ~(UINT64_C(1) << 63)))

Test(floating, f64_to_nearest) {
  const operation table[] = {
    { "div.rn.f64", "ggg", div64 }, { "rcp.rn.f64", "gg", rcp64 }, { "sqrt.rn.f64", "gg", sqrt64 },
    { "abs.f64", "gg", abs64 },     { "neg.f64", "gg", neg64 },    { "copysign.f64", "ddd", copysign64 },
  };
  OPERATIONS_CHECK(table);
}

// Directed quotients and roots of f64 lie on their side of the result to nearest, at most one step away, and
// are exact or enclose the quotient.
Test(floating, directed_quotients_of_f64_enclose) {
  static uint64_t in[4 * 512], down[512], up[512], zero[512];
  uint64_t random = 65;
  for (int i = 0; i < 4 * 512; i++)
    in[i] = moderate((uint64_t)device_random(&random) << 32 | device_random(&random));
  operation_run(&(operation){ .text = "div.rm.f64", .operands = "ggg" }, in, down, 512);
  operation_run(&(operation){ .text = "div.rp.f64", .operands = "ggg" }, in, up, 512);
  operation_run(&(operation){ .text = "div.rz.f64", .operands = "ggg" }, in, zero, 512);
  for (int i = 0; i < 512; i++) {
    const uint64_t *s = in + 4 * i;
    int over = B >> 63 ? -1 : 1;
    // q * b - a has the sign of (q - a / b) * b.
    cr_expect_leq(exact_compare_product(exact_f64, down[i], B, A) * over, 0);
    cr_expect_geq(exact_compare_product(exact_f64, up[i], B, A) * over, 0);
    cr_expect(down[i] == up[i] || nextafter(as_f64(down[i]), INFINITY) == as_f64(up[i]));
    cr_expect_eq(zero[i], (A ^ B) >> 63 ? up[i] : down[i]);
  }
}

// --- signs, extremes, classes ---------------------------------------------------------------------------

static bool is_nan(uint64_t bits) {
  return (bits & 0x7FFFFFFF) > 0x7F800000;
}
// Floats in their order as integers.
static int64_t rank(uint64_t bits) {
  return bits & 0x80000000 ? -(int64_t)(bits & 0x7FFFFFFF) - 1 : (int64_t)bits;
}
static uint64_t larger(uint64_t a, uint64_t b) {
  if (is_nan(a) || is_nan(b)) return is_nan(a) && is_nan(b) ? NAN32 : is_nan(a) ? b : a;
  return rank(a) > rank(b) ? a : b;
}
static uint64_t smaller(uint64_t a, uint64_t b) {
  if (is_nan(a) || is_nan(b)) return larger(a, b);
  return rank(a) < rank(b) ? a : b;
}
#define MAGNITUDE(x) ((x) & 0x7FFFFFFF)
static uint64_t with_sign(uint64_t value, uint64_t sign) {
  return is_nan(value) ? NAN32 : value | (sign & 0x80000000);
}
EXPECT(abs32, is_nan(A) ? NAN32 : MAGNITUDE(A))
EXPECT(neg32, is_nan(A) ? NAN32 : A ^ 0x80000000)
EXPECT(abs_ftz, is_nan(A) ? NAN32 : ftz(MAGNITUDE(A)))
EXPECT(neg_ftz, is_nan(A) ? NAN32 : ftz(A) ^ 0x80000000)
EXPECT(copysign32, (A & 0x80000000) | MAGNITUDE(B))
EXPECT(max32, larger(A, B))
EXPECT(min32, smaller(A, B))
EXPECT(max_ftz, larger(ftz(A), ftz(B)))
EXPECT(max_nan, is_nan(A) || is_nan(B) ? NAN32 : larger(A, B))
EXPECT(min_nan, is_nan(A) || is_nan(B) ? NAN32 : smaller(A, B))
EXPECT(max_xorsign, with_sign(larger(MAGNITUDE(A), MAGNITUDE(B)), A ^ B))
EXPECT(min_nan_xorsign, is_nan(A) || is_nan(B) ? NAN32 : with_sign(smaller(MAGNITUDE(A), MAGNITUDE(B)), A ^ B))
EXPECT(max_of_3, larger(larger(A, B), C))
EXPECT(min_of_3_nan, is_nan(A) || is_nan(B) || is_nan(C) ? NAN32 : smaller(smaller(A, B), C))
EXPECT(max_of_3_abs, larger(larger(MAGNITUDE(A), MAGNITUDE(B)), MAGNITUDE(C)))
static int64_t rank64(uint64_t bits) {
  return bits >> 63 ? -(int64_t)(bits & INT64_MAX) - 1 : (int64_t)bits;
}
EXPECT(max64, isnan(as_f64(A)) ? B : isnan(as_f64(B)) ? A : rank64(A) > rank64(B) ? A : B)
EXPECT(min64, isnan(as_f64(A)) ? B : isnan(as_f64(B)) ? A : rank64(A) < rank64(B) ? A : B)

Test(floating, signs_and_extremes) {
  const operation table[] = {
    { "abs.f32", "ff", abs32, .any_nan = true },
    { "neg.f32", "ff", neg32, .any_nan = true },
    { "abs.ftz.f32", "ff", abs_ftz, .any_nan = true },
    { "neg.ftz.f32", "ff", neg_ftz, .any_nan = true },
    { "copysign.f32", "rrr", copysign32 },
    { "max.f32", "fff", max32 },
    { "min.f32", "fff", min32 },
    { "max.ftz.f32", "fff", max_ftz },
    { "max.NaN.f32", "fff", max_nan },
    { "min.NaN.f32", "fff", min_nan },
    { "max.xorsign.abs.f32", "fff", max_xorsign, .target = "sm_86" },
    { "min.NaN.xorsign.abs.f32", "fff", min_nan_xorsign, .target = "sm_86" },
    { "max.f32", "ffff", max_of_3, .target = "sm_100a", .version = "8.8" },
    { "min.NaN.f32", "ffff", min_of_3_nan, .target = "sm_100a", .version = "8.8" },
    { "max.abs.f32", "ffff", max_of_3_abs, .target = "sm_100a", .version = "8.8" },
    { "max.f64", "ggg", max64 },
    { "min.f64", "ggg", min64 },
  };
  OPERATIONS_CHECK(table);
}

EXPECT(finite, MAGNITUDE(A) < 0x7F800000)
EXPECT(infinite, MAGNITUDE(A) == 0x7F800000)
EXPECT(number, MAGNITUDE(A) <= 0x7F800000)
EXPECT(notanumber, MAGNITUDE(A) > 0x7F800000)
EXPECT(normal, MAGNITUDE(A) >= 0x800000 && MAGNITUDE(A) < 0x7F800000)
EXPECT(subnormal, MAGNITUDE(A) > 0 && MAGNITUDE(A) < 0x800000)
EXPECT(subnormal64, (A & INT64_MAX) > 0 && (A & INT64_MAX) < UINT64_C(1) << 52)
EXPECT(infinite64, (A & INT64_MAX) == UINT64_C(0x7FF) << 52)

Test(floating, classes) {
  const operation table[] = {
    { "testp.finite.f32", "pf", finite },         { "testp.infinite.f32", "pf", infinite },
    { "testp.number.f32", "pf", number },         { "testp.notanumber.f32", "pf", notanumber },
    { "testp.normal.f32", "pf", normal },         { "testp.subnormal.f32", "pf", subnormal },
    { "testp.subnormal.f64", "pg", subnormal64 }, { "testp.infinite.f64", "pg", infinite64 },
  };
  OPERATIONS_CHECK(table);
}
