// A launch: whether its shape is allowed, and its clusters on the threads of the host.
//
// Each host thread takes the next cluster that nobody has. Clusters are taken in order, so when one fails, all
// before it have been taken and are run to their ends: the first fault of the grid is always the one that is
// told, on any number of threads.
#include "runtime/emulator/module_priv.h"

#include <stdatomic.h>

enum { GRID_YZ_MAX = 65535, THREADS_Z_MAX = 64, HOST_THREADS_MAX = 256, ALIGNMENT = 64 };

// --- shape -------------------------------------------------------------------------------------------------

static qn_status check_blocks(qn_context *context, const char *place, const qn_grid *grid) {
  const uint32_t most[3] = { INT32_MAX, GRID_YZ_MAX, GRID_YZ_MAX };
  for (int axis = 0; axis < 3; axis++)
    if (grid->blocks[axis] == 0 || grid->blocks[axis] > most[axis])
      return qn_fail(context, QN_INVALID, place, "the grid has %u blocks in %c, allowed are 1 to %u",
                     grid->blocks[axis], "xyz"[axis], most[axis]);
  return QN_OK;
}

static qn_status check_threads(qn_context *context, const char *place, const qn_grid *grid,
                               const qn_ptx_function *entry) {
  const uint32_t *threads = grid->threads, *most = entry->threads_max;
  uint64_t count = (uint64_t)threads[0] * threads[1];
  if (count <= QN_EMU_THREADS_MAX) count *= threads[2];
  if (count == 0 || count > QN_EMU_THREADS_MAX || threads[2] > THREADS_Z_MAX)
    return qn_fail(context, QN_INVALID, place,
                   "a block of %u x %u x %u threads; allowed are 1 to %d, at most %d in z", threads[0],
                   threads[1], threads[2], QN_EMU_THREADS_MAX, THREADS_Z_MAX);
  if (!most[0]) return QN_OK;
  uint64_t allowed = (uint64_t)most[0] * QN_MAX(most[1], 1) * QN_MAX(most[2], 1);
  if (entry->threads_required) {
    for (int axis = 0; axis < 3; axis++)
      if (threads[axis] != QN_MAX(most[axis], 1))
        return qn_fail(context, QN_INVALID, place,
                       "a block of %u x %u x %u threads; the kernel requires %u x %u x %u", threads[0],
                       threads[1], threads[2], most[0], QN_MAX(most[1], 1), QN_MAX(most[2], 1));
  } else if (count > allowed) {
    return qn_fail(context, QN_INVALID, place, "a block of %llu threads; the kernel allows %llu",
                   (unsigned long long)count, (unsigned long long)allowed);
  }
  return QN_OK;
}

static qn_status set_clusters(qn_context *context, const char *place, qn_emu_launch *launch) {
  const uint32_t *asked = launch->entry->cluster;
  launch->has_clusters = asked[0] != 0;
  launch->cluster_blocks = 1;
  for (int axis = 0; axis < 3; axis++) {
    launch->cluster[axis] = launch->has_clusters ? QN_MAX(asked[axis], 1) : 1;
    if (launch->cluster[axis] > QN_EMU_CLUSTER_MAX ||
        (launch->cluster_blocks *= launch->cluster[axis]) > QN_EMU_CLUSTER_MAX)
      return qn_fail(context, QN_INVALID, place, "the kernel asks for clusters of more than %d blocks",
                     QN_EMU_CLUSTER_MAX);
    if (launch->grid[axis] % launch->cluster[axis])
      return qn_fail(context, QN_INVALID, place,
                     "the grid has %u blocks in %c, no multiple of the cluster's %u", launch->grid[axis],
                     "xyz"[axis], launch -> cluster[axis]);
  }
  return QN_OK;
}

qn_status qn_emu_launch_check(qn_context *context, const qn_grid *grid, uint32_t shared_limit,
                              qn_emu_launch *launch) {
  const qn_ptx_function *entry = launch->entry;
  const char *place = entry->name;
  uint64_t shared = launch->module->shared_bytes + grid->shared_bytes;
  QN_TRY(check_blocks(context, place, grid));
  QN_TRY(check_threads(context, place, grid, entry));
  if (shared > shared_limit)
    return qn_fail(context, QN_INVALID, place, "a block needs %llu bytes of shared memory, the target has %u",
                   (unsigned long long)shared, shared_limit);
  if (grid->params_bytes != entry->param_bytes || (grid->params_bytes && !grid->params))
    return qn_fail(context, QN_INVALID, place, "%zu bytes of parameters are given, the kernel takes %u",
                   grid->params ? grid->params_bytes : 0, entry->param_bytes);
  memcpy(launch->grid, grid->blocks, sizeof launch->grid);
  memcpy(launch->threads, grid->threads, sizeof launch->threads);
  launch->params = grid->params;
  launch->shared_bytes = (uint32_t)shared;
  launch->dynamic_bytes = grid->shared_bytes;
  launch->thread_count = grid->threads[0] * grid->threads[1] * grid->threads[2];
  launch->warp_count = (launch->thread_count + QN_EMU_LANES - 1) / QN_EMU_LANES;
  launch->block_count = (uint64_t)grid->blocks[0] * grid->blocks[1] * grid->blocks[2];
  return set_clusters(context, place, launch);
}

