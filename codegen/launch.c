// From the arguments of a launch to grid, block, shared memory and kernel parameters.

#include "codegen/launch_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

static const char PLACE[] = "launch";

uint32_t qn_kernel_get_threads(const qn_kernel_spec *spec) {
  qn_kernel_spec resolved = *spec;
  qn_kernel_spec_resolve(&resolved);
  return resolved.warps * 32;
}

uint32_t qn_kernel_get_pack(const qn_kernel_spec *spec) {
  return spec->pack_heads ? spec->heads / spec->kv_heads : 1;
}

qn_dtype qn_kernel_get_kv_dtype(const qn_kernel_spec *spec) {
  return spec->kv_dtype != QN_ANY ? spec->kv_dtype : spec->dtype;
}

qn_dtype qn_kernel_get_staged_dtype(const qn_kernel_spec *spec) {
  bool stages = spec->output.family != QN_SCHEME_none && spec->schedule != QN_SCHEDULE_quantize;
  return stages && spec->numerics == QN_DIRECT ? QN_F32 : spec->out_dtype;
}

// A block a tile of rows, of kv heads or of single heads, and a split of their keys; the merge has one a row of
// the output.
static qn_status set_grid(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args,
                          qn_launch *launch) {
  if (spec->schedule == QN_SCHEDULE_quantize)
    return qn_tokens_get_grid(context, spec, args, &launch->attention.grid);
  uint32_t pack = qn_kernel_get_pack(spec);
  uint64_t q_tiles = ((uint64_t)args->q_len * pack + spec->tile_q - 1) / spec->tile_q;
  uint64_t tile_rows = (uint64_t)args->batch * (spec->heads / pack);
  uint64_t rows = (uint64_t)args->q_len * spec->heads;
  if (tile_rows > INT32_MAX || q_tiles * tile_rows > INT32_MAX / launch->params.splits)
    return qn_fail(context, QN_LIMIT, PLACE,
                   "%u batches of %u heads and %llu query tiles in %u splits are more than %d blocks",
                   args->batch, spec->heads / pack, (unsigned long long)q_tiles, launch->params.splits,
                   INT32_MAX);
  launch->attention.grid = (uint32_t)(q_tiles * tile_rows) * launch->params.splits;
  if (launch->merge.block == 0) return QN_OK;
  if (rows > INT32_MAX / args->batch)
    return qn_fail(context, QN_LIMIT, PLACE, "%u batches of %u positions of %u heads are more than %d blocks",
                   args->batch, args->q_len, spec->heads, INT32_MAX);
  launch->merge.grid = (uint32_t)rows * args->batch;
  return QN_OK;
}

qn_status qn_launch_prepare(qn_context *context, const qn_kernel_spec *unresolved,
                            const qn_attention_args *args, qn_launch *out_launch) {
  qn_kernel_spec spec = *unresolved;
  qn_kernel_spec_resolve(&spec);
  *out_launch = (qn_launch){ .attention = { .block = qn_kernel_get_threads(&spec),
                                            .shared_bytes = qn_kernel_get_shared_bytes(&spec) },
                             .merge = qn_kernel_get_merge(&spec) };
  if (args->batch == 0 || args->q_len == 0) return QN_OK;
  QN_TRY(qn_launch_check(context, &spec, args));

  out_launch->params = (qn_launch_params){
    .q = args->q,
    .k = args->k,
    .v = args->v,
    .out = args->out,
    .output_scale = args->output_scale,
    .mask = args->mask,
    .sinks = args->sinks,
    .alibi_slopes = args->alibi_slopes,
    .kv_lengths = args->kv_lengths,
    .cu_seqlens_q = args->cu_seqlens_q,
    .cu_seqlens_kv = args->cu_seqlens_kv,
    .output_zero_point = args->output_zero_point,
    .pre_scale = args->pre_scale,
    .scale_bound = args->scale_bound,
    .block_scale = args->block_scale,
    .zero_points = args->zero_points,
    .unquantized = args->unquantized,
    .k_scale = args->k_scale,
    .v_scale = args->v_scale,
    .page_table = args->page_table,
    .workspace = args->workspace,
    .q_batch = args->q_stride.batch,
    .q_head = args->q_stride.head,
    .q_position = args->q_stride.position,
    .k_batch = args->k_stride.batch,
    .k_head = args->k_stride.head,
    .k_position = args->k_stride.position,
    .v_batch = args->v_stride.batch,
    .v_head = args->v_stride.head,
    .v_position = args->v_stride.position,
    .out_batch = args->out_stride.batch,
    .out_head = args->out_stride.head,
    .out_position = args->out_stride.position,
    .mask_batch = args->mask_batch_stride,
    .mask_head = args->mask_head_stride,
    .mask_q = args->mask_q_stride,
    .mask_kv = args->mask_kv_stride,
    .output_scale_head = args->output_scale_head,
    .pre_scale_head = args->pre_scale_head,
    .block_scale_batch = args->block_scale_stride.batch,
    .block_scale_head = args->block_scale_stride.head,
    .block_scale_position = args->block_scale_stride.position,
    .block_scale_group = args->block_scale_stride.group,
    .unquantized_batch = args->unquantized_stride.batch,
    .unquantized_head = args->unquantized_stride.head,
    .unquantized_position = args->unquantized_stride.position,
    .page_table_stride = args->page_table_stride,
    .q_len = args->q_len,
    .kv_len = args->kv_len,
    .batch = args->batch,
    .splits = qn_kernel_choose_splits(&spec, args),
    .block_scale_row = args->block_scale_row,
    .block_scale_rows = args->block_scale_rows,
  };
  return set_grid(context, &spec, args, out_launch);
}
