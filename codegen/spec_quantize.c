// The spec of a quantize node: the schedule `quantize` on tokens of one head, as wide as the last axis.
#include "codegen/spec_read_priv.h"

#include "ir/base_priv.h"

static qn_type_info type_of(const qn_graph *graph, qn_value value) {
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

static bool read_columns(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_type_info x = type_of(graph, qn_node_get_operand(graph, node, QN_QUANTIZE_X));
  int64_t columns;
  spec->dtype = spec->out_dtype = x.dtype;
  if (x.dtype != QN_F16 && x.dtype != QN_BF16 && x.dtype != QN_F32)
    return qn_refuse(reason, QN_WHY_dtype, "x in f16, bf16 or f32", "%s", qn_dtype_name(x.dtype));
  if (x.rank < 1 || !qn_dim_is_const(graph, x.dims[x.rank - 1], &columns) || columns < 1 || columns > INT32_MAX)
    return qn_refuse(reason, QN_WHY_unknown_shape, "a constant last axis of x", "another");
  spec->heads = spec->kv_heads = 1;
  spec->head_dim = spec->v_head_dim = (uint32_t)columns;
  int32_t axis = spec->output.axis;
  if (spec->output.granularity != QN_PER_CHANNEL && spec->output.granularity != QN_PER_GROUP) return true;
  if (axis != -1 && axis != x.rank - 1)
    return qn_refuse(reason, QN_WHY_granularity, "channels and groups of the last axis", "axis %d", axis);
  spec->output.axis = -1;
  return true;
}

static bool read_operands(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *scheme = &spec->output;
  qn_value pre_scale = qn_node_get_operand(graph, node, QN_QUANTIZE_PRE_SCALE);
  int64_t columns = spec->v_head_dim, scales = scheme->granularity == QN_PER_CHANNEL ? columns : 1;
  if (pre_scale != QN_NONE) spec->pre_scale_dtype = type_of(graph, pre_scale).dtype;
  spec->scale_bound = qn_node_get_operand(graph, node, QN_QUANTIZE_SCALE_BOUND) != QN_NONE;
  return qn_spec_read_numbers(graph, node, QN_QUANTIZE_SCALE, qn_scheme_get_read_scale(scheme), scales,
                              reason) &&
         qn_spec_read_zero_point(graph, node, QN_QUANTIZE_ZERO_POINT, scales, spec, reason) &&
         qn_spec_read_numbers(graph, node, QN_QUANTIZE_PRE_SCALE, spec->pre_scale_dtype, columns, reason) &&
         qn_spec_read_numbers(graph, node, QN_QUANTIZE_SCALE_BOUND, QN_F32, 1, reason);
}

qn_status qn_kernel_spec_from_quantize(const qn_graph *graph, qn_node quantize, qn_target target,
                                       qn_kernel_spec *out_spec, qn_reason *out_reason) {
  qn_reason reason = { .why = QN_WHY_none };
  bool ok = false;

  *out_spec = (qn_kernel_spec){
    .target = target, .schedule = QN_SCHEDULE_quantize, .window_left = -1, .window_right = -1
  };
  if (qn_node_get_op(graph, quantize) != QN_OP_quantize) {
    qn_refuse(&reason, QN_WHY_op, "a node of quantize", "node %u is another operation", quantize);
  } else {
    out_spec->output = qn_node_get_scheme(graph, quantize, "scheme");
    ok = read_columns(graph, quantize, out_spec, &reason) &&
         read_operands(graph, quantize, out_spec, &reason) && qn_target_supports(out_spec, &reason);
  }
  if (out_reason != NULL) *out_reason = reason;
  if (ok) return QN_OK;
  qn_str name = qn_node_get_name(graph, quantize);
  return qn_fail(qn_graph_get_context(graph), QN_UNSUPPORTED, name.length > 0 ? name.text : NULL,
                 "%s: expected %s, found %s", qn_why_sentence(reason.why), reason.expected, reason.found);
}
