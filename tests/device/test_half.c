// Arithmetic on f16 and bf16 against sums and products that are exact (exact.h), rounded once.
#include "tests/device/exact.h"
#include "tests/device/operation_test.h"

#define A s[0]
#define B s[1]
#define C s[2]
#define EXPECT(name, value)                                                                                    \
  static uint64_t name(const uint64_t *s) {                                                                    \
    return (uint64_t)(value);                                                                                  \
  }
#define NAN16 0x7FFF

typedef struct half {
  exact_format format;
  uint64_t one, infinity;
} half;
static const half f16 = { { 10, 5 }, 0x3C00, 0x7C00 }, bf16 = { { 7, 8 }, 0x3F80, 0x7F80 };

static uint64_t fused(half h, uint64_t a, uint64_t b, uint64_t c) {
  return exact_fma(h.format, a, b, c, EXACT_RN);
}
static bool is_nan(half h, uint64_t bits) {
  return (bits & 0x7FFF) > h.infinity;
}
static uint64_t ftz(half h, uint64_t bits) {
  return bits & h.infinity ? bits : bits & 0x8000;
}
static uint64_t sat(half h, uint64_t bits) {
  if (bits & 0x8000 || is_nan(h, bits)) return 0;
  return bits > h.one ? h.one : bits;
}
static uint64_t relu(half h, uint64_t bits) {
  return is_nan(h, bits) ? NAN16 : bits & 0x8000 ? 0 : bits;
}
static int64_t rank(uint64_t bits) {
  return bits & 0x8000 ? -(int64_t)(bits & 0x7FFF) - 1 : (int64_t)bits;
}
static uint64_t larger(half h, uint64_t a, uint64_t b) {
  if (is_nan(h, a) || is_nan(h, b)) return !is_nan(h, a) ? a : !is_nan(h, b) ? b : NAN16;
  return rank(a) > rank(b) ? a : b;
}
static uint64_t smaller(half h, uint64_t a, uint64_t b) {
  if (is_nan(h, a) || is_nan(h, b)) return larger(h, a, b);
  return rank(a) < rank(b) ? a : b;
}

