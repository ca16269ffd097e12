// What the arguments of a launch must be: operands and results given exactly where the spec has them, aligned,
// and of sizes that the kernel's arithmetic holds.

#include "codegen/launch_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

#include <stdlib.h>

enum { CHUNK = 16 }; // bytes of one asynchronous copy, to which rows are aligned

static const char PLACE[] = "launch";

// Of an element; of the byte that two elements of 4 bits share.
static uint32_t element_bytes(qn_dtype dtype) {
  return QN_MAX(qn_dtype_bits(dtype) / 8, 1);
}

static bool is_fused(const qn_kernel_spec *spec) {
  return spec->output.family != QN_SCHEME_none;
}

// --- parts -----------------------------------------------------------------------------------------------

static qn_status check_aligned(qn_context *context, const char *name, qn_device_ptr ptr, uint32_t alignment) {
  if (ptr % alignment == 0) return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE,
                 "%s must be aligned to its elements of %u bytes, its address is 0x%llx", name, alignment,
                 (unsigned long long)ptr);
}

// An argument is given exactly if the spec has it.
static qn_status check_given(qn_context *context, const char *name, bool wanted, qn_device_ptr ptr) {
  if (wanted == (ptr != 0)) return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE,
                 wanted ? "%s is a null pointer, and the kernel needs it"
                        : "%s is given to a kernel that does not use it",
                 name);
}

// --- rows ------------------------------------------------------------------------------------------------

// Rows that are copied in chunks.
static qn_status check_rows(qn_context *context, const qn_kernel_spec *spec, const char *name, qn_dtype dtype,
                            qn_device_ptr base, const qn_strides *stride) {
  int64_t bytes = element_bytes(dtype);
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

static qn_status check_inputs(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  bool quantizes_only = spec->schedule == QN_SCHEDULE_quantize; // rows of the output come as q
  qn_dtype kv_dtype = spec->kv_dtype != QN_ANY ? spec->kv_dtype : spec->dtype;
  QN_TRY(
      check_rows(context, spec, "q", quantizes_only ? spec->out_dtype : spec->dtype, args->q, &args->q_stride));
  if (quantizes_only) {
    QN_TRY(check_given(context, "k", false, args->k));
    return check_given(context, "v", false, args->v);
  }
  if (args->kv_len == 0) return QN_OK;
  QN_TRY(check_rows(context, spec, "k", kv_dtype, args->k, &args->k_stride));
  return check_rows(context, spec, "v", kv_dtype, args->v, &args->v_stride);
}

// Results are stored element by element where rows are not aligned; two codes of 4 bits are one byte.
static qn_status check_result_rows(qn_context *context, const char *name, bool wanted, qn_dtype dtype,
                                   qn_device_ptr ptr, const qn_strides *stride) {
  QN_TRY(check_given(context, name, wanted, ptr));
  if (!wanted) return QN_OK;
  QN_TRY(check_aligned(context, name, ptr, element_bytes(dtype)));
  if (qn_dtype_bits(dtype) >= 8 ||
      (stride->batch % 2 == 0 && stride->head % 2 == 0 && stride->position % 2 == 0))
    return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE, "the strides of %s must be even: two codes of %s share a byte",
                 name, qn_dtype_name(dtype));
}

// --- scales ----------------------------------------------------------------------------------------------

static bool has_tokens_of_rows(const qn_scheme *scheme) {
  return scheme->scale_layout == QN_SCALES_PACKED || scheme->scale_layout == QN_SCALES_SWIZZLED;
}

