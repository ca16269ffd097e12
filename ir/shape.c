// Result types from operand types: the table of rules, and what the rules are made of.
#include "ir/shape_priv.h"

#include <stdio.h>

// Results stay as they are declared.
static qn_status no_rule(qn_shape *shape) {
  (void)shape;
  return QN_OK;
}

static qn_status shape_const(qn_shape *shape) {
  const qn_tensor *tensor = qn_node_get_tensor(shape->graph, shape->node, "value");
  if (!tensor) return qn_shape_fail(shape, "has no value");
  qn_dim dims[QN_RANK_MAX];
  for (int32_t i = 0; i < tensor->rank; i++) dims[i] = qn_dim_const(shape->graph, tensor->dims[i]);
  return qn_shape_result(shape, 0, tensor->dtype, tensor->rank, dims);
}

// clang-format off
static const qn_shape_rule rules[QN_OP_COUNT] = {
  [QN_OP_input] = no_rule,                    [QN_OP_const] = shape_const,             [QN_OP_extern] = no_rule,
  [QN_OP_add] = qn_shape_broadcast,           [QN_OP_sub] = qn_shape_broadcast,        [QN_OP_mul] = qn_shape_broadcast,
  [QN_OP_div] = qn_shape_broadcast,           [QN_OP_mod] = qn_shape_broadcast,        [QN_OP_pow] = qn_shape_pow,
  [QN_OP_min] = qn_shape_broadcast,           [QN_OP_max] = qn_shape_broadcast,        [QN_OP_neg] = qn_shape_first,
  [QN_OP_abs] = qn_shape_first,               [QN_OP_sqrt] = qn_shape_first,           [QN_OP_rsqrt] = qn_shape_first,
  [QN_OP_reciprocal] = qn_shape_first,        [QN_OP_exp] = qn_shape_first,            [QN_OP_log] = qn_shape_first,
  [QN_OP_sin] = qn_shape_first,               [QN_OP_cos] = qn_shape_first,            [QN_OP_tanh] = qn_shape_first,
  [QN_OP_erf] = qn_shape_first,               [QN_OP_sigmoid] = qn_shape_first,        [QN_OP_relu] = qn_shape_first,
  [QN_OP_gelu] = qn_shape_first,              [QN_OP_swish] = qn_shape_first,          [QN_OP_floor] = qn_shape_first,
  [QN_OP_ceil] = qn_shape_first,              [QN_OP_round] = qn_shape_first,          [QN_OP_clip] = qn_shape_first,
  [QN_OP_cast] = qn_shape_cast,               [QN_OP_equal] = qn_shape_compare,        [QN_OP_less] = qn_shape_compare,
  [QN_OP_less_equal] = qn_shape_compare,      [QN_OP_greater] = qn_shape_compare,      [QN_OP_greater_equal] = qn_shape_compare,
  [QN_OP_and] = qn_shape_broadcast,           [QN_OP_or] = qn_shape_broadcast,         [QN_OP_xor] = qn_shape_broadcast,
  [QN_OP_not] = qn_shape_first,               [QN_OP_is_nan] = qn_shape_test,          [QN_OP_is_inf] = qn_shape_test,
  [QN_OP_where] = qn_shape_where,             [QN_OP_reduce_sum] = qn_shape_reduce,    [QN_OP_reduce_mean] = qn_shape_reduce,
  [QN_OP_reduce_max] = qn_shape_reduce,       [QN_OP_reduce_min] = qn_shape_reduce,    [QN_OP_cumsum] = qn_shape_first,
  [QN_OP_identity] = qn_shape_first,          [QN_OP_reshape] = qn_shape_reshape,      [QN_OP_flatten] = qn_shape_flatten,
  [QN_OP_squeeze] = qn_shape_squeeze,         [QN_OP_unsqueeze] = qn_shape_unsqueeze,  [QN_OP_transpose] = qn_shape_transpose,
  [QN_OP_expand] = qn_shape_expand,           [QN_OP_concat] = qn_shape_concat,        [QN_OP_split] = qn_shape_split,
  [QN_OP_slice] = qn_shape_slice,             [QN_OP_gather] = qn_shape_gather,        [QN_OP_gather_elements] = qn_shape_gather_elements,
  [QN_OP_gather_nd] = qn_shape_gather_nd,     [QN_OP_scatter_nd] = qn_shape_first,     [QN_OP_tile] = qn_shape_tile,
  [QN_OP_pad] = qn_shape_pad,                 [QN_OP_shape] = qn_shape_shape,          [QN_OP_size] = qn_shape_size,
  [QN_OP_range] = qn_shape_range,             [QN_OP_fill] = qn_shape_fill,            [QN_OP_trilu] = qn_shape_first,
  [QN_OP_matmul] = qn_shape_matmul,           [QN_OP_gemm] = qn_shape_gemm,            [QN_OP_conv] = qn_shape_conv,
  [QN_OP_softmax] = qn_shape_softmax,         [QN_OP_layer_norm] = qn_shape_layer_norm, [QN_OP_rms_norm] = qn_shape_rms_norm,
  [QN_OP_rotary_embedding] = qn_shape_first,  [QN_OP_quantize] = qn_shape_quantize,    [QN_OP_dequantize] = qn_shape_dequantize,
  [QN_OP_attention] = qn_shape_attention,     [QN_OP_repeat] = qn_shape_repeat,        [QN_OP_bitcast] = qn_shape_bitcast,
};
// clang-format on

