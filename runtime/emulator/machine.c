// Steps a warp: which of its lanes go on, where, and who must wait for whom.
//
// While all lanes stand at one place, which is nearly always, a step costs no work by lane. Where they have
// parted, the lowest place runs up to the next higher one; there both groups are one again.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

static uint32_t runnable_lanes(const qn_emu_state *state) {
  return state->warp.alive & ~state->parked & ~state->blocked;
}

static uint32_t lanes_at(const qn_emu_state *state, uint32_t lanes, uint32_t pc) {
  uint32_t found = 0;
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    if (state->pcs[lane] == pc) found |= 1u << lane;
  }
  return found;
}

// Makes the runnable lanes at the lowest place the group that runs.
static bool choose_group(qn_emu_state *state) {
  uint32_t runnable = runnable_lanes(state), lowest = UINT32_MAX, group = 0;
  state->others = UINT32_MAX;
  for (uint32_t left = runnable; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint32_t pc = state->pcs[lane];
    if (pc < lowest) {
      state->others = lowest;
      lowest = pc;
      group = 1u << lane;
    } else if (pc == lowest) {
      group |= 1u << lane;
    } else {
      state->others = QN_MIN(state->others, pc);
    }
  }
  state->active = group;
  state->pc = lowest;
  return group != 0;
}

static void place(qn_emu_state *state, uint32_t lanes, uint32_t pc) {
  for (uint32_t left = lanes; left; left &= left - 1) state->pcs[qn_emu_first(left)] = pc;
}

void qn_emu_scatter(qn_emu_state *state) {
  place(state, state->active, state->next);
  state->active = 0;
}

void qn_emu_jump(qn_emu_state *state, uint32_t lanes, uint32_t target) {
  if (lanes == state->active) {
    state->next = target;
    return;
  }
  qn_emu_scatter(state);
  place(state, lanes, target);
}

// --- instructions that lanes execute together --------------------------------------------------------------

static const qn_ptx_instr *instr_at(const qn_emu_state *state, uint32_t pc) {
  return &state->warp.program->instrs[pc];
}

// Of the lanes that have come to an instruction, those that need not wait for more.
static uint32_t find_complete(qn_emu_state *state, const qn_ptx_instr *instr, uint32_t here) {
  if (instr->sync == QN_PTX_SYNC_WARP) return here == QN_EMU_ALL ? here : 0;
  if (instr->sync == QN_PTX_SYNC_ALIVE) return here == state->warp.alive ? here : 0;
  uint32_t scratch[QN_EMU_LANES];
  const uint32_t *masks =
      qn_emu_read32(&state->warp, instr, qn_ptx_at(instr, instr->members, 0), here, scratch);
  for (uint32_t left = here; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint32_t mask = masks[lane], needed = mask & state->warp.alive;
    if (!(mask >> lane & 1)) {
      qn_emu_fault(&state->warp, instr, lane, "the lane is not in the mask 0x%08x that it gives", mask);
      return 0;
    }
    if (needed & ~here) continue;
    uint32_t same = 0;
    for (uint32_t rest = needed; rest; rest &= rest - 1)
      same |= (masks[qn_emu_first(rest)] == mask ? 1u : 0u) << qn_emu_first(rest);
    if (same == needed) return needed;
    qn_emu_fault(&state->warp, instr, lane, "the lane gives the mask 0x%08x, lane %d of it gives 0x%08x", mask,
                 qn_emu_first(needed & ~same), masks[qn_emu_first(needed & ~same)]);
    return 0;
  }
  return 0;
}

// `lanes` of the group have come to an instruction with `sync`. Gives those that execute it now, which are then
// the group; the others wait.
static uint32_t gather(qn_emu_state *state, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t here = lanes | lanes_at(state, state->parked, state->pc);
  uint32_t ready = find_complete(state, instr, here);
  if (ready == state->active) return ready;
  uint32_t pc = state->pc;
  state->next = pc + 1;
  qn_emu_scatter(state); // what the guard lets pass goes on
  place(state, here, pc);
  state->parked = (state->parked | here) & ~ready;
  if (!ready) return 0;
  uint32_t above = runnable_lanes(state) & ~ready;
  state->active = ready;
  state->pc = pc;
  state->others = UINT32_MAX;
  for (uint32_t left = above; left; left &= left - 1)
    state->others = QN_MIN(state->others, state->pcs[qn_emu_first(left)]);
  return ready;
}

// Lanes that wait may be complete without those that have exited since.
static bool release_parked(qn_emu_state *state) {
  for (uint32_t left = state->parked; left;) {
    uint32_t pc = state->pcs[qn_emu_first(left)];
    uint32_t here = lanes_at(state, state->parked, pc);
    uint32_t ready = find_complete(state, instr_at(state, pc), here);
    if (ready) {
      state->parked &= ~ready;
      return true;
    }
    left &= ~here;
  }
  return false;
}

static void fault_stuck(qn_emu_state *state) {
  char where[512];
  qn_emu_describe(state, where, sizeof where);
  int lane = qn_emu_first(state->parked);
  const qn_ptx_instr *instr = instr_at(state, state->pcs[lane]);
  qn_emu_fault(&state->warp, instr, -1, "%s must be executed together, and its lanes cannot meet: %s",
               instr->row->name, where);
}

