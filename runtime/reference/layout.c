// Operations that give the same elements another shape or another place. None looks at an element's value.
#include "runtime/reference/reference_priv.h"

// A copy whose source position is a sum of one entry a result axis: maps[d][i] is the offset (in elements) that
// index i of axis d adds, or OUTSIDE for an element that comes from `fill`.
#define OUTSIDE INT64_MIN

static qn_status copy_mapped(qn_ref *ref, const qn_ref_tensor *x, int32_t rank, const int64_t *dims,
                             const int64_t *const *maps, const uint8_t *fill) {
  uint32_t size = qn_element_size(x->dtype);
  int64_t index[QN_RANK_MAX] = { 0 };
  uint8_t *to;
  QN_TRY(qn_ref_new(ref, 0, x->dtype, rank, dims, &to));
  for (uint64_t i = 0; i < ref->results[0].count; i++) {
    int64_t offset = 0;
    bool outside = false;
    for (int32_t d = 0; d < rank; d++) {
      int64_t part = maps[d][index[d]];
      if (part == OUTSIDE)
        outside = true;
      else
        offset += part;
    }
    memcpy(to + i * size, outside ? fill : x->data + (uint64_t)offset * size, size);
    for (int32_t d = rank - 1; d >= 0 && ++index[d] == dims[d]; d--) index[d] = 0;
  }
  return QN_OK;
}

// A map of `count` entries: start, start + step, ...
static int64_t *line_map(qn_ref *ref, int64_t count, int64_t start, int64_t step) {
  int64_t *map = qn_ref_ints(ref, (uint64_t)count);
  for (int64_t i = 0; map && i < count; i++) map[i] = start + i * step;
  return map;
}

static void get_strides(const qn_ref_tensor *x, int64_t out_strides[QN_RANK_MAX]) {
  int64_t stride = 1;
  for (int32_t d = x->rank - 1; d >= 0; d--) {
    out_strides[d] = stride;
    stride *= x->dims[d];
  }
}

// --- views -------------------------------------------------------------------------------------------------

qn_status qn_ref_identity(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  return qn_ref_share(ref, 0, x, x->rank, x->dims);
}

qn_status qn_ref_reshape(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  bool allow_zero = qn_node_get_int(ref->graph, ref->node, "allowzero") != 0;
  int64_t dims[QN_RANK_MAX];
  uint32_t rank;
  int32_t inferred = -1;
  uint64_t known;
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 1), dims, &rank));
  for (uint32_t d = 0; d < rank; d++) {
    if (dims[d] == 0 && !allow_zero) {
      if ((int32_t)d >= x->rank)
        return qn_ref_fail(ref, QN_INVALID,
                           "dim %u of the shape copies a dim that the operand of rank %d lacks", d,
                           (int)x->rank);
      dims[d] = x->dims[d];
    }
    if (dims[d] != -1) continue;
    if (inferred >= 0) return qn_ref_fail(ref, QN_INVALID, "two dims of the shape are -1");
    inferred = (int32_t)d;
  }
  if (inferred >= 0) {
    dims[inferred] = 1;
    QN_TRY(qn_ref_count(ref, (int32_t)rank, dims, &known));
    if (known == 0 || x->count % known != 0)
      return qn_ref_fail(ref, QN_INVALID, "no dim makes %llu elements of a shape with %llu",
                         (unsigned long long)x->count, (unsigned long long)known);
    dims[inferred] = (int64_t)(x->count / known);
  }
  return qn_ref_share(ref, 0, x, (int32_t)rank, dims);
}

// In mode F64 the bits of the narrower floats are not kept.
qn_status qn_ref_bitcast(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_dtype to = (qn_dtype)qn_node_get_int(ref->graph, ref->node, "to");
  uint64_t bytes = qn_dtype_bytes(x->dtype, x->count), bits = qn_dtype_bits(to);
  int64_t dims[QN_RANK_MAX];
  uint8_t *data;
  if (ref->f64 && (qn_ref_held(ref, to) != to || x->dtype == QN_F64))
    return qn_ref_fail(ref, QN_UNSUPPORTED, "the bits of %s as %s in f64", qn_dtype_name(x->dtype),
                       qn_dtype_name(to));
  memcpy(dims, x->dims, sizeof dims);
  if (x->rank > 0) {
    int64_t *last = &dims[x->rank - 1];
    if ((uint64_t)*last * qn_dtype_bits(x->dtype) % bits != 0)
      return qn_ref_fail(ref, QN_INVALID, "%lld elements of %s are no whole number of %s", (long long)*last,
                         qn_dtype_name(x->dtype), qn_dtype_name(to));
    *last = (int64_t)((uint64_t)*last * qn_dtype_bits(x->dtype) / bits);
  }
  uint8_t *packed = qn_arena_alloc(&ref->arena, (size_t)QN_MAX(bytes, 1));
  if (!packed) return qn_fail_memory(ref->context);
  qn_elements_pack(x->dtype, x->data, x->count, packed);
  QN_TRY(qn_ref_new(ref, 0, to, x->rank, dims, &data));
  qn_elements_unpack(to, packed, ref->results[0].count, data);
  return QN_OK;
}

