// quantized_decomposed: the quantizers of PyTorch's own export flow (PT2E).
//
// All take f32 (the ones of a tensor and of channels make f16 and bf16 f32 first), multiply by the reciprocal
// of the scale, round half to even, add the zero point and clamp.
#include "formats/torch/torch_priv.h"

#include <math.h>

// --- static ------------------------------------------------------------------------------------------------

// The family of integer codes of a type; QN_SCHEME_none after a refusal.
static qn_scheme_family find_family(qn_torch_reader *r, qn_dtype target, qn_scheme_family of8,
                                    qn_scheme_family of16) {
  if (target == QN_S8 || target == QN_U8) return of8;
  if ((target == QN_S16 || target == QN_U16) && of16 != QN_SCHEME_none) return of16;
  qn_torch_refuse(r, "codes of type %s, which are rounded to integers first", qn_dtype_name(target));
  return QN_SCHEME_none;
}

static void begin(qn_torch_reader *r, qn_torch_quantizer *q, qn_scheme_family of8, qn_scheme_family of16) {
  qn_dtype target = qn_torch_dtype_arg(r, "dtype", QN_ANY), x;
  *q = (qn_torch_quantizer){ .x = qn_torch_value(r, "input") };
  q->scheme = qn_scheme_of(find_family(r, target, of8, of16));
  q->scheme.target = (uint8_t)target;
  q->scheme.arithmetic = QN_RECIPROCAL;
  x = qn_torch_type(r, q->x).dtype;
  if (x != QN_F32 && x != QN_F16 && x != QN_BF16)
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(x));
}

// A scale that the graph computes; its reciprocal is taken in its own type, which must be f32.
static void set_scale(qn_torch_reader *r, qn_torch_quantizer *q, qn_value scale) {
  qn_dtype dtype = qn_torch_type(r, scale).dtype;
  if (dtype != QN_F32) qn_torch_refuse(r, "a scale of type %s", qn_dtype_name(dtype));
  q->scale = scale;
}

static void finish(qn_torch_reader *r, qn_torch_quantizer *q) {
  double least = (double)qn_torch_int(r, "quant_min", 0), greatest = (double)qn_torch_int(r, "quant_max", 0);
  bool clips = r->status == QN_OK && qn_torch_bounds(r, &q->scheme, least, greatest);
  if (clips && q->scheme.dynamic) qn_torch_refuse(r, "codes from %g to %g", least, greatest);
  qn_torch_quantize(r, q);
  qn_torch_result(r, 0, clips ? qn_torch_clip_codes(r, q->codes, least, greatest) : q->codes);
}

// The scale is a Python float: 1 / scale is computed in f64 and rounded to f32, which need not be the
// reciprocal of any f32. So the multiplier is what is kept.
void qn_torch_read_per_tensor(qn_torch_reader *r) {
  qn_torch_quantizer q;
  double scale = qn_torch_float(r, "scale", 1), inverse = (double)(float)(1 / scale);
  int64_t zero_point = qn_torch_int(r, "zero_point", 0);
  begin(r, &q, QN_SCHEME_int8_static, QN_SCHEME_int16_static);
  if (!isfinite(inverse) || inverse == 0) qn_torch_refuse(r, "a scale of %g", scale);
  q.scheme.arithmetic = QN_MULTIPLY;
  q.scheme.zero_point = zero_point ? QN_ZERO_POINT_AFTER : QN_ZERO_POINT_NONE;
  q.scale = qn_torch_scalar(r, QN_F32, inverse);
  if (zero_point) {
    qn_scheme of_zero_point = q.scheme;
    qn_torch_bounds(r, &of_zero_point, (double)zero_point, (double)zero_point); // it is a code
    q.zero_point = qn_torch_scalar(r, (qn_dtype)q.scheme.target, (double)zero_point);
  }
  finish(r, &q);
}

void qn_torch_read_per_channel(qn_torch_reader *r) {
  qn_torch_quantizer q;
  begin(r, &q, QN_SCHEME_int8_channel, QN_SCHEME_none);
  int32_t rank = qn_torch_type(r, q.x).rank;
  q.scheme.axis = qn_torch_axis(r, qn_torch_int(r, "axis", 0), rank) - rank;
  set_scale(r, &q, qn_torch_value(r, "scales"));
  if (qn_torch_type(r, q.scale).rank != 1)
    qn_torch_refuse(r, "scales of rank %d", (int)qn_torch_type(r, q.scale).rank);
  qn_torch_set_zero_point(r, &q, qn_torch_value(r, "zero_points"), QN_ZERO_POINT_AFTER);
  finish(r, &q);
}

