// Compiling kernels through NVRTC and launching them on a device. NVRTC and the CUDA driver are opened at run
// time; where one is absent the calls that need it return QN_UNAVAILABLE and say what was looked for.
#ifndef QUENCH_RUNTIME_H
#define QUENCH_RUNTIME_H

#include <quench/kernel.h>
#include <quench/reference.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- compiling -------------------------------------------------------------------------------------------

// NVRTC, opened, with a disk cache. Thread-safety: unsafe; one per thread costs nothing but the opening.
typedef struct qn_compiler qn_compiler;

typedef struct qn_compiler_params {
  const char *nvrtc_path; // a libnvrtc file or its folder; NULL: the search order of docs/nvrtc.md
  const char *cache_dir;  // NULL: $XDG_CACHE_HOME/quench or ~/.cache/quench, if it can be used; "": no cache;
                          // any other must be usable and writable, else QN_IO
  uint64_t cache_limit;   // bytes; 0: 256 MiB
} qn_compiler_params;
#define qn_compiler_params(...) (&(const qn_compiler_params){ __VA_ARGS__ })

QN_API qn_status qn_compiler_create(qn_context *context, const qn_compiler_params *params,
                                    qn_compiler **out_compiler);
QN_API void qn_compiler_destroy(qn_compiler *compiler);
// The library that was opened and its version, e.g. 13, 5. Opening happens at the first compile that the cache
// does not answer, or here. Errors: QN_UNAVAILABLE.
QN_API qn_status qn_compiler_get_nvrtc(qn_compiler *compiler, const char **out_path, int *out_major,
                                       int *out_minor);
// What was tried, one a line, for a message to a person: the cache folder, or why there is none; then the
// folders and names of NVRTC.
QN_API const char *qn_compiler_get_search_log(const qn_compiler *compiler);

typedef enum qn_binary { QN_CUBIN, QN_PTX } qn_binary;

// A compiled kernel. Immutable. Thread-safety: safe.
typedef struct qn_kernel qn_kernel;

// The second kernel of a launch.
typedef struct qn_kernel_entry {
  const char *name; // NULL: there is none
  uint32_t dynamic_shared_bytes;
  uint32_t threads; // per block
} qn_kernel_entry;

typedef struct qn_kernel_info {
  const char *name; // entry
  qn_binary binary;
  const void *data;
  size_t length;
  uint32_t registers;   // per thread; cubin only, like the next three; the larger number where there is a merge
  uint32_t spill_bytes; // stores + loads
  uint32_t local_bytes; // local memory per thread
  uint32_t static_shared_bytes;
  uint32_t dynamic_shared_bytes;
  uint32_t threads;      // per block
  qn_kernel_entry merge; // of the schedule split
  bool from_cache;
  double compile_ms; // of this call
  const char *log;   // the compiler's own words
} qn_kernel_info;

// Compiles the kernel of a spec, or takes it from the cache. Errors: QN_UNSUPPORTED (qn_target_supports),
// QN_UNAVAILABLE, QN_BUG with NVRTC's log if the generated source does not compile.
QN_API qn_status qn_compiler_compile(qn_compiler *compiler, const qn_kernel_spec *spec, qn_binary binary,
                                     qn_kernel **out_kernel);
// The same for an attention node.
QN_API qn_status qn_compiler_compile_node(qn_compiler *compiler, const qn_graph *graph, qn_node attention,
                                          qn_target target, qn_binary binary, qn_kernel **out_kernel);
QN_API void qn_kernel_destroy(qn_kernel *kernel);
QN_API const qn_kernel_info *qn_kernel_get_info(const qn_kernel *kernel);
QN_API const qn_kernel_spec *qn_kernel_get_spec(const qn_kernel *kernel);

// --- devices ---------------------------------------------------------------------------------------------

// Where kernels run. Thread-safety: safe for launches, unsafe for create and destroy.
typedef struct qn_device qn_device;
// A kernel on a device.
typedef struct qn_loaded_kernel qn_loaded_kernel;
// An address in the device's memory.
typedef uint64_t qn_device_ptr;

// The CUDA device `ordinal`, in its primary context. Errors: QN_UNAVAILABLE with what is missing.
QN_API qn_status qn_device_create_cuda(qn_context *context, int ordinal, qn_device **out_device);

