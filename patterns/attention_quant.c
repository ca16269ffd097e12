// Attention followed by the quantization of its output: one attention that carries the scale.
#include "patterns/rule_priv.h"

#include <stdio.h>

static qn_type_info type_of(const qn_match *match, qn_value value) {
  const qn_graph *graph = qn_match_get_graph(match);
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

static qn_scheme scheme_of(const qn_match *match, const qn_arg *arg) {
  return qn_node_get_scheme(qn_match_get_graph(match), arg->node, arg->attr->name);
}

// --- guards ----------------------------------------------------------------------------------------------

// (attention, scheme): asks whoever runs the pipeline, usually a target.
static bool target_fuses(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_legality *legality = qn_match_get_legality(match);
  qn_scheme scheme = scheme_of(match, &args[1]);
  return !legality->fuses ||
         legality->fuses(legality->user, qn_match_get_graph(match), args[0].node, &scheme, out_reason);
}

// (scheme): the scale is known before the kernel runs. A dynamic one depends on values of all heads.
static bool is_static(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = scheme_of(match, &args[0]);
  return !scheme.dynamic || qn_refuse(out_reason, QN_WHY_dynamic_scale, "a static scale", "%s",
                                      qn_scheme_family_name((qn_scheme_family)scheme.family));
}

// (scheme)
static bool saturates(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return scheme_of(match, &args[0]).saturate ||
         qn_refuse(out_reason, QN_WHY_not_saturating, "saturate=true", "saturate=false");
}

// (zero point or none): attention has no operand for it, so it has to be 0.
static bool no_zero_point(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  if (args[0].value == QN_NONE) return true;
  const qn_tensor *zero = qn_value_get_const(qn_match_get_graph(match), args[0].value);
  if (!zero || !zero->data)
    return qn_refuse(out_reason, QN_WHY_zero_point, "zero point 0", "one that is not known");
  const unsigned char *bytes = zero->data;
  // Integer 0, and +0 of the FP8 types, are all zero bits.
  for (uint64_t i = 0; i < zero->bytes; i++)
    if (bytes[i]) return qn_refuse(out_reason, QN_WHY_zero_point, "zero point 0", "another one");
  return true;
}

// (attention output, cast of it or itself): the cast keeps every value, so that the value is rounded once.
static bool widens(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_dtype from = type_of(match, args[0].value).dtype, to = type_of(match, args[1].value).dtype;
  bool half = from == QN_F16 || from == QN_BF16;
  if (from == to || (half && (to == QN_F32 || to == QN_F64)) || (from == QN_F32 && to == QN_F64)) return true;
  return qn_refuse(out_reason, QN_WHY_cast_chain, "a cast that keeps every value", "%s to %s",
                   qn_dtype_name(from), qn_dtype_name(to));
}

// The elements of a scale: known only if all dims are.
static bool count_elements(const qn_graph *graph, const qn_type_info *type, int64_t *out_count) {
  *out_count = 1;
  if (type->rank == QN_RANK_UNKNOWN) return false;
  for (int32_t d = 0; d < type->rank; d++) {
    int64_t dim;
    if (!qn_dim_is_const(graph, type->dims[d], &dim) || __builtin_mul_overflow(*out_count, dim, out_count))
      return false;
  }
  return true;
}

// (scale, what is quantized, scheme): one element for the tensor, or one for each index of the last axis.
static bool scale_fits(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_scheme scheme = scheme_of(match, &args[2]);
  qn_type_info scale = type_of(match, args[0].value), x = type_of(match, args[1].value);
  int64_t count, wanted = 1;
  if (scheme.granularity == QN_PER_GROUP || scheme.granularity == QN_PER_TOKEN)
    return qn_refuse(out_reason, QN_WHY_granularity, "a scale for the tensor or for each channel", "%s",
                     qn_scheme_family_name((qn_scheme_family)scheme.family));
  if (scheme.granularity == QN_PER_CHANNEL) {
    bool last = scheme.axis == -1 || (x.rank > 0 && scheme.axis == x.rank - 1);
    if (!last || x.rank <= 0 || !qn_dim_is_const(graph, x.dims[x.rank - 1], &wanted))
      return qn_refuse(out_reason, QN_WHY_granularity, "channels on the last axis, of known length", "axis %d",
                       scheme.axis);
  }
  if (!count_elements(graph, &scale, &count))
    return qn_refuse(out_reason, QN_WHY_scale_length, "a scale of known length", "an unknown one");
  if (count != wanted) {
    char expected[32];
    snprintf(expected, sizeof expected, "%lld", (long long)wanted);
    return qn_refuse(out_reason, QN_WHY_scale_length, expected, "%lld", (long long)count);
  }
  return scale.dtype == scheme.scale_dtype ||
         qn_refuse(out_reason, QN_WHY_scale_type, qn_dtype_name((qn_dtype)scheme.scale_dtype), "%s",
                   qn_dtype_name(scale.dtype));
}

static const qn_predicate predicates[] = {
  { "target_fuses", target_fuses },
  { "is_static", is_static },
  { "saturates", saturates },
  { "no_zero_point", no_zero_point },
  { "widens", widens },
  { "scale_fits", scale_fits },
  { 0 },
};

// --- rules -----------------------------------------------------------------------------------------------

// The unfused output's type goes on as out_type: in exact numerics the kernel rounds to it before it quantizes.
static const qn_rule rules[] = {
  { .name = "attention_fp8_static",
    .doc = "Attention whose output is quantized to FP8 with one static scale.",
    .match = "o = attention(q, k, v, mask?, ...)[output=none, ..] \n"
             "c = cast(o)[to=_]?                                  \n"
             "y = quantize(c, s, zero?)[scheme=sc:fp8_static]     \n"
             "=> y",
    .where = { { "saturates", "sc" },
               { "no_zero_point", "zero" },
               { "widens", "o", "c" },
               { "scale_fits", "s", "c", "sc" },
               { "target_fuses", "o", "sc" } },
    .build = "y = attention(q, k, v, mask, o.., output_scale=s)"
             "[o.., output=sc, out_type=@dtype_of(o)]",
    .sample = "q: bf16[1,4,5,16]; k, v: bf16[1,2,5,16]; s: f32[] = 0.37; mask: bf16[5,5]; to = f32",
    .gain = 20 },
  { .name = "attention_static",
    .doc =
        "Attention whose output is quantized with static scales under any other scheme that the target knows.",
    .match = "o = attention(q, k, v, mask?, ...)[output=none, ..] \n"
             "c = cast(o)[to=_]?                                  \n"
             "y = quantize(c, s?, zero?)[scheme=sc]               \n"
             "=> y",
    .where = { { "is_static", "sc" },
               { "saturates", "sc" },
               { "scale_fits", "s", "c", "sc" },
               { "target_fuses", "o", "sc" },
               { "no_zero_point", "zero" },
               { "widens", "o", "c" } },
    .build = "y = attention(q, k, v, mask, o.., output_scale=s)"
             "[o.., output=sc, out_type=@dtype_of(o)]",
    .sample =
        "q: bf16[1,4,5,16]; k, v: bf16[1,4,5,16]; s: f32[] = 0.02; sc = int8_static; mask: bf16[5,5]; to = f32",
    .gain = 10 },
};

const qn_family qn_family_attention_quant = {
  .name = "attention_quant",
  .doc = "attention and the quantization of its output",
  .rules = rules,
  .rule_count = QN_COUNT(rules),
  .predicates = predicates,
};
