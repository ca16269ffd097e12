// vLLM's quantization kernels. The buffers that they write are operands too; what is written is a result, so
// what the buffers held does not matter.
#include "formats/torch/torch_priv.h"
#include "quant/elements_priv.h"

// --- what they share ---------------------------------------------------------------------------------------

static qn_torch_quantizer begin(qn_torch_reader *r, qn_scheme_family family) {
  qn_torch_quantizer q = { .x = qn_torch_value(r, "input"), .scheme = qn_scheme_of(family) };
  qn_dtype x = qn_torch_type(r, q.x).dtype;
  if (x != QN_F32 && x != QN_F16 && x != QN_BF16)
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(x));
  return q;
}

// The codes are what the buffer holds: e4m3 (of the FNUZ types the range is another). fmin and fmax drop a NaN.
static qn_torch_quantizer begin_fp8(qn_torch_reader *r, qn_scheme_family family, const char *buffer) {
  qn_torch_quantizer q = begin(r, family);
  qn_dtype target = qn_torch_type(r, qn_node_get_result(r->graph, r->node, 0)).dtype;
  if (target == QN_ANY) target = qn_torch_type(r, qn_torch_value(r, buffer)).dtype;
  if (target != QN_ANY && target != QN_E4M3) qn_torch_refuse(r, "codes of type %s", qn_dtype_name(target));
  q.scheme.nan = QN_NAN_LARGEST;
  return q;
}

static void set_scale(qn_torch_reader *r, qn_torch_quantizer *q, qn_value scale) {
  qn_dtype dtype = qn_torch_type(r, scale).dtype;
  if (dtype != QN_F32) qn_torch_refuse(r, "a scale of type %s", qn_dtype_name(dtype));
  q->scale = scale;
}

static void require_single(qn_torch_reader *r, qn_value scale) {
  if (!qn_torch_is_single(r, scale)) qn_torch_refuse(r, "a scale of more than one element");
}

// --- FP8 ---------------------------------------------------------------------------------------------------

// inv = 1 / scale, x * inv; a scale of one element, or one for each column. Where it is one for each row
// group_shape says so.
void qn_torch_read_static_fp8(qn_torch_reader *r) {
  qn_value scale = qn_torch_value(r, "scale");
  bool channel = !qn_torch_is_single(r, scale);
  qn_torch_quantizer q = begin_fp8(r, channel ? QN_SCHEME_fp8_channel : QN_SCHEME_fp8_static, "result");
  qn_type_info x = qn_torch_type(r, q.x), type = qn_torch_type(r, scale);
  int64_t shape[QN_TORCH_INTS_MAX];
  uint32_t count = 0;
  if (channel && (type.rank != 1 || x.rank < 1 || type.dims[0] != x.dims[x.rank - 1]))
    qn_torch_refuse(r, "a scale that is neither one nor one for each column");
  if (channel && qn_torch_has(r, "group_shape") &&
      !(qn_torch_ints(r, "group_shape", shape, &count) && count == 2 && shape[0] == -1 && shape[1] == 1))
    qn_torch_refuse(r, "a scale for each token, or for each block");
  q.scheme.arithmetic = QN_RECIPROCAL;
  set_scale(r, &q, scale);
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
}

// The largest amax / 448 of all rows, without a floor; x * (1 / s).
void qn_torch_read_dynamic_fp8(qn_torch_reader *r) {
  qn_torch_quantizer q = begin_fp8(r, QN_SCHEME_fp8_dynamic, "result");
  const int64_t one = 1;
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, qn_torch_reshape(r, q.scale_out, &one, 1));
}

void qn_torch_read_token_fp8(qn_torch_reader *r) {
  qn_torch_quantizer q = begin_fp8(r, QN_SCHEME_fp8_token, "result");
  q.bound = qn_torch_value(r, "scale_ub");
  if (q.bound) require_single(r, q.bound);
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, q.scale_out);
}

// --- FP8 in groups -----------------------------------------------------------------------------------------