// The tokens that the launch's own are put at, and those that are written. Positions of sequences that lie end
// to end are counted in memory; the kernel does not write beyond block_scale_rows.
static qn_status check_scale_rows(qn_context *context, const qn_kernel_spec *spec,
                                  const qn_attention_args *args) {
  if (!is_fused(spec) || !spec->output.dynamic) return QN_OK;
  uint64_t tokens = spec->varlen ? args->q_len : (uint64_t)args->batch * args->q_len;
  if (args->block_scale_row != 0 && !has_tokens_of_rows(&spec->output))
    return qn_fail(context, QN_INVALID, PLACE,
                   "block_scale_row is %u; scales that are not packed or swizzled start at their address",
                   args->block_scale_row);
  if (args->block_scale_rows < tokens)
    return qn_fail(context, QN_INVALID, PLACE, "block_scale_rows of %u for %llu tokens", args->block_scale_rows,
                   (unsigned long long)tokens);
  // The kernel counts tokens in 32 bits.
  if ((uint64_t)args->block_scale_row + args->block_scale_rows > INT32_MAX)
    return qn_fail(context, QN_LIMIT, PLACE,
                   "block_scale_row %u and block_scale_rows %u must not exceed %d together",
                   args->block_scale_row, args->block_scale_rows, INT32_MAX);
  return QN_OK;
}

// --- the rest --------------------------------------------------------------------------------------------

