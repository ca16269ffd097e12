// torchao's quantizers: one operation for every granularity of integers, one for FP8.
#include "formats/torch/torch_priv.h"
#include "quant/elements_priv.h"

// --- scales that are operands ------------------------------------------------------------------------------

// The reciprocal is taken in the type of the scale; the product has the wider one.
static void set_scale_type(qn_torch_reader *r, qn_torch_quantizer *q, qn_dtype dtype) {
  qn_dtype x = qn_torch_type(r, q->x).dtype;
  if (dtype != QN_F32 && dtype != QN_F16 && dtype != QN_BF16)
    qn_torch_refuse(r, "a scale of type %s", qn_dtype_name(dtype));
  q->scheme.scale_dtype = (uint8_t)dtype;
  q->scheme.compute = (uint8_t)(dtype == x ? dtype : QN_F32);
}

// The scale in the shape that the granularity asks for.
static void set_scale(qn_torch_reader *r, qn_torch_quantizer *q, qn_value scale) {
  qn_type_info x = qn_torch_type(r, q->x), type = qn_torch_type(r, scale);
  const int64_t all = -1;
  set_scale_type(r, q, type.dtype);
  q->scale = scale;
  switch (q->scheme.granularity) {
  case QN_PER_TENSOR:
    if (!qn_torch_is_single(r, scale)) qn_torch_refuse(r, "a scale of more than one element");
    return;
  case QN_PER_CHANNEL:
    if (type.rank != 1) q->scale = qn_torch_reshape(r, scale, &all, 1);
    return;
  case QN_PER_GROUP:
    if (type.rank != x.rank) qn_torch_refuse(r, "scales of groups in another rank than x");
    return;
  default: qn_torch_refuse(r, "no scheme has a scale for each token that is known before the run");
  }
}

// --- integers ----------------------------------------------------------------------------------------------

// clamp(amax / R, eps), or of max - min: each step is rounded to the type of x, then the scale to its own.
static void choose(qn_torch_reader *r, const qn_torch_reader *c, qn_torch_quantizer *q, double least,
                   double greatest) {
  qn_str mapping = qn_torch_text(c, "mapping_type");
  qn_dtype x = qn_torch_type(r, q->x).dtype;
  bool symmetric = mapping.length == 9 && memcmp(mapping.text, "SYMMETRIC", 9) == 0;
  if (!symmetric && !(mapping.length == 10 && memcmp(mapping.text, "ASYMMETRIC", 10) == 0))
    qn_torch_refuse(r, "mapping_type is '%.*s'", (int)QN_MIN(mapping.length, 40), mapping.text);
  set_scale_type(r, q, qn_torch_dtype_arg(c, "scale_dtype", x));
  if (!qn_torch_has(c, "eps")) qn_torch_refuse(r, "no scheme has the smallest normal number as its floor");
  qn_torch_floor(r, &q->scheme, qn_torch_float(c, "eps", 0), false);
  q->scheme.scale_compute = (uint8_t)x;
  q->scheme.arithmetic = QN_RECIPROCAL;
  q->scheme.zero = QN_ZERO_COMPUTED;
  if (symmetric) {
    if (greatest + least != 0 && greatest + least != -1)
      qn_torch_refuse(r, "codes from %g to %g", least, greatest);
    q->scheme.range = q->scheme.narrow ? QN_RANGE_FULL : QN_RANGE_HALF;
    q->scheme.zero_point = QN_ZERO_POINT_NONE;
  } else {
    q->scheme.range = QN_RANGE_WITH_ZERO;
    q->scheme.zero_point = QN_ZERO_POINT_AFTER;
    q->scheme.zero_point_rule = QN_ZERO_POINT_RULE_INNER;
    q->scheme.zero_point_dtype = (uint8_t)qn_torch_dtype_arg(c, "zero_point_dtype", QN_S32);
    if (q->scheme.zero_point_dtype == q->scheme.target) q->scheme.zero_point_dtype = QN_ANY;
  }
}

