// Finds the operation of an instruction and executes it: operands, the modifiers that all operations share,
// results.
#include "runtime/emulator/operation_priv.h"

#include <fenv.h>

static const uint8_t lane_bits[] = {
#define X(type, value, word, bits) bits,
  QN_EMU_LANE_MAP(X)
#undef X
};

// Floats whose words are of 32 bits; f64 has none of the modifiers that need to know.
typedef struct float_format {
  uint32_t sign, infinity, one, nan;
} float_format;
static const float_format formats[] = {
  [QN_EMU_f16] = { 0x8000, 0x7C00, 0x3C00, 0x7FFF },
  [QN_EMU_bf16] = { 0x8000, 0x7F80, 0x3F80, 0x7FFF },
  [QN_EMU_f32] = { 0x80000000, 0x7F800000, 0x3F800000, QN_EMU_NAN_F32 },
};

static bool has_format(qn_emu_lane lane) {
  return lane == QN_EMU_f16 || lane == QN_EMU_bf16 || lane == QN_EMU_f32;
}

// What qn_emu_apply_halves wraps around an operation, in qn_ptx_instr.immediate. QN_EMU_FLAG(...) of ftz, sat
// and relu, and:
enum {
  ROUND_SHIFT = 32, // a rounding: an index into `roundings`, 0: to nearest
  PACKED_BIT = 34
};
static const int roundings[] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };

// --- predicates ----------------------------------------------------------------------------------------------

void qn_emu_spread(uint32_t bits, uint32_t out[QN_EMU_LANES]) {
  for (int i = 0; i < QN_EMU_LANES; i++) out[i] = bits >> i & 1;
}

uint32_t qn_emu_gather(const uint32_t words[QN_EMU_LANES]) {
  uint32_t bits = 0;
  for (int i = 0; i < QN_EMU_LANES; i++) bits |= (words[i] & 1) << i;
  return bits;
}

// --- modifiers around an operation ---------------------------------------------------------------------------

static void flush(const float_format *format, const uint32_t *in, uint32_t *out) {
  for (int i = 0; i < QN_EMU_LANES; i++) out[i] = in[i] & format->infinity ? in[i] : in[i] & format->sign;
}

// To [0, 1]; NaN to +0.
static void saturate(const float_format *format, uint32_t *words) {
  for (int i = 0; i < QN_EMU_LANES; i++) {
    uint32_t magnitude = words[i] & ~format->sign;
    bool low = words[i] != magnitude || magnitude > format->infinity;
    words[i] = low ? 0 : QN_MIN(magnitude, format->one);
  }
}

// Negative numbers to +0; NaN stays.
static void rectify(const float_format *format, uint32_t *words) {
  for (int i = 0; i < QN_EMU_LANES; i++) {
    uint32_t magnitude = words[i] & ~format->sign;
    words[i] = magnitude > format->infinity ? format->nan : words[i] == magnitude ? magnitude : 0;
  }
}

static void finish(qn_emu_lane lane, uint64_t around, uint32_t *words) {
  if (!has_format(lane)) return;
  const float_format *format = &formats[lane];
  if (around & QN_EMU_FLAG(sat)) saturate(format, words);
  if (around & QN_EMU_FLAG(relu)) rectify(format, words);
  if (around & QN_EMU_FLAG(ftz)) flush(format, words, words);
}

static void compute_around(const qn_emu_operation *row, uint64_t around,
                           const void *const in[QN_EMU_SOURCES_MAX], qn_emu_column *out) {
  qn_emu_column flushed[QN_EMU_SOURCES_MAX];
  const void *sources[QN_EMU_SOURCES_MAX];
  int rounding = roundings[around >> ROUND_SHIFT & 3];
  for (int s = 0; s < QN_EMU_SOURCES_MAX; s++) {
    sources[s] = in[s];
    if (!(around & QN_EMU_FLAG(ftz)) || !has_format(row->sources[s])) continue;
    flush(&formats[row->sources[s]], in[s], flushed[s].words);
    sources[s] = flushed[s].words;
  }
  // The operation is reached through a pointer that the compiler does not know, and all that it reads and
  // writes is memory: none of its arithmetic can be moved over the changes of the rounding.
  if (rounding != FE_TONEAREST) fesetround(rounding);
  row->compute(out, sources);
  if (rounding != FE_TONEAREST) fesetround(FE_TONEAREST);
  finish(row->result, around, out->words);
}