static qn_status apply_rule(qn_shape *shape) {
  qn_shape_rule rule = rules[qn_node_get_op(shape->graph, shape->node)];
  return rule ? rule(shape) : qn_shape_fail(shape, "has no shape rule");
}

qn_status qn_shape_infer(qn_graph *graph, qn_node node) {
  return apply_rule(&(qn_shape){ .graph = graph, .node = node, .disagreement = QN_INVALID });
}

qn_status qn_shape_check(qn_graph *graph, qn_node node) {
  return apply_rule(&(qn_shape){ .graph = graph, .node = node, .disagreement = QN_BUG, .check = true });
}

qn_status qn_graph_infer_types(qn_graph *graph) {
  for (qn_node node = graph->first; node; node = graph->nodes.at[node].next)
    QN_TRY(qn_shape_infer(graph, node));
  return QN_OK;
}

// --- failing ---------------------------------------------------------------------------------------------

enum { TYPE_TEXT_MAX = 160 };

static const char *format_type(const qn_graph *graph, qn_type type, char out_text[TYPE_TEXT_MAX]) {
  qn_buf buf = QN_BUF(graph->context);
  qn_writer writer = qn_buf_writer(&buf);
  qn_status status = qn_type_write(graph, type, &writer);
  snprintf(out_text, TYPE_TEXT_MAX, "%s", status == QN_OK && buf.text ? buf.text : "?");
  qn_buf_free(&buf);
  return out_text;
}

static qn_status fail_node(qn_shape *shape, const char *message) {
  char place[256], label[16];
  const qn_op_info *row = qn_op_get_info(qn_node_get_op(shape->graph, shape->node));
  snprintf(place, sizeof place, "node '%s' (%s)", qn_node_label(shape->graph, shape->node, label), row->name);
  return qn_fail(shape->graph->context, shape->disagreement, place, "%s", message);
}

qn_status qn_shape_fail(qn_shape *shape, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return fail_node(shape, message);
}

qn_status qn_shape_fail_pair(qn_shape *shape, const char *format, ...) {
  char message[1024], detail[256], types[2][TYPE_TEXT_MAX], labels[2][16];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(detail, sizeof detail, format, arguments);
  va_end(arguments);
  qn_graph *graph = shape->graph;
  qn_value a = qn_node_get_operand(graph, shape->node, 0), b = qn_node_get_operand(graph, shape->node, 1);
  snprintf(message, sizeof message, "operand '%.200s' is %s, operand '%.200s' is %s: %s",
           qn_value_label(graph, a, labels[0]), format_type(graph, qn_value_get_type(graph, a), types[0]),
           qn_value_label(graph, b, labels[1]), format_type(graph, qn_value_get_type(graph, b), types[1]),
           detail);
  return fail_node(shape, message);
}