typedef struct qn_emulator_params {
  qn_target target;           // whose limits hold, and what qn_device_get_target answers
  uint32_t threads;           // of the host, each runs whole blocks; 0: one a processor
  uint64_t instruction_limit; // lane instructions of one block; beyond it a launch fails. 0: 2^36
  bool lenient;               // leave out the checks that hardware does not make: poison, races, early reads
} qn_emulator_params;
#define qn_emulator_params(...) (&(const qn_emulator_params){ __VA_ARGS__ })

// A device that executes PTX on the CPU: docs/emulator.md. Launches are synchronous. What a kernel does wrong
// is told by qn_launch_attention: QN_BUG, the place "kernel 'x', block 3, warp 1, lane 5, PTX line 812, source
// line 45".
QN_API qn_status qn_device_create_emulator(qn_context *context, const qn_emulator_params *params,
                                           qn_device **out_device);
QN_API void qn_device_destroy(qn_device *device);
// "cuda: NVIDIA H200, driver 13.0"
QN_API const char *qn_device_get_name(const qn_device *device);
// The target whose kernels the device runs best: as a cubin where a target has its major number, else as PTX,
// which the driver compiles. Errors: QN_UNSUPPORTED for a chip older than sm_80.
QN_API qn_status qn_device_get_target(const qn_device *device, qn_target *out_target);
// The form in which the device takes kernels for a target: a cubin if the major numbers are the same, else PTX.
QN_API qn_binary qn_device_get_binary(const qn_device *device, qn_target target);
QN_API qn_status qn_device_allocate(qn_device *device, size_t bytes, qn_device_ptr *out_ptr);
QN_API qn_status qn_device_free(qn_device *device, qn_device_ptr ptr);
QN_API qn_status qn_device_upload(qn_device *device, qn_device_ptr to, const void *from, size_t bytes);
QN_API qn_status qn_device_download(qn_device *device, void *to, qn_device_ptr from, size_t bytes);
QN_API qn_status qn_device_wait(qn_device *device);

QN_API qn_status qn_device_load(qn_device *device, const qn_kernel *kernel, qn_loaded_kernel **out_loaded);
QN_API void qn_loaded_kernel_destroy(qn_loaded_kernel *loaded);

// The arguments of one attention launch. Pointers are device pointers; strides are in elements, for the axes
// batch, head, position; the last axis (head_dim) is dense. q, k, v rows must be 16-byte aligned.
// Variable length: q_len and kv_len are those of the longest sequence, the batch strides are not used, and
// sequence b has the positions cu_seqlens_q[b] .. cu_seqlens_q[b + 1] - 1 of q and out, and so of k and v.
typedef struct qn_strides {
  int64_t batch, head, position;
} qn_strides;
// Where the scale of group g of head h of position p of batch b is written, in elements. Layouts `packed` and
// `swizzled` are addressed by token, b * q_len + p, and group of the token instead.
typedef struct qn_scale_strides {
  int64_t batch, head, position, group;
} qn_scale_strides;
typedef struct qn_attention_args {
  uint32_t batch, q_len, kv_len;
  qn_device_ptr q, k, v;
  qn_strides q_stride, k_stride, v_stride;
  qn_device_ptr out; // spec.out_dtype, or codes of spec.output
  qn_strides out_stride;
  qn_device_ptr
      output_scale;          // of spec.output.scale_dtype (f32 for a global scale), read by the kernel; 0: none
  int64_t output_scale_head; // of a scale for each channel: elements from one head to the next; 0: the same
  qn_device_ptr output_zero_point; // of spec.output.zero_point_dtype, as output_scale; 0: none
  qn_device_ptr pre_scale;         // spec.pre_scale_dtype; 0: none
  int64_t pre_scale_head;          // elements from one head to the next; 0: the same
  qn_device_ptr scale_bound;       // one f32; 0: none
  qn_device_ptr block_scale;       // the scales that a dynamic scheme returns
  qn_scale_strides block_scale_stride;
  uint32_t block_scale_row;  // packed, swizzled: the token of the buffer that is the launch's first
  uint32_t block_scale_rows; // tokens of the buffer that are written: those behind the launch's last with 0
  qn_device_ptr zero_points; // those that a dynamic scheme returns, at the strides of block_scale
  qn_device_ptr unquantized; // spec.out_dtype; 0 unless the spec has it. Rows aligned to 16 bytes where scales
                             // that depend on several heads are computed from them
  qn_strides unquantized_stride;
  qn_device_ptr k_scale, v_scale; // f32: one, or one for each kv head; 0: none
  qn_device_ptr page_table;       // s32 [batch, page_table_stride]: the pages of a sequence; 0: none. The batch
  int64_t page_table_stride;      // strides of k and v are then from one page to the next
  qn_device_ptr workspace;        // qn_kernel_get_workspace_bytes; zeros before the first launch, and left so
  uint32_t splits;                // of the keys, by the schedule split; 0: chosen
  qn_device_ptr mask;             // spec.mask_dtype, or a byte for each position of a boolean one; 0 if none
  int64_t mask_batch_stride, mask_head_stride, mask_q_stride, mask_kv_stride; // 0 broadcasts; kv_len columns
  qn_device_ptr sinks;                       // [heads] of spec.sinks_dtype; 0 if none
  qn_device_ptr alibi_slopes;                // f32 [heads]; 0 if none
  qn_device_ptr kv_lengths;                  // [batch] of spec.lengths_dtype; 0 if none
  qn_device_ptr cu_seqlens_q, cu_seqlens_kv; // [batch + 1] of spec.lengths_dtype, from 0 up; 0 unless varlen
} qn_attention_args;