static bool find_group(qn_emu_state *state) {
  if (choose_group(state)) return true;
  if (!state->parked) return false;
  if (release_parked(state)) return choose_group(state);
  // A lane that waits in a barrier may still come; block.c knows when none of its warps can go on.
  if (!state->blocked) fault_stuck(state);
  return false;
}

// --- steps -------------------------------------------------------------------------------------------------

static uint32_t guarded(qn_emu_state *state, const qn_ptx_instr *instr) {
  uint32_t bits = state->warp.columns[instr->guard_column], active = state->active;
  if ((active & ~state->warp.defined[instr->guard]) && state->warp.strict) {
    const qn_ptx_operand guard = { .kind = QN_PTX_REGISTER, .reg = instr->guard, .type = QN_PTX_pred };
    qn_emu_fault_poison(&state->warp, instr, &guard, active & ~state->warp.defined[instr->guard]);
    return 0;
  }
  return (instr->guard_negated ? ~bits : bits) & active;
}

static void fault_limit(qn_emu_state *state, const qn_ptx_instr *instr) {
  qn_emu_fault(&state->warp, instr, -1,
               "the block has executed %llu lane instructions, the limit, and has not ended: an endless loop?",
               (unsigned long long)state->warp.block->launch->instruction_limit);
}

bool qn_emu_run_warp(qn_emu_state *state, uint32_t steps) {
  qn_emu_block *block = state->warp.block;
  const bool *faulted = &block->cluster->faulted;
  const qn_ptx_instr *instrs = state->warp.program->instrs;
  const uint64_t limit = block->launch->instruction_limit;
  uint64_t *counters = (uint64_t *)state->warp.counters;
  uint64_t first = state->steps, last = first + steps;
  while (state->steps < last && !*faulted) {
    if (state->active && state->pc >= state->others) {
      state->next = state->pc;
      qn_emu_scatter(state);
    }
    if (!state->active && !find_group(state)) break;
    const qn_ptx_instr *instr = &instrs[state->pc];
    uint32_t lanes = instr->guard == QN_PTX_NONE ? state->active : guarded(state, instr);
    if (instr->sync != QN_PTX_SYNC_NONE && lanes) {
      lanes = gather(state, instr, lanes);
      if (!lanes) continue;
    }
    state->next = state->pc + 1;
    state->steps++;
    counters[instr->counter]++;
    if (lanes) {
      block->spent += qn_emu_count_lanes(lanes);
      instr->execute(&state->warp, instr, lanes);
      if (block->spent > limit) fault_limit(state, instr);
    }
    state->pc = state->next;
  }
  return state->steps != first;
}

// --- words -------------------------------------------------------------------------------------------------

static void write_place(const qn_emu_state *state, uint32_t lanes, char *out, size_t size) {
  int lane = qn_emu_first(lanes);
  const qn_ptx_instr *instr = instr_at(state, state->pcs[lane]);
  bool waits = (state->parked | state->blocked) & lanes;
  char who[128], opcode[96];
  qn_emu_write_lanes(lanes, who, sizeof who);
  qn_emu_write_opcode(instr, opcode, sizeof opcode);
  int n = snprintf(out, size, "%s %s at %s", who,
                   lanes & (lanes - 1) ? (waits ? "wait" : "stand") : (waits ? "waits" : "stands"), opcode);
  if (n > 0 && (size_t)n < size && (state->blocked & lanes) && state->barrier[lane] < QN_EMU_BARRIERS)
    n += snprintf(out + n, size - (size_t)n, " (barrier %u)", state->barrier[lane]);
  if (n > 0 && (size_t)n < size) snprintf(out + n, size - (size_t)n, ", line %u", instr->line);
}

void qn_emu_describe(const qn_emu_state *state, char *out, size_t size) {
  size_t length = 0;
  out[0] = 0;
  for (uint32_t left = state->warp.alive; left && length < size;) {
    int lane = qn_emu_first(left);
    uint32_t bit = 1u << lane;
    // Together: the same place, and waiting in the same way.
    uint32_t kind = state->parked & bit    ? state->parked
                    : state->blocked & bit ? state->blocked
                                           : ~(state->parked | state->blocked);
    uint32_t same = lanes_at(state, left & kind, state->pcs[lane]);
    char where[256];
    write_place(state, same, where, sizeof where);
    int n = snprintf(out + length, size - length, "%s%s", length ? "; " : "", where);
    length += n > 0 ? (size_t)n : 0;
    left &= ~same;
  }
  uint32_t exited = state->exists & ~state->warp.alive, missing = ~state->exists;
  char who[128];
  if (exited && length < size) {
    qn_emu_write_lanes(exited, who, sizeof who);
    length += (size_t)snprintf(out + length, size - length, "%s%s %s exited", length ? "; " : "", who,
                               exited & (exited - 1) ? "have" : "has");
  }
  if (missing && length < size) {
    qn_emu_write_lanes(missing, who, sizeof who);
    snprintf(out + length, size - length, "; the block has no %s", who);
  }
}
