// Data races on shared memory: which accesses are ordered, and which two are not.
//
// Every warp has a clock that grows with each event that others may wait for: an arrival at a barrier, a
// bar.warp.sync, a write with release semantics. An access is stamped with its thread and the clock of its
// warp, an epoch. `seen` of a warp says, for every warp of the cluster, up to which clock its accesses are
// ordered before what comes now; barriers join these clocks. Within a warp the same holds for lanes:
// `warp_clock` is what all of them know of each other, lane_seen what some know beyond it.
//
// A granule of shared memory keeps the epoch of its last write and, for every warp, of its last read since. The
// granule is as small as the smallest access of the program (qn_emu_module), so that neighbours never meet.
//
// Where the order is known less exactly than it is, more is taken for ordered: there are no false alarms.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

// An epoch: clock 24 bits | instruction 24 | strong | several lanes | thread 14. The clock is never 0.
enum { THREAD_BITS = 14, SEVERAL_BIT = 14, STRONG_BIT = 15, INSTR_SHIFT = 16, CLOCK_SHIFT = 40 };
enum { CLOCK_MAX = (1 << 24) - 1, INSTR_MASK = (1 << 24) - 1 };

static uint32_t epoch_clock(uint64_t epoch) {
  return (uint32_t)(epoch >> CLOCK_SHIFT);
}
static uint32_t epoch_thread(uint64_t epoch) {
  return (uint32_t)epoch & ((1u << THREAD_BITS) - 1);
}
static uint32_t epoch_warp(uint64_t epoch) {
  return epoch_thread(epoch) / QN_EMU_LANES;
}
static uint32_t epoch_lane(uint64_t epoch) {
  return epoch_thread(epoch) % QN_EMU_LANES;
}

static uint64_t make_epoch(const qn_emu_state *state, const qn_ptx_instr *instr, int lane, bool strong) {
  uint64_t index = (uint64_t)(instr - state->warp.program->instrs) & INSTR_MASK;
  return (uint64_t)state->clock << CLOCK_SHIFT | index << INSTR_SHIFT | (uint64_t)strong << STRONG_BIT |
         (state->number * QN_EMU_LANES + (uint32_t)lane);
}

// Whether an earlier access is ordered before one that `lane` makes now.
static bool is_ordered(const qn_emu_state *state, int lane, uint64_t epoch) {
  uint32_t warp = epoch_warp(epoch), clock = epoch_clock(epoch);
  if (warp != state->number) return clock <= state->seen[warp];
  if (clock <= state->warp_clock) return true;
  bool several = epoch >> SEVERAL_BIT & 1;
  if (several) return state->has_partial; // of which one lane is kept
  uint32_t other = epoch_lane(epoch);
  return other == (uint32_t)lane || (state->has_partial && clock <= state->lane_seen[lane][other]);
}

// --- events ------------------------------------------------------------------------------------------------

// A clock that has come to its end stays there: then more is taken for ordered.
static void advance(qn_emu_state *state) {
  if (state->clock < CLOCK_MAX) state->clock++;
}

void qn_emu_order_lanes(qn_emu_state *state, uint32_t lanes) {
  if ((state->warp.alive & ~lanes) == 0) {
    state->warp_clock = state->clock;
    state->has_partial = false;
    advance(state);
    return;
  }
  if (!state->has_partial) memset(state->lane_seen, 0, sizeof state->lane_seen);
  state->has_partial = true;
  uint32_t joined[QN_EMU_LANES] = { 0 };
  for (uint32_t left = lanes; left; left &= left - 1)
    for (int k = 0; k < QN_EMU_LANES; k++)
      joined[k] = QN_MAX(joined[k], state->lane_seen[qn_emu_first(left)][k]);
  for (uint32_t left = lanes; left; left &= left - 1) joined[qn_emu_first(left)] = state->clock;
  for (uint32_t left = lanes; left; left &= left - 1)
    memcpy(state->lane_seen[qn_emu_first(left)], joined, sizeof joined);
  advance(state);
}

void qn_emu_release(qn_emu_state *state, uint32_t *clocks) {
  uint32_t count = state->warp.block->cluster->warp_count;
  for (uint32_t i = 0; i < count; i++) clocks[i] = QN_MAX(clocks[i], state->seen[i]);
  clocks[state->number] = QN_MAX(clocks[state->number], state->clock);
  advance(state);
}

void qn_emu_acquire(qn_emu_state *state, const uint32_t *clocks) {
  uint32_t count = state->warp.block->cluster->warp_count;
  for (uint32_t i = 0; i < count; i++) state->seen[i] = QN_MAX(state->seen[i], clocks[i]);
}

