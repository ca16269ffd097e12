// cvt with two values in a register, and cvt.pack.
//
// The eight-, six- and four-bit types are those of quant/codec_priv.h, the same that the reference executor
// uses.
#include "quant/codec_priv.h"
#include "runtime/emulator/cvt_priv.h"
#include "runtime/emulator/forms_priv.h"

// --- elements -------------------------------------------------------------------------------------------

static bool is_nan(uint32_t bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u;
}

// Negative numbers, zero included, become zero; NaN stays.
static uint32_t apply_relu(const qn_emu_cvt *cvt, uint32_t bits) {
  return cvt->relu && bits >> 31 && !is_nan(bits) ? 0 : bits;
}

static uint32_t f16_from_f32(const qn_emu_cvt *cvt, uint32_t bits) {
  if (cvt->rounding == QN_ROUND_NEAREST_EVEN && !cvt->satfinite)
    return qn_f16_from_f32(apply_relu(cvt, bits), 0);
  qn_emu_cvt one = *cvt;
  one.to = QN_PTX_f16;
  return (uint32_t)qn_emu_convert(&one, bits);
}
static uint32_t bf16_from_f32(const qn_emu_cvt *cvt, uint32_t bits) {
  if (cvt->rounding == QN_ROUND_NEAREST_EVEN && !cvt->satfinite)
    return qn_bf16_from_f32(apply_relu(cvt, bits), 0);
  qn_emu_cvt one = *cvt;
  one.to = QN_PTX_bf16;
  return (uint32_t)qn_emu_convert(&one, bits);
}

