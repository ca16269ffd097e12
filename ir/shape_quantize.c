// Shape rules of quantize and dequantize, and the shape of a buffer of scales.
#include "ir/shape_priv.h"

static qn_dim round_up(qn_graph *graph, qn_dim dim, uint32_t multiple) {
  return qn_shape_mul(graph, qn_shape_ceil_div(graph, dim, multiple), multiple);
}

// The buffers that are not in the shape of x: tokens are all dims but the last.
static int32_t lay_scales(qn_graph *graph, qn_scale_layout layout, int32_t rank, const qn_dim *dims,
                          qn_dim out_dims[QN_RANK_MAX]) {
  qn_dim tokens = 1, groups = dims[rank - 1];
  for (int32_t d = 0; d + 1 < rank; d++) tokens = qn_shape_mul(graph, tokens, dims[d]);
  switch (layout) {
  case QN_SCALES_COLUMN: out_dims[0] = groups, out_dims[1] = tokens; return 2;
  case QN_SCALES_TMA_ALIGNED: out_dims[0] = groups, out_dims[1] = round_up(graph, tokens, 4); return 2;
  case QN_SCALES_PACKED:
    out_dims[0] = qn_shape_ceil_div(graph, groups, 4), out_dims[1] = round_up(graph, tokens, 4),
    out_dims[2] = 4;
    return 3;
  case QN_SCALES_SWIZZLED:
    out_dims[0] = round_up(graph, tokens, 128), out_dims[1] = round_up(graph, groups, 4);
    return 2;
  default: memcpy(out_dims, dims, (size_t)rank * sizeof *dims); return rank;
  }
}

// The dims of the scales of codes of these dims.
static qn_status scale_dims(qn_shape *shape, const qn_scheme *scheme, int32_t rank, const qn_dim *dims,
                            int32_t *out_rank, qn_dim out_dims[QN_RANK_MAX]) {
  int32_t axis;
  *out_rank = 0;
  if (scheme->granularity == QN_PER_TENSOR) return QN_OK;
  *out_rank = rank;
  if (rank <= 0) return QN_OK;
  qn_dim groups[QN_RANK_MAX];
  memcpy(groups, dims, (size_t)rank * sizeof *dims);
  if (scheme->granularity == QN_PER_TOKEN) {
    groups[rank - 1] = 1;
  } else {
    QN_TRY(qn_shape_axis(shape, scheme->axis, rank, &axis));
    if (scheme->granularity == QN_PER_CHANNEL) {
      *out_rank = 1;
      out_dims[0] = dims[axis];
      return QN_OK;
    }
    groups[axis] = scheme->group ? qn_shape_ceil_div(shape->graph, dims[axis], scheme->group) : QN_DIM_NONE;
    if (scheme->scale_layout != QN_SCALES_ROW && axis != rank - 1)
      return qn_shape_fail(shape, "scales in another layout than row need groups along the last axis");
  }
  *out_rank = lay_scales(shape->graph, (qn_scale_layout)scheme->scale_layout, rank, groups, out_dims);
  return QN_OK;
}

qn_status qn_shape_quantized(qn_shape *shape, const qn_scheme *scheme, int32_t rank, const qn_dim *dims) {
  int32_t scale_rank;
  qn_dim codes[QN_RANK_MAX], scales[QN_RANK_MAX];
  if (rank > 0) memcpy(codes, dims, (size_t)rank * sizeof *dims);
  if (scheme->pad && rank > 0) codes[rank - 1] = round_up(shape->graph, codes[rank - 1], scheme->pad);
  QN_TRY(qn_shape_result(shape, 0, (qn_dtype)scheme->target, rank, codes));
  if (!scheme->dynamic || qn_node_get_result_count(shape->graph, shape->node) == 1) return QN_OK;
  QN_TRY(scale_dims(shape, scheme, rank, codes, &scale_rank, scales));
  QN_TRY(qn_shape_result(shape, 1, (qn_dtype)scheme->scale_dtype, scale_rank, scales));
  qn_dtype zero_point = qn_scheme_get_zero_point(scheme);
  return zero_point == QN_ANY ? QN_OK : qn_shape_result(shape, 2, zero_point, scale_rank, scales);
}

qn_status qn_shape_quantize(qn_shape *shape) {
  qn_scheme scheme = qn_node_get_scheme(shape->graph, shape->node, "scheme");
  qn_type_info x = qn_shape_operand(shape, 0);
  if (scheme.family == QN_SCHEME_none) return qn_shape_fail(shape, "has no scheme");
  return qn_shape_quantized(shape, &scheme, x.rank, x.dims);
}

// The result has the element type `to`, or else that of the scale.
qn_status qn_shape_dequantize(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0), scale = qn_shape_operand(shape, 1);
  qn_dtype to = (qn_dtype)qn_node_get_int(shape->graph, shape->node, "to");
  return qn_shape_result(shape, 0, to != QN_ANY ? to : scale.dtype, x.rank, x.dims);
}