// Fills the strides of q, k, v, out and unquantized for dense tensors in these layouts; pages are as long as
// the spec says.
QN_API void qn_attention_args_set_dense(const qn_kernel_spec *spec, qn_layout q_layout, qn_layout k_layout,
                                        qn_layout v_layout, qn_layout out_layout, qn_attention_args *args);
// Fills those of the scales of a dynamic scheme, with block_scale_row and block_scale_rows, for a buffer that
// is this launch's alone, in the layout that the scheme says; `tokens` are those of all sequences. False: there
// is no such buffer, as where tokens over all heads are asked for and `out_layout` keeps the heads apart.
QN_API bool qn_attention_args_set_dense_scales(const qn_kernel_spec *spec, qn_layout out_layout,
                                               uint64_t tokens, qn_attention_args *args);
// Bytes of workspace that a launch with these sizes needs; 0 for most kernels. Launches that come one after the
// other, of any kernels, can share one of the largest size, as long as none has more than 2^18 tokens (batch *
// q_len); a larger launch needs one that serves launches of its own size alone.
QN_API uint64_t qn_kernel_get_workspace_bytes(const qn_kernel_spec *spec, const qn_attention_args *args);
// Launches on the caller's stream (a CUstream; NULL: the default stream). No allocation, no synchronisation,
// no copy to the host: it may be captured in a CUDA graph. A launch with batch or q_len 0 does nothing.
// Errors: QN_INVALID for arguments that the spec forbids, QN_UNAVAILABLE with the driver's words.
QN_API qn_status qn_launch_attention(const qn_loaded_kernel *loaded, const qn_attention_args *args,
                                     void *stream);

// --- accuracy --------------------------------------------------------------------------------------------

// What a kernel's rounding errors grow with: magnitudes over a whole launch, or over what one row sees. Those
// of k and v are of what the elements stand for, their scales included.
typedef struct qn_attention_norms {
  uint64_t keys; // of the longest row
  double q, k;   // the largest Euclidean norm of a row of q, and of a row of k
  double v;      // the largest |value| of v
  double offset; // the largest magnitude of what masks and slopes add to a row's largest score, and of sinks
} qn_attention_norms;

// How far the output of a kernel, or what it quantizes, may be from attention in exact arithmetic on the same
// operands. The derivation is in runtime/accuracy.c; nothing in it is measured.
typedef struct qn_attention_bound {
  double relative, absolute; // before the last rounding; `relative` is of the same attention over |v|
  double unit, step;         // of that rounding: of the value, and of the smallest numbers
} qn_attention_bound;

QN_API qn_attention_bound qn_attention_get_bound(const qn_kernel_spec *spec, const qn_attention_norms *norms);
// The largest |kernel - exact| of an element, given its exact value and that of attention over |v|.
QN_API double qn_attention_bound_at(const qn_attention_bound *bound, double exact, double over_abs_v);

// --- tensors in host memory ------------------------------------------------------------------------------

// One attention of a graph by a loaded kernel: uploads the operands that the kernel reads, launches on the
// default stream, waits, and downloads what the kernel writes. Results stand where the operation has them
// (QN_ATTENTION_OUT .. QN_ATTENTION_UNQUANTIZED); those that the kernel does not write have no type and no
// data. The node says which operand is what and in which layout; shapes are those of the tensors, and the
// kernel need not be the node's own: its unfused twin does as well. Operands are dense, NULL where absent.
// Errors: QN_INVALID for tensors that the kernel cannot take, the words of the device.
QN_API qn_status qn_run_attention(const qn_loaded_kernel *loaded, const qn_graph *graph, qn_node attention,
                                  const qn_tensor *const *operands, uint32_t operand_count,
                                  qn_results **out_results);