// What both must say alike.
static void check_chooser(qn_torch_reader *r, const qn_torch_reader *c, double least, double greatest) {
  int64_t a[QN_TORCH_INTS_MAX], b[QN_TORCH_INTS_MAX];
  uint32_t a_count, b_count;
  qn_torch_reader reader = *c;
  bool same =
      qn_torch_value(r, "block_size") == qn_torch_value(c, "block_size") ||
      (qn_torch_ints(r, "block_size", a, &a_count) && qn_torch_ints(&reader, "block_size", b, &b_count) &&
       a_count == b_count && memcmp(a, b, a_count * sizeof *a) == 0);
  if (!same) qn_torch_refuse(r, "the scale is chosen for other blocks");
  if (qn_torch_float(c, "quant_min", least) != least || qn_torch_float(c, "quant_max", greatest) != greatest)
    qn_torch_refuse(r, "the scale is chosen for other codes");
}

static qn_scheme_family family_of(const qn_scheme *scheme, bool dynamic) {
  switch (scheme->granularity) {
  case QN_PER_TENSOR: return dynamic ? QN_SCHEME_int8_dynamic : QN_SCHEME_int8_static;
  case QN_PER_TOKEN: return dynamic ? QN_SCHEME_int8_token : QN_SCHEME_none;
  case QN_PER_CHANNEL: return dynamic ? QN_SCHEME_none : QN_SCHEME_int8_channel;
  default: return dynamic ? QN_SCHEME_none : QN_SCHEME_int8_block;
  }
}

// The family's row with what the block says, for codes of 8 bits.
static void begin(qn_torch_reader *r, qn_torch_quantizer *q, bool dynamic, const qn_torch_reader *c) {
  qn_scheme block = { .dynamic = dynamic };
  qn_dtype target = qn_torch_dtype_arg(r, "output_dtype", QN_ANY), x = qn_torch_type(r, q->x).dtype;
  if (target != QN_S8 && target != QN_U8) qn_torch_refuse(r, "codes of type %s", qn_dtype_name(target));
  if (x != QN_F32 && x != QN_F16 && x != QN_BF16)
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(x));
  qn_torch_block(r, "block_size", q->x, &block);
  qn_scheme_family family = family_of(&block, dynamic);
  if (family == QN_SCHEME_int8_token) { // one row is symmetric, one is not
    qn_str mapping = qn_torch_text(c, "mapping_type");
    if (mapping.length == 10) family = QN_SCHEME_int8_token_zp;
  }
  if (family == QN_SCHEME_none)
    qn_torch_refuse(r, "no scheme of this granularity %s", dynamic ? "chooses its scale" : "has a given scale");
  q->scheme = qn_scheme_of(family);
  q->scheme.target = (uint8_t)target;
  q->scheme.group = block.group;
  if (block.axis) q->scheme.axis = block.axis;
}

void qn_torch_read_quantize_affine(qn_torch_reader *r) {
  qn_torch_quantizer q = { .x = qn_torch_value(r, "input") };
  qn_torch_reader c;
  qn_value scale = qn_torch_value(r, "scale"), zero_point = qn_torch_value(r, "zero_point");
  bool dynamic = qn_torch_take_chooser(r, q.x, scale, zero_point, &c);
  int64_t low = 0, high = 0;
  begin(r, &q, dynamic, &c);
  if (r->status == QN_OK) qn_element_get_range((qn_dtype)q.scheme.target, &low, &high);
  double least = qn_torch_float(r, "quant_min", (double)low),
         greatest = qn_torch_float(r, "quant_max", (double)high);
  bool clips = r->status == QN_OK && qn_torch_bounds(r, &q.scheme, least, greatest);
  if (dynamic) {
    if (clips) qn_torch_refuse(r, "codes from %g to %g", least, greatest);
    check_chooser(r, &c, least, greatest);
    choose(r, &c, &q, least, greatest);
  } else {
    q.scheme.arithmetic = QN_RECIPROCAL;
    const int64_t all = -1;
    set_scale(r, &q, scale);
    qn_torch_set_zero_point(r, &q, zero_point, QN_ZERO_POINT_AFTER);
    if (q.zero_point && q.scheme.granularity == QN_PER_CHANNEL && qn_torch_type(r, q.zero_point).rank != 1)
      q.zero_point = qn_torch_reshape(r, q.zero_point, &all, 1);
  }
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, clips ? qn_torch_clip_codes(r, q.codes, least, greatest) : q.codes);
  if (!dynamic) return;
  qn_torch_partner_like(r, 0, q.scale_out);
  if (q.zero_point_out) qn_torch_partner_like(r, 1, q.zero_point_out);
}

