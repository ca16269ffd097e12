// Logic and shifts: bits of integers and predicates, functions of three operands, funnel shifts, bytes.
#include "runtime/emulator/operation_priv.h"

// --- shifts: amounts of the operand's width or more are that width --------------------------------------

static inline uint64_t left(uint64_t value, uint32_t by, uint32_t bits) {
  return by < bits ? value << by : 0;
}
static inline uint64_t right(uint64_t value, uint32_t by, uint32_t bits) {
  return by < bits ? value >> by : 0;
}
static inline int64_t right_s(int64_t value, uint32_t by, uint32_t bits) {
  return value >> QN_MIN(by, bits - 1);
}
// 32 bits of {high, low}, `by` at most 32 bits from the top or the bottom.
static inline uint32_t funnel_left(uint32_t low, uint32_t high, uint32_t by) {
  return (uint32_t)(((uint64_t)high << 32 | low) << by >> 32);
}
static inline uint32_t funnel_right(uint32_t low, uint32_t high, uint32_t by) {
  return (uint32_t)(((uint64_t)high << 32 | low) >> by);
}

// --- functions of three bits: bit 4 a + 2 b + c of the table is the result ------------------------------

static inline uint32_t look_up(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
#define ROW(i) ((0 - (table >> i & 1)) & (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c))
  return ROW(0) | ROW(1) | ROW(2) | ROW(3) | ROW(4) | ROW(5) | ROW(6) | ROW(7);
#undef ROW
}

// --- bytes: the ISA's tables of prmt --------------------------------------------------------------------

static inline uint32_t byte_of(uint32_t a, uint32_t b, uint32_t i) {
  return (uint32_t)(((uint64_t)b << 32 | a) >> 8 * (i & 7)) & 0xFF;
}
static inline uint32_t bytes(uint32_t a, uint32_t b, uint32_t i0, uint32_t i1, uint32_t i2, uint32_t i3) {
  return byte_of(a, b, i0) | byte_of(a, b, i1) << 8 | byte_of(a, b, i2) << 16 | byte_of(a, b, i3) << 24;
}
// A selector has 3 bits for the byte and one that asks for its sign instead, in all 8 bits.
static inline uint32_t selected(uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t byte = byte_of(a, b, selector);
  return selector & 8 ? (byte >> 7) * 0xFF : byte;
}
static inline uint32_t permute(uint32_t a, uint32_t b, uint32_t c) {
  return selected(a, b, c) | selected(a, b, c >> 4) << 8 | selected(a, b, c >> 8) << 16 |
         selected(a, b, c >> 12) << 24;
}

// --- lists ----------------------------------------------------------------------------------------------

#define LOGIC(X, opcode, predicates, expression)                                                               \
  X(opcode, plain, pred, pred, pred, pred, none, none, 0, predicates)                                          \
  X(opcode, plain, b16, u16, u16, u16, none, none, 0, expression)                                              \
  X(opcode, plain, b32, u32, u32, u32, none, none, 0, expression)                                              \
  X(opcode, plain, b64, u64, u64, u64, none, none, 0, expression)

#define LOGIC_MAP(X)                                                                                           \
  LOGIC(X, and, a &b, a &b)                                                                                    \
  LOGIC(X, or, a | b, a | b)                                                                                   \
  LOGIC(X, xor, a ^ b, a ^ b)                                                                                  \
  X(not, plain, pred, pred, pred, none, none, none, 0, a ^ 1)                                                  \
  X(not, plain, b16, u16, u16, none, none, none, 0, ~a)                                                        \
  X(not, plain, b32, u32, u32, none, none, none, 0, ~a)                                                        \
  X(not, plain, b64, u64, u64, none, none, none, 0, ~a)                                                        \
  X(cnot, plain, b16, u16, u16, none, none, none, 0, a == 0)                                                   \
  X(cnot, plain, b32, u32, u32, none, none, none, 0, a == 0)                                                   \
  X(cnot, plain, b64, u64, u64, none, none, none, 0, a == 0)                                                   \
  X(lop3, plain, b32, u32, u32, u32, u32, u32, 0, look_up(a, b, c, d))                                         \
  X(shl, plain, b16, u16, u16, u32, none, none, 0, left(a, b, 16))                                             \
  X(shl, plain, b32, u32, u32, u32, none, none, 0, left(a, b, 32))                                             \
  X(shl, plain, b64, u64, u64, u32, none, none, 0, left(a, b, 64))                                             \
  X(shr, plain, b16, u16, u16, u32, none, none, 0, right(a, b, 16))                                            \
  X(shr, plain, b32, u32, u32, u32, none, none, 0, right(a, b, 32))                                            \
  X(shr, plain, b64, u64, u64, u32, none, none, 0, right(a, b, 64))                                            \
  X(shr, plain, u16, u16, u16, u32, none, none, 0, right(a, b, 16))                                            \
  X(shr, plain, u32, u32, u32, u32, none, none, 0, right(a, b, 32))                                            \
  X(shr, plain, u64, u64, u64, u32, none, none, 0, right(a, b, 64))                                            \
  X(shr, plain, s16, s16, s16, u32, none, none, 0, right_s(a, b, 16))                                          \
  X(shr, plain, s32, s32, s32, u32, none, none, 0, right_s(a, b, 32))                                          \
  X(shr, plain, s64, s64, s64, u32, none, none, 0, right_s(a, b, 64))                                          \
  X(shf, l_clamp, b32, u32, u32, u32, u32, none, 0, funnel_left(a, b, QN_MIN(c, 32)))                          \
  X(shf, l_wrap, b32, u32, u32, u32, u32, none, 0, funnel_left(a, b, c & 31))                                  \
  X(shf, r_clamp, b32, u32, u32, u32, u32, none, 0, funnel_right(a, b, QN_MIN(c, 32)))                         \
  X(shf, r_wrap, b32, u32, u32, u32, u32, none, 0, funnel_right(a, b, c & 31))                                 \
  X(prmt, plain, b32, u32, u32, u32, u32, none, 0, permute(a, b, c))                                           \
  X(prmt, f4e, b32, u32, u32, u32, u32, none, 0, bytes(a, b, c & 3, (c & 3) + 1, (c & 3) + 2, (c & 3) + 3))    \
  X(prmt, b4e, b32, u32, u32, u32, u32, none, 0, bytes(a, b, c & 3, (c & 3) - 1, (c & 3) - 2, (c & 3) - 3))    \
  X(prmt, rc8, b32, u32, u32, u32, u32, none, 0, bytes(a, b, c & 3, c & 3, c & 3, c & 3))                      \
  X(prmt, ecl, b32, u32, u32, u32, u32, none, 0, bytes(a, b, c & 3, QN_MAX(c & 3, 1), QN_MAX(c & 3, 2), 3))    \
  X(prmt, ecr, b32, u32, u32, u32, u32, none, 0, bytes(a, b, 0, QN_MIN(c & 3, 1), QN_MIN(c & 3, 2), c & 3))    \
  X(prmt, rc16, b32, u32, u32, u32, u32, none, 0,                                                              \
    bytes(a, b, 2 * (c & 1), 2 * (c & 1) + 1, 2 * (c & 1), 2 * (c & 1) + 1))

LOGIC_MAP(QN_EMU_COMPUTE)
static const qn_emu_operation rows[] = { LOGIC_MAP(QN_EMU_ROW) };
QN_EMU_TABLE(qn_emu_logic, rows, integer);