qn_status qn_ref_flatten(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int64_t axis = qn_node_get_int(ref->graph, ref->node, "axis");
  uint64_t before, after;
  if (axis < -x->rank || axis > x->rank)
    return qn_ref_fail(ref, QN_INVALID, "axis %lld of a tensor of rank %d", (long long)axis, (int)x->rank);
  if (axis < 0) axis += x->rank;
  QN_TRY(qn_ref_count(ref, (int32_t)axis, x->dims, &before));
  QN_TRY(qn_ref_count(ref, x->rank - (int32_t)axis, x->dims + axis, &after));
  return qn_ref_share(ref, 0, x, 2, (int64_t[]){ (int64_t)before, (int64_t)after });
}

qn_status qn_ref_squeeze(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  bool chosen[QN_RANK_MAX];
  int64_t dims[QN_RANK_MAX];
  uint32_t listed;
  int32_t rank = 0;
  QN_TRY(qn_ref_load_axes(ref, 1, x->rank, chosen, &listed));
  bool all = qn_ref_operand(ref, 1) == NULL;
  if (!all && listed == 0) return qn_ref_share(ref, 0, x, x->rank, x->dims);
  for (int32_t d = 0; d < x->rank; d++) {
    if (!chosen[d] || (all && x->dims[d] != 1))
      dims[rank++] = x->dims[d];
    else if (x->dims[d] != 1)
      return qn_ref_fail(ref, QN_INVALID, "axis %d has %lld elements, not 1", (int)d, (long long)x->dims[d]);
  }
  return qn_ref_share(ref, 0, x, rank, dims);
}

qn_status qn_ref_unsqueeze(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *axes = qn_ref_operand(ref, 1);
  bool inserted[QN_RANK_MAX];
  int64_t dims[QN_RANK_MAX];
  uint32_t listed;
  int32_t from = 0;
  if (axes->count + (uint64_t)x->rank > QN_RANK_MAX)
    return qn_ref_fail(ref, QN_UNSUPPORTED, "a result of more than %d dims", QN_RANK_MAX);
  int32_t rank = x->rank + (int32_t)axes->count;
  QN_TRY(qn_ref_load_axes(ref, 1, rank, inserted, &listed));
  for (int32_t d = 0; d < rank; d++) dims[d] = listed > 0 && inserted[d] ? 1 : x->dims[from++];
  return qn_ref_share(ref, 0, x, rank, dims);
}

// --- moves -------------------------------------------------------------------------------------------------

qn_status qn_ref_transpose(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  const int64_t *perm, *maps[QN_RANK_MAX];
  int64_t dims[QN_RANK_MAX], strides[QN_RANK_MAX];
  bool taken[QN_RANK_MAX] = { false };
  uint32_t count = qn_node_get_ints(ref->graph, ref->node, "perm", &perm);
  if (count != 0 && (int32_t)count != x->rank)
    return qn_ref_fail(ref, QN_INVALID, "a permutation of %u axes for a tensor of rank %d", count,
                       (int)x->rank);
  get_strides(x, strides);
  for (int32_t d = 0; d < x->rank; d++) {
    int32_t from = x->rank - 1 - d;
    if (count != 0) QN_TRY(qn_ref_axis(ref, perm[d], x->rank, &from));
    if (taken[from]) return qn_ref_fail(ref, QN_INVALID, "axis %d occurs twice in the permutation", (int)from);
    taken[from] = true;
    dims[d] = x->dims[from];
    maps[d] = line_map(ref, dims[d], 0, strides[from]);
    if (!maps[d]) return QN_MEMORY;
  }
  return copy_mapped(ref, x, x->rank, dims, maps, NULL);
}

