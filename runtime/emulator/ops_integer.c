// Integer arithmetic: sums, products, quotients, distances, extremes.
#include "runtime/emulator/operation_priv.h"

// --- helpers of the expressions ------------------------------------------------------------------------------

uint64_t qn_emu_high_u64(uint64_t a, uint64_t b) {
  uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
  uint64_t middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
  uint64_t other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);
  return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}
// A negative factor is 2^64 more as unsigned than it is.
uint64_t qn_emu_high_s64(uint64_t a, uint64_t b) {
  return qn_emu_high_u64(a, b) - (a >> 63 ? b : 0) - (b >> 63 ? a : 0);
}
static inline int32_t saturate_s32(int64_t value) {
  return (int32_t)QN_MAX(QN_MIN(value, INT32_MAX), INT32_MIN);
}
// The low 24 bits as an integer, sign-extended if signed.
static inline int64_t low_s24(uint32_t value) {
  return (int64_t)(value & 0xFFFFFF) - (value & 0x800000 ? 0x1000000 : 0);
}
static inline uint64_t low_u24(uint32_t value) {
  return value & 0xFFFFFF;
}
// Bits 16 to 47 of a product of 48 bits.
static inline int32_t high_s24(uint32_t a, uint32_t b) {
  return (int32_t)(uint32_t)((uint64_t)(low_s24(a) * low_s24(b)) >> 16);
}
static inline uint32_t high_u24(uint32_t a, uint32_t b) {
  return (uint32_t)(low_u24(a) * low_u24(b) >> 16);
}

// Quotients that have no value: all ones where the divisor is 0, as hardware gives, the dividend where the
// quotient overflows. The host would trap.
#define QUOTIENT(a, b)    ((b) == 0 ? UINT64_MAX : (a) / (b))
#define REMAINDER(a, b)   ((b) == 0 ? (a) : (a) % (b))
#define QUOTIENT_S(a, b)  ((b) == 0 ? -1 : (b) == -1 ? (int64_t)(0 - (uint64_t)(a)) : (a) / (b))
#define REMAINDER_S(a, b) ((b) == 0 ? (a) : (b) == -1 ? 0 : (a) % (b))
#define DISTANCE(type)    (a > b ? (type)a - (type)b : (type)b - (type)a)

// --- lists ---------------------------------------------------------------------------------------------------

// The same bits whether signed or not; 16-bit operands are computed in 32 bits.
#define WRAPPING(X, opcode, form, expression16, expression)                                                    \
  X(opcode, form, u16, u16, u16, u16, none, none, 0, expression16)                                             \
  X(opcode, form, s16, u16, u16, u16, none, none, 0, expression16)                                             \
  X(opcode, form, u32, u32, u32, u32, none, none, 0, expression)                                               \
  X(opcode, form, s32, u32, u32, u32, none, none, 0, expression)                                               \
  X(opcode, form, u64, u64, u64, u64, none, none, 0, expression)                                               \
  X(opcode, form, s64, u64, u64, u64, none, none, 0, expression)
#define WRAPPING_3(X, opcode, form, expression16, expression)                                                  \
  X(opcode, form, u16, u16, u16, u16, u16, none, 0, expression16)                                              \
  X(opcode, form, s16, u16, u16, u16, u16, none, 0, expression16)                                              \
  X(opcode, form, u32, u32, u32, u32, u32, none, 0, expression)                                                \
  X(opcode, form, s32, u32, u32, u32, u32, none, 0, expression)                                                \
  X(opcode, form, u64, u64, u64, u64, u64, none, 0, expression)                                                \
  X(opcode, form, s64, u64, u64, u64, u64, none, 0, expression)
// Every integer type, computed as what it is.
#define EVERY(X, opcode, expression)                                                                           \
  X(opcode, plain, u16, u16, u16, u16, none, none, 0, expression)                                              \
  X(opcode, plain, s16, s16, s16, s16, none, none, 0, expression)                                              \
  X(opcode, plain, u32, u32, u32, u32, none, none, 0, expression)                                              \
  X(opcode, plain, s32, s32, s32, s32, none, none, 0, expression)                                              \
  X(opcode, plain, u64, u64, u64, u64, none, none, 0, expression)                                              \
  X(opcode, plain, s64, s64, s64, s64, none, none, 0, expression)
