// Which values share a scale, and where a group's scale stands.
#ifndef QUENCH_QUANT_GROUPS_PRIV_H
#define QUENCH_QUANT_GROUPS_PRIV_H

#include "quant/scale_buffer_priv.h"

// A tensor as [outer, dim, inner] around the axis of its groups. Groups are counted in the order of the operand
// `scale` of a static scheme.
typedef struct qn_groups {
  uint64_t outer, dim, inner;
  uint64_t size;     // of a group along dim
  uint64_t per_axis; // groups along dim
  uint64_t count;    // of all groups
  uint64_t last;     // elements of the tensor's last axis
  bool joined;       // outer and inner have one scale: those of a channel, or of the tensor
  bool last_axis;    // inner is 1
} qn_groups;

// False where the scheme does not fit the dims: an axis that there is not, or a group of 0 elements.
bool qn_groups_of(const qn_scheme *scheme, int32_t rank, const int64_t *dims, qn_groups *out_groups);

// The elements of one group.
typedef struct qn_group {
  uint64_t first; // index of the first one
  uint64_t count;
  uint64_t inners, dims; // how many follow each other in inner and in dim
  uint64_t dim_step, outer_step;
} qn_group;
qn_group qn_groups_get(const qn_groups *groups, uint64_t index);

// The n-th element's index in the tensor.
static inline uint64_t qn_group_element(const qn_group *group, uint64_t n) {
  uint64_t inner = n % group->inners, rest = n / group->inners;
  return group->first + inner + rest % group->dims * group->dim_step + rest / group->dims * group->outer_step;
}

// The place of a group's scale in the buffer of a dynamic scheme.
uint64_t qn_groups_place(const qn_groups *groups, const qn_scheme *scheme, const qn_scale_buffer *buffer,
                         uint64_t index);

#endif
