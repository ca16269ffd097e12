// Shapes and addresses of buffers of scales.
#include "quant/scale_buffer_priv.h"

#include "ir/base_priv.h"

static int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
static int64_t round_up(int64_t a, int64_t multiple) {
  return ceil_div(a, multiple) * multiple;
}

// The layouts that are not in the shape of the values.
static void lay_out(qn_scale_layout layout, qn_scale_buffer *buffer) {
  int64_t tokens = buffer->tokens, groups = buffer->groups;
  int64_t dims[3] = { groups, tokens, 4 };
  buffer->rank = 2;
  switch (layout) {
  case QN_SCALES_TMA_ALIGNED: dims[1] = buffer->rows = round_up(tokens, 4); break;
  case QN_SCALES_PACKED:
    dims[0] = ceil_div(groups, 4), dims[1] = buffer->rows = round_up(tokens, 4);
    buffer->rank = 3;
    break;
  case QN_SCALES_SWIZZLED: dims[0] = buffer->rows = round_up(tokens, 128), dims[1] = round_up(groups, 4); break;
  default: break; // column
  }
  memcpy(buffer->dims, dims, sizeof dims);
}

static bool lay_out_in_shape(const qn_scheme *scheme, int32_t rank, const int64_t *dims,
                             qn_scale_buffer *buffer) {
  int32_t axis = scheme->granularity == QN_PER_TOKEN ? rank - 1
                 : scheme->axis < 0                  ? scheme->axis + rank
                                                     : scheme->axis;
  if (axis < 0 || axis >= rank) return false;
  if (scheme->granularity == QN_PER_CHANNEL) {
    buffer->rank = 1;
    buffer->dims[0] = dims[axis];
    return true;
  }
  if (scheme->granularity == QN_PER_GROUP && scheme->group == 0) return false;
  buffer->rank = rank;
  memcpy(buffer->dims, dims, (size_t)rank * sizeof *dims);
  buffer->dims[axis] = scheme->granularity == QN_PER_TOKEN ? 1 : ceil_div(dims[axis], scheme->group);
  buffer->groups = buffer->dims[rank - 1];
  for (int32_t d = 0; d + 1 < rank; d++) buffer->tokens *= buffer->dims[d];
  buffer->rows = buffer->tokens;
  return scheme->scale_layout == QN_SCALES_ROW || axis == rank - 1;
}

bool qn_scale_buffer_of(const qn_scheme *scheme, int32_t rank, const int64_t *dims,
                        qn_scale_buffer *out_buffer) {
  *out_buffer = (qn_scale_buffer){ .tokens = 1, .groups = 1, .rows = 1, .count = 1 };
  if (scheme->granularity == QN_PER_TENSOR) return true;
  if (!lay_out_in_shape(scheme, rank, dims, out_buffer)) return false;
  if (scheme->granularity != QN_PER_CHANNEL && scheme->scale_layout != QN_SCALES_ROW)
    lay_out((qn_scale_layout)scheme->scale_layout, out_buffer);
  for (int32_t d = 0; d < out_buffer->rank; d++) out_buffer->count *= (uint64_t)out_buffer->dims[d];
  return true;
}

uint64_t qn_scale_buffer_index(const qn_scheme *scheme, const qn_scale_buffer *buffer, int64_t token,
                               int64_t group) {
  switch ((qn_scale_layout)scheme->scale_layout) {
  case QN_SCALES_COLUMN:
  case QN_SCALES_TMA_ALIGNED: return (uint64_t)(group * buffer->rows + token);
  case QN_SCALES_PACKED: return (uint64_t)((group / 4 * buffer->rows + token) * 4 + group % 4);
  case QN_SCALES_SWIZZLED: {
    int64_t tile = token / 128 * ceil_div(buffer->groups, 4) + group / 4;
    return (uint64_t)(tile * 512 + token % 32 * 16 + token / 32 % 4 * 4 + group % 4);
  }
  default: return (uint64_t)(token * buffer->groups + group);
  }
}
