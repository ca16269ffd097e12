// The quantize and dequantize operations: operands to quant/quantize.c and back. The results of quantize have
// the places of those of attention under a scheme.
#include "runtime/reference/reference_priv.h"

#include "quant/quantize_priv.h"
#include "quant/scale_buffer_priv.h"

static qn_status load_numbers(qn_ref *ref, const qn_ref_tensor *tensor, qn_numbers *out_numbers) {
  if (!tensor) return QN_OK;
  out_numbers->count = tensor->count;
  return qn_ref_load(ref, tensor, &out_numbers->values);
}

// Result `index`, where the node has it, for elements that are written in place.
static qn_status add_result(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                            void **out_data) {
  uint8_t *data = NULL;
  if (index < ref->result_count) QN_TRY(qn_ref_new(ref, index, dtype, rank, dims, &data));
  *out_data = data;
  return QN_OK;
}

qn_status qn_ref_quantize_values(qn_ref *ref, const qn_scheme *scheme, bool wide, int32_t rank,
                                 const int64_t *dims, const double *values,
                                 const qn_ref_quantize_operands *operands) {
  qn_quantize_args args = { .scheme = scheme, .rank = rank, .dims = dims, .wide = wide };
  qn_quantized out = { .codes = NULL };
  qn_scale_buffer buffer;
  int64_t codes[QN_RANK_MAX];
  if (qn_scheme_has_scale(scheme) && !scheme->dynamic && !operands->scale)
    return qn_ref_fail(ref, QN_INVALID, "a static scheme without its scale");
  QN_TRY(load_numbers(ref, operands->scale, &args.scale));
  QN_TRY(load_numbers(ref, operands->zero_point, &args.zero_point));
  QN_TRY(load_numbers(ref, operands->pre_scale, &args.pre_scale));
  QN_TRY(load_numbers(ref, operands->scale_bound, &args.scale_bound));
  args.stored_scale = qn_ref_held(ref, (qn_dtype)scheme->scale_dtype);
  qn_quantized_dims(scheme, rank, dims, codes);
  QN_TRY(add_result(ref, QN_ATTENTION_OUT, (qn_dtype)scheme->target, rank, codes, &out.codes));
  // Where the scheme does not fit the dims qn_quantize says so.
  if (scheme->dynamic && qn_scale_buffer_of(scheme, rank, codes, &buffer)) {
    QN_TRY(add_result(ref, QN_ATTENTION_BLOCK_SCALE, args.stored_scale, buffer.rank, buffer.dims, &out.scales));
    if (scheme->zero_point)
      QN_TRY(add_result(ref, QN_ATTENTION_ZERO_POINT, qn_scheme_get_zero_point(scheme), buffer.rank,
                        buffer.dims, &out.zero_points));
  }
  qn_status status = qn_quantize(ref->context, &args, values, &out);
  return status == QN_OK ? QN_OK : qn_ref_fail_within(ref, status);
}

qn_status qn_ref_quantize(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  const qn_ref_quantize_operands operands = { .scale = qn_ref_operand(ref, 1),
                                              .zero_point = qn_ref_operand(ref, 2),
                                              .pre_scale = qn_ref_operand(ref, 3),
                                              .scale_bound = qn_ref_operand(ref, 4) };
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "scheme");
  const double *values;
  QN_TRY(qn_ref_load(ref, x, &values));
  return qn_ref_quantize_values(ref, &scheme, ref->f64 || x->dtype == QN_F64, x->rank, x->dims, values,
                                &operands);
}

qn_status qn_ref_dequantize(qn_ref *ref) {
  const qn_ref_tensor *codes = qn_ref_operand(ref, 0), *scale = qn_ref_operand(ref, 1);
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "scheme");
  qn_dtype to = qn_ref_held(ref, (qn_dtype)qn_node_get_int(ref->graph, ref->node, "to"));
  qn_quantize_args args = { .scheme = &scheme, .rank = codes->rank, .dims = codes->dims, .wide = ref->wide };
  const double *values;
  QN_TRY(qn_ref_load(ref, codes, &values));
  QN_TRY(load_numbers(ref, scale, &args.scale));
  QN_TRY(load_numbers(ref, qn_ref_operand(ref, 2), &args.zero_point));
  double *out = qn_ref_doubles(ref, codes->count);
  if (!out) return QN_MEMORY;
  qn_status status = qn_dequantize(ref->context, &args, values, out);
  if (status != QN_OK) return qn_ref_fail_within(ref, status);
  if (to == QN_ANY) to = scale->dtype;
  return qn_ref_store(ref, 0, to, codes->rank, codes->dims, out);
}
