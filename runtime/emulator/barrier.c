// Barriers: of a warp's lanes, of a block's threads, of a cluster.
//
// A thread that waits is `blocked` at the barrier's instruction; whoever completes the barrier moves all of
// them on. Barriers also order accesses (shadow.c): who arrives leaves what it has done in the barrier's
// clocks, who leaves takes them.
#include "runtime/emulator/block_priv.h"

typedef enum action { SYNC, ARRIVE, RED_POPC, RED_AND, RED_OR, CLUSTER_ARRIVE, CLUSTER_WAIT } action;

// What a bind function leaves in `immediate`; a slot of NO_SLOT is not there.
enum { NO_SLOT = 0xFF };
typedef struct form {
  uint8_t action, aligned, id, count, vote;
} form;
_Static_assert(sizeof(form) <= sizeof(uint64_t), "a form is kept in an instruction");

static form form_of(const qn_ptx_instr *instr) {
  form f;
  memcpy(&f, &instr->immediate, sizeof f);
  return f;
}

// --- waiting -----------------------------------------------------------------------------------------------

static void block_lanes(qn_emu_state *state, uint32_t lanes, uint32_t id) {
  uint32_t pc = state->pc;
  qn_emu_scatter(state);
  for (uint32_t left = lanes; left; left &= left - 1) {
    state->pcs[qn_emu_first(left)] = pc;
    state->barrier[qn_emu_first(left)] = (uint8_t)id;
  }
  state->blocked |= lanes;
}

static uint32_t lanes_blocked_at(const qn_emu_state *state, uint32_t id) {
  uint32_t lanes = 0;
  for (uint32_t left = state->blocked; left; left &= left - 1)
    if (state->barrier[qn_emu_first(left)] == id) lanes |= 1u << qn_emu_first(left);
  return lanes;
}

// The lanes of a warp that a barrier lets go.
static void unblock(qn_emu_state *state, uint32_t lanes, const uint32_t *clocks) {
  for (uint32_t left = lanes; left; left &= left - 1) state->pcs[qn_emu_first(left)]++;
  state->blocked &= ~lanes;
  qn_emu_acquire(state, clocks);
  qn_emu_order_lanes(state, lanes);
}

// --- barriers of a block -----------------------------------------------------------------------------------

static void write_vote(qn_emu_state *state, int lane, const qn_emu_barrier *barrier) {
  const qn_ptx_instr *instr = &state->warp.program->instrs[state->pcs[lane]];
  const qn_ptx_operand *result = qn_ptx_at(instr, 0, 0);
  uint32_t values[QN_EMU_LANES];
  switch (form_of(instr).action) {
  case RED_POPC:
    values[lane] = barrier->votes;
    qn_emu_write32(&state->warp, result, 1u << lane, values);
    break;
  case RED_AND:
    qn_emu_write_pred(&state->warp, result, 1u << lane, barrier->votes == barrier->voters ? QN_EMU_ALL : 0);
    break;
  case RED_OR: qn_emu_write_pred(&state->warp, result, 1u << lane, barrier->votes ? QN_EMU_ALL : 0); break;
  default: break;
  }
}

static void complete(qn_emu_block *block, uint32_t id) {
  qn_emu_barrier *barrier = &block->barriers[id];
  for (uint32_t w = 0; w < block->launch->warp_count; w++) {
    qn_emu_state *state = &block->warps[w];
    uint32_t lanes = lanes_blocked_at(state, id);
    if (!lanes) continue;
    for (uint32_t left = lanes; left; left &= left - 1) write_vote(state, qn_emu_first(left), barrier);
    unblock(state, lanes, barrier->clocks);
  }
  uint32_t *clocks = barrier->clocks;
  memset(clocks, 0, block->cluster->warp_count * sizeof(*clocks));
  *barrier = (qn_emu_barrier){ .clocks = clocks };
}

static bool check_count(qn_emu_state *state, const qn_ptx_instr *instr, int lane, uint32_t id, uint32_t count) {
  const qn_emu_block *block = state->warp.block;
  const qn_emu_barrier *barrier = &block->barriers[id];
  uint32_t most = block->launch->warp_count * QN_EMU_LANES;
  if (form_of(instr).count != NO_SLOT && (count == 0 || count % QN_EMU_LANES))
    qn_emu_fault(&state->warp, instr, lane, "barrier %u: %u threads are asked for, which is no multiple of 32",
                 id, count);
  else if (count > most)
    qn_emu_fault(&state->warp, instr, lane, "barrier %u: %u threads are asked for, the block has %u", id, count,
                 block->launch->thread_count);
  else if (barrier->arrived && barrier->expected != count && count && barrier->expected)
    qn_emu_fault(&state->warp, instr, lane, "barrier %u: %u threads are asked for here and %u at line %u", id,
                 count, barrier->expected, barrier->line);
  else if (barrier->arrived && barrier->expected != count)
    qn_emu_fault(&state->warp, instr, lane,
                 "barrier %u: a number of threads is asked for at line %u and all of the block at line %u", id,
                 count ? instr->line : barrier->line, count ? barrier->line : instr->line);
  else
    return true;
  return false;
}

