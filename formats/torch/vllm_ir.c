// vLLM's own operations (vllm/ir/ops): the same quantizers as PyTorch computes them, so a NaN stays one.
#include "formats/torch/torch_priv.h"

static qn_torch_quantizer begin(qn_torch_reader *r, qn_scheme_family family) {
  qn_torch_quantizer q = { .x = qn_torch_value(r, "x"), .scheme = qn_scheme_of(family) };
  qn_dtype x = qn_torch_type(r, q.x).dtype, target = qn_torch_dtype_arg(r, "fp8_dtype", QN_E4M3);
  if (x != QN_F32 && x != QN_F16 && x != QN_BF16)
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(x));
  if (target != QN_E4M3 && target != QN_E5M2) qn_torch_refuse(r, "codes of type %s", qn_dtype_name(target));
  if (qn_torch_has(r, "num_token_padding")) qn_torch_refuse(r, "tokens that are added");
  q.scheme.target = (uint8_t)target;
  return q;
}

// x * (1 / scale) for a scale of the tensor, or of each group of a row.
void qn_torch_read_ir_static_fp8(qn_torch_reader *r) {
  qn_value scale = qn_torch_value(r, "scale");
  bool groups = r->row->op && !qn_torch_is_single(r, scale);
  qn_torch_quantizer q = begin(r, groups ? QN_SCHEME_fp8_block : QN_SCHEME_fp8_static);
  qn_type_info type = qn_torch_type(r, scale);
  if (type.dtype != QN_F32) qn_torch_refuse(r, "a scale of type %s", qn_dtype_name(type.dtype));
  if (!groups && !qn_torch_is_single(r, scale)) qn_torch_refuse(r, "a scale of more than one element");
  if (groups) q.scheme.group = qn_torch_group(r, q.x, scale);
  q.scheme.arithmetic = QN_RECIPROCAL;
  q.scale = scale;
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
}

// The scale's floor of 1 / (448 * 512) is that of e4m3.
static void require_e4m3(qn_torch_reader *r, const qn_scheme *scheme) {
  if (scheme->target != QN_E4M3)
    qn_torch_refuse(r, "no scheme has the floor of %s", qn_dtype_name((qn_dtype)scheme->target));
}

void qn_torch_read_ir_dynamic_fp8(qn_torch_reader *r) {
  bool token = qn_torch_int(r, "per_token", 0);
  qn_torch_quantizer q = begin(r, token ? QN_SCHEME_fp8_token : QN_SCHEME_fp8_dynamic);
  const int64_t one = 1;
  require_e4m3(r, &q.scheme);
  q.scheme.floor = QN_FLOOR_CODES_512;
  q.scheme.arithmetic = QN_RECIPROCAL;
  q.bound = qn_torch_value(r, "scale_ub");
  if (q.bound && !qn_torch_is_single(r, q.bound)) qn_torch_refuse(r, "an upper bound of more than one element");
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, token ? q.scale_out : qn_torch_reshape(r, q.scale_out, &one, 1));
}

// A row that is no whole number of groups is filled up with zeros, which no magnitude sees. column_major is a
// matter of strides: of a matrix the buffer lies by column.
void qn_torch_read_ir_group_fp8(qn_torch_reader *r) {
  qn_torch_quantizer q = begin(r, QN_SCHEME_fp8_group);
  int64_t shape[QN_TORCH_INTS_MAX];
  const int64_t swap[2] = { 1, 0 };
  uint32_t count = 0;
  bool columns = qn_torch_int(r, "column_major", 0) && qn_torch_type(r, q.x).rank == 2;
  if (!qn_torch_ints(r, "group_shape", shape, &count) || count != 2 || shape[0] != 1 || shape[1] < 1 ||
      shape[1] > UINT16_MAX)
    qn_torch_refuse(r, "groups that are not 1 token high");
  if (qn_torch_int(r, "use_ue8m0", 0)) qn_torch_refuse(r, "powers of two with a floor that is none");
  if (qn_torch_int(r, "scale_alignment", 1) != 1) qn_torch_refuse(r, "aligned scales");
  require_e4m3(r, &q.scheme);
  q.scheme.group = r->status == QN_OK ? (uint16_t)shape[1] : 1;
  q.scheme.floor = QN_FLOOR_CODES_512;
  if (columns) q.scheme.scale_layout = QN_SCALES_COLUMN;
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, columns ? qn_torch_transpose(r, q.scale_out, swap, 2) : q.scale_out);
}