// The first dims of x as a list of one.
static qn_value token_count(qn_torch_reader *r, qn_value x) {
  qn_type_info type = qn_torch_type(r, x);
  qn_attr end = { .name = "end", .i = 1 };
  int64_t tokens;
  if (type.rank > 0 && qn_dim_is_const(r->graph, type.dims[0], &tokens))
    return qn_torch_int_list(r, &tokens, 1);
  return qn_torch_add(
      r, qn_node_params(.op = QN_OP_shape, .operands = &x, .operand_count = 1, .attrs = &end, .attr_count = 1),
      NULL);
}

// [T, n] from the buffer [n, T and more], which is how PyTorch sees it through its strides.
static qn_value by_token(qn_torch_reader *r, qn_value buffer, qn_value x, bool padded) {
  const int64_t zero = 0, one = 1, swap[2] = { 1, 0 };
  if (padded) {
    qn_value operands[4] = { buffer, qn_torch_int_list(r, &zero, 1), token_count(r, x),
                             qn_torch_int_list(r, &one, 1) };
    buffer = qn_torch_add(r, qn_node_params(.op = QN_OP_slice, .operands = operands, .operand_count = 4), NULL);
  }
  return qn_torch_transpose(r, buffer, swap, 2);
}

// Bytes of four exponents are one s32.
static qn_value packed_words(qn_torch_reader *r, qn_value buffer) {
  const int64_t last = 2;
  qn_value words = qn_torch_bitcast(r, buffer, QN_S32);
  return qn_torch_binary(r, QN_OP_squeeze, words, qn_torch_int_list(r, &last, 1));
}

// max(amax, 1e-10) / 448, x / s. With scale_ue8m0 exp2(ceil(log2(max(s, 1e-10)))), whose log2 is exact for
// every amax in 16 bits. The packed kernel takes the exponents and multiplies by the reciprocal of the power of
// two.
void qn_torch_read_group_fp8(qn_torch_reader *r) {
  qn_torch_quantizer q = begin_fp8(r, QN_SCHEME_fp8_group, "output_q");
  int64_t group = qn_torch_int(r, "group_size", 0), width;
  bool packed = r->row->op, up = packed || qn_torch_int(r, "scale_ue8m0", 0);
  bool columns = qn_torch_int(r, "dummy_is_scale_transposed", 0),
       aligned = qn_torch_int(r, "dummy_is_tma_aligned", 0);
  qn_type_info x = qn_torch_type(r, q.x);
  if (qn_torch_float(r, "fp8_max", 0) != 448 || qn_torch_float(r, "fp8_min", 0) != -448)
    qn_torch_refuse(r, "codes from %g to %g", qn_torch_float(r, "fp8_min", 0), qn_torch_float(r, "fp8_max", 0));
  if (group < 1 || group > UINT16_MAX || x.rank < 1 || !qn_dim_is_const(r->graph, x.dims[x.rank - 1], &width) ||
      width % group != 0)
    qn_torch_refuse(r, "groups of %lld do not fill the rows", (long long)group);
  if (up && x.dtype == QN_F32) qn_torch_refuse(r, "a power of two from an f32, which log2 may miss by one");
  if ((columns || packed) && x.rank != 2)
    qn_torch_refuse(r, "scales by column of a tensor of rank %d", (int)x.rank);
  if (aligned && !columns) qn_torch_refuse(r, "aligned scales that are not by column");
  q.scheme.group = (uint16_t)group;
  qn_torch_floor(r, &q.scheme, qn_torch_float(r, "eps", 0), !up);
  if (up) q.scheme.rule = QN_RULE_UP;
  if (columns) q.scheme.scale_layout = aligned ? QN_SCALES_TMA_ALIGNED : QN_SCALES_COLUMN;
  if (packed) {
    q.scheme.scale_dtype = QN_E8M0;
    q.scheme.scale_layout = QN_SCALES_PACKED;
    q.scheme.arithmetic = QN_RECIPROCAL;
  }
  qn_torch_quantize(r, &q);
  qn_value scale = packed ? packed_words(r, q.scale_out) : q.scale_out;
  if (columns || packed) scale = by_token(r, scale, q.x, aligned || packed);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, scale);
}

// --- NVFP4 -------------------------------------------------------------------------------------------------

