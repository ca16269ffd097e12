// Strides of a launch whose tensors are dense, from their layouts.
#include "quant/scale_buffer_priv.h"

#include "ir/base_priv.h"
#include <quench/runtime.h>

static bool is_merged(qn_layout layout) {
  return layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM;
}

// Strides of a dense tensor [batch, length, heads, dim] in one of the layouts. In `bsm` and `tm` heads are
// merged into the last axis and, for `tm` and `thd`, batch and position into one, which leaves the strides of
// `bshd`. `fill` elements stand behind the last axis. Pages take the place of the batch.
static qn_strides dense(qn_layout layout, int64_t heads, int64_t length, int64_t dim, int64_t fill) {
  bool heads_outside = layout == QN_LAYOUT_BHSD || layout == QN_LAYOUT_PHSD;
  int64_t row = is_merged(layout) ? dim : dim + fill;                   // of one head
  int64_t token = is_merged(layout) ? heads * dim + fill : heads * row; // of all
  return (qn_strides){ .batch = length * token,
                       .head = heads_outside ? length * row : row,
                       .position = heads_outside ? row : token };
}

// Of k or v.
static qn_strides dense_keys(const qn_kernel_spec *spec, qn_layout layout, uint32_t dim,
                             const qn_attention_args *args) {
  bool pages = layout == QN_LAYOUT_PSHD || layout == QN_LAYOUT_PHSD;
  return dense(layout, spec->kv_heads, pages ? spec->page_size : args->kv_len, dim, 0);
}

// The last axis of the output, and what of it a scheme fills up.
static int64_t width_of(const qn_kernel_spec *spec, qn_layout out_layout) {
  return is_merged(out_layout) ? (int64_t)spec->heads * spec->v_head_dim : spec->v_head_dim;
}
static int64_t fill_of(const qn_kernel_spec *spec, qn_layout out_layout) {
  int64_t width = width_of(spec, out_layout), pad = spec->output.pad;
  if (spec->output.family == QN_SCHEME_none || pad == 0) return 0;
  return (width + pad - 1) / pad * pad - width;
}

void qn_attention_args_set_dense(const qn_kernel_spec *spec, qn_layout q_layout, qn_layout k_layout,
                                 qn_layout v_layout, qn_layout out_layout, qn_attention_args *args) {
  const int64_t heads = spec->heads, q_len = args->q_len, dim = spec->v_head_dim;
  args->q_stride = dense(q_layout, heads, q_len, spec->head_dim, 0);
  args->k_stride = dense_keys(spec, k_layout, spec->head_dim, args);
  args->v_stride = dense_keys(spec, v_layout, spec->v_head_dim, args);
  args->out_stride = dense(out_layout, heads, q_len, dim, fill_of(spec, out_layout));
  args->unquantized_stride = dense(out_layout, heads, q_len, dim, 0);
}

// Where the last axis is that of one head, a head of a token is what a token is otherwise. A kernel counts
// tokens of all heads, so then the layouts whose buffers are larger than the scales, and groups of which each
// head has a part of one, have no strides.
bool qn_attention_args_set_dense_scales(const qn_kernel_spec *spec, qn_layout out_layout, uint64_t tokens,
                                        qn_attention_args *args) {
  const qn_scheme *scheme = &spec->output;
  const bool merged = is_merged(out_layout), column = scheme->scale_layout == QN_SCALES_COLUMN;
  const bool in_groups = scheme->granularity == QN_PER_GROUP;
  const int64_t dim = spec->v_head_dim, group = in_groups ? scheme->group : 0;
  const int64_t dims[] = { (int64_t)tokens * (merged ? 1 : spec->heads),
                           width_of(spec, out_layout) + fill_of(spec, out_layout) };
  qn_scheme by_rows = *scheme;
  qn_scale_buffer buffer;
  by_rows.axis = -1;
  if (!scheme->dynamic || (!in_groups && scheme->granularity != QN_PER_TOKEN)) return false;
  if (!qn_scale_buffer_of(&by_rows, 2, dims, &buffer)) return false;
  if (!merged && (!in_groups || dim % group != 0 || (!column && scheme->scale_layout != QN_SCALES_ROW)))
    return false;
  if (buffer.rows > UINT32_MAX) return false;

  bool by_columns = scheme->scale_layout != QN_SCALES_ROW;
  int64_t step = by_columns ? 1 : buffer.groups;
  qn_strides rows = dense(out_layout, merged ? 1 : spec->heads, args->q_len, 1, 0);
  args->block_scale_stride = (qn_scale_strides){ .batch = rows.batch * step,
                                                 .head = rows.head * step,
                                                 .position = rows.position * step,
                                                 .group = by_columns ? buffer.rows : 1 };
  if (merged) args->block_scale_stride.head = in_groups ? dim / group * args->block_scale_stride.group : 0;
  args->block_scale_row = 0;
  args->block_scale_rows = (uint32_t)(merged ? (uint64_t)buffer.rows : tokens);
  return true;
}
