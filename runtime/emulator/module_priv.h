// Programs that are loaded on the emulator, and launches of them.
#ifndef QUENCH_RUNTIME_EMULATOR_MODULE_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_MODULE_PRIV_H

#include "runtime/emulator/block_priv.h"

// Errors: those of qn_ptx_read; QN_UNSUPPORTED for functions that call themselves, QN_INVALID for a function
// that does not end, QN_LIMIT.
qn_status qn_emu_module_create(qn_context *context, qn_emu_heap *heap, const qn_kernel_info *kernel,
                               qn_emu_module **out_module);
// NULL is allowed.
void qn_emu_module_destroy(qn_emu_module *module, qn_emu_heap *heap);

// What the device gives to a launch: limits, and host memory that launches use again.
typedef struct qn_emu_pool {
  qn_context *context;
  uint32_t threads; // of the host
  void *memory;     // of all workers
  size_t memory_bytes;
} qn_emu_pool;
void qn_emu_pool_destroy(qn_emu_pool *pool);

// Fills the launch's shape from the grid, the entry and the device's limits. Errors: QN_INVALID, QN_LIMIT.
qn_status qn_emu_launch_check(qn_context *context, const qn_grid *grid, uint32_t shared_limit,
                              qn_emu_launch *launch);
// Runs all clusters; adds to the counters if all of them ended well. Errors: QN_BUG for a fault of the kernel,
// QN_MEMORY.
qn_status qn_emu_pool_run(qn_emu_pool *pool, const qn_emu_launch *launch, qn_counters *counters);

#endif