// What a thread did before a strong write is ordered before what comes after a strong read of any thread of the
// block: coarser than by address.
static void order_strong(qn_emu_state *state, qn_emu_block *block, int lane, qn_emu_use use) {
  if (use.reads) {
    qn_emu_acquire(state, block->strong);
    uint32_t own = block->strong[state->number];
    if (own > state->warp_clock) {
      if (!state->has_partial) memset(state->lane_seen, 0, sizeof state->lane_seen);
      state->has_partial = true;
      for (int k = 0; k < QN_EMU_LANES; k++) state->lane_seen[lane][k] = QN_MAX(state->lane_seen[lane][k], own);
    }
  }
  if (use.writes) qn_emu_release(state, block->strong);
}

// --- accesses ----------------------------------------------------------------------------------------------

static bool fault_race(qn_emu_state *state, const qn_ptx_instr *instr, int lane, const qn_emu_block *block,
                       uint32_t offset, qn_emu_use use, uint64_t other, bool other_writes) {
  const qn_emu_launch *launch = block->launch;
  uint32_t warp = epoch_warp(other);
  const qn_ptx_instr *at = &state->warp.program->instrs[other >> INSTR_SHIFT & INSTR_MASK];
  char cluster[48] = "", opcode[96];
  if (launch->has_clusters)
    snprintf(cluster, sizeof cluster, "block %u of the cluster, ", warp / launch->warp_count);
  qn_emu_write_opcode(at, opcode, sizeof opcode);
  qn_emu_fault(&state->warp, instr, lane,
               "data race on shared memory: the %s at 0x%x is not ordered with the %s by %swarp %u, lane %u "
               "at line %u, %s",
               use.writes ? "write" : "read", offset, other_writes ? "write" : "read", cluster,
               warp % launch->warp_count, epoch_lane(other), at->line, opcode);
  return false;
}

static bool check_readers(qn_emu_state *state, const qn_ptx_instr *instr, int lane, const qn_emu_block *block,
                          uint32_t offset, qn_emu_use use, const qn_emu_cell *cell, const uint64_t *reads) {
  for (uint64_t left = cell->readers; left; left &= left - 1) {
    uint64_t read = reads[__builtin_ctzll(left)];
    bool both_strong = use.strong && (read >> STRONG_BIT & 1);
    if (!both_strong && !is_ordered(state, lane, read))
      return fault_race(state, instr, lane, block, offset, use, read, false);
  }
  return true;
}

bool qn_emu_shadow_access(qn_emu_state *state, const qn_ptx_instr *instr, int lane, qn_emu_block *block,
                          uint32_t offset, uint32_t bytes, qn_emu_use use) {
  const qn_emu_launch *launch = block->launch;
  uint32_t shift = launch->module->granule, columns = launch->warp_count + 1;
  uint32_t column = block == state->warp.block ? state->warp.index : launch->warp_count;
  if (use.strong) order_strong(state, block, lane, (qn_emu_use){ .reads = use.reads });
  uint64_t epoch = make_epoch(state, instr, lane, use.strong), checked = 0;
  uint32_t last = (offset + bytes - 1) >> shift;
  for (uint32_t i = offset >> shift; i <= last; i++) {
    qn_emu_cell *cell = &block->cells[i];
    uint64_t *reads = &block->reads[(size_t)i * columns];
    if (cell->write != checked) {
      bool both_strong = use.strong && (cell->write >> STRONG_BIT & 1);
      if (!both_strong && !is_ordered(state, lane, cell->write))
        return fault_race(state, instr, lane, block, i << shift, use, cell->write, true);
      checked = cell->write;
    }
    if (use.writes) {
      if (cell->readers && !check_readers(state, instr, lane, block, i << shift, use, cell, reads))
        return false;
      cell->write = epoch;
      cell->readers = 0;
    } else {
      uint64_t before = cell->readers >> column & 1 ? reads[column] : 0;
      bool others =
          before && epoch_clock(before) == state->clock && epoch_thread(before) != epoch_thread(epoch);
      reads[column] = epoch | (uint64_t)others << SEVERAL_BIT;
      cell->readers |= UINT64_C(1) << column;
    }
  }
  if (use.strong) order_strong(state, block, lane, (qn_emu_use){ .writes = use.writes });
  return true;
}

void qn_emu_shadow_publish(qn_emu_state *state, uint32_t offset, uint32_t bytes) {
  qn_emu_block *block = state->warp.block;
  uint32_t shift = block->launch->module->granule;
  for (uint32_t i = offset >> shift; i <= (offset + bytes - 1) >> shift; i++) {
    uint64_t *write = &block->cells[i].write;
    *write = (*write & ((UINT64_C(1) << CLOCK_SHIFT) - 1)) | (uint64_t)state->clock << CLOCK_SHIFT;
  }
}
