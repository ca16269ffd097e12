// Instructions on addresses: between spaces and generic ones, in other blocks of a cluster, and hints.
#include "runtime/emulator/block_priv.h"

static uint64_t window_of(qn_ptx_token space) {
  switch (space) {
  case QN_PTX_shared:
  case QN_PTX_shared_cta:
  case QN_PTX_shared_cluster: return QN_EMU_SHARED_WINDOW;
  case QN_PTX_local: return QN_EMU_LOCAL_WINDOW;
  case QN_PTX_param:
  case QN_PTX_param_entry: return QN_EMU_PARAM_WINDOW;
  case QN_PTX_const: return QN_EMU_CONST_WINDOW;
  default: return 0;
  }
}

// Whether a generic address is one of the space.
static bool is_in(const qn_emu_warp *warp, uint64_t generic, qn_ptx_token space) {
  uint64_t address;
  qn_ptx_token found = qn_emu_resolve(generic, &address);
  if (found != QN_PTX_shared_cluster || space == QN_PTX_shared_cluster)
    return window_of(found) == window_of(space);
  uint32_t offset;
  return window_of(space) == QN_EMU_SHARED_WINDOW &&
         qn_emu_find_shared(warp->block, address, &offset) == warp->block;
}

static void write_address(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes,
                          const uint64_t values[QN_EMU_LANES]) {
  const qn_ptx_operand *result = qn_ptx_at(instr, 0, 0);
  if (result->kind == QN_PTX_SINK || qn_ptx_bits(result->type) == 64) {
    qn_emu_write64(warp, result, lanes, values);
    return;
  }
  uint32_t narrow[QN_EMU_LANES];
  for (int i = 0; i < QN_EMU_LANES; i++) narrow[i] = (uint32_t)values[i];
  qn_emu_write32(warp, result, lanes, narrow);
}

// The values of a source that may have 32 or 64 bits.
static const uint64_t *read_address(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes,
                                    uint64_t scratch[QN_EMU_LANES]) {
  const qn_ptx_operand *source = qn_ptx_at(instr, 1, 0);
  if (source->kind != QN_PTX_REGISTER || qn_ptx_bits(source->type) == 64)
    return qn_emu_read64(warp, instr, source, lanes, scratch);
  uint32_t unused[QN_EMU_LANES];
  const uint32_t *narrow = qn_emu_read32(warp, instr, source, lanes, unused);
  for (int i = 0; i < QN_EMU_LANES; i++) scratch[i] = narrow[i];
  return scratch;
}

// --- cvta, isspacep ----------------------------------------------------------------------------------------

static void execute_cvta(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t scratch[QN_EMU_LANES], out[QN_EMU_LANES];
  const uint64_t *in = read_address(warp, instr, lanes, scratch);
  for (int i = 0; i < QN_EMU_LANES; i++) out[i] = in[i] + instr->immediate;
  write_address(warp, instr, lanes, out);
}

// Null stays null; other addresses outside the space have none in it.
static void execute_cvta_to(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_ptx_token space = qn_ptx_find_token(instr, QN_PTX_SPACE, 0);
  uint64_t scratch[QN_EMU_LANES], out[QN_EMU_LANES] = { 0 };
  const uint64_t *in = read_address(warp, instr, lanes, scratch);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    out[lane] = in[lane] - instr->immediate;
    if (space == QN_PTX_global || is_in(warp, in[lane], space)) continue;
    qn_emu_fault(warp, instr, lane, "the generic address 0x%llx is none of %s memory",
                 (unsigned long long)in[lane], qn_ptx_token_get_info(space)->text);
    return;
  }
  write_address(warp, instr, lanes, out);
}

static void execute_isspacep(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t scratch[QN_EMU_LANES];
  const uint64_t *in = read_address(warp, instr, lanes, scratch);
  qn_ptx_token space = qn_ptx_find_token(instr, QN_PTX_SPACE, 0);
  uint32_t bits = 0;
  for (uint32_t left = lanes; left; left &= left - 1)
    if (is_in(warp, in[qn_emu_first(left)], space)) bits |= 1u << qn_emu_first(left);
  qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 0), lanes, bits);
}

bool qn_emu_bind_cvta(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  uint32_t bits = qn_ptx_bits(qn_ptx_type(instr, 0));
  if (!qn_ptx_fits(instr, 0, bits) || !qn_ptx_fits(instr, 1, bits) || bits != 64 ||
      qn_ptx_find_token(instr, QN_PTX_SPACE, 0) == QN_PTX_NO_TOKEN) {
    *out_words = "expected a space, and addresses of 64 bits";
    return false;
  }
  instr->immediate = window_of(qn_ptx_find_token(instr, QN_PTX_SPACE, 0));
  instr->counter = QN_COUNTER_integer;
  instr->execute = qn_ptx_has(instr, QN_PTX_to) ? execute_cvta_to : execute_cvta;
  return true;
}