static qn_status check_mask(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  bool wanted = spec->mask != QN_MASK_NONE && spec->schedule != QN_SCHEDULE_quantize;
  if (args->kv_len == 0 && args->mask == 0) return QN_OK;
  QN_TRY(check_given(context, "mask", wanted, args->mask));
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

// Arguments of plain elements.
static qn_status check_vectors(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  const qn_scheme *scheme = &spec->output;
  const bool fused = is_fused(spec), dynamic = fused && scheme->dynamic;
  const bool attends = spec->schedule != QN_SCHEDULE_quantize;
  const qn_dtype scale = qn_scheme_get_read_scale(scheme), zero_point = qn_scheme_get_zero_point(scheme);
  const struct {
    const char *name;
    bool wanted;
    qn_device_ptr ptr;
    qn_dtype dtype;
  } vectors[] = {
    { "output_scale", fused && scale != QN_ANY, args->output_scale, scale },
    { "output_zero_point", fused && !dynamic && zero_point != QN_ANY, args->output_zero_point, zero_point },
    { "pre_scale", fused && spec->pre_scale_dtype != QN_ANY, args->pre_scale, spec->pre_scale_dtype },
    { "scale_bound", dynamic && spec->scale_bound, args->scale_bound, QN_F32 },
    { "block_scale", dynamic, args->block_scale, (qn_dtype)scheme->scale_dtype },
    { "zero_points", dynamic && zero_point != QN_ANY, args->zero_points, zero_point },
    { "sinks", attends && spec->sinks_dtype != QN_ANY, args->sinks, spec->sinks_dtype },
    { "alibi_slopes", attends && spec->alibi, args->alibi_slopes, QN_F32 },
    { "kv_lengths", attends && spec->kv_lengths, args->kv_lengths, spec->lengths_dtype },
    { "cu_seqlens_q", attends && spec->varlen, args->cu_seqlens_q, spec->lengths_dtype },
    { "cu_seqlens_kv", attends && spec->varlen, args->cu_seqlens_kv, spec->lengths_dtype },
    { "k_scale", attends && spec->k_scale, args->k_scale, QN_F32 },
    { "v_scale", attends && spec->v_scale, args->v_scale, QN_F32 },
    { "page_table", attends && spec->page_size > 0, args->page_table, QN_S32 },
  };
  for (size_t i = 0; i < QN_COUNT(vectors); i++) {
    QN_TRY(check_given(context, vectors[i].name, vectors[i].wanted, vectors[i].ptr));
    if (vectors[i].wanted)
      QN_TRY(check_aligned(context, vectors[i].name, vectors[i].ptr, element_bytes(vectors[i].dtype)));
  }
  return QN_OK;
}

// Numbers of which each channel has one are read by chunks of up to 8.
static qn_status check_channels(qn_context *context, const qn_kernel_spec *spec,
                                const qn_attention_args *args) {
  const bool channels = is_fused(spec) && spec->output.granularity == QN_PER_CHANNEL;
  const struct {
    const char *name;
    bool wanted;
    qn_device_ptr ptr;
    int64_t head;
  } vectors[] = {
    { "output_scale", channels, args->output_scale, args->output_scale_head },
    { "output_zero_point", channels, args->output_zero_point, args->output_scale_head },
    { "pre_scale", is_fused(spec), args->pre_scale, args->pre_scale_head },
  };
  for (size_t i = 0; i < QN_COUNT(vectors); i++) {
    if (!vectors[i].wanted) continue;
    if (vectors[i].ptr % CHUNK != 0)
      return qn_fail(context, QN_INVALID, PLACE,
                     "%s of channels must be aligned to %d bytes, its address is 0x%llx", vectors[i].name,
                     CHUNK, (unsigned long long)vectors[i].ptr);
    if (vectors[i].head % 8 != 0)
      return qn_fail(context, QN_INVALID, PLACE,
                     "the heads of %s must be a multiple of 8 elements apart, found %lld", vectors[i].name,
                     (long long)vectors[i].head);
  }
  return QN_OK;
}

static qn_status check_pages(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  if (spec->page_size == 0 || args->page_table == 0) return QN_OK;
  int64_t pages = ((int64_t)args->kv_len + spec->page_size - 1) / spec->page_size;
  if (args->page_table_stride >= pages) return QN_OK;
  return qn_fail(context, QN_INVALID, PLACE,
                 "%u keys take %lld pages of %u, the page table has %lld a sequence", args->kv_len,
                 (long long)pages, spec->page_size, (long long)args->page_table_stride);
}

static qn_status check_workspace(qn_context *context, const qn_kernel_spec *spec,
                                 const qn_attention_args *args) {
  bool wanted = qn_kernel_get_workspace_bytes(spec, args) > 0;
  QN_TRY(check_given(context, "workspace", wanted, args->workspace));
  return check_aligned(context, "workspace", args->workspace, CHUNK);
}

static qn_status check_sizes(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  // Positions are compared as signed 32-bit numbers, tile ends and windows included.
  if (args->q_len > INT32_MAX / 4 || args->kv_len > INT32_MAX / 4)
    return qn_fail(context, QN_LIMIT, PLACE, "q_len %u and kv_len %u must not exceed %d", args->q_len,
                   args->kv_len, INT32_MAX / 4);
  if ((uint64_t)args->q_len * qn_kernel_get_pack(spec) > INT32_MAX / 2)
    return qn_fail(context, QN_LIMIT, PLACE, "q_len %u of %u heads each must not exceed %d rows", args->q_len,
                   qn_kernel_get_pack(spec), INT32_MAX / 2);
  return QN_OK;
}

static qn_status check_splits(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  if (args->splits == 0) return QN_OK;
  if (spec->schedule != QN_SCHEDULE_split)
    return qn_fail(context, QN_INVALID, PLACE, "%u splits for a kernel that does not split its keys",
                   args->splits);
  if (args->splits <= QN_SPLITS_MAX) return QN_OK;
  return qn_fail(context, QN_LIMIT, PLACE, "%u splits are more than %d", args->splits, QN_SPLITS_MAX);
}

qn_status qn_launch_check(qn_context *context, const qn_kernel_spec *spec, const qn_attention_args *args) {
  qn_dtype out = is_fused(spec) ? (qn_dtype)spec->output.target : spec->out_dtype;
  QN_TRY(check_inputs(context, spec, args));
  QN_TRY(check_result_rows(context, "out", true, out, args->out, &args->out_stride));
  QN_TRY(check_result_rows(context, "unquantized", is_fused(spec) && spec->unquantized, spec->out_dtype,
                           args->unquantized, &args->unquantized_stride));
  // Rows of the second output that are read again are read in chunks.
  if (qn_kernel_defers_unquantized(spec))
    QN_TRY(check_rows(context, spec, "unquantized", spec->out_dtype, args->unquantized,
                      &args->unquantized_stride));
  QN_TRY(check_vectors(context, spec, args));
  QN_TRY(check_channels(context, spec, args));
  QN_TRY(check_scale_rows(context, spec, args));
  QN_TRY(check_mask(context, spec, args));
  QN_TRY(check_pages(context, spec, args));
  QN_TRY(check_sizes(context, spec, args));
  QN_TRY(check_splits(context, spec, args));
  return check_workspace(context, spec, args);
}