// From binary32 and binary16 to a narrow type, and back to binary16, which holds all of its values.
#define X(type)                                                                                                \
  static uint32_t type##_from_f32(const qn_emu_cvt *cvt, uint32_t bits) {                                      \
    return qn_##type##_from_f32(apply_relu(cvt, bits), 1);                                                     \
  }                                                                                                            \
  static uint32_t f16_from_##type(const qn_emu_cvt *cvt, uint32_t code) {                                      \
    return qn_f16_from_f32(apply_relu(cvt, qn_##type##_to_f32(code)), 0);                                      \
  }
X(e4m3)
X(e5m2)
X(e2m1)
#undef X

static uint32_t e4m3_from_f16(const qn_emu_cvt *cvt, uint32_t code) {
  return e4m3_from_f32(cvt, qn_f16_to_f32(code));
}
static uint32_t e5m2_from_f16(const qn_emu_cvt *cvt, uint32_t code) {
  return e5m2_from_f32(cvt, qn_f16_to_f32(code));
}

static uint32_t ue8m0_from_f32(const qn_emu_cvt *cvt, uint32_t bits) {
  return qn_e8m0_from_f32(bits, cvt->satfinite, cvt->rounding == QN_ROUND_UP);
}
static uint32_t ue8m0_from_bf16(const qn_emu_cvt *cvt, uint32_t code) {
  return ue8m0_from_f32(cvt, code << 16);
}
// All are bf16 numbers, 2^-127 as a subnormal.
static uint32_t bf16_from_ue8m0(const qn_emu_cvt *cvt, uint32_t code) {
  (void)cvt;
  return qn_e8m0_to_f32(code) >> 16;
}

// --- forms ----------------------------------------------------------------------------------------------

typedef enum permission { NEVER, MAY, MUST } permission;

typedef struct packed_form {
  uint8_t to, from;           // qn_ptx_token
  uint8_t to_bits, from_bits; // of an element; 32: each comes from a source of its own
  uint8_t roundings[2];       // qn_ptx_token
  uint8_t satfinite, relu;    // permission
  uint32_t (*convert)(const qn_emu_cvt *cvt, uint32_t bits);
} packed_form;

// clang-format off
static const packed_form forms[] = {
  { QN_PTX_f16x2,   QN_PTX_f32,     16, 32, { QN_PTX_rn, QN_PTX_rz }, MAY,   MAY,   f16_from_f32 },
  { QN_PTX_bf16x2,  QN_PTX_f32,     16, 32, { QN_PTX_rn, QN_PTX_rz }, MAY,   MAY,   bf16_from_f32 },
  { QN_PTX_e4m3x2,  QN_PTX_f32,     8,  32, { QN_PTX_rn },            MUST,  MAY,   e4m3_from_f32 },
  { QN_PTX_e5m2x2,  QN_PTX_f32,     8,  32, { QN_PTX_rn },            MUST,  MAY,   e5m2_from_f32 },
  { QN_PTX_e4m3x2,  QN_PTX_f16x2,   8,  16, { QN_PTX_rn },            MUST,  MAY,   e4m3_from_f16 },
  { QN_PTX_e5m2x2,  QN_PTX_f16x2,   8,  16, { QN_PTX_rn },            MUST,  MAY,   e5m2_from_f16 },
  { QN_PTX_f16x2,   QN_PTX_e4m3x2,  16, 8,  { QN_PTX_rn },            NEVER, MAY,   f16_from_e4m3 },
  { QN_PTX_f16x2,   QN_PTX_e5m2x2,  16, 8,  { QN_PTX_rn },            NEVER, MAY,   f16_from_e5m2 },
  { QN_PTX_e2m1x2,  QN_PTX_f32,     4,  32, { QN_PTX_rn },            MUST,  MAY,   e2m1_from_f32 },
  { QN_PTX_f16x2,   QN_PTX_e2m1x2,  16, 4,  { QN_PTX_rn },            NEVER, MAY,   f16_from_e2m1 },
  { QN_PTX_ue8m0x2, QN_PTX_f32,     8,  32, { QN_PTX_rz, QN_PTX_rp }, MAY,   NEVER, ue8m0_from_f32 },
  { QN_PTX_ue8m0x2, QN_PTX_bf16x2,  8,  16, { QN_PTX_rz, QN_PTX_rp }, MAY,   NEVER, ue8m0_from_bf16 },
  { QN_PTX_bf16x2,  QN_PTX_ue8m0x2, 16, 8,  { QN_PTX_rn },            NEVER, NEVER, bf16_from_ue8m0 },
};
// clang-format on

static const packed_form *find_form(qn_ptx_token to, qn_ptx_token from) {
  for (uint32_t i = 0; i < QN_COUNT(forms); i++)
    if (forms[i].to == to && forms[i].from == from) return &forms[i];
  return NULL;
}

// The first source, or the upper half of the only one, becomes the upper half.
static void execute_packed(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const qn_emu_cvt cvt = qn_emu_cvt_of(instr);
  const packed_form *form = find_form(cvt.to, cvt.from);
  uint32_t first[QN_EMU_LANES], second[QN_EMU_LANES], results[QN_EMU_LANES] = { 0 };
  const uint32_t *a = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, first), *b = a;
  bool apart = form->from_bits == 32;
  if (apart) b = qn_emu_read32(warp, instr, qn_ptx_at(instr, 2, 0), lanes, second);
  uint32_t keep = apart ? UINT32_MAX : (1u << form->from_bits) - 1;
  for (int i = 0; i < QN_EMU_LANES; i++) {
    if (!(lanes >> i & 1)) continue;
    uint32_t high = form->convert(&cvt, apart ? a[i] : a[i] >> form->from_bits & keep);
    uint32_t low = form->convert(&cvt, b[i] & keep);
    results[i] = high << form->to_bits | low;
  }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, results);
}

static bool permits(uint8_t may, bool given) {
  return given ? may != NEVER : may != MUST;
}

