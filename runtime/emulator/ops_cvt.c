// cvt between scalar types.
#include "runtime/emulator/cvt_priv.h"
#include "runtime/emulator/forms_priv.h"

// --- types ----------------------------------------------------------------------------------------------

static const qn_float_format *float_format(qn_ptx_token type) {
  switch (type) {
  case QN_PTX_f16: return &qn_format_f16;
  case QN_PTX_bf16: return &qn_format_bf16;
  case QN_PTX_tf32: return &qn_format_tf32;
  case QN_PTX_f32: return &qn_format_f32;
  case QN_PTX_f64: return &qn_format_f64;
  default: return NULL;
  }
}

static bool is_signed(qn_ptx_token type) {
  return type == QN_PTX_s8 || type == QN_PTX_s16 || type == QN_PTX_s32 || type == QN_PTX_s64;
}

static bool is_int(qn_ptx_token type) {
  return is_signed(type) || type == QN_PTX_u8 || type == QN_PTX_u16 || type == QN_PTX_u32 || type == QN_PTX_u64;
}

// --- one value ------------------------------------------------------------------------------------------

// .sat of a float: to [0, 1], NaN to 0.
static qn_number clamp_to_unit(qn_number n) {
  if (n.kind == QN_NUMBER_NAN || n.negative) return (qn_number){ 0 };
  bool above = n.kind == QN_NUMBER_INFINITE;
  if (!above && n.significand) above = n.exponent + 63 - __builtin_clzll(n.significand) >= 0;
  return above ? (qn_number){ .significand = 1 } : n;
}

// The ISA's value of a NaN as an integer.
static uint64_t nan_as_int(qn_ptx_token to, qn_ptx_token from) {
  uint32_t width = qn_ptx_bits(to);
  if (from != QN_PTX_f64 && width < 64) return 0;
  return is_signed(to) ? 0 - ((uint64_t)1 << (width - 1)) : (uint64_t)1 << (width - 1);
}

static uint64_t int_to_int(const qn_emu_cvt *cvt, uint64_t bits) {
  qn_number n = qn_number_from_int(bits, qn_ptx_bits(cvt->from), is_signed(cvt->from));
  uint32_t width = qn_ptx_bits(cvt->to);
  if (cvt->saturate) return qn_number_to_int(n, width, is_signed(cvt->to), QN_ROUND_ZERO, 0);
  uint64_t value = n.negative ? 0 - n.significand : n.significand;
  if (width == 64) return value;
  value &= ((uint64_t)1 << width) - 1;
  bool negative = is_signed(cvt->to) && value >> (width - 1);
  return negative ? value - ((uint64_t)1 << width) : value;
}

uint64_t qn_emu_convert(const qn_emu_cvt *cvt, uint64_t bits) {
  const qn_float_format *from = float_format(cvt->from), *to = float_format(cvt->to);
  const qn_rounding rounding = cvt->rounding;
  if (!from && !to) return int_to_int(cvt, bits);
  qn_number n = from ? qn_number_from_float(from, bits)
                     : qn_number_from_int(bits, qn_ptx_bits(cvt->from), is_signed(cvt->from));
  bool subnormal = from == &qn_format_f32 && (bits & 0x7F800000u) == 0;
  if (cvt->flush && subnormal) n.significand = 0;
  if (!to)
    return qn_number_to_int(n, qn_ptx_bits(cvt->to), is_signed(cvt->to), rounding,
                            nan_as_int(cvt->to, cvt->from));
  if (cvt->integral) n = qn_number_round(n, rounding);
  if (cvt->saturate) n = clamp_to_unit(n);
  if (cvt->relu && n.negative && n.kind != QN_NUMBER_NAN) n = (qn_number){ 0 };
  uint64_t result = qn_number_to_float(to, n, rounding, cvt->satfinite);
  if (cvt->flush && to == &qn_format_f32 && (result & 0x7F800000u) == 0) result &= 0x80000000u;
  return result;
}

// --- a warp ---------------------------------------------------------------------------------------------

