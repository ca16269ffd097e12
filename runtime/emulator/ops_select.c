// Choosing between values: selp, slct.
#include "runtime/emulator/operation_priv.h"

#define FTZ QN_EMU_FLAG(ftz)

// clang-format off
#define EVERY_TYPE(X)                                                                                          \
  X(b16, u16) X(u16, u16) X(s16, u16) X(b32, u32) X(u32, u32) X(s32, u32) X(f32, u32) X(b64, u64)              \
  X(u64, u64) X(s64, u64) X(f64, u64)
// clang-format on

#define SELECT_COMPUTE(type, lanes)                                                                            \
  QN_EMU_COMPUTE(selp, plain, type, lanes, lanes, lanes, pred, none, 0, c ? a : b)
#define SELECT_ROW(type, lanes) QN_EMU_ROW(selp, plain, type, lanes, lanes, lanes, pred, none, 0, c ? a : b)

// slct.TYPE.s32 and slct.TYPE.f32: a if c >= 0, which NaN is not. -0 is.
#define BY_SIGN(type, lanes)  QN_EMU_COMPUTE(slct, s32, type, lanes, lanes, lanes, s32, none, 0, c >= 0 ? a : b)
#define BY_FLOAT(type, lanes) QN_EMU_COMPUTE(slct, f32, type, lanes, lanes, lanes, f32, none, 0, c >= 0 ? a : b)
#define SLCT_ROW(chooser, name, lanes, modifiers)                                                              \
  { .opcode = "slct",                                                                                          \
    .types = { QN_PTX_##name, QN_PTX_##chooser },                                                              \
    .result = QN_EMU_##lanes,                                                                                  \
    .sources = { QN_EMU_##lanes, QN_EMU_##lanes, QN_EMU_##chooser },                                           \
    .optional = modifiers,                                                                                     \
    .compute = slct_##chooser##_##name },
#define BY_SIGN_ROW(type, lanes)  SLCT_ROW(s32, type, lanes, 0)
#define BY_FLOAT_ROW(type, lanes) SLCT_ROW(f32, type, lanes, FTZ)

EVERY_TYPE(SELECT_COMPUTE)
EVERY_TYPE(BY_SIGN)
EVERY_TYPE(BY_FLOAT)
static const qn_emu_operation rows[] = { EVERY_TYPE(SELECT_ROW) EVERY_TYPE(BY_SIGN_ROW)
                                             EVERY_TYPE(BY_FLOAT_ROW) };
QN_EMU_TABLE(qn_emu_selections, rows, moves);
