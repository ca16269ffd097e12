// Operands as bind functions see them.
#include "runtime/emulator/forms_priv.h"

static bool is_source(const qn_ptx_operand *operand) {
  switch (operand->kind) {
  case QN_PTX_REGISTER:
  case QN_PTX_IMMEDIATE_INT:
  case QN_PTX_IMMEDIATE_F32:
  case QN_PTX_IMMEDIATE_F64:
  case QN_PTX_SPECIAL_REGISTER: return true;
  default: return false;
  }
}

bool qn_emu_has_sources(const qn_ptx_instr *instr, uint32_t slot, uint32_t count, uint32_t bits) {
  if (slot >= instr->slot_count || instr->slots[slot].count != count) return false;
  for (uint32_t i = 0; i < count; i++)
    if (!is_source(qn_ptx_at(instr, slot, i))) return false;
  return qn_ptx_fits(instr, slot, bits);
}

bool qn_emu_has_results(const qn_ptx_instr *instr, uint32_t slot, uint32_t count, uint32_t bits) {
  return slot < instr->slot_count && instr->slots[slot].count == count && qn_ptx_fits(instr, slot, bits);
}

bool qn_emu_has_address(const qn_ptx_instr *instr, uint32_t slot) {
  return slot < instr->slot_count && instr->slots[slot].count == 1 &&
         qn_ptx_at(instr, slot, 0)->kind == QN_PTX_ADDRESS;
}
