// Operations that keep the elements: views, layouts, copies, cuts.
#include "formats/torch/torch_priv.h"
#include "ir/shape_priv.h"

void qn_torch_read_keep(qn_torch_reader *r) {
  qn_torch_result(r, 0, qn_torch_unary(r, QN_OP_identity, qn_torch_value(r, "self")));
}

// A dim of 0 elements is no dim to be copied here.
void qn_torch_read_reshape(qn_torch_reader *r) {
  int64_t shape[QN_TORCH_INTS_MAX];
  uint32_t rank = 0;
  qn_value operands[2] = { qn_torch_value(r, "self"), qn_torch_value(r, "size") };
  qn_attr allowzero = { .name = "allowzero", .i = 1 };
  bool zero = !qn_torch_ints(r, "size", shape, &rank);
  for (uint32_t i = 0; i < rank; i++) zero |= shape[i] == 0;
  qn_torch_result(r, 0,
                  qn_torch_add(r,
                               qn_node_params(.op = QN_OP_reshape, .operands = operands, .operand_count = 2,
                                              .attrs = &allowzero, .attr_count = zero),
                               NULL));
}

// Of a view of a view the bytes are those of the first one.
void qn_torch_read_view_dtype(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_dtype to = qn_torch_dtype_arg(r, "dtype", QN_ANY);
  qn_node above = qn_value_get_node(r->graph, x);
  if (qn_node_get_op(r->graph, above) == QN_OP_bitcast) x = qn_node_get_operand(r->graph, above, 0);
  bool same = qn_torch_type(r, x).dtype == to;
  qn_torch_result(r, 0, same ? qn_torch_unary(r, QN_OP_identity, x) : qn_torch_bitcast(r, x, to));
}

// Dims first .. last become one. A dim that is not a constant may be 0 elements as well.
void qn_torch_read_flatten(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_type_info type = qn_torch_type(r, x);
  int32_t first = qn_torch_axis(r, qn_torch_int(r, "start_dim", 0), QN_MAX(type.rank, 1)),
          last = qn_torch_axis(r, qn_torch_int(r, "end_dim", -1), QN_MAX(type.rank, 1));
  int64_t shape[QN_RANK_MAX];
  uint32_t rank = 0;
  if (type.rank < 0 || last < first)
    qn_torch_refuse(r, "dims %d to %d of rank %d", first, last, (int)type.rank);
  for (int32_t i = 0; i < type.rank && r->status == QN_OK; i++) {
    if (i > first && i <= last) continue;
    bool merged = i == first && last > first;
    // 0 copies what stands in front of the merge; behind it, and in it, dims are constant or the one inferred.
    if (merged)
      shape[rank++] = -1;
    else if (i < first)
      shape[rank++] = 0;
    else if (!qn_dim_is_const(r->graph, type.dims[i], &shape[rank++]) || shape[rank - 1] == 0)
      qn_torch_refuse(r, "dim %d behind the merged ones is no constant", i);
  }
  if (type.rank == 0) shape[rank++] = 1;
  qn_value operands[2] = { x, qn_torch_int_list(r, shape, rank) };
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_reshape, operands[0], operands[1]));
}

void qn_torch_read_unflatten(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_type_info type = qn_torch_type(r, x);
  int32_t axis = qn_torch_axis(r, qn_torch_int(r, "dim", 0), type.rank);
  int64_t sizes[QN_TORCH_INTS_MAX], shape[QN_TORCH_INTS_MAX + QN_RANK_MAX];
  uint32_t count = 0, rank = 0;
  if (r->status == QN_OK && !qn_torch_ints(r, "sizes", sizes, &count))
    qn_torch_refuse(r, "sizes are no constants");
  for (int32_t i = 0; i < type.rank && r->status == QN_OK; i++) {
    if (i == axis) {
      for (uint32_t k = 0; k < count; k++) shape[rank++] = sizes[k];
    } else if (i < axis) {
      shape[rank++] = 0;
    } else if (!qn_dim_is_const(r->graph, type.dims[i], &shape[rank++])) {
      qn_torch_refuse(r, "dim %d behind the split one is no constant", i);
    }
  }
  for (uint32_t k = (uint32_t)axis; k < rank; k++)
    if (shape[k] == 0) qn_torch_refuse(r, "a dim of 0 elements");
  if (r->status == QN_OK && rank > QN_RANK_MAX) qn_torch_refuse(r, "a result of rank %u", rank);
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_reshape, x, qn_torch_int_list(r, shape, rank)));
}

void qn_torch_read_permute(qn_torch_reader *r) {
  int64_t dims[QN_TORCH_INTS_MAX];
  uint32_t count;
  qn_value x = qn_torch_value(r, "self");
  if (!qn_torch_ints(r, "dims", dims, &count)) qn_torch_refuse(r, "dims are no constants");
  if (r->status != QN_OK) return;
  for (uint32_t i = 0; i < count; i++) dims[i] = qn_torch_axis(r, dims[i], (int32_t)count);
  if (count == 0)
    qn_torch_result(r, 0, qn_torch_unary(r, QN_OP_identity, x));
  else
    qn_torch_result(r, 0, qn_torch_transpose(r, x, dims, count));
}