// Of a matrix. The zero point is added before rounding.
void qn_torch_read_per_channel_group(qn_torch_reader *r) {
  qn_torch_quantizer q;
  int64_t group = qn_torch_int(r, "group_size", 128), width;
  begin(r, &q, QN_SCHEME_int8_block, QN_SCHEME_none);
  qn_type_info type = qn_torch_type(r, q.x);
  if (type.rank != 2 || group < 2 || group > UINT16_MAX) qn_torch_refuse(r, "groups of %lld", (long long)group);
  if (r->status == QN_OK && (!qn_dim_is_const(r->graph, type.dims[1], &width) || width % group != 0))
    qn_torch_refuse(r, "groups of %lld do not fill the rows", (long long)group);
  q.scheme.group = (uint16_t)group;
  set_scale(r, &q, qn_torch_value(r, "scales"));
  qn_torch_set_zero_point(r, &q, qn_torch_value(r, "zero_points"), QN_ZERO_POINT_BEFORE);
  finish(r, &q);
}

// --- with choose_qparams -----------------------------------------------------------------------------------

// The words of the rows of choose_qparams.
enum { ASYMMETRIC, SYMMETRIC, PER_TOKEN, PER_TOKEN_ASYMMETRIC };

static void check_same(qn_torch_reader *r, const qn_torch_reader *chooser, const char *name) {
  const qn_torch_arg *a = qn_torch_get(r, name), *b = qn_torch_get(chooser, name);
  if (b->value && a->i != b->i) qn_torch_refuse(r, "the scale is chosen for another %s", name);
}

// max and min of the tensor; all in f32, of f16 and bf16 the difference would be rounded twice.
static void read_dynamic_tensor(qn_torch_reader *r, const qn_torch_reader *chooser) {
  qn_torch_quantizer q;
  const int64_t zero = 0;
  begin(r, &q, QN_SCHEME_int8_dynamic, QN_SCHEME_none);
  check_same(r, chooser, "quant_min");
  check_same(r, chooser, "quant_max");
  check_same(r, chooser, "dtype");
  if (qn_torch_type(r, q.x).dtype != QN_F32)
    qn_torch_refuse(r, "a scale that is rounded to f16 or bf16 on its way");
  q.scheme.zero = QN_ZERO_COMPUTED;
  qn_torch_floor(r, &q.scheme, qn_torch_float(chooser, "eps", 0), false);
  if (chooser->row->op == SYMMETRIC) {
    if (q.scheme.target != QN_S8) qn_torch_refuse(r, "a symmetric scheme with a zero point of 128");
    q.scheme.zero_point = QN_ZERO_POINT_NONE;
    q.scheme.range = qn_torch_int(r, "quant_min", 0) == -127 ? QN_RANGE_FULL : QN_RANGE_HALF;
  } else {
    q.scheme.zero_point_rule = QN_ZERO_POINT_RULE_INNER;
  }
  finish(r, &q);
  qn_torch_partner_like(r, 0, q.scale_out);
  qn_torch_partner_like(r, 1, q.zero_point_out ? q.zero_point_out : qn_torch_int_list(r, &zero, 1));
}

// The scale is a tensor of one element. In f32 its reciprocal, which PyTorch takes in f64, rounds to the same;
// one in f64 is inverted before it is rounded.
void qn_torch_read_per_tensor_of_tensor(qn_torch_reader *r) {
  qn_torch_quantizer q;
  qn_torch_reader chooser;
  qn_value scale = qn_torch_value(r, "scale"), zero_point = qn_torch_value(r, "zero_point");
  if (qn_torch_take_chooser(r, qn_torch_value(r, "input"), scale, zero_point, &chooser)) {
    if (chooser.row->op == ASYMMETRIC || chooser.row->op == SYMMETRIC)
      read_dynamic_tensor(r, &chooser);
    else
      qn_torch_refuse(r, "a scale for each token");
    return;
  }
  begin(r, &q, QN_SCHEME_int8_static, QN_SCHEME_int16_static);
  if (!qn_torch_is_single(r, scale)) qn_torch_refuse(r, "a scale of more than one element");
  if (qn_torch_type(r, scale).dtype == QN_F64) {
    scale = qn_torch_cast(r, qn_torch_unary(r, QN_OP_reciprocal, scale), QN_F32);
    q.scheme.arithmetic = QN_MULTIPLY;
  }
  if (r->status == QN_OK) set_scale(r, &q, scale);
  qn_torch_set_zero_point(r, &q, zero_point, QN_ZERO_POINT_AFTER);
  finish(r, &q);
}