// --- packed values -------------------------------------------------------------------------------------------

static void split(uint32_t bits, const void *packed, uint32_t half, qn_emu_column *out) {
  if (bits == 16) {
    const uint32_t *words = packed;
    for (int i = 0; i < QN_EMU_LANES; i++) out->words[i] = words[i] >> 16 * half & 0xFFFF;
  } else {
    const uint64_t *words = packed;
    for (int i = 0; i < QN_EMU_LANES; i++) out->words[i] = (uint32_t)(words[i] >> 32 * half);
  }
}

static void join(uint32_t bits, qn_emu_column halves[2]) {
  if (bits == 16) {
    for (int i = 0; i < QN_EMU_LANES; i++) halves[0].words[i] |= halves[1].words[i] << 16;
  } else {
    qn_emu_column low = halves[0];
    for (int i = 0; i < QN_EMU_LANES; i++)
      halves[0].wide[i] = (uint64_t)halves[1].words[i] << 32 | low.words[i];
  }
}

// --- execution -----------------------------------------------------------------------------------------------

static const uint64_t zeros[QN_EMU_LANES];

static const void *fetch(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand,
                         uint32_t lanes, uint32_t bits, qn_emu_column *scratch) {
  if (bits == 64) return qn_emu_read64(warp, instr, operand, lanes, scratch->wide);
  if (bits > 1) return qn_emu_read32(warp, instr, operand, lanes, scratch->words);
  qn_emu_spread(qn_emu_read_pred(warp, instr, operand, lanes), scratch->words);
  return scratch->words;
}

void qn_emu_apply_halves(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, uint32_t lanes,
                         qn_emu_column out[2]) {
  const qn_emu_operation *row = instr->operation;
  uint64_t around = instr->immediate;
  bool packed = around >> PACKED_BIT & 1;
  qn_emu_column scratch[QN_EMU_SOURCES_MAX], part[QN_EMU_SOURCES_MAX];
  const void *in[QN_EMU_SOURCES_MAX] = { zeros, zeros, zeros, zeros };
  for (uint32_t s = 0; s < QN_EMU_SOURCES_MAX && row->sources[s] != QN_EMU_none; s++)
    in[s] = fetch(warp, instr, qn_ptx_at(instr, slot + s, 0), lanes,
                  (uint32_t)lane_bits[row->sources[s]] << packed, &scratch[s]);
  if (around == 0) {
    row->compute(out, in);
  } else if (!packed) {
    compute_around(row, around, in, out);
  } else {
    for (uint32_t half = 0; half < 2; half++) {
      const void *halves[QN_EMU_SOURCES_MAX] = { zeros, zeros, zeros, zeros };
      for (uint32_t s = 0; s < QN_EMU_SOURCES_MAX && row->sources[s] != QN_EMU_none; s++) {
        split(lane_bits[row->sources[s]], in[s], half, &part[s]);
        halves[s] = &part[s];
      }
      compute_around(row, around, halves, &out[half]);
    }
  }
}

static void execute_words(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column out[2];
  qn_emu_apply_halves(warp, instr, 1, lanes, out);
  if (instr->immediate >> PACKED_BIT & 1) join(16, out);
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, out->words);
}

static void execute_wide(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column out[2];
  qn_emu_apply_halves(warp, instr, 1, lanes, out);
  if (instr->immediate >> PACKED_BIT & 1) join(32, out);
  qn_emu_write64(warp, qn_ptx_at(instr, 0, 0), lanes, out->wide);
}

