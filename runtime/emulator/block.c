// The blocks of a cluster in one host thread: their memory, their beginning, and turns for their warps.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

// A warp runs until it must wait, but not longer than this while others could: kernels may wait for a flag in
// memory that another warp sets.
enum { TURN = 1 << 14, CACHE_LINE = 64 };

// --- memory of a worker ------------------------------------------------------------------------------------

// Hands out pieces of one piece of memory; without memory, it measures.
typedef struct carver {
  uint8_t *memory; // NULL: only measure
  size_t used;
  bool overflow;
} carver;

static void *carve(carver *c, uint64_t count, size_t element) {
  const size_t most = SIZE_MAX / 4;
  uint64_t bytes = element && count > most / element ? most : count * element;
  if (bytes > most - c->used) {
    c->overflow = true;
    return NULL;
  }
  size_t at = c->used;
  c->used += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
  return c->memory ? c->memory + at : NULL;
}

static void carve_warp(carver *c, const qn_emu_launch *launch, qn_emu_state *state) {
  const qn_emu_module *module = launch->module;
  const qn_ptx_program *program = module->program;
  qn_emu_state pieces = {
    .warp.columns = carve(c, program->columns, sizeof(uint32_t)),
    .warp.defined = carve(c, program->register_count, sizeof(uint32_t)),
    .returns = carve(c, (uint64_t)program->function_count * QN_EMU_LANES, sizeof(uint32_t)),
    .frame = carve(c, (uint64_t)module->frame_bytes * QN_EMU_LANES, 1),
    .frame_state = carve(c, (uint64_t)module->frame_bytes * QN_EMU_LANES, 1),
    .local = carve(c, (uint64_t)module->local_bytes * QN_EMU_LANES, 1),
    .local_state = carve(c, (uint64_t)module->local_bytes * QN_EMU_LANES, 1),
    .seen = carve(c, (uint64_t)launch->cluster_blocks * launch->warp_count, sizeof(uint32_t)),
  };
  if (state) *state = pieces;
}

static void carve_block(carver *c, const qn_emu_launch *launch, qn_emu_block *block) {
  uint32_t warps = launch->warp_count, all_warps = launch->cluster_blocks * warps;
  uint64_t granules = launch->strict ? (launch->shared_bytes >> launch->module->granule) + 1 : 0;
  qn_emu_block pieces = {
    .launch = launch,
    .warps = carve(c, warps, sizeof(qn_emu_state)),
    .shared = carve(c, launch->shared_bytes, 1),
    .shared_state = carve(c, launch->shared_bytes, 1),
    .cells = carve(c, granules, sizeof(qn_emu_cell)),
    .reads = carve(c, granules * (warps + 1), sizeof(uint64_t)),
    .strong = carve(c, all_warps, sizeof(uint32_t)),
    .pending = carve(c, launch->shared_bytes / 4, sizeof(qn_emu_pending)),
  };
  for (int i = 0; i < QN_EMU_BARRIERS; i++) pieces.barriers[i].clocks = carve(c, all_warps, sizeof(uint32_t));
  for (uint32_t i = 0; i < warps; i++) carve_warp(c, launch, pieces.warps ? &pieces.warps[i] : NULL);
  if (block) *block = pieces;
}

static void carve_cluster(carver *c, const qn_emu_launch *launch, qn_emu_cluster *cluster) {
  uint32_t all_warps = launch->cluster_blocks * launch->warp_count;
  *cluster = (qn_emu_cluster){ .launch = launch,
                               .warp_count = all_warps,
                               .blocks = carve(c, launch->cluster_blocks, sizeof(qn_emu_block)),
                               .arriving = carve(c, all_warps, sizeof(uint32_t)),
                               .complete = carve(c, all_warps, sizeof(uint32_t)) };
  for (uint32_t i = 0; i < launch->cluster_blocks; i++)
    carve_block(c, launch, cluster->blocks ? &cluster->blocks[i] : NULL);
}

size_t qn_emu_worker_measure(const qn_emu_launch *launch) {
  carver c = { 0 };
  qn_emu_cluster unused;
  carve_cluster(&c, launch, &unused);
  return c.overflow ? 0 : c.used;
}

void qn_emu_worker_prepare(qn_emu_worker *worker) {
  carver c = { .memory = worker->memory };
  carve_cluster(&c, worker->launch, &worker->cluster);
}

// --- the beginning of a block ------------------------------------------------------------------------------

static void start_warp(qn_emu_worker *worker, qn_emu_block *block, uint32_t index) {
  const qn_emu_launch *launch = worker->launch;
  const qn_emu_module *module = launch->module;
  const qn_ptx_program *program = module->program;
  qn_emu_state *state = &block->warps[index];
  uint32_t threads = QN_MIN(launch->thread_count - index * QN_EMU_LANES, (uint32_t)QN_EMU_LANES);
  uint32_t lanes = threads == QN_EMU_LANES ? QN_EMU_ALL : (1u << threads) - 1;
  *state = (qn_emu_state){
    .warp = { .columns = state->warp.columns,
              .defined = state->warp.defined,
              .strict = launch->strict,
              .counters = &worker->counters,
              .program = program,
              .block = block,
              .index = index,
              .alive = lanes },
    .exists = lanes,
    .active = lanes,
    .pc = launch->entry->first,
    .others = UINT32_MAX,
    .returns = state->returns,
    .frame = state->frame,
    .frame_state = state->frame_state,
    .local = state->local,
    .local_state = state->local_state,
    .seen = state->seen,
    .pending_first = QN_PTX_NONE,
    .pending_last = QN_PTX_NONE,
    .number = block->rank * launch->warp_count + index,
    .clock = 1,
  };
  memset(state->warp.defined, 0, program->register_count * sizeof(uint32_t));
  memset(state->frame_state, QN_EMU_POISON, (size_t)module->frame_bytes * QN_EMU_LANES);
  memset(state->local_state, QN_EMU_POISON, (size_t)module->local_bytes * QN_EMU_LANES);
  memset(state->seen, 0, block->cluster->warp_count * sizeof(uint32_t));
  if (launch->strict) return;
  // What may be read without having been written is the same in every run.
  memset(state->warp.columns, 0, program->columns * sizeof(uint32_t));
  memset(state->frame, 0, (size_t)module->frame_bytes * QN_EMU_LANES);
  memset(state->local, 0, (size_t)module->local_bytes * QN_EMU_LANES);
}

