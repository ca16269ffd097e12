// What the two files of `cvt` share: a conversion of one value.
#ifndef QUENCH_RUNTIME_EMULATOR_CVT_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_CVT_PRIV_H

#include "runtime/emulator/machine_priv.h"
#include "runtime/emulator/number_priv.h"

// Fits into qn_ptx_instr.immediate.
typedef struct qn_emu_cvt {
  uint8_t to, from; // qn_ptx_token
  uint8_t rounding; // qn_rounding
  bool integral;    // the result is an integer, whatever its type
  bool saturate, satfinite, relu, flush;
} qn_emu_cvt;
_Static_assert(sizeof(qn_emu_cvt) == sizeof(uint64_t), "kept in an instruction");

static inline qn_emu_cvt qn_emu_cvt_of(const qn_ptx_instr *instr) {
  qn_emu_cvt cvt;
  memcpy(&cvt, &instr->immediate, sizeof cvt);
  return cvt;
}
static inline void qn_emu_cvt_keep(qn_ptx_instr *instr, const qn_emu_cvt *cvt) {
  memcpy(&instr->immediate, cvt, sizeof *cvt);
}

// One value between scalar types, NaN and all.
uint64_t qn_emu_convert(const qn_emu_cvt *cvt, uint64_t bits);

// The forms with packed types, and cvt.pack.
bool qn_emu_bind_cvt_packed(qn_ptx_instr *instr, const char **out_words);
bool qn_emu_bind_cvt_pack(qn_ptx_instr *instr, const char **out_words);

#endif