static void execute_predicate(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column out[2];
  qn_emu_apply_halves(warp, instr, 1, lanes, out);
  qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 0), lanes, qn_emu_gather(out->words));
}

// --- binding -------------------------------------------------------------------------------------------------

uint32_t qn_emu_modifiers(const qn_ptx_instr *instr) {
  uint32_t modifiers = 0;
  for (uint32_t i = 0; i < instr->token_count; i++) switch (instr->tokens[i]) {
#define X(token)                                                                                               \
  case QN_PTX_##token: modifiers |= QN_EMU_FLAG(token); break;
      QN_EMU_MODIFIER_MAP(X)
#undef X
    case QN_PTX_rn: modifiers |= QN_EMU_FLAG(rounded); break;
    case QN_PTX_rz:
    case QN_PTX_rm:
    case QN_PTX_rp: modifiers |= QN_EMU_FLAG(rounded) | QN_EMU_FLAG(directed); break;
    default: break;
    }
  return modifiers;
}

bool qn_emu_is_packed(const qn_emu_operation *row) {
  switch (row->types[0]) {
  case QN_PTX_u16x2:
  case QN_PTX_s16x2:
  case QN_PTX_f16x2:
  case QN_PTX_bf16x2:
  case QN_PTX_f32x2: return true;
  default: return false;
  }
}

uint32_t qn_emu_source_count(const qn_emu_operation *row) {
  uint32_t count = 0;
  while (count < QN_EMU_SOURCES_MAX && row->sources[count] != QN_EMU_none) count++;
  return count;
}

qn_emu_place qn_emu_place_of(qn_ptx_token type) {
  switch (type) {
  case QN_PTX_f32:
  case QN_PTX_f64: return QN_EMU_FLOAT;
  case QN_PTX_b16:
  case QN_PTX_b32:
  case QN_PTX_b64: return QN_EMU_BITS;
  case QN_PTX_f16:
  case QN_PTX_f16x2:
  case QN_PTX_bf16:
  case QN_PTX_bf16x2:
  case QN_PTX_f32x2: return QN_EMU_REGISTERS;
  default: return QN_EMU_INTEGER;
  }
}

static bool takes(qn_emu_place place, qn_ptx_operand_kind kind, uint32_t bits) {
  switch (kind) {
  case QN_PTX_REGISTER: return true;
  case QN_PTX_SINK: return place == QN_EMU_RESULT;
  case QN_PTX_IMMEDIATE_INT: return place == QN_EMU_INTEGER || place == QN_EMU_BITS;
  case QN_PTX_IMMEDIATE_F32: return place == QN_EMU_FLOAT || (place == QN_EMU_BITS && bits == 32);
  case QN_PTX_IMMEDIATE_F64: return place == QN_EMU_FLOAT || (place == QN_EMU_BITS && bits == 64);
  default: return false;
  }
}

bool qn_emu_slot_fits(const qn_ptx_instr *instr, uint32_t slot, uint32_t bits, qn_emu_place place,
                      const char **out_words) {
  *out_words = "a vector where the opcode takes a single operand";
  if (instr->slots[slot].count != 1) return false;
  *out_words = "a register whose width is not that of the type";
  if (!qn_ptx_fits(instr, slot, bits)) return false;
  *out_words = "an operand that is none of this form's";
  return takes(place, qn_ptx_at(instr, slot, 0)->kind, bits);
}

// Lanes that are only moved and cut are unsigned whatever the type; the type says what they hold where they are
// as wide.
static qn_emu_place place_in(const qn_emu_operation *row, qn_emu_lane lane) {
  bool plain = lane == QN_EMU_u16 || lane == QN_EMU_u32 || lane == QN_EMU_u64;
  if (plain && lane_bits[lane] == qn_ptx_bits(row->types[0])) return qn_emu_place_of(row->types[0]);
  if (lane == QN_EMU_f32 || lane == QN_EMU_f64) return qn_emu_is_packed(row) ? QN_EMU_REGISTERS : QN_EMU_FLOAT;
  return lane == QN_EMU_f16 || lane == QN_EMU_bf16 ? QN_EMU_REGISTERS : QN_EMU_INTEGER;
}