static void start_block(qn_emu_worker *worker, uint32_t rank, const uint32_t cluster_index[3]) {
  const qn_emu_launch *launch = worker->launch;
  qn_emu_block *block = &worker->cluster.blocks[rank];
  const uint32_t *cluster = launch->cluster;
  const uint32_t within[3] = { rank % cluster[0], rank / cluster[0] % cluster[1],
                               rank / cluster[0] / cluster[1] };
  uint32_t all_warps = worker->cluster.warp_count;
  for (int axis = 0; axis < 3; axis++) block->index[axis] = cluster_index[axis] * cluster[axis] + within[axis];
  block->cluster = &worker->cluster;
  block->rank = rank;
  block->number = block->index[0] +
                  (uint64_t)launch->grid[0] * (block->index[1] + (uint64_t)launch->grid[1] * block->index[2]);
  block->alive = launch->thread_count;
  block->spent = 0;
  memset(block->shared_state, QN_EMU_POISON, launch->shared_bytes);
  memset(block->strong, 0, all_warps * sizeof(*block->strong));
  for (int i = 0; i < QN_EMU_BARRIERS; i++) {
    uint32_t *clocks = block->barriers[i].clocks;
    memset(clocks, 0, all_warps * sizeof(*clocks));
    block->barriers[i] = (qn_emu_barrier){ .clocks = clocks };
  }
  if (launch->strict) {
    // The epochs of reads count only where a cell says so.
    memset(block->cells, 0, ((launch->shared_bytes >> launch->module->granule) + 1) * sizeof(qn_emu_cell));
    qn_emu_async_reset(block);
  } else {
    memset(block->shared, 0, launch->shared_bytes);
  }
  for (uint32_t i = 0; i < launch->warp_count; i++) start_warp(worker, block, i);
}

static void start_cluster(qn_emu_worker *worker, uint64_t n) {
  const qn_emu_launch *launch = worker->launch;
  qn_emu_cluster *cluster = &worker->cluster;
  uint64_t across = launch->grid[0] / launch->cluster[0], down = launch->grid[1] / launch->cluster[1];
  const uint32_t index[3] = { (uint32_t)(n % across), (uint32_t)(n / across % down),
                              (uint32_t)(n / across / down) };
  cluster->arrived = 0;
  cluster->faulted = false;
  memset(cluster->arriving, 0, cluster->warp_count * sizeof(*cluster->arriving));
  memset(cluster->complete, 0, cluster->warp_count * sizeof(*cluster->complete));
  for (uint32_t rank = 0; rank < launch->cluster_blocks; rank++) start_block(worker, rank, index);
}

// --- turns -------------------------------------------------------------------------------------------------

// Nobody can go on: the warps that are left, with where they stand.
static void fault_deadlock(qn_emu_cluster *cluster) {
  const qn_emu_launch *launch = cluster->launch;
  char text[560], where[200];
  size_t length = (size_t)snprintf(text, sizeof text, "deadlock:");
  qn_emu_state *first = NULL;
  for (uint32_t i = 0; i < cluster->warp_count; i++) {
    qn_emu_state *state = &cluster->blocks[i / launch->warp_count].warps[i % launch->warp_count];
    if (!state->warp.alive) continue;
    if (length < sizeof text) {
      char block[40] = "";
      if (launch->cluster_blocks > 1)
        snprintf(block, sizeof block, "block %u of the cluster, ", i / launch->warp_count);
      qn_emu_describe(state, where, sizeof where);
      length += (size_t)snprintf(text + length, sizeof text - length, "%s %swarp %u: %s", first ? "." : "",
                                 block, state->warp.index, where);
    }
    if (!first) first = state;
  }
  qn_emu_fault_text(&first->warp, NULL, -1, text);
}

// A block is known by the warps that wait; those that have ended are told by its barriers.
static bool run_turns(qn_emu_cluster *cluster) {
  const qn_emu_launch *launch = cluster->launch;
  for (;;) {
    bool moved = false, alive = false;
    for (uint32_t b = 0; b < launch->cluster_blocks; b++) {
      qn_emu_block *block = &cluster->blocks[b];
      if (!block->alive) continue;
      alive = true;
      for (uint32_t w = 0; w < launch->warp_count; w++) {
        qn_emu_state *state = &block->warps[w];
        if (!state->warp.alive) continue;
        if (qn_emu_run_warp(state, TURN)) moved = true;
        if (cluster->faulted) return false;
      }
    }
    if (!alive) return true;
    if (!moved) {
      fault_deadlock(cluster);
      return false;
    }
  }
}

bool qn_emu_worker_run(qn_emu_worker *worker, uint64_t n) {
  start_cluster(worker, n);
  if (!run_turns(&worker->cluster)) return false;
  for (uint32_t i = 0; i < worker->launch->cluster_blocks; i++) {
    const qn_emu_block *block = &worker->cluster.blocks[i];
    worker->counters.lane_instructions += block->spent;
    for (uint32_t w = 0; w < worker->launch->warp_count; w++)
      worker->counters.instructions += block->warps[w].steps;
  }
  return true;
}