void qn_torch_read_transpose(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  int32_t rank = qn_torch_type(r, x).rank;
  int64_t perm[QN_RANK_MAX];
  if (rank == 0 || (rank == 1 && !qn_torch_has(r, "dim0"))) { // one element, or aten.t of a vector
    qn_torch_result(r, 0, qn_torch_unary(r, QN_OP_identity, x));
    return;
  }
  if (rank > 2 && !qn_torch_has(r, "dim0")) qn_torch_refuse(r, "a matrix of rank %d", (int)rank);
  int32_t a = qn_torch_axis(r, qn_torch_int(r, "dim0", 0), rank),
          b = qn_torch_axis(r, qn_torch_int(r, "dim1", 1), rank);
  if (r->status != QN_OK) return;
  for (int32_t i = 0; i < rank; i++) perm[i] = i == a ? b : i == b ? a : i;
  qn_torch_result(r, 0, qn_torch_transpose(r, x, perm, (uint32_t)rank));
}

void qn_torch_read_unsqueeze(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  int32_t rank = qn_torch_type(r, x).rank;
  int64_t axis = qn_torch_axis(r, qn_torch_int(r, "dim", 0), rank < 0 ? rank : rank + 1);
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_unsqueeze, x, qn_torch_int_list(r, &axis, 1)));
}

// Of the dims asked for, those of 1 element go; whether a dim is one must be known.
void qn_torch_read_squeeze(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_type_info type = qn_torch_type(r, x);
  const qn_torch_arg *dim = qn_torch_get(r, "dim");
  int64_t asked[QN_TORCH_INTS_MAX], axes[QN_RANK_MAX];
  uint32_t count = 0, dropped = 0, set = 0;
  if (dim->kind == 'L' && !qn_torch_ints(r, "dim", asked, &count)) qn_torch_refuse(r, "dims are no constants");
  if (dim->kind == 'I') asked[count++] = dim->i;
  if (type.rank < 0) qn_torch_refuse(r, "the rank is not known");
  for (uint32_t i = 0; i < count && r->status == QN_OK; i++)
    set |= 1u << qn_torch_axis(r, asked[i], QN_MAX(type.rank, 1));
  for (int32_t i = 0; i < type.rank && r->status == QN_OK; i++) {
    int64_t length;
    if (dim->kind && !(set >> i & 1)) continue;
    if (!qn_dim_is_const(r->graph, type.dims[i], &length))
      qn_torch_refuse(r, "dim %d may be 1 or not", i);
    else if (length == 1)
      axes[dropped++] = i;
  }
  if (dropped == 0)
    qn_torch_result(r, 0, qn_torch_unary(r, QN_OP_identity, x));
  else
    qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_squeeze, x, qn_torch_int_list(r, axes, dropped)));
}

// `expand` broadcasts in both directions: a dim that stays as it is counts as 1.
void qn_torch_read_expand(qn_torch_reader *r) {
  int64_t shape[QN_TORCH_INTS_MAX];
  uint32_t rank;
  qn_value x = qn_torch_value(r, "self"), size = qn_torch_value(r, "size");
  if (qn_torch_ints(r, "size", shape, &rank)) {
    for (uint32_t i = 0; i < rank; i++)
      if (shape[i] == -1) shape[i] = 1;
    size = qn_torch_int_list(r, shape, rank);
  }
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_expand, x, size));
}

static qn_value cut(qn_torch_reader *r, qn_value x, int64_t axis, int64_t start, int64_t end, int64_t step) {
  qn_value operands[5] = { x, qn_torch_int_list(r, &start, 1), qn_torch_int_list(r, &end, 1),
                           qn_torch_int_list(r, &axis, 1), QN_NONE };
  if (step != 1) operands[4] = qn_torch_int_list(r, &step, 1);
  return qn_torch_add(
      r, qn_node_params(.op = QN_OP_slice, .operands = operands, .operand_count = step != 1 ? 5 : 4), NULL);
}

void qn_torch_read_slice(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  int64_t axis = qn_torch_axis(r, qn_torch_int(r, "dim", 0), qn_torch_type(r, x).rank),
          start = qn_torch_int(r, "start", 0), end = qn_torch_int(r, "end", INT64_MAX),
          step = qn_torch_int(r, "step", 1);
  if (step < 1) qn_torch_refuse(r, "a step of %lld", (long long)step);
  bool all = start == 0 && end == INT64_MAX && step == 1;
  qn_torch_result(r, 0, all ? qn_torch_unary(r, QN_OP_identity, x) : cut(r, x, axis, start, end, step));
}

void qn_torch_read_select(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  int64_t axis = qn_torch_axis(r, qn_torch_int(r, "dim", 0), qn_torch_type(r, x).rank),
          index = qn_torch_int(r, "index", 0);
  qn_attr attr = { .name = "axis", .i = axis };
  qn_value operands[2] = { x, qn_torch_scalar(r, QN_S64, (double)index) };
  qn_torch_result(r, 0,
                  qn_torch_add(r,
                               qn_node_params(.op = QN_OP_gather, .operands = operands, .operand_count = 2,
                                              .attrs = &attr, .attr_count = 1),
                               NULL));
}

void qn_torch_read_full_like(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_dtype dtype = qn_torch_dtype_arg(r, "dtype", qn_torch_type(r, x).dtype);
  qn_value one = qn_torch_scalar(r, dtype, qn_torch_float(r, "fill_value", 0));
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_expand, one, qn_torch_unary(r, QN_OP_shape, x)));
}
