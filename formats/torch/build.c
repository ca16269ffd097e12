// Building what stands for an extern. A step after a failure or a refusal does nothing, so that readers are
// written as plain expressions.
#include "formats/torch/torch_priv.h"
#include "ir/element_priv.h"

#include <stdio.h>

void qn_torch_refuse(qn_torch_reader *r, const char *format, ...) {
  if (r->status != QN_OK) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(r->reason, sizeof r->reason, format, arguments);
  va_end(arguments);
  r->status = QN_UNSUPPORTED;
}

qn_value qn_torch_add(qn_torch_reader *r, const qn_node_params *params, qn_value *out_results) {
  qn_value results[QN_OP_RESULTS_MAX];
  if (r->status != QN_OK) return QN_NONE;
  if (r->created_count == QN_TORCH_NODES_MAX) {
    qn_torch_refuse(r, "more than %d nodes", QN_TORCH_NODES_MAX);
    return QN_NONE;
  }
  qn_node_params p = *params;
  p.before = r->before;
  p.layer = qn_node_get_layer(r->graph, r->node).text;
  p.location = qn_node_get_location(r->graph, r->node).text;
  r->status = qn_graph_add(r->graph, &p, results);
  if (r->status == QN_INVALID ||
      r->status == QN_UNSUPPORTED) { // shapes that disagree: the extern says something that cannot be
    r->status = QN_OK;
    qn_torch_refuse(r, "%s", qn_context_get_error(r->context)->message);
  }
  if (r->status != QN_OK) return QN_NONE;
  qn_node node = qn_value_get_node(r->graph, results[0]);
  r->created[r->created_count++] = node;
  if (out_results) memcpy(out_results, results, qn_node_get_result_count(r->graph, node) * sizeof *results);
  return results[0];
}

qn_value qn_torch_unary(qn_torch_reader *r, qn_op op, qn_value x) {
  return qn_torch_add(r, qn_node_params(.op = op, .operands = &x, .operand_count = 1), NULL);
}

qn_value qn_torch_binary(qn_torch_reader *r, qn_op op, qn_value a, qn_value b) {
  return qn_torch_add(r, qn_node_params(.op = op, .operands = (qn_value[]){ a, b }, .operand_count = 2), NULL);
}

static qn_value convert(qn_torch_reader *r, qn_op op, qn_value x, qn_dtype to) {
  qn_attr attr = { .name = "to", .i = to };
  if (r->status != QN_OK || qn_torch_type(r, x).dtype == to) return x;
  return qn_torch_add(
      r, qn_node_params(.op = op, .operands = &x, .operand_count = 1, .attrs = &attr, .attr_count = 1), NULL);
}

qn_value qn_torch_cast(qn_torch_reader *r, qn_value x, qn_dtype to) {
  return convert(r, QN_OP_cast, x, to);
}
qn_value qn_torch_bitcast(qn_torch_reader *r, qn_value x, qn_dtype to) {
  return convert(r, QN_OP_bitcast, x, to);
}

qn_value qn_torch_transpose(qn_torch_reader *r, qn_value x, const int64_t *perm, uint32_t rank) {
  qn_attr attr = { .name = "perm", .ints = perm, .length = rank };
  return qn_torch_add(r,
                      qn_node_params(.op = QN_OP_transpose, .operands = &x, .operand_count = 1, .attrs = &attr,
                                     .attr_count = 1),
                      NULL);
}

static qn_value add_const(qn_torch_reader *r, const qn_tensor *tensor) {
  qn_attr attr = { .name = "value", .tensor = tensor };
  return qn_torch_add(r, qn_node_params(.op = QN_OP_const, .attrs = &attr, .attr_count = 1), NULL);
}

qn_value qn_torch_int_list(qn_torch_reader *r, const int64_t *ints, uint32_t count) {
  return add_const(
      r, &(qn_tensor){
             .dtype = QN_S64, .rank = 1, .dims = { count }, .data = ints, .bytes = 8 * (uint64_t)count });
}

qn_value qn_torch_scalar(qn_torch_reader *r, qn_dtype dtype, double value) {
  uint64_t bits = 0;
  uint8_t bytes[8] = { 0 };
  if (qn_dtype_is_float(dtype) ? !qn_element_encode(dtype, value, &bits) : value < -0x1p53 || value > 0x1p53) {
    qn_torch_refuse(r, "%g is no number of type %s", value, qn_dtype_name(dtype));
    return QN_NONE;
  }
  if (!qn_dtype_is_float(dtype)) bits = dtype == QN_BOOL ? value != 0 : (uint64_t)(int64_t)value;
  qn_element_store(dtype, bytes, 0, bits);
  return add_const(r, &(qn_tensor){ .dtype = dtype, .data = bytes, .bytes = qn_dtype_bytes(dtype, 1) });
}

// The list as it is: 0 is a dim of no elements here, where `reshape` would copy one.
qn_value qn_torch_reshape(qn_torch_reader *r, qn_value x, const int64_t *shape, uint32_t rank) {
  qn_attr allowzero = { .name = "allowzero", .i = 1 };
  bool zero = false;
  for (uint32_t i = 0; i < rank; i++) zero |= shape[i] == 0;
  qn_value operands[2] = { x, qn_torch_int_list(r, shape, rank) };
  return qn_torch_add(r,
                      qn_node_params(.op = QN_OP_reshape, .operands = operands, .operand_count = 2,
                                     .attrs = &allowzero, .attr_count = zero),
                      NULL);
}

// Whether a result is needed once the extern is gone.
static bool is_needed(const qn_torch_reader *r, qn_value value) {
  if (qn_value_is_output(r->graph, value)) return true;
  for (qn_use use = qn_value_get_first_use(r->graph, value); use; use = qn_use_get_next(r->graph, use))
    if (qn_use_get_user(r->graph, use) != r->node) return true;
  return false;
}

static void say_result(qn_torch_reader *r, qn_node node, uint32_t index, qn_value value) {
  qn_value from = qn_node_get_result(r->graph, node, index);
  if (r->status != QN_OK || from == QN_NONE || (node != r->node && !is_needed(r, from))) return;
  r->results[r->result_count].from = from;
  r->results[r->result_count++].to = value;
}

void qn_torch_result(qn_torch_reader *r, uint32_t index, qn_value value) {
  say_result(r, r->node, index, value);
}
void qn_torch_partner_result(qn_torch_reader *r, uint32_t index, qn_value value) {
  say_result(r, r->partner, index, value);
}