bool qn_emu_bind_isspacep(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!qn_ptx_fits(instr, 0, 1) || qn_ptx_find_token(instr, QN_PTX_SPACE, 0) == QN_PTX_NO_TOKEN) {
    *out_words = "expected a space, a predicate and an address";
    return false;
  }
  instr->counter = QN_COUNTER_integer;
  instr->execute = execute_isspacep;
  return true;
}

// --- clusters ----------------------------------------------------------------------------------------------

// `immediate`: the window of the address; 0 for one of shared memory.
static void execute_mapa(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t scratch[QN_EMU_LANES], out[QN_EMU_LANES] = { 0 };
  uint32_t rank_scratch[QN_EMU_LANES];
  const uint64_t *in = read_address(warp, instr, lanes, scratch);
  const uint32_t *ranks = qn_emu_read32(warp, instr, qn_ptx_at(instr, 2, 0), lanes, rank_scratch);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint32_t offset;
    if (ranks[lane] >= warp->block->launch->cluster_blocks) {
      qn_emu_fault(warp, instr, lane, "block %u of the cluster is asked for, it has %u", ranks[lane],
                   warp->block->launch->cluster_blocks);
      return;
    }
    if (!qn_emu_find_shared(warp->block, in[lane] - instr->immediate, &offset)) {
      qn_emu_fault(warp, instr, lane, "0x%llx is no address of shared memory", (unsigned long long)in[lane]);
      return;
    }
    out[lane] = instr->immediate + ((uint64_t)ranks[lane] << QN_EMU_RANK_SHIFT) + offset;
  }
  write_address(warp, instr, lanes, out);
}

static void execute_getctarank(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t scratch[QN_EMU_LANES];
  uint32_t out[QN_EMU_LANES] = { 0 };
  const uint64_t *in = read_address(warp, instr, lanes, scratch);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint32_t offset;
    const qn_emu_block *block = qn_emu_find_shared(warp->block, in[lane] - instr->immediate, &offset);
    if (!block) {
      qn_emu_fault(warp, instr, lane, "0x%llx is no address of shared memory", (unsigned long long)in[lane]);
      return;
    }
    out[lane] = block->rank;
  }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, out);
}

static bool bind_cluster(qn_ptx_instr *instr, const char **out_words) {
  uint32_t bits = qn_ptx_bits(qn_ptx_type(instr, 0));
  bool generic = qn_ptx_find_token(instr, QN_PTX_SPACE, 0) == QN_PTX_NO_TOKEN;
  bool is_mapa = instr->slot_count == 3;
  if (!qn_ptx_fits(instr, 1, bits) || !qn_ptx_fits(instr, 0, is_mapa ? bits : 32) ||
      (is_mapa && !qn_ptx_fits(instr, 2, 32)) || (generic && bits != 64)) {
    *out_words = "expected addresses as wide as the type, generic ones of 64 bits, and ranks of 32 bits";
    return false;
  }
  instr->immediate = generic ? QN_EMU_SHARED_WINDOW : 0;
  instr->counter = QN_COUNTER_integer;
  return true;
}

bool qn_emu_bind_mapa(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_mapa;
  return bind_cluster(instr, out_words);
}

bool qn_emu_bind_getctarank(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_getctarank;
  return bind_cluster(instr, out_words);
}

// --- hints -------------------------------------------------------------------------------------------------

// Prefetching may name any address; only the register must have a value.
static void execute_hint(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t addresses[QN_EMU_LANES];
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 0, 0), lanes, addresses);
}

bool qn_emu_bind_hint(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (qn_ptx_at(instr, 0, 0)->kind != QN_PTX_ADDRESS) {
    *out_words = "expected an address in brackets";
    return false;
  }
  instr->execute = execute_hint;
  return true;
}

// A policy means something to caches alone; its bits are the device's own affair.
static void execute_createpolicy(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t out[QN_EMU_LANES];
  for (int i = 0; i < QN_EMU_LANES; i++) out[i] = UINT64_C(0x1000000000000000);
  qn_emu_write64(warp, qn_ptx_at(instr, 0, 0), lanes, out);
}

bool qn_emu_bind_createpolicy(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!qn_ptx_has(instr, QN_PTX_fractional) || !qn_ptx_fits(instr, 0, 64)) {
    *out_words = "expected createpolicy.fractional and a register of 64 bits";
    return false;
  }
  instr->execute = execute_createpolicy;
  return true;
}
