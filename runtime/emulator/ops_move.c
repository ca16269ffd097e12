// mov: a value, an address, a special register; and packing values into a wider one or taking them apart.
#include "runtime/emulator/operation_priv.h"

// --- one value -----------------------------------------------------------------------------------------------

static void execute_words(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column scratch;
  const uint32_t *words = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch.words);
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, words);
}

static void execute_wide(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column scratch;
  const uint64_t *wide = qn_emu_read64(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch.wide);
  qn_emu_write64(warp, qn_ptx_at(instr, 0, 0), lanes, wide);
}

static void execute_predicate(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t bits = qn_emu_read_pred(warp, instr, qn_ptx_at(instr, 1, 0), lanes);
  qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 0), lanes, bits);
}

// --- vectors: the first element is the lowest -----------------------------------------------------------

// `immediate`: the bits of an element.
static void execute_pack(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column scratch, out = { 0 };
  uint32_t bits = (uint32_t)instr->immediate, count = instr->slots[1].count;
  uint64_t mask = (UINT64_C(1) << bits) - 1;
  for (uint32_t e = 0; e < count; e++) {
    const uint32_t *words = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, e), lanes, scratch.words);
    for (int i = 0; i < QN_EMU_LANES; i++) out.wide[i] |= (words[i] & mask) << bits * e;
  }
  if (bits * count == 64) {
    qn_emu_write64(warp, qn_ptx_at(instr, 0, 0), lanes, out.wide);
    return;
  }
  for (int i = 0; i < QN_EMU_LANES; i++) scratch.words[i] = (uint32_t)out.wide[i];
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, scratch.words);
}

static void execute_unpack(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column scratch, whole;
  uint32_t bits = (uint32_t)instr->immediate, count = instr->slots[0].count;
  uint64_t mask = (UINT64_C(1) << bits) - 1;
  const qn_ptx_operand *source = qn_ptx_at(instr, 1, 0);
  // Copied, because an element may be written to the register that is read.
  if (bits * count == 64) {
    memcpy(whole.wide, qn_emu_read64(warp, instr, source, lanes, scratch.wide), sizeof(whole.wide));
  } else {
    const uint32_t *words = qn_emu_read32(warp, instr, source, lanes, scratch.words);
    for (int i = 0; i < QN_EMU_LANES; i++) whole.wide[i] = words[i];
  }
  for (uint32_t e = 0; e < count; e++) {
    for (int i = 0; i < QN_EMU_LANES; i++) scratch.words[i] = (uint32_t)(whole.wide[i] >> bits * e & mask);
    qn_emu_write32(warp, qn_ptx_at(instr, 0, e), lanes, scratch.words);
  }
}

// --- binding -------------------------------------------------------------------------------------------------

// What a scalar is moved from; special registers and addresses are nowhere else.
static bool source_fits(const qn_ptx_instr *instr, qn_ptx_token type, const char **out_words) {
  qn_ptx_operand_kind kind = qn_ptx_at(instr, 1, 0)->kind;
  if (instr->slots[1].count == 1 && (kind == QN_PTX_SPECIAL_REGISTER || kind == QN_PTX_SYMBOL)) return true;
  return qn_emu_slot_fits(instr, 1, qn_ptx_bits(type), qn_emu_place_of(type), out_words);
}

static bool bind_vector(qn_ptx_instr *instr, uint32_t vector, qn_ptx_token type, const char **out_words) {
  uint32_t bits = qn_ptx_bits(type), count = instr->slots[vector].count;
  *out_words = "a vector that does not fill the other operand";
  if ((count != 2 && count != 4) || bits / count < 8 || bits / count > 32) return false;
  if (!qn_ptx_fits(instr, vector, bits / count)) return false;
  for (uint32_t e = 0; e < count; e++) {
    qn_ptx_operand_kind kind = qn_ptx_at(instr, vector, e)->kind;
    bool written = vector == 0 && kind == QN_PTX_SINK;
    if (kind != QN_PTX_REGISTER && !written && (vector == 0 || kind != QN_PTX_IMMEDIATE_INT)) return false;
  }
  instr->immediate = bits / count;
  instr->execute = vector ? execute_pack : execute_unpack;
  if (vector == 0) return source_fits(instr, type, out_words);
  return qn_emu_slot_fits(instr, 0, bits, QN_EMU_RESULT, out_words);
}

bool qn_emu_bind_mov(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  qn_ptx_token type = qn_ptx_type(instr, 0);
  uint32_t bits = qn_ptx_bits(type);
  instr->counter = QN_COUNTER_moves;
  *out_words = "no type of this opcode";
  if (bits != 1 && bits != 16 && bits != 32 && bits != 64) return false;
  bool unpacks = instr->slots[0].count > 1, packs = instr->slots[1].count > 1;
  if (unpacks || packs) {
    *out_words = "a vector where the opcode takes a single operand";
    if ((unpacks && packs) || (type != QN_PTX_b16 && type != QN_PTX_b32 && type != QN_PTX_b64)) return false;
    return bind_vector(instr, packs ? 1 : 0, type, out_words);
  }
  if (!qn_emu_slot_fits(instr, 0, bits, QN_EMU_RESULT, out_words)) return false;
  if (!source_fits(instr, type, out_words)) return false;
  instr->execute = bits == 64 ? execute_wide : bits == 1 ? execute_predicate : execute_words;
  return true;
}