#define DEFINE(t)                                                                                              \
  EXPECT(add_##t, fused(t, A, t.one, B))                                                                       \
  EXPECT(sub_##t, fused(t, A, t.one, B ^ 0x8000))                                                              \
  EXPECT(mul_##t, fused(t, A, B, (A ^ B) & 0x8000))                                                            \
  EXPECT(fma_##t, fused(t, A, B, C))                                                                           \
  EXPECT(fma_relu_##t, relu(t, fused(t, A, B, C)))                                                             \
  EXPECT(max_##t, larger(t, A, B))                                                                             \
  EXPECT(min_##t, smaller(t, A, B))                                                                            \
  EXPECT(max_nan_##t, is_nan(t, A) || is_nan(t, B) ? NAN16 : larger(t, A, B))                                  \
  EXPECT(min_xorsign_##t,                                                                                      \
         is_nan(t, A) && is_nan(t, B) ? NAN16 : smaller(t, A & 0x7FFF, B & 0x7FFF) | ((A ^ B) & 0x8000))       \
  EXPECT(abs_##t, is_nan(t, A) ? NAN16 : A & 0x7FFF)                                                           \
  EXPECT(neg_##t, is_nan(t, A) ? NAN16 : A ^ 0x8000)
DEFINE(f16)
DEFINE(bf16)
EXPECT(add_ftz, ftz(f16, fused(f16, ftz(f16, A), f16.one, ftz(f16, B))))
EXPECT(mul_sat, sat(f16, mul_f16(s)))
EXPECT(fma_ftz_sat, sat(f16, ftz(f16, fused(f16, ftz(f16, A), ftz(f16, B), ftz(f16, C)))))

Test(half, f16) {
  const operation table[] = {
    { "add.f16", "eee", add_f16 },
    { "add.rn.f16", "eee", add_f16 },
    { "sub.f16", "eee", sub_f16 },
    { "mul.f16", "eee", mul_f16 },
    { "fma.rn.f16", "eeee", fma_f16 },
    { "add.ftz.f16", "eee", add_ftz },
    { "mul.sat.f16", "eee", mul_sat },
    { "fma.rn.ftz.sat.f16", "eeee", fma_ftz_sat },
    { "fma.rn.relu.f16", "eeee", fma_relu_f16 },
    { "max.f16", "eee", max_f16 },
    { "min.f16", "eee", min_f16 },
    { "max.NaN.f16", "eee", max_nan_f16 },
    { "abs.f16", "ee", abs_f16, .any_nan = true },
    { "neg.f16", "ee", neg_f16, .any_nan = true },
    { "min.xorsign.abs.f16", "eee", min_xorsign_f16, .target = "sm_86" },
  };
  OPERATIONS_CHECK(table);
}

Test(half, bf16) {
  const operation table[] = {
    { "add.bf16", "bbb", add_bf16, .target = "sm_90a" },
    { "sub.bf16", "bbb", sub_bf16, .target = "sm_90a" },
    { "mul.bf16", "bbb", mul_bf16, .target = "sm_90a" },
    { "fma.rn.bf16", "bbbb", fma_bf16 },
    { "fma.rn.relu.bf16", "bbbb", fma_relu_bf16 },
    { "max.bf16", "bbb", max_bf16 },
    { "min.bf16", "bbb", min_bf16 },
    { "max.NaN.bf16", "bbb", max_nan_bf16 },
    { "abs.bf16", "bb", abs_bf16, .any_nan = true },
    { "neg.bf16", "bb", neg_bf16, .any_nan = true },
    { "min.xorsign.abs.bf16", "bbb", min_xorsign_bf16, .target = "sm_86" },
  };
  OPERATIONS_CHECK(table);
}

#define PAIR(name)                                                                                             \
  static uint64_t name##_pair(const uint64_t *s) {                                                             \
    const uint64_t low[] = { A & 0xFFFF, B & 0xFFFF, C & 0xFFFF }, high[] = { A >> 16, B >> 16, C >> 16 };     \
    return (name(low) & 0xFFFF) | (name(high) & 0xFFFF) << 16;                                                 \
  }
PAIR(add_f16)
PAIR(mul_sat)
PAIR(fma_f16)
PAIR(fma_relu_f16)
PAIR(max_nan_f16)
PAIR(neg_f16)
PAIR(fma_bf16)
PAIR(max_bf16)
PAIR(abs_bf16)

Test(half, pairs) {
  const operation table[] = {
    { "add.f16x2", "EEE", add_f16_pair },
    { "mul.sat.f16x2", "EEE", mul_sat_pair },
    { "fma.rn.f16x2", "EEEE", fma_f16_pair },
    { "fma.rn.relu.f16x2", "EEEE", fma_relu_f16_pair },
    { "max.NaN.f16x2", "EEE", max_nan_f16_pair },
    { "neg.f16x2", "EE", neg_f16_pair, .any_nan = true },
    { "fma.rn.bf16x2", "BBBB", fma_bf16_pair },
    { "max.bf16x2", "BBB", max_bf16_pair },
    { "abs.bf16x2", "BB", abs_bf16_pair, .any_nan = true },
  };
  OPERATIONS_CHECK(table);
}

// Every f16 through abs and neg, and the square of each: all codes there are.
Test(half, every_f16) {
  static uint64_t in[4 * 65536], out[65536];
  for (uint64_t i = 0; i < 65536; i++) in[4 * i] = in[4 * i + 1] = i;
  operation_run(&(operation){ .text = "mul.f16", .operands = "eee" }, in, out, 65536);
  for (uint64_t i = 0; i < 65536; i++) {
    const uint64_t s[] = { i, i };
    cr_expect_eq(out[i], mul_f16(s), "%llx squared is %llx, not %llx", (unsigned long long)i,
                 (unsigned long long)out[i], (unsigned long long)mul_f16(s));
  }
}
