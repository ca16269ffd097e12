// Attention followed by the quantization of its output: one attention that writes codes, and scales where the
// scheme computes them.
//
// One rule a family of schemes, all of one form; whatever a scheme says beyond its family is data that goes
// along. Three more rules serve values that are needed as they are, too: the kernel writes both. That saves the
// read of the unquantized output that a second kernel would make, and never costs more than it.
#include "patterns/consumers_priv.h"
#include "patterns/rule_priv.h"

#include <quench/kernel.h>
#include <stdio.h>

static qn_type_info type_of(const qn_match *match, qn_value value) {
  const qn_graph *graph = qn_match_get_graph(match);
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

static qn_scheme scheme_of(const qn_match *match, const qn_arg *arg) {
  return qn_node_get_scheme(qn_match_get_graph(match), arg->node, arg->attr->name);
}

static const char *family_name(const qn_scheme *scheme) {
  return qn_scheme_family_name((qn_scheme_family)scheme->family);
}

// The last axis of what is quantized; false if its length is not a constant.
static bool row_length(const qn_match *match, qn_value value, int64_t *out_length) {
  qn_type_info x = type_of(match, value);
  return x.rank > 0 && qn_dim_is_const(qn_match_get_graph(match), x.dims[x.rank - 1], out_length);
}

// --- guards ----------------------------------------------------------------------------------------------

// (attention, scheme): asks whoever runs the pipeline, usually a target.
static bool target_fuses(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_legality *legality = qn_match_get_legality(match);
  qn_scheme scheme = scheme_of(match, &args[1]);
  return !legality->fuses ||
         legality->fuses(legality->user, qn_match_get_graph(match), args[0].node, &scheme, out_reason);
}

// (scheme)
static bool saturates(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return scheme_of(match, &args[0]).saturate ||
         qn_refuse(out_reason, QN_WHY_not_saturating, "saturate=true", "saturate=false");
}

// (attention output, cast of it or itself): the cast keeps every value, so that the value is rounded once.
static bool widens(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_dtype from = type_of(match, args[0].value).dtype, to = type_of(match, args[1].value).dtype;
  bool half = from == QN_F16 || from == QN_BF16;
  if (from == to || (half && (to == QN_F32 || to == QN_F64)) || (from == QN_F32 && to == QN_F64)) return true;
  return qn_refuse(out_reason, QN_WHY_cast_chain, "a cast that keeps every value", "%s to %s",
                   qn_dtype_name(from), qn_dtype_name(to));
}

static bool is_last_axis(const qn_scheme *scheme, const qn_type_info *x) {
  return scheme->axis == -1 || (x->rank > 0 && scheme->axis == x->rank - 1);
}

// Groups lie along the row that a kernel has at hand, the last axis, and fill it.
static bool groups_fit(const qn_match *match, qn_value value, const qn_scheme *scheme, qn_reason *out_reason) {
  qn_type_info x = type_of(match, value);
  int64_t row;
  if (!is_last_axis(scheme, &x))
    return qn_refuse(out_reason, QN_WHY_block_axis, "blocks along the last axis", "axis %d", scheme->axis);
  if (!scheme->group || !row_length(match, value, &row))
    return qn_refuse(out_reason, QN_WHY_block_size, "a row of known length", "an unknown one");
  char expected[48];
  snprintf(expected, sizeof expected, "a multiple of %d elements", scheme->group);
  return row % scheme->group == 0 || qn_refuse(out_reason, QN_WHY_block_size, expected, "%lld", (long long)row);
}

// (what is quantized, scheme): which values share a scale, and whether a kernel sees them together.
static bool shares_scales(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = scheme_of(match, &args[1]);
  qn_type_info x = type_of(match, args[0].value);
  int64_t row;
  switch ((qn_granularity)scheme.granularity) {
  case QN_PER_TENSOR:
    return !scheme.dynamic ||
           qn_refuse(out_reason, QN_WHY_dynamic_scale, "a scale for each token or group, or a static one", "%s",
                     family_name(&scheme));
  case QN_PER_CHANNEL:
    return (is_last_axis(&scheme, &x) && row_length(match, args[0].value, &row)) ||
           qn_refuse(out_reason, QN_WHY_granularity, "channels on the last axis, of known length", "axis %d",
                     scheme.axis);
  case QN_PER_GROUP: return groups_fit(match, args[0].value, &scheme, out_reason);
  default: return true;
  }
}

// The elements of a value: known only if all dims are.
static bool count_elements(const qn_match *match, qn_value value, int64_t *out_count) {
  qn_type_info type = type_of(match, value);
  *out_count = 1;
  if (type.rank == QN_RANK_UNKNOWN) return false;
  for (int32_t d = 0; d < type.rank; d++) {
    int64_t dim;
    if (!qn_dim_is_const(qn_match_get_graph(match), type.dims[d], &dim) ||
        __builtin_mul_overflow(*out_count, dim, out_count))
      return false;
  }
  return true;
}

// An operand with `wanted` elements.
static bool has_length(const qn_match *match, const qn_arg *arg, int64_t wanted, qn_reason *out_reason) {
  int64_t count;
  char expected[32];
  if (!count_elements(match, arg->value, &count))
    return qn_refuse(out_reason, QN_WHY_scale_length, "a known length", "an unknown one");
  if (count == wanted) return true;
  snprintf(expected, sizeof expected, "%lld", (long long)wanted);
  return qn_refuse(out_reason, QN_WHY_scale_length, expected, "%lld", (long long)count);
}

// The scales, or zero points, that a static scheme reads; -1 where that depends on all dims of x.
static int64_t count_scales(const qn_match *match, const qn_scheme *scheme, qn_value x) {
  int64_t row = -1;
  if (scheme->granularity == QN_PER_TENSOR || scheme->dynamic) return 1;
  if (scheme->granularity == QN_PER_CHANNEL) row_length(match, x, &row);
  return row;
}

// (scale, what is quantized, scheme): the scale of a static scheme, or the global scale of a dynamic one.
static bool scale_fits(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = scheme_of(match, &args[2]);
  qn_dtype wanted = scheme.dynamic ? QN_F32 : (qn_dtype)scheme.scale_dtype;
  bool reads = scheme.dynamic ? scheme.global != QN_GLOBAL_NONE : qn_scheme_has_scale(&scheme);
  if (reads != (args[0].value != QN_NONE))
    return qn_refuse(out_reason, QN_WHY_scale_length, reads ? "a scale" : "no scale", "%s",
                     reads ? "none" : "one");
  if (!reads) return true;
  int64_t count = count_scales(match, &scheme, args[1].value);
  if (count >= 0 && !has_length(match, &args[0], count, out_reason)) return false;
  qn_dtype dtype = type_of(match, args[0].value).dtype;
  return dtype == wanted ||
         qn_refuse(out_reason, QN_WHY_scale_type, qn_dtype_name(wanted), "%s", qn_dtype_name(dtype));
}

// (zero point, what is quantized, scheme): a zero point of 0 is gone (drop_zero_point), and float codes have no
// other.
static bool zero_point_fits(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = scheme_of(match, &args[2]);
  if (args[0].value == QN_NONE) return true;
  if (qn_dtype_is_float((qn_dtype)scheme.target) || scheme.zero_point == QN_ZERO_POINT_NONE)
    return qn_refuse(out_reason, QN_WHY_zero_point, "zero point 0", "%s",
                     qn_value_get_const(qn_match_get_graph(match), args[0].value) ? "another one"
                                                                                  : "one that is not known");
  if (scheme.dynamic) return qn_refuse(out_reason, QN_WHY_zero_point, "a computed zero point", "an operand");
  int64_t count = count_scales(match, &scheme, args[1].value);
  if (count >= 0 && !has_length(match, &args[0], count, out_reason)) return false;
  qn_dtype dtype = type_of(match, args[0].value).dtype, wanted = qn_scheme_get_zero_point(&scheme);
  return dtype == wanted ||
         qn_refuse(out_reason, QN_WHY_zero_point, qn_dtype_name(wanted), "%s", qn_dtype_name(dtype));
}

// (pre_scale, scale_bound, what is quantized): a factor for each channel of a head, or for each of all heads
// where positions lie in front of them.
static bool factors_fit(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_type_info x = type_of(match, args[2].value);
  int64_t row, heads, count;
  if (args[1].value != QN_NONE && !has_length(match, &args[1], 1, out_reason)) return false;
  if (args[0].value == QN_NONE) return true;
  qn_dtype dtype = type_of(match, args[0].value).dtype;
  if (dtype != QN_F32 && dtype != QN_F16 && dtype != QN_BF16)
    return qn_refuse(out_reason, QN_WHY_scale_type, "a factor in f32, f16 or bf16", "%s", qn_dtype_name(dtype));
  if (!row_length(match, args[2].value, &row))
    return qn_refuse(out_reason, QN_WHY_granularity, "channels of known length", "pre_scale");
  int64_t layout = qn_node_get_int(graph, qn_match_get_node(match, "o"), "out_layout");
  bool apart = (layout == QN_LAYOUT_BSHD || layout == QN_LAYOUT_THD) && x.rank >= 3 &&
               qn_dim_is_const(graph, x.dims[x.rank - 2], &heads);
  if (apart && count_elements(match, args[0].value, &count) && count == heads * row) return true;
  return has_length(match, &args[0], row, out_reason);
}

// (scheme, n): the scheme computes n results beside the codes.
static bool computes(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = scheme_of(match, &args[0]);
  int64_t results = !scheme.dynamic ? 0 : scheme.zero_point ? 2 : 1;
  return results == args[1].number ||
         qn_refuse(out_reason, QN_WHY_predicate, "a scheme with as many results", "%s", family_name(&scheme));
}

// (attention output): something else than the one quantize reads the output as it is.
static bool is_needed(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_consumers consumers = qn_find_consumers(graph, args[0].value);
  if (!qn_has_one_quantize(graph, &consumers, out_reason)) return false;
  return consumers.output || consumers.other != QN_NONE ||
         qn_refuse(out_reason, QN_WHY_predicate, "another reader of the unquantized output", "none");
}

static const qn_predicate predicates[] = {
  { "target_fuses", target_fuses },
  { "saturates", saturates },
  { "widens", widens },
  { "shares_scales", shares_scales },
  { "scale_fits", scale_fits },
  { "zero_point_fits", zero_point_fits },
  { "factors_fit", factors_fit },
  { "computes", computes },
  { "is_needed", is_needed },
  { 0 },
};

// --- rules -----------------------------------------------------------------------------------------------

// clang-format off
// What all rules share. The unfused output's type goes on as out_type: in exact numerics the kernel rounds to it
// before it quantizes.
#define MATCH(results, scheme, outputs)                                  \
  "o = attention(q, k, v, mask?, ...)[output=none, ..]               \n" \
  "c = cast(o)[to=_]?                                                \n" \
  results " = quantize(c, s?, zero?, pre?, bound?)[scheme=" scheme "]\n" \
  "=> " outputs
#define BUILD(results)                                                                \
  results " = attention(q, k, v, mask, o.., output_scale=s, output_zero_point=zero, pre_scale=pre, scale_bound=bound)" \
  "[o.., output=sc, out_type=@dtype_of(o)]"
#define GUARDS                                                                                    \
  { "saturates", "sc" }, { "shares_scales", "c", "sc" }, { "scale_fits", "s", "c", "sc" },        \
  { "zero_point_fits", "zero", "c", "sc" }, { "factors_fit", "pre", "bound", "c" }, { "widens", "o", "c" }

// A row of 64 elements, as four heads of 16 that share it.
#define HEADS "q: bf16[1,4,5,16]; k, v: bf16[1,2,5,16]; to = f32; o[out_layout=bsm]; "

#define FUSE(scheme, what, results, sample_)                                                \
  { .name = "attention_" scheme, .doc = "Attention whose output is quantized to " what ".",        \
    .match = MATCH(results, "sc:" scheme, results),                                                \
    .where = { GUARDS, { "target_fuses", "o", "sc" } },                                            \
    .build = BUILD(results), .sample = HEADS sample_, .gain = 20 }
// The same where the output is read as it is, too.
#define FUSE_BOTH(kind, what, count, results, built, sample_)                                      \
  { .name = "attention_and_value_" kind,                                                           \
    .doc = "Attention whose output is quantized " what " and read as it is, too: the kernel writes both.", \
    .match = MATCH(results, "sc", results ", o"),                                                  \
    .where = { { "computes", "sc", count }, { "is_needed", "o" }, GUARDS, { "target_fuses", "o", "sc" } },       \
    .build = BUILD(built ", o"), .sample = sample_, .gain = 10 }

static const qn_rule rules[] = {
  FUSE("fp8_cast", "FP8 without a scale", "y", "mask: bf16[5,5]"),
  FUSE("fp8_static", "FP8 with one static scale", "y",
       "s: f32[] = 0.37; pre: bf16[64]; mask: bf16[5,5] |" HEADS
       "s: f32[] = 2.7; sc = fp8_static{target=e5m2, arithmetic=multiply}"),
  FUSE("fp8_channel", "FP8 with one static scale for each channel", "y", "s: f32[64]; pre: bf16[64] |"
       "q: bf16[1,4,5,16]; k, v: bf16[1,2,5,16]; to = f32; o[out_layout=bshd]; s: f32[16]; pre: bf16[4,16]"),
  FUSE("fp8_group", "FP8 with a scale for each group of channels", "y, bs",
       "pre: bf16[64]; sc = fp8_group{group=32} |" HEADS
       "sc = fp8_group{group=64, scale_dtype=e8m0, scale_layout=packed, rule=up}"),
  FUSE("fp8_token", "FP8 with a scale for each token", "y, bs", "pre: bf16[64]; bound: f32[] = 0.4"),
  FUSE("int8_static", "8-bit integers with one static scale", "y",
       "s: f32[] = 0.02; zero: s8[] = 3; pre: bf16[64]; mask: bf16[5,5]"),
  FUSE("int8_channel", "8-bit integers with one static scale for each channel", "y",
       "s: f32[64]; zero: s8[64]; pre: bf16[64]"),
  FUSE("int8_token", "8-bit integers with a scale for each token", "y, bs", "pre: bf16[64]"),
  FUSE("int8_token_zp", "8-bit integers with a scale and zero point for each token", "y, bs, zp", "pre: bf16[64]"),
  FUSE("nvfp4", "FP4 with an e4m3 scale for each group of 16 under a global scale", "y, bs",
       "s: f32[] = 37.5; pre: bf16[64] |" HEADS "s: f32[] = 0.037; sc = nvfp4{scale_layout=row, global=divisor}"),
  FUSE("mxfp8", "FP8 with a power of two for each group of 32", "y, bs", "pre: bf16[64]"),
  FUSE("mxfp4", "FP4 with a power of two for each group of 32", "y, bs", "pre: bf16[64]"),
  FUSE_BOTH("static", "with static scales", "0", "y", "y, bs, zp",
            HEADS "s: f32[] = 0.37; sc = fp8_static |" HEADS "s: f32[] = 0.02; zero: s8[] = 3; pre: bf16[64]; sc = int8_static"),
  FUSE_BOTH("dynamic", "with scales that are computed", "1", "y, bs", "y, bs, zp",
            HEADS "s: f32[] = 37.5; sc = nvfp4 |" HEADS "bound: f32[] = 0.4; sc = fp8_token"),
  FUSE_BOTH("zero_point", "with scales and zero points that are computed", "2", "y, bs, zp", "y, bs, zp",
            HEADS "pre: bf16[64]; sc = int8_token_zp"),
  { .name = "attention_quantize",
    .doc = "Attention whose output is quantized with static scales under any other scheme that the target knows.",
    .match = MATCH("y", "sc", "y"),
    .where = { GUARDS, { "computes", "sc", "0" }, { "target_fuses", "o", "sc" } },
    .build = BUILD("y"),
    .sample = HEADS "s: f32[] = 0.0002; zero: s16[] = 3; sc = int16_static",
    .gain = 15 },
};
// clang-format on

const qn_family qn_family_attention_quant = {
  .name = "attention_quant",
  .doc = "attention and the quantization of its output",
  .rules = rules,
  .rule_count = QN_COUNT(rules),
  .predicates = predicates,
};