// Packed and rectified, of the minima and maxima.
#define EXTREMES(X, opcode, expression)                                                                        \
  EVERY(X, opcode, expression)                                                                                 \
  X(opcode, plain, u16x2, u16, u16, u16, none, none, 0, expression)                                            \
  X(opcode, plain, s16x2, s16, s16, s16, none, none, 0, expression)                                            \
  X(opcode, relu, s16x2, s16, s16, s16, none, none, 0, QN_MAX(expression, 0))                                  \
  X(opcode, relu, s32, s32, s32, s32, none, none, 0, QN_MAX(expression, 0))
// Columns: opcode, form, type, lanes of the result and of four sources, modifiers it may have, result
// clang-format off
#define INTEGER_MAP(X)                                                                                         \
  WRAPPING(X, add, plain, a + b, a + b)                                                                        \
  X(add, plain, u16x2, u16, u16, u16, none, none, 0, a + b)                                                    \
  X(add, plain, s16x2, u16, u16, u16, none, none, 0, a + b)                                                    \
  X(add, sat, s32, s32, s32, s32, none, none, 0, saturate_s32((int64_t)a + b))                                 \
  WRAPPING(X, sub, plain, a - b, a - b)                                                                        \
  X(sub, sat, s32, s32, s32, s32, none, none, 0, saturate_s32((int64_t)a - b))                                 \
  WRAPPING(X, mul, lo, (uint32_t)a * b, a * b)                                                                 \
  WRAPPING_3(X, mad, lo, (uint32_t)a * b + c, a * b + c)                                                       \
  X(mul, hi, u16, u16, u16, u16, none, none, 0, (uint32_t)a * b >> 16)                                         \
  X(mul, hi, s16, s16, s16, s16, none, none, 0, (uint32_t)(a * b) >> 16)                                       \
  X(mul, hi, u32, u32, u32, u32, none, none, 0, (uint64_t)a * b >> 32)                                         \
  X(mul, hi, s32, u32, s32, s32, none, none, 0, (uint64_t)((int64_t)a * b) >> 32)                              \
  X(mul, hi, u64, u64, u64, u64, none, none, 0, qn_emu_high_u64(a, b))                                         \
  X(mul, hi, s64, u64, u64, u64, none, none, 0, qn_emu_high_s64(a, b))                                         \
  X(mad, hi, u16, u16, u16, u16, u16, none, 0, ((uint32_t)a * b >> 16) + c)                                    \
  X(mad, hi, s16, u16, s16, s16, u16, none, 0, ((uint32_t)(a * b) >> 16) + c)                                  \
  X(mad, hi, u32, u32, u32, u32, u32, none, 0, (uint32_t)((uint64_t)a * b >> 32) + c)                          \
  X(mad, hi, s32, u32, s32, s32, u32, none, 0, (uint32_t)((uint64_t)((int64_t)a * b) >> 32) + c)               \
  X(mad, hi, u64, u64, u64, u64, u64, none, 0, qn_emu_high_u64(a, b) + c)                                      \
  X(mad, hi, s64, u64, u64, u64, u64, none, 0, qn_emu_high_s64(a, b) + c)                                      \
  X(mad, hi_sat, s32, s32, s32, s32, s32, none, 0,                                                             \
    saturate_s32((int64_t)(int32_t)(uint32_t)((uint64_t)((int64_t)a * b) >> 32) + c))                          \
  X(mul, wide, u16, u32, u16, u16, none, none, 0, (uint32_t)a * b)                                             \
  X(mul, wide, s16, s32, s16, s16, none, none, 0, a * b)                                                       \
  X(mul, wide, u32, u64, u32, u32, none, none, 0, (uint64_t)a * b)                                             \
  X(mul, wide, s32, s64, s32, s32, none, none, 0, (int64_t)a * b)                                              \
  X(mad, wide, u16, u32, u16, u16, u32, none, 0, (uint32_t)a * b + c)                                          \
  X(mad, wide, s16, u32, s16, s16, u32, none, 0, (uint32_t)(a * b) + c)                                        \
  X(mad, wide, u32, u64, u32, u32, u64, none, 0, (uint64_t)a * b + c)                                          \
  X(mad, wide, s32, u64, s32, s32, u64, none, 0, (uint64_t)((int64_t)a * b) + c)                               \
  X(mul24, lo, u32, u32, u32, u32, none, none, 0, low_u24(a) * low_u24(b))                                     \
  X(mul24, lo, s32, u32, u32, u32, none, none, 0, low_s24(a) * low_s24(b))                                     \
  X(mul24, hi, u32, u32, u32, u32, none, none, 0, high_u24(a, b))                                              \
  X(mul24, hi, s32, u32, u32, u32, none, none, 0, high_s24(a, b))                                              \
  X(mad24, lo, u32, u32, u32, u32, u32, none, 0, low_u24(a) * low_u24(b) + c)                                  \
  X(mad24, lo, s32, u32, u32, u32, u32, none, 0, low_s24(a) * low_s24(b) + c)                                  \
  X(mad24, hi, u32, u32, u32, u32, u32, none, 0, high_u24(a, b) + c)                                           \
  X(mad24, hi, s32, u32, u32, u32, u32, none, 0, (uint32_t)high_s24(a, b) + c)                                 \
  X(mad24, hi_sat, s32, s32, u32, u32, s32, none, 0, saturate_s32((int64_t)high_s24(a, b) + c))                \
  X(sad, plain, u16, u16, u16, u16, u16, none, 0, DISTANCE(uint16_t) + c)                                      \
  X(sad, plain, s16, u16, s16, s16, u16, none, 0, DISTANCE(uint16_t) + c)                                      \
  X(sad, plain, u32, u32, u32, u32, u32, none, 0, DISTANCE(uint32_t) + c)                                      \
  X(sad, plain, s32, u32, s32, s32, u32, none, 0, DISTANCE(uint32_t) + c)                                      \
  X(sad, plain, u64, u64, u64, u64, u64, none, 0, DISTANCE(uint64_t) + c)                                      \
  X(sad, plain, s64, u64, s64, s64, u64, none, 0, DISTANCE(uint64_t) + c)                                      \
  X(div, plain, u16, u16, u16, u16, none, none, 0, QUOTIENT(a, b))                                             \
  X(div, plain, s16, s16, s16, s16, none, none, 0, QUOTIENT_S(a, b))                                           \
  X(div, plain, u32, u32, u32, u32, none, none, 0, QUOTIENT(a, b))                                             \
  X(div, plain, s32, s32, s32, s32, none, none, 0, QUOTIENT_S(a, b))                                           \
  X(div, plain, u64, u64, u64, u64, none, none, 0, QUOTIENT(a, b))                                             \
  X(div, plain, s64, s64, s64, s64, none, none, 0, QUOTIENT_S(a, b))                                           \
  X(rem, plain, u16, u16, u16, u16, none, none, 0, REMAINDER(a, b))                                            \
  X(rem, plain, s16, s16, s16, s16, none, none, 0, REMAINDER_S(a, b))                                          \
  X(rem, plain, u32, u32, u32, u32, none, none, 0, REMAINDER(a, b))                                            \
  X(rem, plain, s32, s32, s32, s32, none, none, 0, REMAINDER_S(a, b))                                          \
  X(rem, plain, u64, u64, u64, u64, none, none, 0, REMAINDER(a, b))                                            \
  X(rem, plain, s64, s64, s64, s64, none, none, 0, REMAINDER_S(a, b))                                          \
  X(neg, plain, s16, u16, u16, none, none, none, 0, 0 - a)                                                     \
  X(neg, plain, s32, u32, u32, none, none, none, 0, 0 - a)                                                     \
  X(neg, plain, s64, u64, u64, none, none, none, 0, 0 - a)                                                     \
  X(abs, plain, s16, u16, u16, none, none, none, 0, a >> 15 ? 0 - a : a)                                       \
  X(abs, plain, s32, u32, u32, none, none, none, 0, a >> 31 ? 0 - a : a)                                       \
  X(abs, plain, s64, u64, u64, none, none, none, 0, a >> 63 ? 0 - a : a)                                       \
  EXTREMES(X, min, QN_MIN(a, b))                                                                               \
  EXTREMES(X, max, QN_MAX(a, b))
// clang-format on

INTEGER_MAP(QN_EMU_COMPUTE)
static const qn_emu_operation rows[] = { INTEGER_MAP(QN_EMU_ROW) };
QN_EMU_TABLE(qn_emu_integers, rows, integer);
