// Inside of codegen: what chips can do, and which tiles a schedule takes on them.
#ifndef QUENCH_CODEGEN_SPEC_PRIV_H
#define QUENCH_CODEGEN_SPEC_PRIV_H

#include <quench/kernel.h>

#include "ir/reason_priv.h"

// What of a chip decides the text of a kernel. mma.sync for f16, bf16 and tf32, ldmatrix and cp.async are
// common to all targets.
typedef struct qn_target_info {
  uint32_t sm;
  bool fp8_cvt; // cvt.rn.satfinite.{e4m3x2,e5m2x2}.f32; without it the codecs of quant/ do the work
  bool fp4_cvt; // cvt.rn.satfinite.e2m1x2.f32, the same
  uint32_t multiprocessors;
  uint32_t shared_block; // bytes of shared memory that one block may ask for
  uint32_t shared_sm;    // bytes that the blocks of one multiprocessor share
} qn_target_info;

// `target` must be below QN_TARGET_COUNT.
const qn_target_info *qn_target_get_info(qn_target target);

// Tile sizes of a schedule. Every warp owns tile_q / warps rows of q: 16 or 32.
typedef struct qn_tiles {
  uint32_t tile_q, tile_kv, warps, stages;
} qn_tiles;

// From one row to the next in shared memory, in chunks of 16 bytes; device/tile.cuh says how a chunk finds its
// place.
typedef struct qn_row_strides {
  uint32_t qk, v;
} qn_row_strides;

// Whether kernels are generated for the k and v of the spec; else the reason.
bool qn_check_keys(const qn_kernel_spec *spec, qn_reason *reason);

const char *qn_schedule_name(qn_schedule schedule);
qn_row_strides qn_schedule_get_strides(const qn_kernel_spec *spec);

// The tiles that a spec takes where it does not say them; all zero where no row fits.
qn_tiles qn_schedule_get_tiles(const qn_kernel_spec *spec);

// Parts of qn_target_supports: a scheme whose scale is known before the run, a dynamic scheme in groups, one
// with a scale for each token; and what is quantized when all heads of a token are finished.
bool qn_supports_static(const qn_kernel_spec *spec, qn_reason *reason);
bool qn_supports_groups(const qn_kernel_spec *spec, qn_reason *reason);
bool qn_supports_tokens(const qn_kernel_spec *spec, qn_reason *reason);
bool qn_supports_deferred(const qn_kernel_spec *spec, qn_reason *reason);
// Refuses a scheme, whose text is what was found.
bool qn_refuse_scheme(qn_reason *reason, qn_why why, const char *expected, const qn_scheme *scheme);

#endif
