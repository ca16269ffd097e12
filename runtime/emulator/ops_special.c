// The functions of the special function unit, and roots and reciprocals.
//
// Approximations are exact here but for one rounding (approx.h). What hardware may be off, by the tables of the
// PTX ISA (sections rcp to tanh), which the tests on a device allow:
//
//   rcp.approx.f32        1 ulp
//   sqrt.approx.f32       relative 2^-23
//   rsqrt.approx.f32      relative 2^-22.9
//   rcp, rsqrt .approx.ftz.f64   the upper 32 bits of the operand give those of the result, the rest is 0
//   ex2.approx.f32        relative 2^-22; f16 relative 2^-9.9, bf16 2^-7
//   lg2.approx.f32        absolute 2^-22 for operands in (0.5, 2), else relative 2^-22
//   sin, cos.approx.f32   absolute 2^-20.5 in [-2 pi, 2 pi]; nothing is said beyond
//   tanh.approx           relative 2^-11; f16 absolute 2^-10.987, bf16 absolute 2^-8
#include "runtime/emulator/approx.h"

#define FTZ      QN_EMU_FLAG(ftz)
#define DIRECTED QN_EMU_FLAG(directed)

// The upper half of an f64, where the lower half does not count; subnormals are zero.
static inline double coarse(double value) {
  uint64_t bits = qn_bits_f64(value) & ~(uint64_t)UINT32_MAX;
  return qn_get_f64(fabs(value) < 0x1p-1022 ? bits & ~(uint64_t)INT64_MAX : bits);
}
static inline double reciprocal_root(double value) {
  return 1 / sqrt(value);
}

#define EXACT(X, opcode, type, modifiers, expression)                                                          \
  X(opcode, rounded, type, type, type, none, none, none, DIRECTED | modifiers, expression)
#define APPROX(X, opcode, type, modifiers, expression)                                                         \
  X(opcode, approx, type, type, type, none, none, none, modifiers, expression)
#define APPROX_2(X, opcode, form, type, expression)                                                            \
  X(opcode, form, type, type, type, none, none, none, 0, expression)                                           \
  X(opcode, form, type##x2, type, type, none, none, none, 0, expression)

#define SPECIAL_MAP(X)                                                                                         \
  EXACT(X, rcp, f32, FTZ, 1 / a)                                                                               \
  EXACT(X, rcp, f64, 0, 1 / a)                                                                                 \
  APPROX(X, rcp, f32, FTZ, 1 / a)                                                                              \
  X(rcp, approx_ftz, f64, f64, f64, none, none, none, 0, coarse(1 / coarse(a)))                                \
  EXACT(X, sqrt, f32, FTZ, sqrtf(a))                                                                           \
  EXACT(X, sqrt, f64, 0, sqrt(a))                                                                              \
  APPROX(X, sqrt, f32, FTZ, sqrtf(a))                                                                          \
  APPROX(X, rsqrt, f32, FTZ, reciprocal_root(a))                                                               \
  APPROX(X, rsqrt, f64, 0, reciprocal_root(a))                                                                 \
  X(rsqrt, approx_ftz, f64, f64, f64, none, none, none, 0, coarse(reciprocal_root(coarse(a))))                 \
  APPROX(X, ex2, f32, FTZ, qn_approx_ex2(a))                                                                   \
  APPROX_2(X, ex2, approx, f16, qn_approx_ex2((float)a))                                                       \
  APPROX_2(X, ex2, approx_ftz, bf16, qn_approx_ex2((float)a))                                                  \
  APPROX(X, lg2, f32, FTZ, qn_approx_lg2(a))                                                                   \
  APPROX(X, sin, f32, FTZ, qn_approx_sin(a))                                                                   \
  APPROX(X, cos, f32, FTZ, qn_approx_cos(a))                                                                   \
  APPROX(X, tanh, f32, 0, qn_approx_tanh(a))                                                                   \
  APPROX_2(X, tanh, approx, f16, qn_approx_tanh((float)a))                                                     \
  APPROX_2(X, tanh, approx, bf16, qn_approx_tanh((float)a))

SPECIAL_MAP(QN_EMU_COMPUTE)
static const qn_emu_operation rows[] = { SPECIAL_MAP(QN_EMU_ROW) };
QN_EMU_TABLE(qn_emu_specials, rows, special);
