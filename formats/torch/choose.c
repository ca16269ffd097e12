// Operations that choose a scale: found from the quantizer that takes it, or read by themselves.
#include "formats/torch/torch_priv.h"

bool qn_torch_take_chooser(qn_torch_reader *r, qn_value x, qn_value scale, qn_value zero_point,
                           qn_torch_reader *out_chooser) {
  qn_node node = scale ? qn_value_get_node(r->graph, scale) : QN_NONE;
  if (r->status != QN_OK || !node || qn_node_get_op(r->graph, node) != QN_OP_extern) return false;
  const qn_torch_op *row =
      qn_torch_op_find(qn_node_get_string(r->graph, node, "name"), qn_node_get_operand_count(r->graph, node));
  if (!row || !row->chooses || qn_value_get_result_index(r->graph, scale) != 0) return false;
  *out_chooser = (qn_torch_reader){ .context = r->context, .graph = r->graph, .node = node, .row = row };
  qn_torch_read_args(out_chooser);
  if (out_chooser->status != QN_OK) {
    qn_torch_refuse(r, "%s: %s", row->name, out_chooser->reason);
    return false;
  }
  if (out_chooser->args[0].value != x) {
    qn_torch_refuse(r, "the scale is chosen from another tensor");
    return false;
  }
  if (zero_point && qn_value_get_node(r->graph, zero_point) != node) {
    qn_torch_refuse(r, "the zero point is not the one chosen with the scale");
    return false;
  }
  r->partner = r->before = node;
  return true;
}

void qn_torch_partner_like(qn_torch_reader *r, uint32_t index, qn_value value) {
  qn_value result = qn_node_get_result(r->graph, r->partner, index);
  if (r->status != QN_OK || !result) return;
  qn_type_info declared = qn_torch_type(r, result), found = qn_torch_type(r, value);
  int64_t shape[QN_RANK_MAX];
  bool constant = declared.rank >= 0 && declared.rank != found.rank;
  for (int32_t i = 0; constant && i < declared.rank; i++)
    constant = qn_dim_is_const(r->graph, declared.dims[i], &shape[i]);
  if (constant) value = qn_torch_reshape(r, value, shape, (uint32_t)declared.rank);
  if (declared.dtype != QN_ANY) value = qn_torch_cast(r, value, declared.dtype);
  qn_torch_partner_result(r, index, value);
}

void qn_torch_read_choose_qparams(qn_torch_reader *r) {
  qn_torch_refuse(r, "no quantizer that is read takes its scale");
}
void qn_torch_read_choose_qparams_affine(qn_torch_reader *r) {
  qn_torch_refuse(r, "no quantizer that is read takes its scale");
}

// amax / R in the type of the tensor, then f32: what is divided by may be spelled out in the graph.
void qn_torch_read_choose_float8(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "tensor");
  qn_type_info type = qn_torch_type(r, x);
  qn_dtype target = qn_torch_dtype_arg(r, "float8_dtype", QN_E4M3);
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_dynamic);
  int64_t axis = -1;
  if (target != QN_E4M3 && target != QN_E5M2) qn_torch_refuse(r, "codes of type %s", qn_dtype_name(target));
  if (qn_torch_dtype_arg(r, "scale_dtype", QN_F32) != QN_F32)
    qn_torch_refuse(r, "a scale rounded to a power of two");
  if (qn_torch_has(r, "hp_value_lb") || qn_torch_has(r, "hp_value_ub"))
    qn_torch_refuse(r, "bounds of the magnitude");
  qn_torch_block(r, "block_size", x, &scheme);
  bool token = scheme.granularity == QN_PER_TOKEN;
  if (!token && scheme.granularity != QN_PER_TENSOR)
    qn_torch_refuse(r, "a scale for each block, taken by itself");
  qn_value operands[2] = { qn_torch_unary(r, QN_OP_abs, x), token ? qn_torch_int_list(r, &axis, 1) : QN_NONE };
  qn_value amax = qn_torch_add(
      r, qn_node_params(.op = QN_OP_reduce_max, .operands = operands, .operand_count = token ? 2 : 1), NULL);
  qn_value range = qn_torch_scalar(r, type.dtype, target == QN_E4M3 ? 448 : 57344);
  qn_torch_result(r, 0, qn_torch_cast(r, qn_torch_binary(r, QN_OP_div, amax, range), QN_F32));
}