qn_status qn_shape_axis(qn_shape *shape, int64_t axis, int32_t rank, int32_t *out_axis) {
  if (axis < -rank || axis >= rank)
    return qn_shape_fail(shape, "expected an axis in %d..%d, found %lld", (int)-rank, (int)rank - 1,
                         (long long)axis);
  *out_axis = (int32_t)(axis < 0 ? axis + rank : axis);
  return QN_OK;
}

// --- operands and results --------------------------------------------------------------------------------

qn_type_info qn_shape_operand(const qn_shape *shape, uint32_t index) {
  qn_value value = qn_node_get_operand(shape->graph, shape->node, index);
  if (value == QN_NONE) return (qn_type_info){ .dtype = QN_ANY, .rank = QN_RANK_UNKNOWN };
  return qn_type_get_info(shape->graph, shape->graph->values.at[value].type);
}

static qn_status fail_declared(qn_shape *shape, uint32_t index, qn_type declared, qn_dtype dtype, int32_t rank,
                               const qn_dim *dims) {
  qn_graph *graph = shape->graph;
  qn_dim known[QN_RANK_MAX];
  for (int32_t i = 0; i < rank; i++) known[i] = dims[i] == QN_DIM_NONE ? qn_dim_fresh(graph) : dims[i];
  char found[TYPE_TEXT_MAX], expected[TYPE_TEXT_MAX], label[16];
  qn_value result = qn_node_get_result(graph, shape->node, index);
  return qn_shape_fail(shape, "result '%.200s': expected %s, found %s", qn_value_label(graph, result, label),
                       format_type(graph, qn_type_get(graph, dtype, rank, known), expected),
                       format_type(graph, declared, found));
}

qn_status qn_shape_result(qn_shape *shape, uint32_t index, qn_dtype dtype, int32_t rank, const qn_dim *dims) {
  qn_graph *graph = shape->graph;
  qn_value result = qn_node_get_result(graph, shape->node, index);
  if (result == QN_NONE) return QN_OK;
  if (rank > QN_RANK_MAX)
    return qn_shape_fail(shape, "a result of rank %d; at most %d", (int)rank, QN_RANK_MAX);
  qn_type declared = graph->values.at[result].type;
  qn_type_info info = qn_type_get_info(graph, declared);
  bool same = (info.dtype == QN_ANY || dtype == QN_ANY || info.dtype == dtype) &&
              (info.rank < 0 || rank < 0 || info.rank == rank);
  qn_dim merged[QN_RANK_MAX];
  for (int32_t i = 0; same && i < rank; i++) {
    qn_dim other = info.rank < 0 ? QN_DIM_NONE : info.dims[i];
    same = !qn_shape_differ(graph, dims[i], other);
    merged[i] = qn_shape_same(graph, dims[i], other);
  }
  if (!same) return fail_declared(shape, index, declared, dtype, rank, dims);
  if (shape->check) return QN_OK;
  for (int32_t i = 0; i < rank; i++)
    if (merged[i] == QN_DIM_NONE) merged[i] = qn_dim_fresh(graph);
  qn_type type = qn_type_get(graph, dtype == QN_ANY ? info.dtype : dtype, rank < 0 ? info.rank : rank,
                             rank < 0 ? info.dims : merged);
  if (type != declared) qn_value_set_type(graph, result, type);
  return QN_OK;
}

qn_status qn_shape_result_like(qn_shape *shape, uint32_t index, uint32_t operand) {
  qn_graph *graph = shape->graph;
  qn_value from = qn_node_get_operand(graph, shape->node, operand),
           to = qn_node_get_result(graph, shape->node, index);
  if (!from || !to) return QN_OK;
  qn_type type = graph->values.at[from].type;
  if (type == graph->values.at[to].type || type == 0) return QN_OK;
  if (graph->values.at[to].type == 0 && !shape->check) {
    qn_value_set_type(graph, to, type);
    return QN_OK;
  }
  qn_type_info info = qn_type_get_info(graph, type);
  return qn_shape_result(shape, index, info.dtype, info.rank, info.dims);
}

// --- dims ------------------------------------------------------------------------------------------------

bool qn_shape_is_const(const qn_graph *graph, qn_dim dim, int64_t *out_value) {
  return dim != QN_DIM_NONE && qn_dim_is_const(graph, dim, out_value);
}

