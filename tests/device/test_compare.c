// Comparisons and selections: setp, set, selp, slct. Floats are compared by their ranks as integers.
#include "tests/device/operation_test.h"

#define A s[0]
#define B s[1]
#define C s[2]

typedef enum order { LESS, EQUAL, GREATER, UNORDERED } order;

static order of_unsigned(uint64_t a, uint64_t b) {
  return a < b ? LESS : a == b ? EQUAL : GREATER;
}
// Turning the sign bit over makes the order of signed integers that of unsigned ones.
static order of_signed(uint64_t a, uint64_t b, int bits) {
  uint64_t sign = UINT64_C(1) << (bits - 1);
  return of_unsigned(a ^ sign, b ^ sign);
}
// `infinity`: of the type, positive; its sign bit is the one above.
static order of_floats(uint64_t a, uint64_t b, int bits, uint64_t infinity) {
  uint64_t sign = UINT64_C(1) << (bits - 1);
  if ((a & ~sign) > infinity || (b & ~sign) > infinity) return UNORDERED;
  if (((a | b) & ~sign) == 0) return EQUAL;
  return of_unsigned(a & sign ? sign - (a & ~sign) : sign + a, b & sign ? sign - (b & ~sign) : sign + b);
}
static bool holds(const char *comparison, order o) {
  static const struct {
    const char *name;
    bool of[4]; // less, equal, greater, unordered
  } truths[] = {
    { "eq", { 0, 1, 0, 0 } },  { "ne", { 1, 0, 1, 0 } },  { "lt", { 1, 0, 0, 0 } },  { "le", { 1, 1, 0, 0 } },
    { "gt", { 0, 0, 1, 0 } },  { "ge", { 0, 1, 1, 0 } },  { "lo", { 1, 0, 0, 0 } },  { "ls", { 1, 1, 0, 0 } },
    { "hi", { 0, 0, 1, 0 } },  { "hs", { 0, 1, 1, 0 } },  { "equ", { 0, 1, 0, 1 } }, { "neu", { 1, 0, 1, 1 } },
    { "ltu", { 1, 0, 0, 1 } }, { "leu", { 1, 1, 0, 1 } }, { "gtu", { 0, 0, 1, 1 } }, { "geu", { 0, 1, 1, 1 } },
    { "num", { 1, 1, 1, 0 } }, { "nan", { 0, 0, 0, 1 } },
  };
  for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++)
    if (strcmp(truths[i].name, comparison) == 0) return truths[i].of[o];
  cr_assert_fail("no comparison %s", comparison);
  return false;
}

#define F16_INFINITY  0x7C00
#define BF16_INFINITY 0x7F80
#define F32_INFINITY  0x7F800000
#define F64_INFINITY  UINT64_C(0x7FF0000000000000)

// One comparison of one type as a test of an instruction.
#define DEFINE(type, comparison, order)                                                                        \
  static uint64_t type##_##comparison(const uint64_t *s) {                                                     \
    return holds(#comparison, order);                                                                          \
  }
// clang-format off
#define SIX(X, type, letter, order)                                                                            \
  X(type, eq, letter, order) X(type, ne, letter, order) X(type, lt, letter, order)                             \
  X(type, le, letter, order) X(type, gt, letter, order) X(type, ge, letter, order)
#define TEN(X, type, letter, order)                                                                            \
  SIX(X, type, letter, order) X(type, lo, letter, order) X(type, ls, letter, order)                            \
  X(type, hi, letter, order) X(type, hs, letter, order)
#define FOURTEEN(X, type, letter, order)                                                                       \
  SIX(X, type, letter, order) X(type, equ, letter, order) X(type, neu, letter, order)                          \
  X(type, ltu, letter, order) X(type, leu, letter, order) X(type, gtu, letter, order)                          \
  X(type, geu, letter, order) X(type, num, letter, order) X(type, nan, letter, order)
#define INTEGER_TYPES(X)                                                                                       \
  X(b16, eq, "phh", of_unsigned(A, B))                                                                         \
  X(b16, ne, "phh", of_unsigned(A, B))                                                                         \
  X(b32, eq, "prr", of_unsigned(A, B))                                                                         \
  X(b32, ne, "prr", of_unsigned(A, B))                                                                         \
  X(b64, eq, "pdd", of_unsigned(A, B))                                                                         \
  X(b64, ne, "pdd", of_unsigned(A, B))                                                                         \
  TEN(X, u16, "phh", of_unsigned(A, B))                                                                        \
  TEN(X, u32, "prr", of_unsigned(A, B))                                                                        \
  TEN(X, u64, "pdd", of_unsigned(A, B))                                                                        \
  SIX(X, s16, "phh", of_signed(A, B, 16))                                                                      \
  SIX(X, s32, "prr", of_signed(A, B, 32))                                                                      \
  SIX(X, s64, "pdd", of_signed(A, B, 64))
#define FLOAT_TYPES(X)                                                                                         \
  FOURTEEN(X, f16, "pee", of_floats(A, B, 16, F16_INFINITY))                                                   \
  FOURTEEN(X, f32, "pff", of_floats(A, B, 32, F32_INFINITY))                                                   \
  FOURTEEN(X, f64, "pgg", of_floats(A, B, 64, F64_INFINITY))
#define BF16_TYPES(X) FOURTEEN(X, bf16, "pbb", of_floats(A, B, 16, BF16_INFINITY))
// clang-format on

