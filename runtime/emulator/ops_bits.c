// Bits of integers: counting, finding, reversing, fields, and dot products of bytes.
#include "runtime/emulator/operation_priv.h"

static inline uint32_t count(uint64_t value) {
  value -= value >> 1 & UINT64_C(0x5555555555555555);
  value = (value & UINT64_C(0x3333333333333333)) + (value >> 2 & UINT64_C(0x3333333333333333));
  value = (value + (value >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
  return (uint32_t)(value * UINT64_C(0x0101010101010101) >> 56);
}
// The number of the highest bit that is set; all ones where there is none.
static inline uint32_t highest(uint64_t value) {
  for (uint32_t step = 1; step < 64; step *= 2) value |= value >> step;
  return count(value) - 1;
}
static inline uint64_t reverse(uint64_t value) {
  uint64_t out = 0;
  for (int i = 0; i < 64; i++) out |= (value >> i & 1) << (63 - i);
  return out;
}

// A field of `bits`-bit values: position and length are the low 8 bits of their operands, and what reaches
// beyond the value is cut.
static inline uint64_t ones(uint32_t length) {
  return length < 64 ? (UINT64_C(1) << length) - 1 : UINT64_MAX;
}
static inline uint64_t shift_left(uint64_t value, uint32_t by) {
  return by < 64 ? value << by : 0;
}
static inline uint64_t extract_u(uint64_t value, uint32_t position, uint32_t length) {
  position &= 0xFF, length &= 0xFF;
  return position < 64 ? value >> position & ones(length) : 0;
}
// Positions beyond the highest bit of `bits` hold copies of it: of the sign if the field reaches there.
static inline uint64_t extract_s(int64_t value, uint32_t position, uint32_t length, uint32_t bits) {
  position &= 0xFF, length &= 0xFF;
  if (length == 0) return 0;
  uint64_t shifted = (uint64_t)(value >> QN_MIN(position, 63));
  uint32_t top = QN_MIN(position + length - 1, bits - 1);
  uint64_t sign = (uint64_t)value >> top & 1;
  uint64_t mask = ones(length);
  return sign ? shifted | ~mask : shifted & mask;
}
static inline uint64_t insert(uint64_t field, uint64_t into, uint32_t position, uint32_t length) {
  position &= 0xFF, length &= 0xFF;
  uint64_t mask = shift_left(ones(length), position);
  return (into & ~mask) | (shift_left(field, position) & mask);
}

// `clamp`: a count beyond 32 is 32; else its low 5 bits count.
static inline uint32_t extend_sign(uint32_t value, uint32_t bits) {
  if (bits == 0) return 0;
  return bits < 32 && value >> (bits - 1) & 1 ? value | ~(uint32_t)ones(bits) : value & (uint32_t)ones(bits);
}
static inline uint32_t bit_mask(uint32_t position, uint32_t length) {
  return (uint32_t)shift_left(ones(length), position);
}

// Byte or half i of a packed operand.
static inline int32_t part(uint32_t word, int i, int bits, bool is_signed) {
  uint32_t value = word >> i * bits & (uint32_t)ones((uint32_t)bits);
  return (int32_t)(is_signed ? extend_sign(value, (uint32_t)bits) : value);
}
static inline uint32_t dot4(uint32_t a, uint32_t b, uint32_t c, bool signed_a, bool signed_b) {
  for (int i = 0; i < 4; i++) c += (uint32_t)(part(a, i, 8, signed_a) * part(b, i, 8, signed_b));
  return c;
}
// Halves of a with two bytes of b, the lower two or, with first = 2, the upper.
static inline uint32_t dot2(uint32_t a, uint32_t b, uint32_t c, bool signed_a, bool signed_b, int first) {
  for (int i = 0; i < 2; i++) c += (uint32_t)(part(a, i, 16, signed_a) * part(b, first + i, 8, signed_b));
  return c;
}

#define BITS_MAP(X)                                                                                            \
  X(popc, plain, b32, u32, u32, none, none, none, 0, count(a))                                                 \
  X(popc, plain, b64, u32, u64, none, none, none, 0, count(a))                                                 \
  X(clz, plain, b32, u32, u32, none, none, none, 0, 31 - highest(a))                                           \
  X(clz, plain, b64, u32, u64, none, none, none, 0, 63 - highest(a))                                           \
  X(bfind, plain, u32, u32, u32, none, none, none, 0, highest(a))                                              \
  X(bfind, plain, u64, u32, u64, none, none, none, 0, highest(a))                                              \
  X(bfind, plain, s32, u32, s32, none, none, none, 0, highest((uint32_t)(a < 0 ? ~a : a)))                     \
  X(bfind, plain, s64, u32, s64, none, none, none, 0, highest((uint64_t)(a < 0 ? ~a : a)))                     \
  X(bfind, shiftamt, u32, u32, u32, none, none, none, 0, a ? 31 - highest(a) : UINT32_MAX)                     \
  X(bfind, shiftamt, u64, u32, u64, none, none, none, 0, a ? 63 - highest(a) : UINT32_MAX)                     \
  X(bfind, shiftamt, s32, u32, s32, none, none, none, 0,                                                       \
    a != 0 && a != -1 ? 31 - highest((uint32_t)(a < 0 ? ~a : a)) : UINT32_MAX)                                 \
  X(bfind, shiftamt, s64, u32, s64, none, none, none, 0,                                                       \
    a != 0 && a != -1 ? 63 - highest((uint64_t)(a < 0 ? ~a : a)) : UINT32_MAX)                                 \
  X(brev, plain, b32, u32, u32, none, none, none, 0, reverse(a) >> 32)                                         \
  X(brev, plain, b64, u64, u64, none, none, none, 0, reverse(a))                                               \
  X(bfe, plain, u32, u32, u32, u32, u32, none, 0, extract_u(a, b, c))                                          \
  X(bfe, plain, u64, u64, u64, u32, u32, none, 0, extract_u(a, b, c))                                          \
  X(bfe, plain, s32, u32, s32, u32, u32, none, 0, extract_s(a, b, c, 32))                                      \
  X(bfe, plain, s64, u64, s64, u32, u32, none, 0, extract_s(a, b, c, 64))                                      \
  X(bfi, plain, b32, u32, u32, u32, u32, u32, 0, insert(a, b, c, d))                                           \
  X(bfi, plain, b64, u64, u64, u64, u32, u32, 0, insert(a, b, c, d))                                           \
  X(bmsk, clamp, b32, u32, u32, u32, none, none, 0, bit_mask(QN_MIN(a, 32), QN_MIN(b, 32)))                    \
  X(bmsk, wrap, b32, u32, u32, u32, none, none, 0, bit_mask(a & 31, b & 31))                                   \
  X(szext, clamp, u32, u32, u32, u32, none, none, 0, a &(uint32_t)ones(QN_MIN(b, 32)))                         \
  X(szext, wrap, u32, u32, u32, u32, none, none, 0, a &(uint32_t)ones(b & 31))                                 \
  X(szext, clamp, s32, u32, u32, u32, none, none, 0, extend_sign(a, QN_MIN(b, 32)))                            \
  X(szext, wrap, s32, u32, u32, u32, none, none, 0, extend_sign(a, b & 31))

// The types of a and b; `dp4a_SS` and so on.
#define DOT(X, types_a, types_b, signed_a, signed_b)                                                           \
  X(dp4a, plain, types_a, types_b, dot4(a, b, c, signed_a, signed_b))                                          \
  X(dp2a, lo, types_a, types_b, dot2(a, b, c, signed_a, signed_b, 0))                                          \
  X(dp2a, hi, types_a, types_b, dot2(a, b, c, signed_a, signed_b, 2))
#define DOT_MAP(X)                                                                                             \
  DOT(X, u32, u32, false, false)                                                                               \
  DOT(X, u32, s32, false, true)                                                                                \
  DOT(X, s32, u32, true, false)                                                                                \
  DOT(X, s32, s32, true, true)
#define DOT_COMPUTE(opcode, form, type_a, type_b, expression)                                                  \
  QN_EMU_COMPUTE(opcode, form##_##type_a, type_b, u32, u32, u32, u32, none, 0, expression)
#define DOT_ROW(name, form, type_a, type_b, expression)                                                        \
  { .opcode = #name,                                                                                           \
    .types = { QN_PTX_##type_a, QN_PTX_##type_b },                                                             \
    .result = QN_EMU_u32,                                                                                      \
    .sources = { QN_EMU_u32, QN_EMU_u32, QN_EMU_u32 },                                                         \
    .required = QN_EMU_FORM_##form,                                                                            \
    .compute = name##_##form##_##type_a##_##type_b },

BITS_MAP(QN_EMU_COMPUTE)
DOT_MAP(DOT_COMPUTE)
static const qn_emu_operation rows[] = { BITS_MAP(QN_EMU_ROW) DOT_MAP(DOT_ROW) };
QN_EMU_TABLE(qn_emu_bits, rows, integer);
