// min and max of floats: of two and three operands, of magnitudes, with and without NaN.
#include "runtime/emulator/operation_priv.h"

#include <math.h>

#define FTZ QN_EMU_FLAG(ftz)

// A NaN loses against a number, or wins if `keeps_nan`; -0 is less than +0. In f64 for every type.
static inline double larger(double a, double b, bool keeps_nan) {
  if (a != a) return keeps_nan ? a : b;
  if (b != b) return keeps_nan ? b : a;
  return a > b || (a == b && !signbit(a)) ? a : b;
}
static inline double smaller(double a, double b, bool keeps_nan) {
  if (a != a) return keeps_nan ? a : b;
  if (b != b) return keeps_nan ? b : a;
  return a < b || (a == b && signbit(a)) ? a : b;
}
// .xorsign: the signs are taken off, and the result gets their exclusive or.
static inline double sign_by(double value, double a, double b) {
  return !signbit(a) != !signbit(b) ? -value : value;
}

// Two operands, in any type.
#define TWO(X, opcode, which, type, lanes, modifiers)                                                          \
  X(opcode, plain, type, lanes, lanes, lanes, none, none, modifiers, which(a, b, false))                       \
  X(opcode, NaN, type, lanes, lanes, lanes, none, none, modifiers, which(a, b, true))                          \
  X(opcode, xorsign, type, lanes, lanes, lanes, none, none, modifiers,                                         \
    sign_by(which(fabs(a), fabs(b), false), a, b))                                                             \
  X(opcode, NaN_xorsign, type, lanes, lanes, lanes, none, none, modifiers,                                     \
    sign_by(which(fabs(a), fabs(b), true), a, b))
#define EXTREME(X, opcode, which)                                                                              \
  TWO(X, opcode, which, f32, f32, FTZ)                                                                         \
  TWO(X, opcode, which, f16, f16, FTZ)                                                                         \
  TWO(X, opcode, which, f16x2, f16, FTZ)                                                                       \
  TWO(X, opcode, which, bf16, bf16, 0)                                                                         \
  TWO(X, opcode, which, bf16x2, bf16, 0)                                                                       \
  X(opcode, plain, f64, f64, f64, f64, none, none, 0, which(a, b, false))
#define THREE(X, opcode, which)                                                                                \
  X(opcode, plain, f32, f32, f32, f32, f32, none, FTZ, which(which(a, b, false), c, false))                    \
  X(opcode, NaN, f32, f32, f32, f32, f32, none, FTZ, which(which(a, b, true), c, true))                        \
  X(opcode, abs, f32, f32, f32, f32, f32, none, FTZ, which(which(fabs(a), fabs(b), false), fabs(c), false))    \
  X(opcode, NaN_abs, f32, f32, f32, f32, f32, none, FTZ, which(which(fabs(a), fabs(b), true), fabs(c), true))

#define TWO_MAP(X)                                                                                             \
  EXTREME(X, min, smaller)                                                                                     \
  EXTREME(X, max, larger)
#define THREE_MAP(X)                                                                                           \
  THREE(X, min, smaller)                                                                                       \
  THREE(X, max, larger)
// Their functions have names of their own.
#define COMPUTE_3(opcode, form, ...) QN_EMU_COMPUTE(opcode, form##_3, __VA_ARGS__)
#define QN_EMU_FORM_plain_3          QN_EMU_FORM_plain
#define QN_EMU_FORM_NaN_3            QN_EMU_FORM_NaN
#define QN_EMU_FORM_abs_3            QN_EMU_FORM_abs
#define QN_EMU_FORM_NaN_abs_3        QN_EMU_FORM_NaN_abs
#define ROW_3(opcode, form, ...)     QN_EMU_ROW(opcode, form##_3, __VA_ARGS__)

TWO_MAP(QN_EMU_COMPUTE)
THREE_MAP(COMPUTE_3)
static const qn_emu_operation rows[] = { TWO_MAP(QN_EMU_ROW) THREE_MAP(ROW_3) };
QN_EMU_TABLE(qn_emu_extremes, rows, floating);
