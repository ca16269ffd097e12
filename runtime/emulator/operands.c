// Operands that are no registers: immediates, special registers, addresses of variables.
#include "runtime/emulator/block_priv.h"

// A symbol's address in its own space, for this warp's block.
static uint64_t symbol_address(const qn_emu_warp *warp, uint32_t symbol) {
  const qn_emu_block *block = warp->block;
  uint64_t address = block->launch->module->addresses[symbol];
  if (warp->program->symbols[symbol].space == QN_PTX_shared)
    address += (uint64_t)block->rank << QN_EMU_RANK_SHIFT;
  return address;
}

static void fill(uint64_t out[QN_EMU_LANES], uint64_t value) {
  for (int i = 0; i < QN_EMU_LANES; i++) out[i] = value;
}

// A literal means the same number wherever it stands: of the other width, it is converted.
static uint64_t float_bits(const qn_ptx_operand *operand, uint32_t bits) {
  uint64_t value = (uint64_t)operand->value;
  if (operand->kind == QN_PTX_IMMEDIATE_F64 && bits == 32) {
    double wide;
    memcpy(&wide, &value, sizeof wide);
    float narrow = (float)wide;
    uint32_t narrow_bits;
    memcpy(&narrow_bits, &narrow, sizeof narrow_bits);
    return narrow_bits;
  }
  if (operand->kind == QN_PTX_IMMEDIATE_F32 && bits == 64) {
    uint32_t narrow_bits = (uint32_t)value;
    float narrow;
    memcpy(&narrow, &narrow_bits, sizeof narrow);
    double wide = (double)narrow;
    memcpy(&value, &wide, sizeof value);
  }
  return value;
}

// --- special registers -------------------------------------------------------------------------------------

static void expand_thread(const qn_emu_warp *warp, uint32_t axis, uint64_t out[QN_EMU_LANES]) {
  const uint32_t *threads = warp->block->launch->threads;
  for (uint32_t i = 0; i < QN_EMU_LANES; i++) {
    uint32_t thread = warp->index * QN_EMU_LANES + i;
    out[i] = axis == 0   ? thread % threads[0]
             : axis == 1 ? thread / threads[0] % threads[1]
                         : thread / threads[0] / threads[1];
  }
}

// The same for all lanes.
static uint64_t special_value(const qn_emu_warp *warp, qn_ptx_special special) {
  const qn_emu_block *block = warp->block;
  const qn_emu_launch *launch = block->launch;
  // A clock tick is one instruction of the warp, on every machine.
  uint64_t clock = ((const qn_emu_state *)warp)->steps;
  switch (special) {
  case QN_PTX_ntid_x: return launch->threads[0];
  case QN_PTX_ntid_y: return launch->threads[1];
  case QN_PTX_ntid_z: return launch->threads[2];
  case QN_PTX_ctaid_x: return block->index[0];
  case QN_PTX_ctaid_y: return block->index[1];
  case QN_PTX_ctaid_z: return block->index[2];
  case QN_PTX_nctaid_x: return launch->grid[0];
  case QN_PTX_nctaid_y: return launch->grid[1];
  case QN_PTX_nctaid_z: return launch->grid[2];
  case QN_PTX_warpid: return warp->index;
  case QN_PTX_nwarpid: return launch->warp_count;
  // Every block is alone on a multiprocessor of its own.
  case QN_PTX_smid: return block->number;
  case QN_PTX_nsmid: return launch->block_count;
  case QN_PTX_gridid: return launch->launch_index;
  case QN_PTX_clock:
  case QN_PTX_clock64:
  case QN_PTX_globaltimer:
  case QN_PTX_globaltimer_lo: return clock;
  case QN_PTX_clock_hi:
  case QN_PTX_globaltimer_hi: return clock >> 32;
  case QN_PTX_is_explicit_cluster: return launch->has_clusters;
  case QN_PTX_clusterid_x: return block->index[0] / launch->cluster[0];
  case QN_PTX_clusterid_y: return block->index[1] / launch->cluster[1];
  case QN_PTX_clusterid_z: return block->index[2] / launch->cluster[2];
  case QN_PTX_nclusterid_x: return launch->grid[0] / launch->cluster[0];
  case QN_PTX_nclusterid_y: return launch->grid[1] / launch->cluster[1];
  case QN_PTX_nclusterid_z: return launch->grid[2] / launch->cluster[2];
  case QN_PTX_cluster_ctaid_x: return block->index[0] % launch->cluster[0];
  case QN_PTX_cluster_ctaid_y: return block->index[1] % launch->cluster[1];
  case QN_PTX_cluster_ctaid_z: return block->index[2] % launch->cluster[2];
  case QN_PTX_cluster_nctaid_x: return launch->cluster[0];
  case QN_PTX_cluster_nctaid_y: return launch->cluster[1];
  case QN_PTX_cluster_nctaid_z: return launch->cluster[2];
  case QN_PTX_cluster_ctarank: return block->rank;
  case QN_PTX_cluster_nctarank: return launch->cluster_blocks;
  case QN_PTX_total_smem_size:
  case QN_PTX_aggr_smem_size: return launch->shared_bytes;
  case QN_PTX_dynamic_smem_size: return launch->dynamic_bytes;
  default: return 0;
  }
}