qn_status qn_ref_expand(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int64_t wanted[QN_RANK_MAX];
  uint32_t rank;
  qn_ref_walk walk;
  uint32_t size = qn_element_size(x->dtype);
  uint8_t *to;
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 1), wanted, &rank));
  // Broadcasting in both directions: the shape counts as an operand without elements.
  qn_ref_tensor shape = { .rank = (int32_t)rank };
  for (uint32_t d = 0; d < rank; d++) shape.dims[d] = wanted[d];
  QN_TRY(qn_ref_broadcast(ref, (const qn_ref_tensor *const[]){ x, &shape }, 2, &walk));
  QN_TRY(qn_ref_new(ref, 0, x->dtype, walk.rank, walk.dims, &to));
  for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk))
    memcpy(to + i * size, x->data + (uint64_t)walk.offset[0] * size, size);
  return QN_OK;
}

// Copies `count` slices of `part` bytes from one stride to another.
static void copy_slices(uint8_t *to, uint64_t to_stride, const uint8_t *from, uint64_t from_stride,
                        uint64_t part, uint64_t count) {
  for (uint64_t i = 0; part > 0 && i < count; i++)
    memcpy(to + i * to_stride, from + i * from_stride, (size_t)part);
}

// Elements before and from `axis` on, in bytes per outer index.
static void split_at(const qn_ref_tensor *x, int32_t axis, uint64_t *out_outer, uint64_t *out_part) {
  *out_outer = 1, *out_part = qn_element_size(x->dtype);
  for (int32_t d = 0; d < x->rank; d++) *(d < axis ? out_outer : out_part) *= (uint64_t)x->dims[d];
}

qn_status qn_ref_concat(qn_ref *ref) {
  const qn_ref_tensor *first = qn_ref_operand(ref, 0);
  int64_t dims[QN_RANK_MAX], total = 0;
  int32_t axis;
  uint64_t outer, part, offset = 0;
  uint8_t *to;
  if (!first) return qn_ref_fail(ref, QN_INVALID, "no operand");
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), first->rank, &axis));
  for (uint32_t k = 0; k < ref->operand_count; k++) {
    const qn_ref_tensor *x = qn_ref_operand(ref, k);
    bool same = x && x->rank == first->rank && x->dtype == first->dtype;
    for (int32_t d = 0; same && d < first->rank; d++) same = d == axis || x->dims[d] == first->dims[d];
    if (!same)
      return qn_ref_fail(ref, QN_INVALID, "operand %u differs from operand 0 in more than axis %d", k,
                         (int)axis);
    total += x->dims[axis];
  }
  for (int32_t d = 0; d < first->rank; d++) dims[d] = d == axis ? total : first->dims[d];
  QN_TRY(qn_ref_new(ref, 0, first->dtype, first->rank, dims, &to));
  uint64_t whole = 0;
  for (uint32_t k = 0; k < ref->operand_count; k++) {
    split_at(qn_ref_operand(ref, k), axis, &outer, &part);
    whole += part;
  }
  for (uint32_t k = 0; k < ref->operand_count; k++) {
    const qn_ref_tensor *x = qn_ref_operand(ref, k);
    split_at(x, axis, &outer, &part);
    copy_slices(to + offset, whole, x->data, part, part, outer);
    offset += part;
  }
  return QN_OK;
}

// Without sizes: equal parts, the last one smaller where they do not come out even (ONNX Split-18).
qn_status qn_ref_split(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *sizes = qn_ref_operand(ref, 1);
  const int64_t *listed = NULL;
  int32_t axis;
  uint64_t outer, whole, offset = 0;
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  if (sizes) QN_TRY(qn_ref_load_ints(ref, sizes, &listed));
  if (sizes && sizes->count != ref->result_count)
    return qn_ref_fail(ref, QN_INVALID, "%llu sizes for %u results", (unsigned long long)sizes->count,
                       ref->result_count);
  split_at(x, axis, &outer, &whole);
  int64_t left = x->dims[axis], equal = (left + ref->result_count - 1) / ref->result_count;
  for (uint32_t k = 0; k < ref->result_count; k++) {
    int64_t dims[QN_RANK_MAX], size = listed ? listed[k] : QN_MIN(equal, left);
    uint8_t *to;
    if (size < 0 || size > left || (k + 1 == ref->result_count && size != left))
      return qn_ref_fail(ref, QN_INVALID, "part %u takes %lld of %lld remaining elements", k, (long long)size,
                         (long long)left);
    for (int32_t d = 0; d < x->rank; d++) dims[d] = d == axis ? size : x->dims[d];
    QN_TRY(qn_ref_new(ref, k, x->dtype, x->rank, dims, &to));
    uint64_t part = x->dims[axis] > 0 ? whole / (uint64_t)x->dims[axis] * (uint64_t)size : 0;
    copy_slices(to, part, x->data + offset, whole, part, outer);
    offset += part;
    left -= size;
  }
  return QN_OK;
}