// --- FP8 ---------------------------------------------------------------------------------------------------

static qn_scheme_family float8_family(uint8_t granularity, bool dynamic) {
  switch (granularity) {
  case QN_PER_TENSOR: return dynamic ? QN_SCHEME_fp8_dynamic : QN_SCHEME_fp8_static;
  case QN_PER_TOKEN: return dynamic ? QN_SCHEME_fp8_token : QN_SCHEME_none;
  case QN_PER_CHANNEL: return dynamic ? QN_SCHEME_none : QN_SCHEME_fp8_channel;
  default: return dynamic ? QN_SCHEME_fp8_group : QN_SCHEME_fp8_block;
  }
}

// amax / R in the type of x, without a floor; what is divided by is its f32.
static void choose_float8(qn_torch_reader *r, const qn_torch_reader *c, qn_torch_quantizer *q,
                          qn_dtype target) {
  qn_torch_reader chooser = *c;
  qn_scheme block = { .dynamic = true };
  if (qn_torch_dtype_arg(c, "float8_dtype", QN_E4M3) != target)
    qn_torch_refuse(r, "the scale is chosen for other codes");
  if (qn_torch_dtype_arg(c, "scale_dtype", QN_F32) != QN_F32)
    qn_torch_refuse(r, "a scale rounded to a power of two");
  if (qn_torch_has(c, "hp_value_ub")) qn_torch_refuse(r, "an upper bound of the magnitude");
  qn_torch_block(&chooser, "block_size", q->x, &block);
  if (chooser.status != QN_OK) qn_torch_refuse(r, "%s", chooser.reason);
  qn_scheme_family family = float8_family(block.granularity, true);
  if (family == QN_SCHEME_none) qn_torch_refuse(r, "no scheme of this granularity chooses its scale");
  q->scheme = qn_scheme_of(family);
  q->scheme.target = (uint8_t)target;
  q->scheme.group = block.group;
  q->scheme.scale_compute = (uint8_t)qn_torch_type(r, q->x).dtype;
  qn_torch_floor(r, &q->scheme, qn_torch_float(c, "hp_value_lb", 0), true);
}

// The granularity of a given scale is that of its shape.
static void given_float8(qn_torch_reader *r, qn_torch_quantizer *q, qn_dtype target, qn_value scale) {
  qn_type_info x = qn_torch_type(r, q->x), type = qn_torch_type(r, scale);
  bool channel = type.rank == x.rank && x.rank > 0 && type.dims[x.rank - 1] == x.dims[x.rank - 1];
  for (int32_t i = 0; channel && i + 1 < x.rank; i++) channel = type.dims[i] == 1;
  uint8_t granularity = qn_torch_is_single(r, scale) ? QN_PER_TENSOR : channel ? QN_PER_CHANNEL : QN_PER_GROUP;
  q->scheme = qn_scheme_of(float8_family(granularity, false));
  q->scheme.target = (uint8_t)target;
  if (granularity == QN_PER_GROUP) q->scheme.group = qn_torch_group(r, q->x, scale);
  set_scale(r, q, scale);
  q->scheme.compute = QN_F32;
}

void qn_torch_read_quantize_float8(qn_torch_reader *r) {
  qn_torch_quantizer q = { .x = qn_torch_value(r, "tensor") };
  qn_torch_reader c;
  qn_value scale = qn_torch_value(r, "scale");
  qn_dtype target = qn_torch_dtype_arg(r, "float8_dtype", QN_E4M3), x = qn_torch_type(r, q.x).dtype;
  if (target != QN_E4M3 && target != QN_E5M2) qn_torch_refuse(r, "codes of type %s", qn_dtype_name(target));
  if (x != QN_F32 && x != QN_F16 && x != QN_BF16)
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(x));
  bool dynamic = qn_torch_take_chooser(r, q.x, scale, QN_NONE, &c);
  if (dynamic)
    choose_float8(r, &c, &q, target);
  else
    given_float8(r, &q, target, scale);
  if (dynamic) q.scheme.arithmetic = QN_DIVIDE;
  qn_torch_quantize(r, &q);
  qn_torch_result(r, 0, q.codes);
  if (dynamic) qn_torch_partner_like(r, 0, q.scale_out);
}