qn_dim qn_shape_add(qn_graph *graph, qn_dim a, qn_dim b) {
  return a == QN_DIM_NONE || b == QN_DIM_NONE ? QN_DIM_NONE : qn_dim_add(graph, a, b);
}

qn_dim qn_shape_mul(qn_graph *graph, qn_dim a, qn_dim b) {
  return a == QN_DIM_NONE || b == QN_DIM_NONE ? QN_DIM_NONE : qn_dim_mul(graph, a, b);
}

qn_dim qn_shape_ceil_div(qn_graph *graph, qn_dim a, qn_dim b) {
  return a == QN_DIM_NONE || b == QN_DIM_NONE ? QN_DIM_NONE : qn_dim_ceil_div(graph, a, b);
}

qn_dim qn_shape_sub(qn_graph *graph, qn_dim a, qn_dim b) {
  if (b == 0) return a;
  return qn_shape_add(graph, a, qn_shape_mul(graph, b, qn_dim_const(graph, -1)));
}

qn_dim qn_shape_divide(qn_graph *graph, qn_dim a, qn_dim b) {
  qn_dim quotient;
  if (a == QN_DIM_NONE || b == QN_DIM_NONE || b == 0) return QN_DIM_NONE;
  return qn_dim_divide(graph, a, b, &quotient) ? quotient : QN_DIM_NONE;
}

bool qn_shape_differ(const qn_graph *graph, qn_dim a, qn_dim b) {
  int64_t x, y;
  return a != b && b != QN_DIM_NONE && qn_shape_is_const(graph, a, &x) && qn_shape_is_const(graph, b, &y) &&
         x != y;
}

// Whether a dim is a symbol `?n`: one that stands for "unknown" in a type.
static bool is_unknown(const qn_graph *graph, qn_dim dim) {
  if (dim == QN_DIM_NONE) return true;
  if (dim < QN_DIM_CONST_LIMIT) return false;
  const qn_dim_entry *entry = &graph->dims.at[dim & ~QN_DIM_CONST_LIMIT];
  return entry->kind == QN_DIM_SYMBOL && qn_string_get(graph, (uint32_t)entry->words[0]).text[0] == '?';
}

qn_dim qn_shape_same(const qn_graph *graph, qn_dim a, qn_dim b) {
  int64_t value;
  if (a == b || b == QN_DIM_NONE || qn_shape_is_const(graph, a, &value)) return a;
  if (qn_shape_is_const(graph, b, &value)) return b;
  if (!is_unknown(graph, a)) return a;
  if (!is_unknown(graph, b)) return b;
  return a != QN_DIM_NONE ? a : b;
}

bool qn_shape_broadcast_dim(const qn_graph *graph, qn_dim a, qn_dim b, qn_dim *out_dim) {
  int64_t x, y;
  if (a == b || b == 1) {
    *out_dim = a;
    return true;
  }
  if (a == 1) {
    *out_dim = b;
    return true;
  }
  bool a_const = qn_shape_is_const(graph, a, &x), b_const = qn_shape_is_const(graph, b, &y);
  // A constant other than 1 wins over a symbol. A dim that the model names wins over one that nothing is known
  // of: exporters specialise on dims of 1 and name only the others, and without this one computed slice
  // (positions up to min(48, sequence), say) would make every later dim unknown. Of two named symbols either
  // may be 1.
  bool a_unknown = is_unknown(graph, a), b_unknown = is_unknown(graph, b);
  *out_dim = a_const ? a : b_const ? b : a_unknown == b_unknown ? QN_DIM_NONE : a_unknown ? b : a;
  return !(a_const && b_const);
}

bool qn_shape_broadcast_into(const qn_graph *graph, qn_dim dims[QN_RANK_MAX], int32_t *rank,
                             qn_type_info from) {
  int32_t grown = QN_MAX(*rank, from.rank);
  memmove(dims + (grown - *rank), dims, (size_t)*rank * sizeof *dims);
  for (int32_t i = 0; i < grown - *rank; i++) dims[i] = 1;
  *rank = grown;
  for (int32_t i = 0; i < from.rank; i++) {
    qn_dim *dim = &dims[grown - from.rank + i];
    if (!qn_shape_broadcast_dim(graph, *dim, from.dims[i], dim)) return false;
  }
  return true;
}
