// What the files of the machine share: a launch, clusters, blocks, and the whole of a warp.
//
// A host thread (qn_emu_worker) runs the blocks of one cluster at a time (one block, where there are no
// clusters) from their beginning to their end, in memory that it uses again for the next cluster. Nothing here
// is shared between workers but the launch, which is constant, and global memory.
#ifndef QUENCH_RUNTIME_EMULATOR_BLOCK_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_BLOCK_PRIV_H

#include "runtime/emulator/machine_priv.h"

enum {
  QN_EMU_BARRIERS = 16,
  QN_EMU_THREADS_MAX = 1024,
  QN_EMU_WARPS_MAX = QN_EMU_THREADS_MAX / QN_EMU_LANES,
  QN_EMU_CLUSTER_MAX = 16,
  QN_EMU_FRAME_ALIGN = 128 // of what each function has in local memory and in its frame
};

// Generic addresses: each space but global, which is the rest, has a window of 2^40 bytes. A shared address has
// the rank of its block in the cluster in bits 24 and up. Addresses below the first window are null pointers
// with an offset.
#define QN_EMU_SHARED_WINDOW UINT64_C(0x020000000000)
#define QN_EMU_LOCAL_WINDOW  UINT64_C(0x030000000000)
#define QN_EMU_PARAM_WINDOW  UINT64_C(0x040000000000)
#define QN_EMU_CONST_WINDOW  UINT64_C(0x050000000000)
#define QN_EMU_GLOBAL_FIRST  UINT64_C(0x100000000000)
enum { QN_EMU_WINDOW_BITS = 40, QN_EMU_RANK_SHIFT = 24 };

// State of a byte.
enum {
  QN_EMU_POISON,  // nobody wrote it
  QN_EMU_WRITTEN, //
  QN_EMU_PENDING  // an asynchronous copy is under way to it: async.c
};

// --- device memory: heap.c ---------------------------------------------------------------------------------

typedef struct qn_emu_allocation {
  uint64_t address;
  size_t bytes;
  uint8_t *data, *state;
} qn_emu_allocation;

typedef struct qn_emu_heap {
  qn_context *context;
  qn_emu_allocation *allocations; // by address
  uint32_t count, capacity;
  uint64_t next; // addresses are never given twice
} qn_emu_heap;

qn_status qn_emu_heap_allocate(qn_emu_heap *heap, size_t bytes, uint64_t *out_address);
// False: there is no allocation that begins there.
bool qn_emu_heap_free(qn_emu_heap *heap, uint64_t address);
void qn_emu_heap_destroy(qn_emu_heap *heap);
// The last allocation that begins at or below the address; NULL.
const qn_emu_allocation *qn_emu_heap_find(const qn_emu_heap *heap, uint64_t address);
// Whether [address, address + bytes) lies in the allocation, which may be NULL.
static inline bool qn_emu_holds(const qn_emu_allocation *allocation, uint64_t address, uint64_t bytes) {
  return allocation && address >= allocation->address && bytes <= allocation->bytes &&
         address - allocation->address <= allocation->bytes - bytes;
}
// Where the address lies, in words: "which is 4 bytes behind the end of an allocation of 64 bytes".
void qn_emu_heap_describe(const qn_emu_heap *heap, uint64_t address, char *out, size_t size);

// --- launches: module.c, pool.c ----------------------------------------------------------------------------

// A program made ready: where its variables stand.
typedef struct qn_emu_module {
  qn_context *context;
  qn_ptx_program *program;
  uint64_t globals;    // their allocation; 0: there are none
  uint8_t *constants;  // program->const_bytes
  uint64_t *addresses; // by symbol, in its own space, for the block of rank 0
  // Functions do not call themselves, so each has its place in every lane's local memory and param space.
  uint32_t local_bytes, frame_bytes;
  uint64_t shared_bytes; // static, and what lies between it and dynamic shared memory, which is aligned
  uint32_t granule;      // log2 of the bytes whose accesses are told apart in shared memory: 0 to 2
} qn_emu_module;

