// What quantizers share: bounds of codes, zero points, granularities and floors in the words of a scheme.
#include "formats/torch/torch_priv.h"
#include "quant/elements_priv.h"

void qn_torch_quantize(qn_torch_reader *r, qn_torch_quantizer *q) {
  qn_attr attr = { .name = "scheme", .scheme = &q->scheme };
  qn_value operands[] = { q->x, q->scale, q->zero_point, q->pre_scale, q->bound }, results[QN_OP_RESULTS_MAX];
  uint32_t count = QN_COUNT(operands), result_count = 1;
  while (operands[count - 1] == QN_NONE) count--;
  if (q->scheme.dynamic) result_count = q->scheme.zero_point ? 3 : 2;
  q->codes = qn_torch_add(r,
                          qn_node_params(.op = QN_OP_quantize, .operands = operands, .operand_count = count,
                                         .attrs = &attr, .attr_count = 1, .result_count = result_count),
                          results);
  q->scale_out = q->codes && result_count > 1 ? results[1] : QN_NONE;
  q->zero_point_out = q->codes && result_count > 2 ? results[2] : QN_NONE;
}

bool qn_torch_bounds(qn_torch_reader *r, qn_scheme *scheme, double least, double greatest) {
  int64_t low, high;
  qn_dtype target = (qn_dtype)scheme->target;
  qn_element_get_range(target, &low, &high);
  if (!(least >= (double)low && greatest <= (double)high && least <= greatest)) {
    qn_torch_refuse(r, "codes from %g to %g in %s", least, greatest, qn_dtype_name(target));
    return false;
  }
  scheme->narrow = low < 0 && least == (double)-high && greatest == (double)high;
  return !scheme->narrow && (least > (double)low || greatest < (double)high);
}

qn_value qn_torch_clip_codes(qn_torch_reader *r, qn_value codes, double least, double greatest) {
  qn_dtype dtype = qn_torch_type(r, codes).dtype;
  qn_value operands[3] = { codes, qn_torch_scalar(r, dtype, least), qn_torch_scalar(r, dtype, greatest) };
  return qn_torch_add(r, qn_node_params(.op = QN_OP_clip, .operands = operands, .operand_count = 3), NULL);
}

void qn_torch_set_zero_point(qn_torch_reader *r, qn_torch_quantizer *q, qn_value zero_point,
                             qn_zero_point when) {
  q->scheme.zero_point = QN_ZERO_POINT_NONE;
  q->zero_point = QN_NONE;
  if (!zero_point || qn_torch_is_zero(r->graph, zero_point)) return;
  if (!qn_dtype_is_integer(qn_torch_type(r, zero_point).dtype)) {
    qn_torch_refuse(r, "a zero point of type %s", qn_dtype_name(qn_torch_type(r, zero_point).dtype));
    return;
  }
  q->scheme.zero_point = (uint8_t)when;
  q->zero_point = qn_torch_cast(r, zero_point, (qn_dtype)q->scheme.target);
}

void qn_torch_block(qn_torch_reader *r, const char *name, qn_value x, qn_scheme *scheme) {
  qn_type_info type = qn_torch_type(r, x);
  qn_dim block[QN_TORCH_INTS_MAX];
  uint32_t count, full = 0, one = 0;
  int32_t last = type.rank - 1, channel = 0;
  int64_t group = 0;
  if (!qn_torch_dims(r, name, block, &count) || type.rank < 1 || (int32_t)count != type.rank) {
    qn_torch_refuse(r, "%s is not known for each dim", name);
    return;
  }
  for (int32_t i = 0; i <= last && i < QN_RANK_MAX; i++) {
    full |= (uint32_t)(block[i] == type.dims[i]) << i;
    one |= (uint32_t)(block[i] == 1) << i;
    if (block[i] == 1 && block[i] != type.dims[i]) channel = i;
  }
  uint32_t all = (1u << type.rank) - 1, others = all >> 1;
  bool a_token = (one & others) == others && full >> last & 1;
  if (full == all && !(scheme->dynamic && a_token && type.rank > 1)) {
    scheme->granularity = QN_PER_TENSOR;
  } else if (a_token) {
    scheme->granularity = QN_PER_TOKEN;
  } else if ((full | 1u << channel) == all && one >> channel & 1) {
    scheme->granularity = QN_PER_CHANNEL;
    scheme->axis = channel - type.rank;
  } else if ((one & others) == others && qn_dim_is_const(r->graph, block[last], &group) &&
             group <= UINT16_MAX) {
    scheme->granularity = QN_PER_GROUP;
    scheme->group = (uint16_t)group;
  } else {
    qn_torch_refuse(r, "blocks in more than one dim share a scale");
  }
}

uint16_t qn_torch_group(qn_torch_reader *r, qn_value x, qn_value scale) {
  qn_type_info of = qn_torch_type(r, x), type = qn_torch_type(r, scale);
  int32_t last = of.rank - 1;
  int64_t width = 0, groups = 0;
  bool same = last >= 0 && type.rank == of.rank;
  for (int32_t i = 0; same && i < last; i++) same = type.dims[i] == of.dims[i];
  same = same && qn_dim_is_const(r->graph, of.dims[last], &width) &&
         qn_dim_is_const(r->graph, type.dims[last], &groups) && groups > 1 && width % groups == 0 &&
         width / groups <= UINT16_MAX;
  if (same) return (uint16_t)(width / groups);
  qn_torch_refuse(r, "no scheme has scales of this shape");
  return 1;
}

static const struct {
  bool of_amax;
  double value;
} floors[] = {
#define X(name, text, of_amax, value, doc) { of_amax, value },
  QN_SCALE_FLOOR_MAP(X)
#undef X
};

void qn_torch_floor(qn_torch_reader *r, qn_scheme *scheme, double eps, bool of_amax) {
  for (size_t i = 0; i < QN_COUNT(floors); i++) {
    if ((float)eps != (float)floors[i].value || (eps != 0 && of_amax != floors[i].of_amax)) continue;
    scheme->floor = (uint8_t)i;
    return;
  }
  qn_torch_refuse(r, "no scheme has %g as the smallest %s", eps, of_amax ? "magnitude" : "scale");
}