bool qn_emu_sources_fit(const qn_ptx_instr *instr, const qn_emu_operation *row, uint32_t slot,
                        const char **out_words) {
  for (uint32_t s = 0; s < qn_emu_source_count(row); s++) {
    uint32_t bits = (uint32_t)lane_bits[row->sources[s]] << qn_emu_is_packed(row);
    if (!qn_emu_slot_fits(instr, slot + s, bits, place_in(row, row->sources[s]), out_words)) return false;
  }
  return true;
}

const qn_emu_operation *qn_emu_find_operation(const qn_emu_operations *const *tables, uint32_t count,
                                              const qn_emu_wanted *wanted, uint8_t *out_counter,
                                              const char **out_words) {
  *out_words = "no type of this opcode";
  for (uint32_t t = 0; t < count; t++)
    for (const qn_emu_operation *row = tables[t]->rows; row < tables[t]->rows + tables[t]->count; row++) {
      if (row->types[0] != wanted->types[0] || row->types[1] != wanted->types[1]) continue;
      if (strcmp(row->opcode, wanted->opcode) != 0) continue;
      bool modified = (wanted->modifiers & ~row->optional) == row->required;
      *out_words = modified ? "not as many operands as this form has"
                            : "modifiers that do not go together, or one is missing";
      if (!modified || qn_emu_source_count(row) != wanted->sources) continue;
      *out_counter = tables[t]->counter;
      return row;
    }
  return NULL;
}

static uint64_t rounding_of(const qn_ptx_instr *instr) {
  switch (qn_ptx_find_token(instr, QN_PTX_ROUND, 0)) {
  case QN_PTX_rz: return 1;
  case QN_PTX_rm: return 2;
  case QN_PTX_rp: return 3;
  default: return 0;
  }
}

void qn_emu_set_operation(qn_ptx_instr *instr, const qn_emu_operation *row, uint32_t modifiers) {
  uint32_t around = modifiers & (QN_EMU_FLAG(ftz) | QN_EMU_FLAG(sat) | QN_EMU_FLAG(relu));
  instr->immediate = around | rounding_of(instr) << ROUND_SHIFT | (uint64_t)qn_emu_is_packed(row) << PACKED_BIT;
  instr->operation = row;
}

bool qn_emu_bind_arithmetic(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  static const qn_emu_operations *const tables[] = { &qn_emu_integers, &qn_emu_bits,      &qn_emu_logic,
                                                     &qn_emu_floats,   &qn_emu_extremes,  &qn_emu_halves,
                                                     &qn_emu_specials, &qn_emu_selections };
  (void)program;
  const qn_emu_wanted wanted = { .opcode = instr->row->name,
                                 .types = { qn_ptx_type(instr, 0), qn_ptx_type(instr, 1) },
                                 .modifiers = qn_emu_modifiers(instr),
                                 .sources = instr->slot_count - 1u };
  const qn_emu_operation *row =
      qn_emu_find_operation(tables, QN_COUNT(tables), &wanted, &instr->counter, out_words);
  if (!row) return false;
  uint32_t bits = (uint32_t)lane_bits[row->result] << qn_emu_is_packed(row);
  if (!qn_emu_slot_fits(instr, 0, bits, QN_EMU_RESULT, out_words)) return false;
  if (!qn_emu_sources_fit(instr, row, 1, out_words)) return false;
  qn_emu_set_operation(instr, row, wanted.modifiers);
  instr->execute = bits == 64 ? execute_wide : bits == 1 ? execute_predicate : execute_words;
  return true;
}