typedef struct qn_emu_launch {
  const qn_emu_module *module;
  const qn_ptx_function *entry;
  const qn_emu_heap *heap;
  pthread_mutex_t *lock; // of qn_emu_lock
  uint32_t grid[3], threads[3], cluster[3];
  bool has_clusters;
  uint32_t cluster_blocks, thread_count, warp_count;
  uint64_t block_count;
  uint32_t shared_bytes, dynamic_bytes;
  const uint8_t *params;
  uint64_t instruction_limit;
  uint32_t launch_index;
  bool strict;
} qn_emu_launch;

// --- blocks ------------------------------------------------------------------------------------------------

// Who last wrote a granule of shared memory, and which warps have read it since: shadow.c.
typedef struct qn_emu_cell {
  uint64_t write;   // an epoch; 0: nobody
  uint64_t readers; // a bit a warp of the block, then one for the other blocks of the cluster
} qn_emu_cell;

// An asynchronous copy whose destination is not published yet.
typedef struct qn_emu_pending {
  uint32_t address, group, next;
  uint8_t bytes, lane;
} qn_emu_pending;

typedef struct qn_emu_barrier {
  uint32_t arrived;       // threads; whole warps where the instruction is aligned
  uint32_t expected;      // 0: all that have not exited
  uint32_t line;          // of the first arrival
  uint32_t voters, votes; // of .red: threads, and those whose predicate was true
  uint32_t *clocks;       // by warp of the cluster: what who arrived had done
} qn_emu_barrier;

typedef struct qn_emu_block {
  const qn_emu_launch *launch;
  struct qn_emu_cluster *cluster;
  struct qn_emu_state *warps;
  uint32_t rank;     // in the cluster
  uint32_t index[3]; // %ctaid
  uint64_t number;   // of the grid, x first
  uint32_t alive;    // threads that have not exited
  uint64_t spent;    // lane instructions
  uint8_t *shared, *shared_state;
  qn_emu_cell *cells;      // by granule
  uint64_t *reads;         // by granule and reader: epochs
  uint32_t *strong;        // by warp of the cluster: what threads had done that wrote with release semantics
  qn_emu_pending *pending; // a pool; enough for all of shared memory
  uint32_t pending_free;
  qn_emu_barrier barriers[QN_EMU_BARRIERS];
} qn_emu_block;

typedef struct qn_emu_fault_record {
  uint64_t block;
  char place[320], message[704];
} qn_emu_fault_record;

typedef struct qn_emu_cluster {
  const qn_emu_launch *launch;
  qn_emu_block *blocks;
  uint32_t warp_count;           // of all blocks
  uint32_t arrived;              // threads at the cluster's barrier
  uint32_t *arriving, *complete; // clocks, by warp: of the phase that is under way, and of the last one
  bool faulted;
  qn_emu_fault_record fault;
} qn_emu_cluster;

// --- warps -------------------------------------------------------------------------------------------------

typedef struct qn_emu_state {
  qn_emu_warp warp; // first: what an instruction sees
  uint32_t exists;  // lanes that there are
  // The lanes that run are `active`, at `pc`, and go on at `next`. The other lanes have their place in `pcs`;
  // the lowest of those that could run is `others`.
  uint32_t active, pc, next, others;
  uint32_t parked;  // lanes that wait in front of an instruction with `sync`
  uint32_t blocked; // lanes that wait in a barrier of the block or the cluster
  uint32_t pcs[QN_EMU_LANES];
  uint8_t barrier[QN_EMU_LANES];             // of blocked lanes; QN_EMU_BARRIERS: the cluster's
  uint32_t cluster_arrived, cluster_passing; // lanes that have arrived and not waited: before, after its end
  uint64_t steps;
  uint32_t *returns;             // by function and lane: where a call goes on
  uint8_t *frame, *frame_state;  // by lane: the param space of all functions
  uint8_t *local, *local_state;  // by lane
  const qn_emu_allocation *last; // that was accessed
  // Asynchronous copies: async.c.
  uint32_t group[QN_EMU_LANES];         // that a copy of a lane belongs to
  uint32_t pending_first, pending_last; // in order of issue; QN_PTX_NONE
  // Order: shadow.c.
  uint32_t number;     // of the warp in the cluster
  uint32_t clock;      // grows with everything that others may wait for
  uint32_t warp_clock; // what all lanes did up to here, all lanes know
  bool has_partial;    // lane_seen says more than that
  uint32_t *seen;      // by warp of the cluster: up to which clock its accesses are ordered before ours
  uint32_t lane_seen[QN_EMU_LANES][QN_EMU_LANES];
} qn_emu_state;