// A register may be wider than the type, on either side.
static void load(qn_emu_warp *warp, const qn_ptx_instr *instr, qn_ptx_token type, uint32_t lanes,
                 uint64_t out[QN_EMU_LANES]) {
  const qn_ptx_operand *source = qn_ptx_at(instr, 1, 0);
  if (source->kind != QN_PTX_REGISTER) {
    qn_emu_expand(warp, instr, source, qn_ptx_bits(type), out);
  } else if (qn_ptx_bits(source->type) == 64) {
    memcpy(out, qn_emu_read64(warp, instr, source, lanes, out), QN_EMU_LANES * sizeof *out);
  } else {
    uint32_t scratch[QN_EMU_LANES];
    const uint32_t *values = qn_emu_read32(warp, instr, source, lanes, scratch);
    for (int i = 0; i < QN_EMU_LANES; i++) out[i] = values[i];
  }
}

static void store(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes,
                  const uint64_t values[QN_EMU_LANES]) {
  const qn_ptx_operand *result = qn_ptx_at(instr, 0, 0);
  if (result->kind == QN_PTX_SINK) return;
  uint32_t bits = qn_ptx_bits(result->type);
  if (bits == 64) {
    qn_emu_write64(warp, result, lanes, values);
    return;
  }
  uint32_t narrow[QN_EMU_LANES], keep = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
  for (int i = 0; i < QN_EMU_LANES; i++) narrow[i] = (uint32_t)values[i] & keep;
  qn_emu_write32(warp, result, lanes, narrow);
}

static void execute_cvt(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const qn_emu_cvt cvt = qn_emu_cvt_of(instr);
  uint64_t values[QN_EMU_LANES];
  load(warp, instr, cvt.from, lanes, values);
  for (int i = 0; i < QN_EMU_LANES; i++)
    if (lanes >> i & 1) values[i] = qn_emu_convert(&cvt, values[i]);
  store(warp, instr, lanes, values);
}

// --- forms ----------------------------------------------------------------------------------------------

typedef enum rounding_need {
  NO_ROUNDING,
  FLOAT_OPTIONAL,
  FLOAT_NEEDED,
  INT_OPTIONAL,
  INT_NEEDED
} rounding_need;

// The ISA's table: what rounding a conversion takes. Those with bf16 on one side may name one even where
// nothing is lost.
static rounding_need need_of(qn_ptx_token to, qn_ptx_token from) {
  const qn_float_format *t = float_format(to), *f = float_format(from);
  if (!t && !f) return NO_ROUNDING;
  if (!t) return INT_NEEDED;
  if (!f) return FLOAT_NEEDED;
  if (t == f) return INT_OPTIONAL;
  if (t->bits < f->bits) return FLOAT_NEEDED;
  return t == &qn_format_bf16 || f == &qn_format_bf16 ? FLOAT_OPTIONAL : NO_ROUNDING;
}

static bool find_rounding(qn_ptx_instr *instr, qn_emu_cvt *cvt, const char **out_words) {
  qn_ptx_token token = qn_ptx_find_token(instr, QN_PTX_ROUND, 0);
  rounding_need need = need_of(cvt->to, cvt->from);
  bool tf32 = cvt->to == QN_PTX_tf32;
  bool is_float = true;
  switch (token) {
  case QN_PTX_NO_TOKEN:
    *out_words = "this conversion needs a rounding";
    return need != FLOAT_NEEDED && need != INT_NEEDED && !tf32;
  case QN_PTX_rn: cvt->rounding = QN_ROUND_NEAREST_EVEN; break;
  case QN_PTX_rz: cvt->rounding = QN_ROUND_ZERO; break;
  case QN_PTX_rm: cvt->rounding = QN_ROUND_DOWN; break;
  case QN_PTX_rp: cvt->rounding = QN_ROUND_UP; break;
  case QN_PTX_rna: cvt->rounding = QN_ROUND_NEAREST_AWAY; break;
  case QN_PTX_rni: cvt->rounding = QN_ROUND_NEAREST_EVEN, is_float = false; break;
  case QN_PTX_rzi: cvt->rounding = QN_ROUND_ZERO, is_float = false; break;
  case QN_PTX_rmi: cvt->rounding = QN_ROUND_DOWN, is_float = false; break;
  case QN_PTX_rpi: cvt->rounding = QN_ROUND_UP, is_float = false; break;
  default: *out_words = "stochastic rounding is not executed"; return false;
  }
  cvt->integral = !is_float;
  *out_words = "not a rounding of this conversion";
  if (tf32) return token == QN_PTX_rna || token == QN_PTX_rn || token == QN_PTX_rz;
  if (token == QN_PTX_rna || need == NO_ROUNDING) return false;
  return is_float == (need == FLOAT_OPTIONAL || need == FLOAT_NEEDED);
}

