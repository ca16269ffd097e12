// The quantize and dequantize operations: operands to quant/quantize.c and back.
#include "runtime/reference/reference_priv.h"

#include "quant/quantize_priv.h"

// Scale and zero point of a static scheme.
static qn_status load_parameters(qn_ref *ref, const qn_ref_tensor *scale, const qn_ref_tensor *zero_point,
                                 qn_quantize_args *args) {
  if (!scale) return qn_ref_fail(ref, QN_INVALID, "a static scheme without its scale");
  QN_TRY(qn_ref_load(ref, scale, &args->scale));
  args->scale_count = scale->count;
  if (!zero_point) return QN_OK;
  QN_TRY(qn_ref_load(ref, zero_point, &args->zero_point));
  args->zero_point_count = zero_point->count;
  return QN_OK;
}

qn_status qn_ref_quantize_values(qn_ref *ref, const qn_scheme *scheme, bool wide, int32_t rank,
                                 const int64_t *dims, const double *values, const qn_ref_tensor *scale,
                                 const qn_ref_tensor *zero_point) {
  qn_quantize_args args = { .scheme = scheme, .rank = rank, .dims = dims, .wide = wide };
  double chosen[2];
  uint8_t *codes;
  uint64_t count;
  qn_status status;
  QN_TRY(qn_ref_count(ref, rank, dims, &count));
  if (scheme->dynamic) {
    status = qn_quantize_choose(ref->context, scheme, values, count, wide, &chosen[0], &chosen[1]);
    if (status != QN_OK) return qn_ref_fail_within(ref, status);
    args.scale = &chosen[0], args.scale_count = 1;
    args.zero_point = &chosen[1], args.zero_point_count = 1;
    if (ref->result_count > 1)
      QN_TRY(qn_ref_store(ref, 1, qn_ref_held(ref, (qn_dtype)scheme->scale_dtype), 0, NULL, &chosen[0]));
    if (ref->result_count > 2) QN_TRY(qn_ref_store(ref, 2, (qn_dtype)scheme->target, 0, NULL, &chosen[1]));
  } else {
    QN_TRY(load_parameters(ref, scale, zero_point, &args));
  }
  QN_TRY(qn_ref_new(ref, 0, (qn_dtype)scheme->target, rank, dims, &codes));
  status = qn_quantize(ref->context, &args, values, codes);
  return status == QN_OK ? QN_OK : qn_ref_fail_within(ref, status);
}

qn_status qn_ref_quantize(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "scheme");
  const double *values;
  QN_TRY(qn_ref_load(ref, x, &values));
  return qn_ref_quantize_values(ref, &scheme, ref->f64 || x->dtype == QN_F64, x->rank, x->dims, values,
                                qn_ref_operand(ref, 1), qn_ref_operand(ref, 2));
}

qn_status qn_ref_dequantize(qn_ref *ref) {
  const qn_ref_tensor *codes = qn_ref_operand(ref, 0), *scale = qn_ref_operand(ref, 1);
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "scheme");
  qn_dtype to = qn_ref_held(ref, (qn_dtype)qn_node_get_int(ref->graph, ref->node, "to"));
  qn_quantize_args args = { .scheme = &scheme, .rank = codes->rank, .dims = codes->dims, .wide = ref->wide };
  const double *values;
  QN_TRY(qn_ref_load(ref, codes, &values));
  QN_TRY(load_parameters(ref, scale, qn_ref_operand(ref, 2), &args));
  double *out = qn_ref_doubles(ref, codes->count);
  if (!out) return QN_MEMORY;
  qn_status status = qn_dequantize(ref->context, &args, values, out);
  if (status != QN_OK) return qn_ref_fail_within(ref, status);
  if (to == QN_ANY) to = scale->dtype;
  return qn_ref_store(ref, 0, to, codes->rank, codes->dims, out);
}