static inline qn_emu_state *qn_emu_state_of(qn_emu_warp *warp) {
  return (qn_emu_state *)warp;
}
static inline uint32_t qn_emu_count_lanes(uint32_t lanes) {
  return lanes == QN_EMU_ALL ? QN_EMU_LANES : (uint32_t)__builtin_popcount(lanes);
}
// Lanes from the lowest: for (uint32_t left = lanes; left; left &= left - 1) lane = qn_emu_first(left).
static inline int qn_emu_first(uint32_t lanes) {
  return __builtin_ctz(lanes);
}

// block.c: memory of one worker, and running the clusters of a launch in it.
typedef struct qn_emu_worker {
  const qn_emu_launch *launch;
  void *memory;
  size_t memory_bytes;
  qn_emu_cluster cluster;
  qn_counters counters;
} qn_emu_worker;
// Bytes that a worker needs; 0: more than can be counted.
size_t qn_emu_worker_measure(const qn_emu_launch *launch);
// The worker's memory is set, aligned to 64 bytes.
void qn_emu_worker_prepare(qn_emu_worker *worker);
// Runs the n-th cluster. False after a fault, which the cluster holds.
bool qn_emu_worker_run(qn_emu_worker *worker, uint64_t n);

// machine.c: runs a warp until it cannot go on, or `steps` are done. Whether it did anything.
bool qn_emu_run_warp(qn_emu_state *state, uint32_t steps);
// For instructions that change where lanes go on: `lanes` go to `target`, the rest of the group to the next
// instruction.
void qn_emu_jump(qn_emu_state *state, uint32_t lanes, uint32_t target);
// Puts the lanes of the group down at their places; another group is chosen after this instruction.
void qn_emu_scatter(qn_emu_state *state);
// Where the lanes of a warp stand: "lanes 0-15 wait at mma.sync, line 812; lanes 16-31 have exited".
void qn_emu_describe(const qn_emu_state *state, char *out, size_t size);

// barrier.c: after lanes have exited, barriers may be complete without them.
void qn_emu_barriers_exit(qn_emu_state *state);

// fault.c: a fault of a place that no instruction names; `instr` may be NULL.
void qn_emu_fault_text(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, const char *text);
// "lane 3", "lanes 0-15, 20"
void qn_emu_write_lanes(uint32_t lanes, char *out, size_t size);
// "ld.shared.u32": an instruction's name and modifiers.
void qn_emu_write_opcode(const qn_ptx_instr *instr, char *out, size_t size);

// memory.c: what qn_emu_touch does, told apart further.
typedef struct qn_emu_use {
  bool reads, writes;
  bool strong; // two strong accesses do not race, and order what is around them
} qn_emu_use;
void *qn_emu_touch_as(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, qn_ptx_token space,
                      uint64_t address, uint32_t bytes, qn_emu_use use);
// Where a generic address lies: its space, and the address in that space.
qn_ptx_token qn_emu_resolve(uint64_t generic, uint64_t *out_address);
// The block of the cluster whose shared memory an address is in, and the offset there; NULL.
qn_emu_block *qn_emu_find_shared(qn_emu_block *block, uint64_t address, uint32_t *out_offset);

// async.c: lets go of what exited lanes had under way, and starts a block anew.
void qn_emu_async_reset(qn_emu_block *block);

// shadow.c: happens-before on shared memory.
//
// Checks an access of a lane to shared memory of `block` against those before it and records it. False after a
// fault.
bool qn_emu_shadow_access(qn_emu_state *state, const qn_ptx_instr *instr, int lane, qn_emu_block *block,
                          uint32_t offset, uint32_t bytes, qn_emu_use use);
// The lane's own earlier write of these bytes happens now: an asynchronous copy is published.
void qn_emu_shadow_publish(qn_emu_state *state, uint32_t offset, uint32_t bytes);
// The lanes of a warp know of each other.
void qn_emu_order_lanes(qn_emu_state *state, uint32_t lanes);
// What the warp has done up to now is known to who acquires `clocks`; and the other way.
void qn_emu_release(qn_emu_state *state, uint32_t *clocks);
void qn_emu_acquire(qn_emu_state *state, const uint32_t *clocks);

#endif
