// Kernels: a plain description, what a target supports, and the CUDA C of one kernel. Needs no GPU and no CUDA.
#ifndef QUENCH_KERNEL_H
#define QUENCH_KERNEL_H

#include <quench/reason.h>

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off
//   name      arch        sm   doc
#define QN_TARGET_MAP(X)                                       \
  X(sm_80,    "sm_80",    80,  "A100")                          \
  X(sm_86,    "sm_86",    86,  "A40, RTX 30")                   \
  X(sm_89,    "sm_89",    89,  "L4, L40, RTX 40")               \
  X(sm_90a,   "sm_90a",   90,  "H100, H200")                    \
  X(sm_100a,  "sm_100a",  100, "B200")                          \
  X(sm_103a,  "sm_103a",  103, "B300")                          \
  X(sm_120a,  "sm_120a",  120, "RTX 50, RTX PRO Blackwell")
// clang-format on

typedef enum qn_target {
#define X(name, arch, sm, doc) QN_TARGET_##name,
  QN_TARGET_MAP(X)
#undef X
      QN_TARGET_COUNT
} qn_target;

QN_API const char *qn_target_name(qn_target target);
QN_API const char *qn_target_doc(qn_target target);
// QN_TARGET_COUNT if no target has that name.
QN_API qn_target qn_target_find(const char *name);

typedef enum qn_mask_kind { QN_MASK_NONE, QN_MASK_ADDITIVE, QN_MASK_BOOLEAN } qn_mask_kind;
// How f32 operands are multiplied: three TF32 products (f32 accuracy) or one.
typedef enum qn_f32_mode { QN_F32_TF32X3, QN_F32_TF32 } qn_f32_mode;
// clang-format off
//   name       doc
#define QN_SCHEDULE_MAP(X)                                                                                   \
  X(mma,        "one kernel; a block computes a tile of queries over all their keys")                         \
  X(split,      "for few queries: blocks share the keys of a sequence, a second kernel merges and quantizes")  \
  X(quantize,   "no attention: quantizes the output of the same spec without an output scheme, given as q")
// clang-format on
typedef enum qn_schedule {
#define X(name, doc) QN_SCHEDULE_##name,
  QN_SCHEDULE_MAP(X)
#undef X
      QN_SCHEDULE_COUNT
} qn_schedule;
// Scales of k or v, f32 in memory: the elements stand for so many times their value.
typedef enum qn_kv_scale { QN_KV_SCALE_NONE, QN_KV_SCALE_TENSOR, QN_KV_SCALE_HEAD } qn_kv_scale;

// All that decides the text of a kernel. Shapes other than head dims, and strides, are launch arguments.
// Zero-initialised fields are the plain case; schedule parameters of 0 are chosen by qn_kernel_spec_resolve.
typedef struct qn_kernel_spec {
  qn_target target;
  qn_schedule schedule;
  qn_dtype dtype;    // of q, and of k and v unless kv_dtype says otherwise: F16, BF16, F32
  qn_dtype kv_dtype; // of k and v; ANY: dtype. E4M3, E5M2: codes of a cache
  qn_kv_scale k_scale, v_scale;
  uint32_t page_size; // positions of a page of k and v, which a page table names; 0: no pages
  qn_dtype out_dtype; // the type the accumulator is rounded to: of an unfused output, and before quantizing
                      // in exact numerics
  uint32_t head_dim;  // of q and k
  uint32_t v_head_dim;
  uint32_t heads, kv_heads;
  qn_causal causal;
  qn_mask_kind mask;
  qn_dtype mask_dtype;               // of an additive mask: dtype or F32
  int32_t window_left, window_right; // -1: none
  float scale;                       // of q k^T; 0: 1 / sqrt(head_dim)
  float softcap;                     // 0: none
  qn_dtype sinks_dtype;     // of one logit a head that takes part in the sum alone: dtype or F32; ANY: none
  bool alibi;               // a slope a head, in F32, read from memory
  bool kv_lengths;          // the keys of each sequence are counted in memory
  bool varlen;              // sequences lie end to end; cumulative lengths of q and kv are in memory
  qn_dtype lengths_dtype;   // of kv_lengths and cumulative lengths: S32 or S64
  bool pack_heads;          // the query heads of a kv head share a tile: for few queries
  qn_scheme output;         // family `none`: unfused
  qn_dtype pre_scale_dtype; // of a factor for each channel before quantization; ANY: none
  bool scale_bound;         // amax of a dynamic scheme has an upper bound, an f32 in memory
  bool unquantized;         // the output is written as it is, too
  qn_numerics numerics;
  qn_f32_mode f32_mode;
  uint32_t tile_q, tile_kv, warps, stages; // 0: chosen
} qn_kernel_spec;

// Whether kernels for this spec are generated; false with the reason.
QN_API bool qn_target_supports(const qn_kernel_spec *spec, qn_reason *out_reason);
// The spec of an attention node. Errors: QN_UNSUPPORTED with the reason (why and words), which the context's
// error holds too; `out_reason` may be NULL.
QN_API qn_status qn_kernel_spec_from_node(const qn_graph *graph, qn_node attention, qn_target target,
                                          qn_kernel_spec *out_spec, qn_reason *out_reason);
// The spec of a quantize node for the schedule `quantize`: one head, as wide as the last axis of x, which must be
// known; all other axes are positions of one sequence. Errors: as above.
QN_API qn_status qn_kernel_spec_from_quantize(const qn_graph *graph, qn_node quantize, qn_target target,
                                              qn_kernel_spec *out_spec, qn_reason *out_reason);
// The legality check for qn_pipeline_params: a kernel for the target must exist. `target` must outlive the run.
QN_API qn_legality qn_legality_of_target(const qn_target *target);
// Fills the fields that were left to be chosen.
QN_API void qn_kernel_spec_resolve(qn_kernel_spec *spec);

// The CUDA C of the kernel, self-contained: no include, one `extern "C"` entry.
QN_API qn_status qn_kernel_write_source(qn_context *context, const qn_kernel_spec *spec,
                                        const qn_writer *writer);
// A name that is unique to the spec's options, e.g. "qn_attention_mma_f16_d64_causal_fp8_static"; at most 127
// characters. It is the kernel's entry name.
QN_API void qn_kernel_format_name(const qn_kernel_spec *spec, char out_name[128]);

#ifdef __cplusplus
}
#endif
#endif