static bool check_modifiers(const qn_emu_cvt *cvt, const char **out_words) {
  bool narrow =
      cvt->from == QN_PTX_f32 && (cvt->to == QN_PTX_f16 || cvt->to == QN_PTX_bf16 || cvt->to == QN_PTX_tf32);
  *out_words = ".satfinite and .relu are for f16, bf16 and tf32 from f32";
  if ((cvt->satfinite || cvt->relu) && !narrow) return false;
  *out_words = ".ftz is for conversions from or to f32";
  if (cvt->flush && cvt->from != QN_PTX_f32 && cvt->to != QN_PTX_f32) return false;
  *out_words = ".sat is not for bf16 and tf32";
  return !cvt->saturate || (cvt->to != QN_PTX_bf16 && cvt->to != QN_PTX_tf32);
}

// Registers may be wider than the types.
static bool check_operands(const qn_ptx_instr *instr, const qn_emu_cvt *cvt, const char **out_words) {
  const uint32_t needed[] = { qn_ptx_bits(cvt->to), qn_ptx_bits(cvt->from) };
  *out_words = "one source is converted";
  if (instr->slot_count != 2) return false;
  for (uint32_t slot = 0; slot < 2; slot++) {
    const qn_ptx_operand *operand = qn_ptx_at(instr, slot, 0);
    uint32_t bits = operand->kind == QN_PTX_REGISTER ? qn_ptx_bits(operand->type) : needed[slot];
    *out_words = "a register that is narrower than its type, or no number";
    if (bits < needed[slot] || bits > 64) return false;
    if (slot == 0 ? !qn_emu_has_results(instr, 0, 1, bits) : !qn_emu_has_sources(instr, 1, 1, bits))
      return false;
  }
  return true;
}

bool qn_emu_bind_cvt(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  qn_emu_cvt cvt = { .to = qn_ptx_type(instr, 0),
                     .from = qn_ptx_type(instr, 1),
                     .saturate = qn_ptx_has(instr, QN_PTX_sat),
                     .satfinite = qn_ptx_has(instr, QN_PTX_satfinite),
                     .relu = qn_ptx_has(instr, QN_PTX_relu),
                     .flush = qn_ptx_has(instr, QN_PTX_ftz) };
  instr->counter = QN_COUNTER_conversions;
  if (qn_ptx_has(instr, QN_PTX_pack)) return qn_emu_bind_cvt_pack(instr, out_words);
  bool to_scalar = is_int(cvt.to) || float_format(cvt.to);
  bool from_scalar = is_int(cvt.from) || (float_format(cvt.from) && cvt.from != QN_PTX_tf32);
  if (!to_scalar || !from_scalar) return qn_emu_bind_cvt_packed(instr, out_words);
  *out_words = "tf32 is converted from f32 alone";
  if (cvt.to == QN_PTX_tf32 && cvt.from != QN_PTX_f32) return false;
  if (!check_operands(instr, &cvt, out_words)) return false;
  if (!find_rounding(instr, &cvt, out_words) || !check_modifiers(&cvt, out_words)) return false;
  qn_emu_cvt_keep(instr, &cvt);
  instr->execute = execute_cvt;
  return true;
}