// The type in which the extern declares a result, or another one.
static qn_dtype declared(const qn_torch_reader *r, uint32_t index, qn_dtype otherwise) {
  qn_dtype dtype = qn_torch_type(r, qn_node_get_result(r->graph, r->node, index)).dtype;
  return dtype == QN_ANY ? otherwise : dtype;
}

// The columns that the codes are filled up with, where the buffer has more than x.
static void set_padding(qn_torch_reader *r, qn_torch_quantizer *q) {
  qn_type_info x = qn_torch_type(r, q->x), codes = qn_torch_type(r, qn_node_get_result(r->graph, r->node, 0));
  int64_t width, bytes;
  if (codes.rank != 2 || x.rank != 2 || !qn_dim_is_const(r->graph, x.dims[1], &width) ||
      !qn_dim_is_const(r->graph, codes.dims[1], &bytes) || bytes * 2 == width)
    return;
  if (bytes * 2 < width || bytes * 2 > UINT16_MAX)
    qn_torch_refuse(r, "%lld bytes of codes for %lld", (long long)bytes, (long long)width);
  else
    q->scheme.pad = (uint16_t)(bytes * 2);
}

// Two codes a byte, the first in the low nibble, as in e2m1.
void qn_torch_read_nvfp4(qn_torch_reader *r) {
  qn_torch_quantizer q = begin(r, QN_SCHEME_nvfp4);
  bool swizzled = qn_torch_int(r, "is_sf_swizzled_layout", 1);
  qn_type_info x = qn_torch_type(r, q.x);
  int64_t width;
  if (x.rank != 2 || !qn_dim_is_const(r->graph, x.dims[1], &width) || width % 16 != 0)
    qn_torch_refuse(r, "rows that are no whole number of blocks of 16");
  if (x.dtype == QN_F32) qn_torch_refuse(r, "of elements of type f32");
  if (!swizzled) q.scheme.scale_layout = QN_SCALES_ROW;
  set_padding(r, &q);
  set_scale(r, &q, qn_torch_value(r, "input_scale"));
  require_single(r, q.scale);
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, qn_torch_bitcast(r, q.codes, declared(r, 0, QN_U8)));
  qn_torch_result(r, 1, qn_torch_bitcast(r, q.scale_out, declared(r, 1, swizzled ? QN_S32 : QN_U8)));
}

// --- INT8 --------------------------------------------------------------------------------------------------

// round(x / s), and with a zero point round(x * (1 / s)) + azp. The zero point is an s32 of any size.
void qn_torch_read_static_int8(qn_torch_reader *r) {
  qn_torch_quantizer q = begin(r, QN_SCHEME_int8_static);
  qn_value zero_point = qn_torch_value(r, "azp");
  double number;
  set_scale(r, &q, qn_torch_value(r, "scale"));
  require_single(r, q.scale);
  if (zero_point) require_single(r, zero_point);
  if (zero_point && qn_torch_type(r, zero_point).dtype != QN_S32)
    qn_torch_refuse(r, "a zero point of type %s", qn_dtype_name(qn_torch_type(r, zero_point).dtype));
  q.scheme.zero_point = zero_point ? QN_ZERO_POINT_AFTER : QN_ZERO_POINT_NONE;
  q.scheme.arithmetic = zero_point ? QN_RECIPROCAL : QN_DIVIDE;
  q.zero_point = zero_point;
  if (zero_point && qn_torch_constant(r->graph, zero_point, &number) && number >= -128 && number <= 127)
    q.zero_point = qn_torch_cast(r, zero_point, QN_S8); // it is a code
  else if (zero_point)
    q.scheme.zero_point_dtype = QN_S32;
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
}

void qn_torch_read_dynamic_int8(qn_torch_reader *r) {
  bool asymmetric = qn_node_get_result_count(r->graph, r->node) > 2;
  qn_torch_quantizer q = begin(r, asymmetric ? QN_SCHEME_int8_token_zp : QN_SCHEME_int8_token);
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  qn_torch_result(r, 1, q.scale_out);
  if (asymmetric) qn_torch_result(r, 2, q.zero_point_out);
}