#define FUNCTION(type, comparison, letters, order) DEFINE(type, comparison, order)
INTEGER_TYPES(FUNCTION)
FLOAT_TYPES(FUNCTION)
BF16_TYPES(FUNCTION)
#define ROW(type, comparison, letters, order) { "setp." #comparison "." #type, letters, type##_##comparison },
#define ROW_90(type, comparison, letters, order)                                                               \
  { "setp." #comparison "." #type, letters, type##_##comparison, .target = "sm_90a" },

Test(compare, integers) {
  const operation table[] = { INTEGER_TYPES(ROW) };
  OPERATIONS_CHECK(table);
}
Test(compare, floats) {
  const operation table[] = { FLOAT_TYPES(ROW) BF16_TYPES(ROW_90) };
  OPERATIONS_CHECK(table);
}

// --- with a predicate, in pairs, flushed ----------------------------------------------------------------

#define EXPECT(name, value)                                                                                    \
  static uint64_t name(const uint64_t *s) {                                                                    \
    return (uint64_t)(value);                                                                                  \
  }
static uint64_t ftz(uint64_t bits) {
  return bits & F32_INFINITY ? bits : bits & 0x80000000;
}
#define LESS_S32 (of_signed(A, B, 32) == LESS)
EXPECT(and_p, LESS_S32 &&C)
EXPECT(or_p, LESS_S32 || C)
EXPECT(xor_p, LESS_S32 != C)
EXPECT(and_not_p, LESS_S32 && !C)
EXPECT(second, !LESS_S32 && C)
EXPECT(either, (LESS_S32 && C) + 2 * (!LESS_S32 && C))
EXPECT(eq_ftz, of_floats(ftz(A), ftz(B), 32, F32_INFINITY) == EQUAL)
EXPECT(low_half, of_floats(A & 0xFFFF, B & 0xFFFF, 16, F16_INFINITY) == LESS)
EXPECT(high_half, of_floats(A >> 16, B >> 16, 16, F16_INFINITY) == LESS)

Test(compare, combined_with_a_predicate) {
  const operation table[] = {
    { "setp.lt.and.s32", "prrp", and_p },
    { "setp.lt.or.s32", "prrp", or_p },
    { "setp.lt.xor.s32", "prrp", xor_p },
    { "not.pred %p3, %p3;\nsetp.lt.and.s32", "prrp", and_not_p },
    { "setp.lt.and.s32 %p0, %r1, %r2, !%p3; // ", "prrp", and_not_p },
  };
  OPERATIONS_CHECK(table);
}

// The second predicate is that of the inverted comparison, combined alike; with pairs, of the upper halves.
Test(compare, pairs_of_predicates) {
  const operation table[] = {
    { "setp.lt.and.s32 %p0|%p4, %r1, %r2, %p3;\nselp.b32 %r4, 2, 0, %p4;\nselp.b32 %r3, 1, 0, %p0;\n"
      "add.u32 %r0, %r3, %r4; // ",
      "rrrp", either },
    { "setp.lt.and.s32 %p4|%p0, %r1, %r2, %p3; // ", "prrp", second },
    { "setp.lt.and.s32 _|%p0, %r1, %r2, %p3; // ", "prrp", second },
    { "setp.lt.and.s32 %p3|%p0, %r1, %r2, %p3; // ", "prrp", second },
    { "setp.lt.and.s32 %p0|%p3, %r1, %r2, !%p3; // ", "prrp", and_not_p },
    { "setp.lt.f16x2 %p0|%p4, %r1, %r2; // ", "pEE", low_half },
    { "setp.lt.f16x2 %p4|%p0, %r1, %r2; // ", "pEE", high_half },
    { "setp.eq.ftz.f32", "pff", eq_ftz },
  };
  OPERATIONS_CHECK(table);
}

EXPECT(all_ones, LESS_S32 ? UINT32_MAX : 0)
EXPECT(one_f32, of_floats(A, B, 32, F32_INFINITY) == LESS ? 0x3F800000 : 0)
EXPECT(combined, LESS_S32 || C ? UINT32_MAX : 0)
EXPECT(halves, (low_half(s) ? 0x3C00 : 0) | (high_half(s) ? 0x3C000000 : 0))
EXPECT(half_masks, (low_half(s) ? 0xFFFF : 0) | (high_half(s) ? 0xFFFF0000 : 0))

Test(compare, numbers) {
  const operation table[] = {
    { "set.lt.u32.s32", "rrr", all_ones },   { "set.lt.s32.s32", "rrr", all_ones },
    { "set.lt.f32.f32", "rff", one_f32 },    { "set.lt.or.u32.s32", "rrrp", combined },
    { "set.lt.f16x2.f16x2", "rEE", halves }, { "set.lt.u32.f16x2", "rEE", half_masks },
  };
  OPERATIONS_CHECK(table);
}

EXPECT(select, C ? A : B)
EXPECT(by_sign, C & 0x80000000 ? B : A)
EXPECT(by_float, C <= F32_INFINITY || C == 0x80000000 ? A : B)
EXPECT(by_float_ftz, C <= F32_INFINITY || ftz(C) == 0x80000000 ? A : B)

Test(compare, selections) {
  const operation table[] = {
    { "selp.b16", "hhhp", select },       { "selp.u16", "hhhp", select },
    { "selp.b32", "rrrp", select },       { "selp.f32", "rrrp", select },
    { "selp.s32", "rrrp", select },       { "selp.b64", "dddp", select },
    { "selp.f64", "dddp", select },       { "slct.u32.s32", "rrrr", by_sign },
    { "slct.b64.s32", "dddr", by_sign },  { "slct.f32.f32", "rrrf", by_float },
    { "slct.u64.f32", "dddf", by_float }, { "slct.ftz.s32.f32", "rrrf", by_float_ftz },
  };
  OPERATIONS_CHECK(table);
}
