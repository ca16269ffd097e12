// Quantizing whole tokens: which schemes need all heads of a token together, and how their lanes share the
// work.
#ifndef QUENCH_CODEGEN_TOKENS_PRIV_H
#define QUENCH_CODEGEN_TOKENS_PRIV_H

#include "codegen/launch_priv.h"

// A span is what shares a scale: a token, or a group of it. Where no scale is computed it is one chunk of 16
// bytes, as they are staged. A team of lanes takes a span at a time, and has several under way.
typedef struct qn_token_plan {
  uint32_t chunks;      // of a token, those that fill it up to the scheme's `pad` included
  uint32_t span_chunks; // of a span; the last one of a token may have fewer
  uint32_t spans;       // of a token
  uint32_t team;        // lanes: a power of two up to 32, or all threads of the block
  uint32_t flight;      // spans that a team has under way at once
  uint32_t threads;     // that share spans: a block of the schedule `quantize`, else a warp
} qn_token_plan;

// Whether the scheme's scales depend on more than the lanes of a warp that hold one head: those of tokens, and
// of groups that span heads. Then the rows are quantized when all heads are finished, by device/tokens.cuh.
bool qn_kernel_is_deferred(const qn_kernel_spec *spec);
// The staged chunks that a lane takes together: two where a row and a group have an even number of them, for
// half of what a lane does for each besides the codes. Else one, and where a lane keeps numbers of its
// channels.
uint32_t qn_kernel_get_piece_chunks(const qn_kernel_spec *spec);
// Whether the rows that wait for the other heads of their tokens are those of the second output, which are the
// very values that are quantized: they are written and read in chunks.
bool qn_kernel_defers_unquantized(const qn_kernel_spec *spec);
// The lanes of a warp that take chunks of rows at a time: all, or as many as hold whole groups of one head.
uint32_t qn_kernel_get_store_lanes(const qn_kernel_spec *spec);

// The plan of a kernel. Of the schedule `quantize` the whole block may be a team; of others it is 32 lanes at
// most.
qn_token_plan qn_token_plan_of(const qn_kernel_spec *spec);

// Blocks of the schedule `quantize`, and their shared memory. Errors: QN_LIMIT.
qn_status qn_tokens_get_grid(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args,
                             uint32_t *out_blocks);
uint32_t qn_tokens_get_shared_bytes(const qn_kernel_spec *spec);

// --- workspace -------------------------------------------------------------------------------------------

// A workspace begins with a counter for each token, of which the first of the tokens that a warp stores
// together is used (device/epilogue_deferred.cuh). Counters are 0 between launches. They have this much room at
// least, and every kernel with a workspace leaves it to them, so that launches of different sizes and of
// different kernels can use one workspace one after the other.
enum { QN_WORKSPACE_COUNTERS = 1 << 18 };

// How often a counter is added to: warps that store rows of the same tokens.
uint32_t qn_kernel_get_arrivals(const qn_kernel_spec *spec);

#endif