static void arrive(qn_emu_state *state, const qn_ptx_instr *instr, uint32_t lanes, uint32_t id, uint32_t count,
                   uint32_t votes) {
  qn_emu_block *block = state->warp.block;
  const form f = form_of(instr);
  if (id >= QN_EMU_BARRIERS) {
    qn_emu_fault(&state->warp, instr, qn_emu_first(lanes), "there is no barrier %u, they are 0 to %u", id,
                 QN_EMU_BARRIERS - 1);
    return;
  }
  if (!check_count(state, instr, qn_emu_first(lanes), id, count)) return;
  qn_emu_barrier *barrier = &block->barriers[id];
  if (!barrier->arrived) {
    barrier->expected = count;
    barrier->line = instr->line;
  }
  uint32_t threads = qn_emu_count_lanes(lanes);
  // An aligned instruction stands for its whole warp, also where the warp has fewer threads.
  barrier->arrived += count && f.aligned ? QN_EMU_LANES : threads;
  barrier->voters += threads;
  barrier->votes += qn_emu_count_lanes(votes & lanes);
  if (count && barrier->arrived > count) {
    qn_emu_fault(&state->warp, instr, -1, "barrier %u: %u threads have come where %u are awaited", id,
                 barrier->arrived, count);
    return;
  }
  qn_emu_release(state, barrier->clocks);
  if (f.action != ARRIVE) block_lanes(state, lanes, id);
  if (barrier->arrived == (count ? count : block->alive)) complete(block, id);
}

static void execute_block_barrier(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  const form f = form_of(instr);
  uint32_t id_scratch[QN_EMU_LANES], count_scratch[QN_EMU_LANES], votes = 0;
  static const uint32_t none[QN_EMU_LANES];
  const uint32_t *ids = qn_emu_read32(warp, instr, qn_ptx_at(instr, f.id, 0), lanes, id_scratch);
  const uint32_t *counts = f.count == NO_SLOT
                               ? none
                               : qn_emu_read32(warp, instr, qn_ptx_at(instr, f.count, 0), lanes, count_scratch);
  if (f.vote != NO_SLOT) votes = qn_emu_read_pred(warp, instr, qn_ptx_at(instr, f.vote, 0), lanes);
  for (uint32_t left = lanes; left && !warp->block->cluster->faulted;) {
    int first = qn_emu_first(left);
    uint32_t same = 0;
    for (uint32_t rest = left; rest; rest &= rest - 1) {
      int lane = qn_emu_first(rest);
      if (ids[lane] == ids[first] && counts[lane] == counts[first]) same |= 1u << lane;
    }
    if (f.aligned && same != lanes) {
      qn_emu_fault(warp, instr, qn_emu_first(lanes & ~same), "the lanes of the warp name different barriers");
      return;
    }
    arrive(state, instr, same, ids[first], counts[first], votes);
    left &= ~same;
  }
}

// --- the barrier of a cluster ------------------------------------------------------------------------------

static uint32_t count_alive(const qn_emu_cluster *cluster) {
  uint32_t alive = 0;
  for (uint32_t i = 0; i < cluster->launch->cluster_blocks; i++) alive += cluster->blocks[i].alive;
  return alive;
}

static void complete_cluster(qn_emu_cluster *cluster) {
  size_t bytes = cluster->warp_count * sizeof(*cluster->complete);
  memcpy(cluster->complete, cluster->arriving, bytes);
  memset(cluster->arriving, 0, bytes);
  cluster->arrived = 0;
  for (uint32_t i = 0; i < cluster->warp_count; i++) {
    const qn_emu_launch *launch = cluster->launch;
    qn_emu_state *state = &cluster->blocks[i / launch->warp_count].warps[i % launch->warp_count];
    uint32_t waiting = lanes_blocked_at(state, QN_EMU_BARRIERS);
    state->cluster_passing |= state->cluster_arrived & ~waiting;
    state->cluster_arrived = 0;
    if (waiting) unblock(state, waiting, cluster->complete);
  }
}

static void execute_cluster_arrive(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  qn_emu_cluster *cluster = warp->block->cluster;
  uint32_t again = lanes & (state->cluster_arrived | state->cluster_passing);
  if (again) {
    qn_emu_fault(warp, instr, qn_emu_first(again),
                 "the thread arrives at the barrier of the cluster again and has not waited in between");
    return;
  }
  state->cluster_arrived |= lanes;
  cluster->arrived += qn_emu_count_lanes(lanes);
  qn_emu_release(state, cluster->arriving);
  if (cluster->arrived == count_alive(cluster)) complete_cluster(cluster);
}

static void execute_cluster_wait(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  uint32_t stray = lanes & ~(state->cluster_arrived | state->cluster_passing);
  if (stray) {
    qn_emu_fault(warp, instr, qn_emu_first(stray),
                 "the thread waits at the barrier of the cluster and has not arrived there");
    return;
  }
  uint32_t pass = lanes & state->cluster_passing;
  if (pass) {
    state->cluster_passing &= ~pass;
    qn_emu_acquire(state, warp->block->cluster->complete);
    qn_emu_order_lanes(state, pass);
  }
  if (lanes & ~pass) block_lanes(state, lanes & ~pass, QN_EMU_BARRIERS);
}

