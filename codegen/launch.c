// From the arguments of a launch to grid, block, shared memory and kernel parameters.

#include "codegen/launch_priv.h"

#include "ir/base_priv.h"

#include <stdlib.h>

enum { CHUNK = 16 }; // bytes of one asynchronous copy, to which rows are aligned

static const char PLACE[] = "launch";

static uint32_t element_bytes(qn_dtype dtype) {
  return qn_dtype_bits(dtype) / 8;
}

uint32_t qn_kernel_get_threads(const qn_kernel_spec *spec) {
  qn_kernel_spec resolved = *spec;
  qn_kernel_spec_resolve(&resolved);
  return resolved.warps * 32;
}

uint32_t qn_kernel_get_pack(const qn_kernel_spec *spec) {
  return spec->pack_heads ? spec->heads / spec->kv_heads : 1;
}

qn_dtype qn_kernel_get_staged_dtype(const qn_kernel_spec *spec) {
  bool fused = spec->output.family != QN_SCHEME_none;
  return fused && spec->numerics == QN_DIRECT ? QN_F32 : spec->out_dtype;
}

static qn_status check_rows(qn_context *context, const qn_kernel_spec *spec, const char *name,
                            qn_device_ptr base, const qn_strides *stride) {
  int64_t bytes = element_bytes(spec->dtype);
  const struct {
    const char *axis;
    int64_t stride;
  } axes[] = { { "batch", stride->batch }, { "head", stride->head }, { "position", stride->position } };

  if (base == 0) return qn_fail(context, QN_INVALID, PLACE, "%s is a null pointer", name);
  if (base % CHUNK != 0)
    return qn_fail(context, QN_INVALID, PLACE, "%s must be aligned to %d bytes, its address is 0x%llx", name,
                   CHUNK, (unsigned long long)base);
  for (size_t i = spec->varlen; i < QN_COUNT(axes); i++) // sequences that lie end to end have no batch stride
    if (axes[i].stride % (CHUNK / bytes) != 0)
      return qn_fail(context, QN_INVALID, PLACE,
                     "the %s stride of %s must be a multiple of %lld elements (%d bytes), found %lld",
                     axes[i].axis, name, (long long)(CHUNK / bytes), CHUNK, (long long)axes[i].stride);
  // The kernel takes the distance of two rows as 32 bits.
  if (stride->position > INT32_MAX / bytes || stride->position < -INT32_MAX / bytes)
    return qn_fail(context, QN_LIMIT, PLACE,
                   "two rows of %s must be less than 2 GiB apart, its position stride is %lld", name,
                   (long long)stride->position);
  return QN_OK;
}

static qn_status check_aligned(qn_context *context, const char *name, qn_device_ptr ptr, uint32_t alignment) {
  if (ptr % alignment == 0) return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE,
                 "%s must be aligned to its elements of %u bytes, its address is 0x%llx", name, alignment,
                 (unsigned long long)ptr);
}

// An operand is given exactly if the spec has it.
static qn_status check_given(qn_context *context, const char *name, bool wanted, qn_device_ptr ptr) {
  if (wanted == (ptr != 0)) return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE,
                 wanted ? "%s is a null pointer, and the kernel needs it"
                        : "%s is given to a kernel that does not use it",
                 name);
}

static qn_status check_mask(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  if (args->kv_len == 0 && args->mask == 0) return QN_OK;
  QN_TRY(check_given(context, "mask", spec->mask != QN_MASK_NONE, args->mask));
  if (args->mask == 0) return QN_OK;
  uint32_t bytes = spec->mask == QN_MASK_BOOLEAN ? 1 : element_bytes(spec->mask_dtype);
  int64_t stride = args->mask_kv_stride;
  QN_TRY(check_aligned(context, "mask", args->mask, bytes));
  // The kernel's offsets within one row of the mask are 32 bits wide.
  if (stride > INT32_MAX || stride < -INT32_MAX || args->kv_len * llabs(stride) > INT32_MAX / bytes)
    return qn_fail(context, QN_LIMIT, PLACE,
                   "a row of the mask must span less than 2 GiB, its kv stride is %lld", (long long)stride);
  return QN_OK;
}