void qn_torch_read_per_token(qn_torch_reader *r) {
  qn_torch_quantizer q;
  qn_torch_reader chooser;
  if (!qn_torch_take_chooser(r, qn_torch_value(r, "input"), qn_torch_value(r, "scales"),
                             qn_torch_value(r, "zero_points"), &chooser)) {
    qn_torch_refuse(r, "no scheme has a scale for each token that is known before the run");
    return;
  }
  if (chooser.row->op != PER_TOKEN || strstr(chooser.row->name, "affine"))
    qn_torch_refuse(r, "no scheme for the zero points of %s", chooser.row->name);
  begin(r, &q, QN_SCHEME_int8_token, QN_SCHEME_none);
  if (q.scheme.target != QN_S8)
    qn_torch_refuse(r, "codes of type %s", qn_dtype_name((qn_dtype)q.scheme.target));
  if (qn_torch_type(r, q.x).dtype == QN_BF16) // of f16 the scale is f32
    q.scheme.scale_dtype = q.scheme.scale_compute = q.scheme.compute = QN_BF16;
  check_same(r, &chooser, "dtype");
  qn_torch_floor(r, &q.scheme, 1e-5, true);
  finish(r, &q);
  qn_torch_partner_like(r, 0, q.scale_out);
}

// --- dequantize --------------------------------------------------------------------------------------------

// `channel`: the family that has a scale for each index of the argument `axis`.
static void read_dequantize(qn_torch_reader *r, qn_value scale, qn_value zero_point, bool channel) {
  qn_torch_quantizer q = { .x = qn_torch_value(r, "input") };
  qn_type_info x = qn_torch_type(r, q.x);
  bool fp8 = x.dtype == QN_E4M3 || x.dtype == QN_E5M2;
  qn_scheme_family family = channel ? QN_SCHEME_fp8_channel : QN_SCHEME_fp8_static;
  if (!fp8)
    family = find_family(r, x.dtype, channel ? QN_SCHEME_int8_channel : QN_SCHEME_int8_static,
                         channel ? QN_SCHEME_none : QN_SCHEME_int16_static);
  q.scheme = qn_scheme_of(family);
  q.scheme.target = (uint8_t)x.dtype;
  if (channel) q.scheme.axis = qn_torch_axis(r, qn_torch_int(r, "axis", 0), x.rank) - x.rank;
  if (qn_torch_dtype_arg(r, "out_dtype", QN_F32) != QN_F32)
    qn_torch_refuse(r, "a result that is rounded twice");
  if (channel ? qn_torch_type(r, scale).rank != 1 : !qn_torch_is_single(r, scale))
    qn_torch_refuse(r, "a scale of another shape");
  if (r->status == QN_OK) set_scale(r, &q, scale);
  qn_torch_set_zero_point(r, &q, zero_point, QN_ZERO_POINT_AFTER);
  if (fp8 && q.zero_point) qn_torch_refuse(r, "a zero point of FP8 codes");
  qn_value operands[3] = { q.x, q.scale, q.zero_point };
  qn_attr attrs[2] = { { .name = "scheme", .scheme = &q.scheme }, { .name = "to", .i = QN_F32 } };
  qn_torch_result(
      r, 0,
      qn_torch_add(r,
                   qn_node_params(.op = QN_OP_dequantize, .operands = operands,
                                  .operand_count = q.zero_point ? 3 : 2, .attrs = attrs, .attr_count = 2),
                   NULL));
}

void qn_torch_read_dequantize(qn_torch_reader *r) {
  qn_value scale = qn_torch_scalar(r, QN_F32, (double)(float)qn_torch_float(r, "scale", 1));
  read_dequantize(r, scale, qn_torch_value(r, "zero_point"), false);
}

// The scale is a number when it is multiplied with: one in f64 is rounded to f32 first.
void qn_torch_read_dequantize_of_tensor(qn_torch_reader *r) {
  qn_value scale = qn_torch_value(r, "scale");
  if (qn_torch_type(r, scale).dtype == QN_F64) scale = qn_torch_cast(r, scale, QN_F32);
  read_dequantize(r, scale, qn_torch_value(r, "zero_point"), false);
}

void qn_torch_read_dequantize_per_channel(qn_torch_reader *r) {
  read_dequantize(r, qn_torch_value(r, "scales"), qn_torch_value(r, "zero_points"), true);
}
