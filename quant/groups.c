// Groups of values that share a scale.
#include "quant/groups_priv.h"

bool qn_groups_of(const qn_scheme *scheme, int32_t rank, const int64_t *dims, qn_groups *out_groups) {
  qn_groups groups = { .outer = 1, .dim = 1, .inner = 1, .last = rank > 0 ? (uint64_t)dims[rank - 1] : 1 };
  int32_t axis = scheme->granularity == QN_PER_TOKEN ? rank - 1
                 : scheme->axis < 0                  ? scheme->axis + rank
                                                     : scheme->axis;
  groups.joined = scheme->granularity == QN_PER_TENSOR || scheme->granularity == QN_PER_CHANNEL;
  if (scheme->granularity == QN_PER_TENSOR)
    axis = -1; // all is inner
  else if (axis < 0 || axis >= rank)
    return false;
  for (int32_t d = 0; d < rank; d++) {
    uint64_t *part = d < axis ? &groups.outer : d == axis ? &groups.dim : &groups.inner;
    *part *= (uint64_t)dims[d];
  }
  switch ((qn_granularity)scheme->granularity) {
  case QN_PER_TENSOR:
  case QN_PER_CHANNEL: groups.size = 1; break;
  case QN_PER_TOKEN: groups.size = groups.dim; break;
  case QN_PER_GROUP: groups.size = scheme->group; break;
  }
  // A token of no elements has a scale all the same.
  if (scheme->granularity == QN_PER_TOKEN)
    groups.per_axis = 1;
  else if (groups.size == 0)
    return false;
  else
    groups.per_axis = (groups.dim + groups.size - 1) / groups.size;
  groups.count = groups.per_axis * (groups.joined ? 1 : groups.outer * groups.inner);
  groups.last_axis = axis == rank - 1;
  *out_groups = groups;
  return true;
}

qn_group qn_groups_get(const qn_groups *groups, uint64_t index) {
  uint64_t inner = groups->joined ? 0 : index % groups->inner;
  uint64_t rest = groups->joined ? index : index / groups->inner;
  uint64_t outer = rest / groups->per_axis, start = rest % groups->per_axis * groups->size;
  uint64_t left = groups->dim - start;
  qn_group group = { .first = (outer * groups->dim + start) * groups->inner + inner,
                     .inners = groups->joined ? groups->inner : 1,
                     .dims = left < groups->size ? left : groups->size,
                     .dim_step = groups->inner,
                     .outer_step = groups->dim * groups->inner };
  group.count = group.inners * group.dims * (groups->joined ? groups->outer : 1);
  return group;
}

uint64_t qn_groups_place(const qn_groups *groups, const qn_scheme *scheme, const qn_scale_buffer *buffer,
                         uint64_t index) {
  uint64_t token = index / groups->per_axis, group = index % groups->per_axis;
  if (groups->joined) return index;
  if (!groups->last_axis) { // the buffer's last axis is the tensor's
    uint64_t inner = index % groups->inner;
    token = index / groups->inner * (groups->inner / groups->last) + inner / groups->last;
    group = inner % groups->last;
  }
  return qn_scale_buffer_index(scheme, buffer, (int64_t)token, (int64_t)group);
}