// The first index and the count of a slice of one axis (ONNX Slice-13: negative counts from the end, then
// clamped).
static int64_t clamp_slice(int64_t dim, int64_t *start, int64_t end, int64_t step) {
  if (dim == 0) return *start = 0;
  if (*start < 0) *start += dim;
  if (end < 0) end += dim;
  *start = QN_MAX(0, QN_MIN(*start, step > 0 ? dim : dim - 1));
  end = QN_MAX(step > 0 ? 0 : -1, QN_MIN(end, dim));
  if (step > 0 ? end <= *start : end >= *start) return 0;
  uint64_t distance = (uint64_t)(step > 0 ? end - *start : *start - end);
  uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
  return (int64_t)((distance - 1) / stride + 1);
}

qn_status qn_ref_slice(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *given_axes = qn_ref_operand(ref, 3),
                      *given_steps = qn_ref_operand(ref, 4);
  int64_t starts[QN_RANK_MAX], ends[QN_RANK_MAX], axes[QN_RANK_MAX], steps[QN_RANK_MAX];
  int64_t dims[QN_RANK_MAX], strides[QN_RANK_MAX];
  const int64_t *maps[QN_RANK_MAX];
  bool sliced[QN_RANK_MAX] = { false };
  uint32_t count, counts[3];
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 1), starts, &count));
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 2), ends, &counts[0]));
  counts[1] = counts[2] = count;
  for (uint32_t i = 0; i < count; i++) axes[i] = i, steps[i] = 1;
  if (given_axes) QN_TRY(qn_ref_load_list(ref, given_axes, axes, &counts[1]));
  if (given_steps) QN_TRY(qn_ref_load_list(ref, given_steps, steps, &counts[2]));
  if (counts[0] != count || counts[1] != count || counts[2] != count)
    return qn_ref_fail(ref, QN_INVALID, "%u starts, %u ends, %u axes and %u steps", count, counts[0], counts[1],
                       counts[2]);
  get_strides(x, strides);
  for (int32_t d = 0; d < x->rank; d++) {
    dims[d] = x->dims[d];
    maps[d] = line_map(ref, dims[d], 0, strides[d]);
    if (!maps[d]) return QN_MEMORY;
  }
  for (uint32_t i = 0; i < count; i++) {
    int32_t axis;
    QN_TRY(qn_ref_axis(ref, axes[i], x->rank, &axis));
    if (sliced[axis]) return qn_ref_fail(ref, QN_INVALID, "axis %d is given twice", (int)axis);
    if (steps[i] == 0) return qn_ref_fail(ref, QN_INVALID, "the step of axis %d is 0", (int)axis);
    sliced[axis] = true;
    int64_t start = starts[i];
    dims[axis] = clamp_slice(x->dims[axis], &start, ends[i], steps[i]);
    // Of one element the step does not matter, and of more it is smaller than the dim: no overflow.
    int64_t step = dims[axis] > 1 ? steps[i] : 0;
    maps[axis] = line_map(ref, dims[axis], start * strides[axis], step * strides[axis]);
    if (!maps[axis]) return QN_MEMORY;
  }
  return copy_mapped(ref, x, x->rank, dims, maps, NULL);
}

qn_status qn_ref_tile(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int64_t repeats[QN_RANK_MAX], dims[QN_RANK_MAX], strides[QN_RANK_MAX];
  const int64_t *maps[QN_RANK_MAX];
  uint32_t count;
  uint64_t total;
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 1), repeats, &count));
  if ((int32_t)count != x->rank)
    return qn_ref_fail(ref, QN_INVALID, "%u repeats for a tensor of rank %d", count, (int)x->rank);
  get_strides(x, strides);
  for (int32_t d = 0; d < x->rank; d++)
    if (__builtin_mul_overflow(x->dims[d], repeats[d], &dims[d]))
      return qn_ref_fail(ref, QN_LIMIT, "dim %d repeated %lld times", (int)d, (long long)repeats[d]);
  QN_TRY(qn_ref_count(ref, x->rank, dims, &total));
  for (int32_t d = 0; d < x->rank; d++) {
    int64_t *map = qn_ref_ints(ref, total == 0 ? 0 : (uint64_t)dims[d]);
    if (!map) return QN_MEMORY;
    for (int64_t i = 0; total > 0 && i < dims[d]; i++) map[i] = i % x->dims[d] * strides[d];
    maps[d] = map;
  }
  return copy_mapped(ref, x, x->rank, dims, maps, NULL);
}