void qn_emu_barriers_exit(qn_emu_state *state) {
  qn_emu_block *block = state->warp.block;
  qn_emu_cluster *cluster = block->cluster;
  for (uint32_t id = 0; id < QN_EMU_BARRIERS; id++) {
    const qn_emu_barrier *barrier = &block->barriers[id];
    if (barrier->arrived && !barrier->expected && barrier->arrived == block->alive) complete(block, id);
  }
  uint32_t left = state->cluster_arrived & ~state->warp.alive;
  state->cluster_arrived &= ~left;
  cluster->arrived -= qn_emu_count_lanes(left);
  if (cluster->arrived && cluster->arrived == count_alive(cluster)) complete_cluster(cluster);
}

// --- the barrier of a warp ---------------------------------------------------------------------------------

static void execute_warp_sync(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  (void)instr;
  qn_emu_order_lanes(qn_emu_state_of(warp), lanes);
}

// --- binding -----------------------------------------------------------------------------------------------

static bool bind_warp(qn_ptx_instr *instr, const char **out_words) {
  if (!qn_ptx_has(instr, QN_PTX_sync) || instr->slot_count != 1 || !qn_ptx_fits(instr, 0, 32)) {
    *out_words = "expected bar.warp.sync with one mask";
    return false;
  }
  instr->sync = QN_PTX_SYNC_MEMBERS;
  instr->members = 0;
  instr->execute = execute_warp_sync;
  return true;
}

static bool bind_cluster(qn_ptx_instr *instr, const char **out_words) {
  bool arrives = qn_ptx_has(instr, QN_PTX_arrive), waits = qn_ptx_has(instr, QN_PTX_wait);
  if (arrives == waits || instr->slot_count) {
    *out_words = "expected barrier.cluster.arrive or barrier.cluster.wait, without operands";
    return false;
  }
  if (qn_ptx_has(instr, QN_PTX_aligned)) instr->sync = QN_PTX_SYNC_ALIVE;
  if (arrives) instr->counter = QN_COUNTER_barriers;
  instr->execute = arrives ? execute_cluster_arrive : execute_cluster_wait;
  return true;
}

static bool find_action(const qn_ptx_instr *instr, uint8_t *out_action) {
  static const struct {
    qn_ptx_token token;
    action action;
  } actions[] = { { QN_PTX_sync, SYNC },
                  { QN_PTX_arrive, ARRIVE },
                  { QN_PTX_popc, RED_POPC },
                  { QN_PTX_and, RED_AND },
                  { QN_PTX_or, RED_OR } };
  for (size_t i = 0; i < QN_COUNT(actions); i++) {
    if (!qn_ptx_has(instr, actions[i].token)) continue;
    *out_action = (uint8_t)actions[i].action;
    return (actions[i].action >= RED_POPC) == qn_ptx_has(instr, QN_PTX_red);
  }
  return false;
}

// sync id{, count}; arrive id, count; red result, id{, count}, predicate
static bool bind_block(qn_ptx_instr *instr, bool aligned, const char **out_words) {
  form f = { .aligned = aligned, .count = NO_SLOT, .vote = NO_SLOT };
  uint32_t slots = instr->slot_count;
  bool known = find_action(instr, &f.action), red = f.action >= RED_POPC;
  uint32_t least = red ? 3 : f.action == ARRIVE ? 2 : 1, most = red ? 4 : 2;
  if (!known || slots < least || slots > most) {
    *out_words = "expected sync id{, count}, arrive id, count, or red.op.type result, id{, count}, predicate";
    return false;
  }
  f.id = red;
  if (slots == most) f.count = f.id + 1;
  if (red) f.vote = (uint8_t)(slots - 1);
  bool fits = qn_ptx_fits(instr, f.id, 32) && (f.count == NO_SLOT || qn_ptx_fits(instr, f.count, 32));
  if (red) fits = fits && qn_ptx_fits(instr, 0, f.action == RED_POPC ? 32 : 1) && qn_ptx_fits(instr, f.vote, 1);
  if (!fits) {
    *out_words = "an operand has the wrong width";
    return false;
  }
  if (aligned) instr->sync = QN_PTX_SYNC_ALIVE;
  instr->counter = QN_COUNTER_barriers;
  instr->execute = execute_block_barrier;
  memcpy(&instr->immediate, &f, sizeof f);
  return true;
}

bool qn_emu_bind_bar(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  return qn_ptx_has(instr, QN_PTX_warp) ? bind_warp(instr, out_words) : bind_block(instr, true, out_words);
}

bool qn_emu_bind_barrier(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  return qn_ptx_has(instr, QN_PTX_cluster) ? bind_cluster(instr, out_words)
                                           : bind_block(instr, qn_ptx_has(instr, QN_PTX_aligned), out_words);
}
