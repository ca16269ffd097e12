// Arithmetic on f32 and f64, rounded exactly, in every rounding.
//
// The host's own instructions round as PTX does, and operation.c sets the rounding of the instruction around
// them; so a sum is a sum. Only fma to nearest on f32 is written out, because calling the C library for every
// lane is slow on hosts without the instruction.
#include "runtime/emulator/operation_priv.h"

#include <math.h>

#define FTZ      QN_EMU_FLAG(ftz)
#define SAT      QN_EMU_FLAG(sat)
#define DIRECTED QN_EMU_FLAG(directed)
#define ROUNDED  QN_EMU_FLAG(rounded)

// The product of two f32 is exact in f64; the sum is rounded to odd there and then once more, to f32.
static inline float fma_nearest(float a, float b, float c) {
  return (float)qn_odd_sum((double)a * (double)b, (double)c);
}

// div.approx: the reciprocal of a divisor beyond 2^126 is flushed to zero, and infinity times that is NaN.
static inline float divide_approx(float a, float b) {
  float magnitude = fabsf(b);
  bool beyond = magnitude > 0x1p126f && magnitude <= 0x1.fffffep127f;
  return beyond ? a * copysignf(0.0f, b) : a / b;
}

#define ARITHMETIC(X, opcode, expression)                                                                      \
  X(opcode, plain, f32, f32, f32, f32, none, none, ROUNDED | DIRECTED | FTZ | SAT, expression)                 \
  X(opcode, plain, f64, f64, f64, f64, none, none, ROUNDED | DIRECTED, expression)                             \
  X(opcode, plain, f32x2, f32, f32, f32, none, none, ROUNDED | DIRECTED | FTZ, expression)
#define FUSED(X, opcode)                                                                                       \
  X(opcode, rounded, f32, f32, f32, f32, f32, none, FTZ | SAT, fma_nearest(a, b, c))                           \
  X(opcode, directed, f32, f32, f32, f32, f32, none, FTZ | SAT, fmaf(a, b, c))                                 \
  X(opcode, rounded, f64, f64, f64, f64, f64, none, DIRECTED, fma(a, b, c))

#define CLASSES(X, type, magnitude, smallest_normal)                                                           \
  X(testp, finite, type, pred, type, none, none, none, 0, magnitude < INFINITY)                                \
  X(testp, infinite, type, pred, type, none, none, none, 0, magnitude == INFINITY)                             \
  X(testp, number, type, pred, type, none, none, none, 0, a == a)                                              \
  X(testp, notanumber, type, pred, type, none, none, none, 0, a != a)                                          \
  X(testp, normal, type, pred, type, none, none, none, 0,                                                      \
    magnitude >= smallest_normal && magnitude < INFINITY)                                                      \
  X(testp, subnormal, type, pred, type, none, none, none, 0, a != 0 && magnitude < smallest_normal)

// clang-format off
#define FLOAT_MAP(X)                                                                                           \
  ARITHMETIC(X, add, a + b)                                                                                    \
  ARITHMETIC(X, sub, a - b)                                                                                    \
  ARITHMETIC(X, mul, a * b)                                                                                    \
  FUSED(X, fma)                                                                                                \
  X(fma, rounded, f32x2, f32, f32, f32, f32, none, FTZ, fma_nearest(a, b, c))                                  \
  X(fma, directed, f32x2, f32, f32, f32, f32, none, FTZ, fmaf(a, b, c))                                        \
  FUSED(X, mad)                                                                                                \
  X(div, rounded, f32, f32, f32, f32, none, none, DIRECTED | FTZ, a / b)                                       \
  X(div, rounded, f64, f64, f64, f64, none, none, DIRECTED, a / b)                                             \
  X(div, approx, f32, f32, f32, f32, none, none, FTZ, divide_approx(a, b))                                     \
  X(div, full, f32, f32, f32, f32, none, none, FTZ, a / b)                                                     \
  X(abs, plain, f32, f32, f32, none, none, none, FTZ, fabsf(a))                                                \
  X(abs, plain, f64, f64, f64, none, none, none, 0, fabs(a))                                                   \
  X(neg, plain, f32, f32, f32, none, none, none, FTZ, -a)                                                      \
  X(neg, plain, f64, f64, f64, none, none, none, 0, -a)                                                        \
  X(copysign, plain, f32, u32, u32, u32, none, none, 0, (a & 0x80000000u) | (b & 0x7FFFFFFFu))                 \
  X(copysign, plain, f64, u64, u64, u64, none, none, 0, (a & ~(uint64_t)INT64_MAX) | (b & INT64_MAX))          \
  CLASSES(X, f32, fabsf(a), 0x1p-126f)                                                                         \
  CLASSES(X, f64, fabs(a), 0x1p-1022)
// clang-format on

FLOAT_MAP(QN_EMU_COMPUTE)
static const qn_emu_operation rows[] = { FLOAT_MAP(QN_EMU_ROW) };
QN_EMU_TABLE(qn_emu_floats, rows, floating);