// --- counters --------------------------------------------------------------------------------------------

// What an emulator counts, over all launches since its creation or the last reset. The numbers depend on the
// kernel and its arguments alone, not on the machine. Instructions are counted a warp, once for all its lanes.
// clang-format off
//   name               doc
#define QN_COUNTER_MAP(X)                                                             \
  X(blocks,             "blocks")                                                     \
  X(instructions,       "warp instructions")                                          \
  X(lane_instructions,  "lane instructions: those of lanes that were active")         \
  X(integer,            "warp instructions on integers and predicates")               \
  X(floating,           "warp instructions on f16, bf16, f32, f64")                   \
  X(conversions,        "warp instructions that convert types")                       \
  X(special,            "warp instructions ex2, lg2, rcp, rsqrt, sqrt, sin, cos, tanh") \
  X(moves,              "warp instructions that move, select and shuffle")            \
  X(control,            "branches, calls, returns")                                   \
  X(divergent_branches, "branches that parted a warp")                                \
  X(matrix,             "mma instructions")                                           \
  X(matrix_loads,       "ldmatrix, stmatrix, movmatrix")                              \
  X(multiply_adds,      "multiply-adds of mma instructions")                          \
  X(barriers,           "warps arriving at a barrier")                                \
  X(async_copies,       "asynchronous copies, a lane each")                           \
  X(atomics,            "atomic operations, a lane each")                             \
  X(global_loads,       "warp instructions that read global memory")                  \
  X(global_stores,      "warp instructions that write global memory")                 \
  X(global_read_bytes,  "bytes read from global memory, asynchronous copies included") \
  X(global_written_bytes, "bytes written to global memory")                           \
  X(global_sectors,     "32-byte sectors that global accesses touched")               \
  X(shared_read_bytes,  "bytes read from shared memory")                              \
  X(shared_written_bytes, "bytes written to shared memory, asynchronous copies included") \
  X(bank_conflicts,     "extra passes over shared memory because lanes met in a bank")
// clang-format on

typedef struct qn_counters {
#define X(name, doc) uint64_t name;
  QN_COUNTER_MAP(X)
#undef X
} qn_counters;

// Errors: QN_UNSUPPORTED for a device that does not count.
QN_API qn_status qn_device_get_counters(const qn_device *device, qn_counters *out_counters);
QN_API void qn_device_reset_counters(qn_device *device);

// --- whole graphs ----------------------------------------------------------------------------------------

// A graph that runs with its attentions and quantizes on a device and the rest on the reference executor. A
// node that the device's target has no kernel for runs on the reference executor too, and the runner says why.
// Thread-safety: unsafe.
typedef struct qn_runner qn_runner;

// An attention, or a quantize: what was not fused runs on the device as two kernels.
typedef struct qn_runner_node {
  qn_node node;
  const qn_kernel *kernel; // NULL: there is none, and `reason` says why
  bool on_device;          // false: the reference executor; of the last run, else what the next will try
  qn_reason reason;        // why not the device
  qn_counters counters;    // of the last run; all 0 where the device does not count
} qn_runner_node;

// Compiles the kernel of each of these nodes, each distinct one once, and loads it. `graph`, which must not
// change, `compiler` and `device` outlive the runner and belong to one context. Errors: those of compiling and
// loading.
QN_API qn_status qn_runner_create(const qn_graph *graph, qn_compiler *compiler, qn_device *device,
                                  qn_runner **out_runner);
// NULL is allowed.
QN_API void qn_runner_destroy(qn_runner *runner);
QN_API uint32_t qn_runner_get_node_count(const qn_runner *runner);
// In graph order. Lives as long as the runner; a run changes what it says.
QN_API const qn_runner_node *qn_runner_get_node(const qn_runner *runner, uint32_t index);
// Runs the graph as qn_reference_run does. `params` must leave `execute` to the runner and be in mode DECLARED.
// Errors: QN_INVALID for params that do not, and for a graph that has changed; those of qn_reference_run; the
// words of the device.
QN_API qn_status qn_runner_run(qn_runner *runner, const qn_reference_params *params, qn_results **out_results);

#ifdef __cplusplus
}
#endif
#endif
