// Arithmetic on f16 and bf16, alone and in pairs.
//
// Values are computed in f64 and rounded once. A product of two has at most 22 bits and no exponent that f64
// has not: it is exact. A sum need not be, 2^15 + 2^-24 * 2^-24 among them: it is rounded to odd (qn_odd_sum),
// which 53 bits are enough for, and then to the type.
#include "runtime/emulator/operation_priv.h"

#include <math.h>

#define FTZ QN_EMU_FLAG(ftz)
#define SAT QN_EMU_FLAG(sat)

#define ROUNDED QN_EMU_FLAG(rounded)

#define ARITHMETIC(X, opcode, expression)                                                                      \
  X(opcode, plain, f16, f16, f16, f16, none, none, ROUNDED | FTZ | SAT, expression)                            \
  X(opcode, plain, f16x2, f16, f16, f16, none, none, ROUNDED | FTZ | SAT, expression)                          \
  X(opcode, plain, bf16, bf16, bf16, bf16, none, none, ROUNDED, expression)                                    \
  X(opcode, plain, bf16x2, bf16, bf16, bf16, none, none, ROUNDED, expression)
// clang-format off
#define FUSED(X, form, modifiers16)                                                                            \
  X(fma, form, f16, f16, f16, f16, f16, none, modifiers16, qn_odd_sum(a * b, c))                               \
  X(fma, form, f16x2, f16, f16, f16, f16, none, modifiers16, qn_odd_sum(a * b, c))                             \
  X(fma, form, bf16, bf16, bf16, bf16, bf16, none, 0, qn_odd_sum(a * b, c))                                    \
  X(fma, form, bf16x2, bf16, bf16, bf16, bf16, none, 0, qn_odd_sum(a * b, c))
#define UNARY(X, opcode, expression)                                                                           \
  X(opcode, plain, f16, f16, f16, none, none, none, FTZ, expression)                                           \
  X(opcode, plain, f16x2, f16, f16, none, none, none, FTZ, expression)                                         \
  X(opcode, plain, bf16, bf16, bf16, none, none, none, 0, expression)                                          \
  X(opcode, plain, bf16x2, bf16, bf16, none, none, none, 0, expression)

#define HALF_MAP(X)                                                                                            \
  ARITHMETIC(X, add, qn_odd_sum(a, b))                                                                         \
  ARITHMETIC(X, sub, qn_odd_sum(a, -b))                                                                        \
  ARITHMETIC(X, mul, a * b)                                                                                    \
  FUSED(X, rounded, FTZ | SAT)                                                                                 \
  FUSED(X, rounded_relu, FTZ)                                                                                  \
  UNARY(X, abs, fabs(a))                                                                                       \
  UNARY(X, neg, -a)
// clang-format on

HALF_MAP(QN_EMU_COMPUTE)
static const qn_emu_operation rows[] = { HALF_MAP(QN_EMU_ROW) };
QN_EMU_TABLE(qn_emu_halves, rows, floating);
