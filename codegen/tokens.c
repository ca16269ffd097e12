// How the lanes of a kernel share the tokens that it quantizes whole.
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

enum {
  WARP = 32,
  GROUP_MAX = 128, // of one head: its lanes find amax together, and 32 lanes hold 128 elements of f32
  BLOCK = 128,
  BLOCK_MAX = 1024, // threads of the schedule `quantize`
  LANE_CHUNKS_MAX =
      8, // of a span: beyond, a block is a better team than a warp, and a larger block than a smaller
  LANE_CHUNKS_FLIGHT = 4 // that a lane loads before it computes: 64 bytes a lane hide the latency of memory
};

static uint32_t chunk_elements(const qn_kernel_spec *spec) {
  return 128 / qn_dtype_bits(qn_kernel_get_staged_dtype(spec));
}

bool qn_kernel_is_deferred(const qn_kernel_spec *spec) {
  const qn_scheme *scheme = &spec->output;
  if (scheme->family == QN_SCHEME_none || !scheme->dynamic) return false;
  return scheme->granularity != QN_PER_GROUP || scheme->group == 0 || scheme->group > GROUP_MAX ||
         spec->v_head_dim % scheme->group != 0;
}

uint32_t qn_kernel_get_piece_chunks(const qn_kernel_spec *spec) {
  bool fused = spec->output.family != QN_SCHEME_none, whole = spec->schedule == QN_SCHEDULE_quantize;
  bool keeps = spec->output.granularity == QN_PER_CHANNEL || spec->pre_scale_dtype != QN_ANY;
  uint32_t chunks = spec->v_head_dim / chunk_elements(spec),
           of_group = spec->output.group / chunk_elements(spec);
  return fused && !whole && !keeps && !qn_kernel_is_deferred(spec) && chunks % 2 == 0 && of_group % 2 == 0 ? 2
                                                                                                           : 1;
}

uint32_t qn_kernel_get_store_lanes(const qn_kernel_spec *spec) {
  uint32_t lanes = spec->output.group / (chunk_elements(spec) * qn_kernel_get_piece_chunks(spec));
  if (!spec->output.dynamic || qn_kernel_is_deferred(spec) || lanes == 0) return WARP;
  return WARP / lanes * lanes;
}

static uint32_t ceil_div(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

// Lanes beside each other read chunks beside each other: as many as the span has chunks, up to a warp.
static uint32_t team_of(uint32_t chunks, uint32_t limit) {
  uint32_t team = 1;
  while (team < chunks && team < WARP) team *= 2;
  if (ceil_div(chunks, team) <= LANE_CHUNKS_MAX || limit == WARP) return team;
  for (team = BLOCK; ceil_div(chunks, team) > LANE_CHUNKS_MAX && team < limit;) team *= 2;
  return team;
}

qn_token_plan qn_token_plan_of(const qn_kernel_spec *spec) {
  const qn_scheme *scheme = &spec->output;
  uint32_t elements = chunk_elements(spec), columns = spec->heads * spec->v_head_dim;
  bool standalone = spec->schedule == QN_SCHEDULE_quantize, shares = qn_kernel_is_deferred(spec);
  qn_token_plan plan = { .span_chunks = 1 };

  if (scheme->pad > 0) columns = ceil_div(columns, scheme->pad) * scheme->pad;
  plan.chunks = columns / elements;
  if (shares) plan.span_chunks = scheme->granularity == QN_PER_GROUP ? scheme->group / elements : plan.chunks;
  plan.span_chunks = QN_MAX(plan.span_chunks, 1);
  plan.spans = ceil_div(plan.chunks, plan.span_chunks);
  plan.team = team_of(plan.span_chunks, standalone ? BLOCK_MAX : WARP);
  plan.threads = standalone ? QN_MAX(plan.team, BLOCK) : WARP;
  plan.flight = QN_MAX(LANE_CHUNKS_FLIGHT / ceil_div(plan.span_chunks, plan.team), 1);
  return plan;
}

uint32_t qn_tokens_get_shared_bytes(const qn_kernel_spec *spec) {
  uint32_t team = qn_token_plan_of(spec).team;
  return team > WARP ? team / WARP * 8 : 0; // the extents that its warps have found
}

qn_status qn_tokens_get_grid(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args,
                             uint32_t *out_blocks) {
  qn_token_plan plan = qn_token_plan_of(spec);
  uint64_t tokens = (uint64_t)args->batch * args->q_len;
  // Chunks are counted in 32 bits.
  if (tokens * plan.chunks > INT32_MAX)
    return qn_fail(context, QN_LIMIT, "launch", "%llu tokens of %u bytes are more than %d chunks of 16 bytes",
                   (unsigned long long)tokens, plan.chunks * 16, INT32_MAX);
  uint32_t lanes = plan.threads / WARP * qn_kernel_get_store_lanes(spec); // those that have chunks
  uint32_t block_spans = lanes / plan.team * plan.flight;
  *out_blocks = ceil_div((uint32_t)tokens * plan.spans, block_spans);
  return QN_OK;
}