// An operand of plain elements: a number a head or a sequence.
static qn_status check_vector(qn_context *context, const char *name, bool wanted, qn_device_ptr ptr,
                              qn_dtype dtype) {
  QN_TRY(check_given(context, name, wanted, ptr));
  return wanted ? check_aligned(context, name, ptr, element_bytes(dtype)) : QN_OK;
}

static qn_status check_vectors(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  const struct {
    const char *name;
    bool wanted;
    qn_device_ptr ptr;
    qn_dtype dtype;
  } vectors[] = {
    { "output_scale", spec->output.family != QN_SCHEME_none, args->output_scale,
      (qn_dtype)spec->output.scale_dtype },
    { "sinks", spec->sinks_dtype != QN_ANY, args->sinks, spec->sinks_dtype },
    { "alibi_slopes", spec->alibi, args->alibi_slopes, QN_F32 },
    { "kv_lengths", spec->kv_lengths, args->kv_lengths, spec->lengths_dtype },
    { "cu_seqlens_q", spec->varlen, args->cu_seqlens_q, spec->lengths_dtype },
    { "cu_seqlens_kv", spec->varlen, args->cu_seqlens_kv, spec->lengths_dtype },
  };
  for (size_t i = 0; i < QN_COUNT(vectors); i++)
    QN_TRY(check_vector(context, vectors[i].name, vectors[i].wanted, vectors[i].ptr, vectors[i].dtype));
  return QN_OK;
}

static qn_status check(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  bool fused = spec->output.family != QN_SCHEME_none;
  qn_dtype out = fused ? (qn_dtype)spec->output.target : spec->out_dtype;

  QN_TRY(check_rows(context, spec, "q", args->q, &args->q_stride));
  if (args->kv_len > 0) {
    QN_TRY(check_rows(context, spec, "k", args->k, &args->k_stride));
    QN_TRY(check_rows(context, spec, "v", args->v, &args->v_stride));
  }
  QN_TRY(check_given(context, "out", true, args->out));
  QN_TRY(check_aligned(context, "out", args->out, element_bytes(out)));
  QN_TRY(check_vectors(context, spec, args));
  QN_TRY(check_mask(context, spec, args));
  // Positions are compared as signed 32-bit numbers, tile ends and windows included.
  if (args->q_len > INT32_MAX / 4 || args->kv_len > INT32_MAX / 4)
    return qn_fail(context, QN_LIMIT, PLACE, "q_len %u and kv_len %u must not exceed %d", args->q_len,
                   args->kv_len, INT32_MAX / 4);
  if ((uint64_t)args->q_len * qn_kernel_get_pack(spec) > INT32_MAX / 2)
    return qn_fail(context, QN_LIMIT, PLACE, "q_len %u of %u heads each must not exceed %d rows", args->q_len,
                   qn_kernel_get_pack(spec), INT32_MAX / 2);
  return QN_OK;
}

qn_status qn_launch_prepare(qn_context *context, const qn_kernel_spec *unresolved,
                            const qn_attention_args *args, qn_launch *out_launch) {
  qn_kernel_spec spec = *unresolved;
  qn_kernel_spec_resolve(&spec);
  *out_launch =
      (qn_launch){ .block = qn_kernel_get_threads(&spec), .shared_bytes = qn_kernel_get_shared_bytes(&spec) };
  if (args->batch == 0 || args->q_len == 0) return QN_OK;
  QN_TRY(check(context, &spec, args));

  uint32_t pack = qn_kernel_get_pack(&spec);
  uint64_t q_tiles = ((uint64_t)args->q_len * pack + spec.tile_q - 1) / spec.tile_q;
  uint64_t tile_rows = (uint64_t)args->batch * (spec.heads / pack);
  if (tile_rows > INT32_MAX || q_tiles * tile_rows > INT32_MAX)
    return qn_fail(context, QN_LIMIT, PLACE,
                   "%u batches of %u heads and %llu query tiles are more than %d blocks", args->batch,
                   spec.heads / pack, (unsigned long long)q_tiles, INT32_MAX);
  out_launch->grid = (uint32_t)(q_tiles * tile_rows);
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
    .splits = args->splits,
    .block_scale_row = args->block_scale_row,
    .block_scale_rows = args->block_scale_rows,
  };
  return QN_OK;
}
