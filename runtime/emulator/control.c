// Branches, calls, ends, and instructions that change nothing that a kernel can see here.
#include "runtime/emulator/block_priv.h"

static uint32_t index_of(const qn_emu_state *state, const qn_ptx_instr *instr) {
  return (uint32_t)(instr - state->warp.program->instrs);
}

// --- branches ----------------------------------------------------------------------------------------------

static void count_parting(qn_emu_state *state, uint32_t lanes) {
  if (lanes != state->active) state->warp.counters->divergent_branches++;
}

static void execute_bra(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  count_parting(state, lanes);
  qn_emu_jump(state, lanes, instr->target);
}

static void execute_bra_uni(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  if (lanes != state->active && warp->strict) {
    qn_emu_fault(warp, instr, qn_emu_first(state->active & ~lanes),
                 "the branch says that all lanes take it, and some do not");
    return;
  }
  execute_bra(warp, instr, lanes);
}

static void execute_brx(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  uint32_t scratch[QN_EMU_LANES];
  const uint32_t *chosen = qn_emu_read32(warp, instr, qn_ptx_at(instr, 0, 0), lanes, scratch);
  const qn_ptx_target_list *list = &warp->program->target_lists[qn_ptx_at(instr, 1, 0)->value];
  uint32_t first = chosen[qn_emu_first(lanes)];
  bool together = lanes == state->active;
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    if (chosen[lane] >= list->count) {
      qn_emu_fault(warp, instr, lane, "target %u is asked for, the list has %u", chosen[lane], list->count);
      return;
    }
    together = together && chosen[lane] == first;
  }
  if (together) {
    state->next = (uint32_t)list->labels[first].value;
    return;
  }
  warp->counters->divergent_branches++;
  qn_emu_scatter(state);
  for (uint32_t left = lanes; left; left &= left - 1)
    state->pcs[qn_emu_first(left)] = (uint32_t)list->labels[chosen[qn_emu_first(left)]].value;
}

bool qn_emu_bind_bra(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  instr->counter = QN_COUNTER_control;
  instr->execute = qn_ptx_has(instr, QN_PTX_uni) ? execute_bra_uni : execute_bra;
  return true;
}

bool qn_emu_bind_brx(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!qn_ptx_has(instr, QN_PTX_idx) || !qn_ptx_fits(instr, 0, 32)) {
    *out_words = "expected brx.idx with an index of 32 bits";
    return false;
  }
  instr->counter = QN_COUNTER_control;
  instr->execute = execute_brx;
  return true;
}

// --- calls -------------------------------------------------------------------------------------------------

// Copies `.param` variables between the frames of a caller and of what it calls, poison and all.
static void copy_params(qn_emu_state *state, uint32_t lanes, const qn_ptx_instr *call, uint32_t slot,
                        uint32_t symbol, bool to_callee) {
  const qn_emu_launch *launch = state->warp.block->launch;
  const qn_emu_module *module = launch->module;
  for (uint32_t i = 0; i < call->slots[slot].count; i++) {
    uint32_t named = qn_ptx_at(call, slot, i)->symbol;
    uint64_t bytes = state->warp.program->symbols[symbol + i].bytes;
    uint64_t from = module->addresses[to_callee ? named : symbol + i];
    uint64_t to = module->addresses[to_callee ? symbol + i : named];
    for (uint32_t left = lanes; left; left &= left - 1) {
      size_t frame = (size_t)qn_emu_first(left) * module->frame_bytes;
      if (from < launch->entry->param_bytes) {
        memcpy(state->frame + frame + to, launch->params + from, bytes);
        memset(state->frame_state + frame + to, QN_EMU_WRITTEN, bytes);
      } else {
        memcpy(state->frame + frame + to, state->frame + frame + from, bytes);
        memcpy(state->frame_state + frame + to, state->frame_state + frame + from, bytes);
      }
    }
  }
}

static void execute_call(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  const qn_ptx_function *callee = &warp->program->functions[instr->target];
  if (!callee->is_defined) {
    qn_emu_fault(warp, instr, -1, "the function %.128s is declared and not defined", callee->name);
    return;
  }
  copy_params(state, lanes, instr, 2, callee->first_symbol + callee->result_count, true);
  uint32_t *returns = state->returns + instr->target * QN_EMU_LANES;
  for (uint32_t left = lanes; left; left &= left - 1) returns[qn_emu_first(left)] = index_of(state, instr) + 1;
  qn_emu_jump(state, lanes, callee->first);
}

static void exit_lanes(qn_emu_state *state, uint32_t lanes) {
  state->warp.alive &= ~lanes;
  state->warp.block->alive -= qn_emu_count_lanes(lanes);
  state->active &= ~lanes;
  qn_emu_barriers_exit(state);
}

static void execute_exit(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  (void)instr;
  exit_lanes(qn_emu_state_of(warp), lanes);
}

static uint32_t find_function(const qn_ptx_program *program, uint32_t index) {
  uint32_t i = 0;
  while (index - program->functions[i].first >= program->functions[i].count) i++;
  return i;
}

static void execute_ret(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  uint32_t index = find_function(warp->program, index_of(state, instr));
  const qn_ptx_function *function = &warp->program->functions[index];
  if (function->is_entry) {
    exit_lanes(state, lanes);
    return;
  }
  const uint32_t *returns = state->returns + index * QN_EMU_LANES;
  uint32_t target = returns[qn_emu_first(lanes)], same = 0;
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    if (returns[lane] == target) same |= 1u << lane;
    copy_params(state, 1u << lane, &warp->program->instrs[returns[lane] - 1], 0, function->first_symbol, false);
  }
  qn_emu_jump(state, same, target);
  for (uint32_t left = lanes & ~same; left; left &= left - 1)
    state->pcs[qn_emu_first(left)] = returns[qn_emu_first(left)];
}

static void execute_trap(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_fault(warp, instr, qn_emu_first(lanes), "the kernel stops itself");
}

static bool bind_control(qn_ptx_instr *instr, void (*execute)(qn_emu_warp *, const qn_ptx_instr *, uint32_t)) {
  instr->counter = QN_COUNTER_control;
  instr->execute = execute;
  return true;
}

bool qn_emu_bind_call(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  return bind_control(instr, execute_call);
}

bool qn_emu_bind_ret(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  return bind_control(instr, execute_ret);
}

bool qn_emu_bind_exit(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  return bind_control(instr, execute_exit);
}

bool qn_emu_bind_trap(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  return bind_control(instr, execute_trap);
}

// --- what shows nothing here -------------------------------------------------------------------------------

static void execute_nothing(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  (void)warp, (void)instr, (void)lanes;
}

// Blocks see each other's writes at once, in the order in which they are made; so a fence has nothing to do.
// Sleeping takes no time, and a launch has no launch before it that it must wait for.
bool qn_emu_bind_nothing(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)out_words;
  instr->execute = execute_nothing;
  return true;
}

bool qn_emu_bind_setmaxnreg(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  const qn_ptx_operand *count = qn_ptx_at(instr, 0, 0);
  if (count->kind != QN_PTX_IMMEDIATE_INT || count->value < 24 || count->value > 256 || count->value % 8) {
    *out_words = "expected a number of registers from 24 to 256, a multiple of 8";
    return false;
  }
  instr->sync = QN_PTX_SYNC_ALIVE;
  instr->execute = execute_nothing;
  return true;
}