static void expand_special(const qn_emu_warp *warp, qn_ptx_special special, uint64_t out[QN_EMU_LANES]) {
  switch (special) {
  case QN_PTX_tid_x: expand_thread(warp, 0, out); return;
  case QN_PTX_tid_y: expand_thread(warp, 1, out); return;
  case QN_PTX_tid_z: expand_thread(warp, 2, out); return;
  default: break;
  }
  uint64_t uniform = special_value(warp, special);
  for (uint32_t i = 0; i < QN_EMU_LANES; i++) {
    uint32_t bit = 1u << i;
    switch (special) {
    case QN_PTX_laneid: out[i] = i; break;
    case QN_PTX_lanemask_eq: out[i] = bit; break;
    case QN_PTX_lanemask_le: out[i] = bit | (bit - 1); break;
    case QN_PTX_lanemask_lt: out[i] = bit - 1; break;
    case QN_PTX_lanemask_ge: out[i] = ~(bit - 1); break;
    case QN_PTX_lanemask_gt: out[i] = ~(bit | (bit - 1)); break;
    default: out[i] = uniform;
    }
  }
}

// --- reading -----------------------------------------------------------------------------------------------

void qn_emu_expand(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand, uint32_t bits,
                   uint64_t out[QN_EMU_LANES]) {
  switch (operand->kind) {
  case QN_PTX_IMMEDIATE_INT: fill(out, (uint64_t)operand->value); return;
  case QN_PTX_IMMEDIATE_F32:
  case QN_PTX_IMMEDIATE_F64: fill(out, float_bits(operand, bits)); return;
  case QN_PTX_SPECIAL_REGISTER: expand_special(warp, operand->special, out); return;
  case QN_PTX_SYMBOL: fill(out, symbol_address(warp, operand->symbol) + (uint64_t)operand->value); return;
  default: fill(out, 0); qn_emu_fault(warp, instr, -1, "an operand is none that can be read");
  }
}

void qn_emu_addresses(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand,
                      uint32_t lanes, uint64_t out[QN_EMU_LANES]) {
  uint64_t offset = (uint64_t)operand->value;
  if (operand->reg == QN_PTX_NONE) {
    fill(out, (operand->symbol == QN_PTX_NONE ? 0 : symbol_address(warp, operand->symbol)) + offset);
    return;
  }
  qn_emu_check_defined(warp, instr, operand, lanes);
  if (qn_ptx_bits(operand->type) == 64) {
    const uint64_t *column = (const uint64_t *)(warp->columns + operand->column);
    for (int i = 0; i < QN_EMU_LANES; i++) out[i] = column[i] + offset;
  } else {
    // An address of 32 bits stays one.
    const uint32_t *column = warp->columns + operand->column;
    for (int i = 0; i < QN_EMU_LANES; i++) out[i] = (uint32_t)(column[i] + (uint32_t)offset);
  }
}