qn_status qn_ref_repeat(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int64_t times = qn_node_get_int(ref->graph, ref->node, "count"), dims[QN_RANK_MAX];
  int32_t axis;
  uint64_t outer, part;
  uint8_t *to;
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  for (int32_t d = 0; d < x->rank; d++) dims[d] = x->dims[d];
  if (times < 0 || __builtin_mul_overflow(dims[axis], times, &dims[axis]))
    return qn_ref_fail(ref, QN_INVALID, "axis %d repeated %lld times", (int)axis, (long long)times);
  QN_TRY(qn_ref_new(ref, 0, x->dtype, x->rank, dims, &to));
  split_at(x, axis + 1, &outer, &part);
  if (ref->results[0].count == 0) return QN_OK;
  for (uint64_t i = 0; i < outer * (uint64_t)times; i++)
    memcpy(to + i * part, x->data + i / (uint64_t)times * part, (size_t)part);
  return QN_OK;
}

// --- pad ---------------------------------------------------------------------------------------------------

enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

// The source index of result index `at` (counted from the source's first element), or OUTSIDE.
static int64_t pad_source(int64_t at, int64_t dim, int64_t mode) {
  if (at >= 0 && at < dim) return at;
  if (mode == PAD_CONSTANT || dim == 0) return OUTSIDE;
  if (mode == PAD_EDGE) return at < 0 ? 0 : dim - 1;
  if (mode == PAD_WRAP) return (at % dim + dim) % dim;
  if (dim == 1) return 0;
  int64_t period = 2 * (dim - 1), folded = (at % period + period) % period;
  return folded < dim ? folded : period - folded;
}

qn_status qn_ref_pad(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *pads = qn_ref_operand(ref, 1),
                      *fill = qn_ref_operand(ref, 2);
  int64_t mode = qn_node_get_int(ref->graph, ref->node, "mode");
  int64_t before[QN_RANK_MAX] = { 0 }, dims[QN_RANK_MAX], strides[QN_RANK_MAX], axes[QN_RANK_MAX];
  const int64_t *amounts, *maps[QN_RANK_MAX];
  uint32_t count = (uint32_t)x->rank;
  uint64_t total;
  uint8_t zero[8] = { 0 };
  for (int32_t d = 0; d < x->rank; d++) axes[d] = d, dims[d] = x->dims[d];
  if (qn_ref_operand(ref, 3)) QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 3), axes, &count));
  QN_TRY(qn_ref_load_ints(ref, pads, &amounts));
  if (pads->count != 2 * (uint64_t)count)
    return qn_ref_fail(ref, QN_INVALID, "%llu pads for %u axes", (unsigned long long)pads->count, count);
  if (fill && (fill->count != 1 || fill->dtype != x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "the fill value is not one element of type %s",
                       qn_dtype_name(x->dtype));
  for (uint32_t i = 0; i < count; i++) {
    int32_t axis;
    QN_TRY(qn_ref_axis(ref, axes[i], x->rank, &axis));
    int64_t after = amounts[count + i];
    before[axis] = amounts[i];
    if (__builtin_add_overflow(x->dims[axis], before[axis], &dims[axis]) ||
        __builtin_add_overflow(dims[axis], after, &dims[axis]))
      return qn_ref_fail(ref, QN_LIMIT, "axis %d padded by %lld and %lld", (int)axis, (long long)before[axis],
                         (long long)after);
    if (mode != PAD_CONSTANT && x->dims[axis] == 0 && dims[axis] > 0)
      return qn_ref_fail(ref, QN_INVALID, "axis %d is empty and cannot be continued", (int)axis);
  }
  QN_TRY(qn_ref_count(ref, x->rank, dims, &total));
  get_strides(x, strides);
  for (int32_t d = 0; d < x->rank; d++) {
    int64_t *map = qn_ref_ints(ref, total == 0 ? 0 : (uint64_t)dims[d]);
    if (!map) return QN_MEMORY;
    for (int64_t i = 0; total > 0 && i < dims[d]; i++) {
      int64_t source = pad_source(i - before[d], x->dims[d], mode);
      map[i] = source == OUTSIDE ? OUTSIDE : source * strides[d];
    }
    maps[d] = map;
  }
  return copy_mapped(ref, x, x->rank, dims, maps, fill ? fill->data : zero);
}