// --- host threads ------------------------------------------------------------------------------------------

typedef struct job {
  const qn_emu_launch *launch;
  uint64_t cluster_count;
  atomic_uint_fast64_t next;
  atomic_bool failed; // no further cluster is taken
} job;

typedef struct host_thread {
  job *job;
  qn_emu_worker worker;
  pthread_t id;
  bool started;
} host_thread;

static void *work(void *argument) {
  host_thread *thread = argument;
  job *j = thread->job;
  while (!atomic_load(&j->failed)) {
    uint64_t n = atomic_fetch_add(&j->next, 1);
    if (n >= j->cluster_count) break;
    if (qn_emu_worker_run(&thread->worker, n)) continue;
    atomic_store(&j->failed, true);
    break;
  }
  return NULL;
}

// A cluster that was taken while another failed is skipped by `failed` only before it is taken; so of all that
// failed, the lowest one is the grid's first.
static const qn_emu_fault_record *find_first_fault(const host_thread *threads, uint32_t count) {
  const qn_emu_fault_record *first = NULL;
  for (uint32_t i = 0; i < count; i++) {
    const qn_emu_cluster *cluster = &threads[i].worker.cluster;
    if (cluster->faulted && (!first || cluster->fault.block < first->block)) first = &cluster->fault;
  }
  return first;
}

static void add_counters(qn_counters *to, const qn_counters *from) {
#define X(name, doc) to->name += from->name;
  QN_COUNTER_MAP(X)
#undef X
}

static qn_status finish(qn_emu_pool *pool, const host_thread *threads, uint32_t count,
                        const qn_emu_launch *launch, qn_counters *counters) {
  const qn_emu_fault_record *fault = find_first_fault(threads, count);
  if (fault) return qn_fail(pool->context, QN_BUG, fault->place, "%s", fault->message);
  qn_counters sum = { 0 };
  for (uint32_t i = 0; i < count; i++) add_counters(&sum, &threads[i].worker.counters);
  // Instructions of no kind of their own count where the first counter is.
  sum.blocks = launch->block_count;
  add_counters(counters, &sum);
  return QN_OK;
}

// Memory for `count` workers, each at a multiple of ALIGNMENT.
static qn_status reserve(qn_emu_pool *pool, size_t each, uint32_t count) {
  if (each == 0 || each > (SIZE_MAX - ALIGNMENT) / count) return qn_fail_memory(pool->context);
  size_t needed = each * count + ALIGNMENT;
  if (needed <= pool->memory_bytes) return QN_OK;
  qn_emu_pool_destroy(pool);
  pool->memory = qn_alloc(pool->context, needed);
  if (!pool->memory) return qn_fail_memory(pool->context);
  pool->memory_bytes = needed;
  return QN_OK;
}

void qn_emu_pool_destroy(qn_emu_pool *pool) {
  qn_free(pool->context, pool->memory, pool->memory_bytes);
  pool->memory = NULL;
  pool->memory_bytes = 0;
}

qn_status qn_emu_pool_run(qn_emu_pool *pool, const qn_emu_launch *launch, qn_counters *counters) {
  job j = { .launch = launch, .cluster_count = launch->block_count / launch->cluster_blocks };
  uint32_t count = QN_MIN(pool->threads, (uint32_t)HOST_THREADS_MAX);
  count = (uint32_t)QN_MIN((uint64_t)count, j.cluster_count);
  size_t each = qn_emu_worker_measure(launch);
  QN_TRY(reserve(pool, each, count));
  host_thread *threads = qn_alloc_zero(pool->context, count * sizeof(*threads));
  if (!threads) return qn_fail_memory(pool->context);
  uintptr_t base = ((uintptr_t)pool->memory + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  for (uint32_t i = 0; i < count; i++) {
    threads[i].job = &j;
    threads[i].worker = (qn_emu_worker){ .launch = launch, .memory = (uint8_t *)base + i * each };
    qn_emu_worker_prepare(&threads[i].worker);
    // Where the host gives no more threads, fewer do the work.
    threads[i].started = i > 0 && pthread_create(&threads[i].id, NULL, work, &threads[i]) == 0;
  }
  work(&threads[0]);
  for (uint32_t i = 1; i < count; i++)
    if (threads[i].started) pthread_join(threads[i].id, NULL);
  qn_status status = finish(pool, threads, count, launch, counters);
  qn_free(pool->context, threads, count * sizeof(*threads));
  return status;
}
