// The contract between a generated kernel and whoever launches it: parameters, grid, block, shared memory.
//
// A kernel takes one parameter, by value: `struct qn_launch_params`. The list below is the only definition of
// it; the host's struct is made from it here, and the device's by source.c, so the two cannot disagree. The
// source needs no compile options but the architecture and `--std=c++17`.
#ifndef QUENCH_CODEGEN_LAUNCH_PRIV_H
#define QUENCH_CODEGEN_LAUNCH_PRIV_H

#include <quench/runtime.h>

// clang-format off
// Device types are u64, i64, u32 of the same size. Ordered by size: no padding anywhere.
//   host       device  field            what it is
#define QN_LAUNCH_PARAM_MAP(X)                                                          \
  X(uint64_t,   u64,    q,               "address of q[0,0,0,0]")                       \
  X(uint64_t,   u64,    k,               "")                                            \
  X(uint64_t,   u64,    v,               "")                                            \
  X(uint64_t,   u64,    out,             "")                                            \
  X(uint64_t,   u64,    output_scale,    "address of one element; 0 if unfused")        \
  X(uint64_t,   u64,    mask,            "0 if there is none")                          \
  X(uint64_t,   u64,    sinks,           "")                                            \
  X(uint64_t,   u64,    alibi_slopes,    "")                                            \
  X(uint64_t,   u64,    kv_lengths,      "")                                            \
  X(uint64_t,   u64,    cu_seqlens_q,    "")                                            \
  X(uint64_t,   u64,    cu_seqlens_kv,   "")                                            \
  X(uint64_t,   u64,    output_zero_point, "")                                          \
  X(uint64_t,   u64,    pre_scale,       "")                                            \
  X(uint64_t,   u64,    scale_bound,     "")                                            \
  X(uint64_t,   u64,    block_scale,     "")                                            \
  X(uint64_t,   u64,    zero_points,     "")                                            \
  X(uint64_t,   u64,    unquantized,     "")                                            \
  X(uint64_t,   u64,    k_scale,         "")                                            \
  X(uint64_t,   u64,    v_scale,         "")                                            \
  X(uint64_t,   u64,    page_table,      "")                                            \
  X(uint64_t,   u64,    workspace,       "")                                            \
  X(int64_t,    i64,    q_batch,         "strides, in elements")                        \
  X(int64_t,    i64,    q_head,          "")                                            \
  X(int64_t,    i64,    q_position,      "")                                            \
  X(int64_t,    i64,    k_batch,         "")                                            \
  X(int64_t,    i64,    k_head,          "")                                            \
  X(int64_t,    i64,    k_position,      "")                                            \
  X(int64_t,    i64,    v_batch,         "")                                            \
  X(int64_t,    i64,    v_head,          "")                                            \
  X(int64_t,    i64,    v_position,      "")                                            \
  X(int64_t,    i64,    out_batch,       "")                                            \
  X(int64_t,    i64,    out_head,        "")                                            \
  X(int64_t,    i64,    out_position,    "")                                            \
  X(int64_t,    i64,    mask_batch,      "0 broadcasts")                                \
  X(int64_t,    i64,    mask_head,       "")                                            \
  X(int64_t,    i64,    mask_q,          "")                                            \
  X(int64_t,    i64,    mask_kv,         "")                                            \
  X(int64_t,    i64,    output_scale_head, "from one head to the next; 0: the same")    \
  X(int64_t,    i64,    pre_scale_head,  "")                                            \
  X(int64_t,    i64,    block_scale_batch, "")                                          \
  X(int64_t,    i64,    block_scale_head, "")                                           \
  X(int64_t,    i64,    block_scale_position, "")                                       \
  X(int64_t,    i64,    block_scale_group, "")                                          \
  X(int64_t,    i64,    unquantized_batch, "")                                          \
  X(int64_t,    i64,    unquantized_head, "")                                           \
  X(int64_t,    i64,    unquantized_position, "")                                       \
  X(int64_t,    i64,    page_table_stride, "")                                          \
  X(uint32_t,   u32,    q_len,           "positions of q, of the longest sequence")      \
  X(uint32_t,   u32,    kv_len,          "the same of k and v")                          \
  X(uint32_t,   u32,    batch,           "sequences")                                    \
  X(uint32_t,   u32,    splits,          "blocks that share the keys of a sequence")     \
  X(uint32_t,   u32,    block_scale_row, "")                                             \
  X(uint32_t,   u32,    block_scale_rows, "")
// clang-format on

typedef struct qn_launch_params {
#define X(host, device, field, doc) host field;
  QN_LAUNCH_PARAM_MAP(X)
#undef X
} qn_launch_params;
_Static_assert(sizeof(qn_launch_params) == 47 * 8 + 6 * 4, "the device's struct has no padding");

// The size of a launch. The grid and the block have one dimension.
typedef struct qn_launch_step {
  uint32_t grid;         // blocks in x; 0: there is nothing to do, do not launch
  uint32_t block;        // threads in x
  uint32_t shared_bytes; // dynamic shared memory; above 48 KiB the kernel's attribute must be raised first
} qn_launch_step;

// The launch of an attention kernel, and of the merge kernel behind it, with the same parameters.
typedef struct qn_launch {
  qn_launch_step attention, merge;
  qn_launch_params params;
} qn_launch;

enum {
  QN_ENTRY_NAME = 136, // bytes of an entry's name
  QN_MERGE_WARPS = 4,  // of a block of the merge kernel: each takes a lane for a split
  QN_SPLITS_MAX = QN_MERGE_WARPS * 32
};

// The element type in which finished rows are staged in shared memory before they are stored or quantized.
qn_dtype qn_kernel_get_staged_dtype(const qn_kernel_spec *spec);
// The element type of k and v.
qn_dtype qn_kernel_get_kv_dtype(const qn_kernel_spec *spec);
// Query heads that share a tile of rows (device/rows.cuh): 1 unless the spec packs them.
uint32_t qn_kernel_get_pack(const qn_kernel_spec *spec);
// Threads of a block and bytes of its dynamic shared memory; they depend on the spec alone.
uint32_t qn_kernel_get_threads(const qn_kernel_spec *spec);
uint32_t qn_kernel_get_shared_bytes(const qn_kernel_spec *spec);

// Warps of a block that share the keys of the same rows.
uint32_t qn_kernel_get_kv_warps(const qn_kernel_spec *spec);
// The block of the merge kernel, which schedule split has; the grid is the launch's. All 0: there is none. The
// spec has no choices left.
qn_launch_step qn_kernel_get_merge(const qn_kernel_spec *spec);
void qn_kernel_format_merge_name(const qn_kernel_spec *spec, char out_name[QN_ENTRY_NAME]);
// Blocks that share the keys of a row, as the arguments say or else as suits the chip; from 1 on.
uint32_t qn_kernel_choose_splits(const qn_kernel_spec *spec, const qn_attention_args *args);
uint64_t qn_split_get_workspace_bytes(const qn_kernel_spec *spec, const qn_attention_args *args);

// What arguments must be for a spec without choices left. Errors: QN_INVALID naming the argument, QN_LIMIT for
// sizes that the kernel's arithmetic does not hold.
qn_status qn_launch_check(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args);
// Checks the arguments against the spec and lays out the launch. Errors: QN_INVALID naming the argument,
// QN_LIMIT if the grid would exceed what CUDA allows.
qn_status qn_launch_prepare(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args,
                            qn_launch *out_launch);

#endif