bool qn_emu_bind_cvt_packed(qn_ptx_instr *instr, const char **out_words) {
  qn_emu_cvt cvt = { .to = qn_ptx_type(instr, 0),
                     .from = qn_ptx_type(instr, 1),
                     .satfinite = qn_ptx_has(instr, QN_PTX_satfinite),
                     .relu = qn_ptx_has(instr, QN_PTX_relu) };
  qn_ptx_token rounding = qn_ptx_find_token(instr, QN_PTX_ROUND, 0);
  const packed_form *form = find_form(cvt.to, cvt.from);
  *out_words = "no conversion between these types";
  if (!form) return false;
  *out_words = "stochastic rounding is not executed";
  if (rounding == QN_PTX_rs) return false;
  *out_words = "not a rounding of this conversion";
  if (!rounding || (rounding != form->roundings[0] && rounding != form->roundings[1])) return false;
  *out_words = "this conversion takes no .ftz and no .sat";
  if (qn_ptx_has(instr, QN_PTX_ftz) || qn_ptx_has(instr, QN_PTX_sat)) return false;
  *out_words =
      form->satfinite == MUST ? "this conversion needs .satfinite" : "this conversion takes no .satfinite";
  if (!permits(form->satfinite, cvt.satfinite)) return false;
  *out_words = "this conversion takes no .relu";
  if (!permits(form->relu, cvt.relu)) return false;
  bool apart = form->from_bits == 32;
  uint32_t from_bits = apart ? 32 : 2u * form->from_bits;
  *out_words = apart ? "two sources of 32 bits are converted" : "one source with both values is converted";
  if (instr->slot_count != (apart ? 3 : 2) || !qn_emu_has_sources(instr, 1, 1, from_bits)) return false;
  if (apart && !qn_emu_has_sources(instr, 2, 1, from_bits)) return false;
  *out_words = "the result's register is not as wide as both values";
  if (!qn_emu_has_results(instr, 0, 1, 2u * form->to_bits)) return false;
  cvt.rounding = rounding == QN_PTX_rn   ? QN_ROUND_NEAREST_EVEN
                 : rounding == QN_PTX_rz ? QN_ROUND_ZERO
                                         : QN_ROUND_UP;
  qn_emu_cvt_keep(instr, &cvt);
  instr->execute = execute_packed;
  return true;
}

// --- cvt.pack -------------------------------------------------------------------------------------------

// Clamps two s32 and puts them together, in front of what is left of the third source.
static void execute_pack(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const qn_emu_cvt cvt = qn_emu_cvt_of(instr);
  const uint32_t bits = qn_ptx_bits(cvt.to), keep = (1u << bits) - 1;
  const int32_t largest = (int32_t)(cvt.saturate ? keep >> 1 : keep); // `saturate`: of a signed type
  const int32_t least = cvt.saturate ? -largest - 1 : 0;
  uint32_t scratch[3][QN_EMU_LANES], results[QN_EMU_LANES];
  const uint32_t *a = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch[0]);
  const uint32_t *b = qn_emu_read32(warp, instr, qn_ptx_at(instr, 2, 0), lanes, scratch[1]), *c = NULL;
  if (instr->slot_count == 4) c = qn_emu_read32(warp, instr, qn_ptx_at(instr, 3, 0), lanes, scratch[2]);
  for (int i = 0; i < QN_EMU_LANES; i++) {
    int32_t high = QN_MAX(least, QN_MIN(largest, (int32_t)a[i]));
    int32_t low = QN_MAX(least, QN_MIN(largest, (int32_t)b[i]));
    results[i] = ((uint32_t)high & keep) << bits | ((uint32_t)low & keep);
    if (c) results[i] |= c[i] << 2 * bits;
  }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, results);
}

bool qn_emu_bind_cvt_pack(qn_ptx_instr *instr, const char **out_words) {
  qn_emu_cvt cvt = { .to = qn_ptx_type(instr, 0), .from = qn_ptx_type(instr, 1) };
  bool into_rest = qn_ptx_type(instr, 2) == QN_PTX_b32;
  cvt.saturate = cvt.to == QN_PTX_s16 || cvt.to == QN_PTX_s8 || cvt.to == QN_PTX_s4 || cvt.to == QN_PTX_s2;
  *out_words = "cvt.pack needs .sat and sources of s32";
  if (!qn_ptx_has(instr, QN_PTX_sat) || cvt.from != QN_PTX_s32) return false;
  *out_words = "cvt.pack makes u16, s16 or, with .b32 for the rest, u8, s8, u4, s4, u2, s2";
  if (into_rest ? qn_ptx_bits(cvt.to) > 8 : qn_ptx_bits(cvt.to) != 16) return false;
  if (qn_ptx_token_get_info(cvt.to)->text[0] != (cvt.saturate ? 's' : 'u')) return false;
  *out_words = "cvt.pack takes two registers of 32 bits and, with .b32, one for the rest";
  if (instr->slot_count != (into_rest ? 4 : 3) || !qn_emu_has_results(instr, 0, 1, 32)) return false;
  for (uint32_t slot = 1; slot < instr->slot_count; slot++)
    if (!qn_emu_has_sources(instr, slot, 1, 32)) return false;
  qn_emu_cvt_keep(instr, &cvt);
  instr->execute = execute_pack;
  return true;
}
