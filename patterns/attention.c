// Attention in its parts: what exporters and eager model code make of softmax(scale q k^T + mask) v.
//
// One core, since canonicalize has already brought layout chains to transpose and repeat. The optional parts
// are the product of what producers do: the scale on q, on k, on both or on the scores, by mul or div; grouped
// queries; softcap; a mask that is added; casts around the softmax; a NaN guard behind it.
#include "patterns/rule_priv.h"

#include "ir/element_priv.h"

#include <math.h>

// --- scale -------------------------------------------------------------------------------------------------

static double read_scalar(const qn_graph *graph, qn_value value) {
  const qn_tensor *tensor = qn_value_get_const(graph, value);
  return qn_element_decode(tensor->dtype, qn_element_load(tensor->dtype, tensor->data, 0));
}

// A constant with one finite element other than zero.
static bool is_factor(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  const qn_tensor *tensor = qn_value_get_const(graph, args[0].value);
  if (!tensor || !tensor->data)
    return qn_refuse(out_reason, QN_WHY_not_const, "a constant factor", "a value computed at run time");
  for (int32_t i = 0; i < tensor->rank; i++)
    if (tensor->dims[i] != 1)
      return qn_refuse(out_reason, QN_WHY_not_scalar, "one element", "a dim of %lld",
                       (long long)tensor->dims[i]);
  if (!qn_dtype_is_float(tensor->dtype))
    return qn_refuse(out_reason, QN_WHY_predicate, "a float", "%s", qn_dtype_name(tensor->dtype));
  double value = read_scalar(graph, args[0].value);
  return (isfinite(value) && value != 0) ||
         qn_refuse(out_reason, QN_WHY_const_value, "a finite factor", "%g", value);
}

static bool is_zero(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return (is_factor(match, args, out_reason) || out_reason->why == QN_WHY_const_value) &&
         (read_scalar(qn_match_get_graph(match), args[0].value) == 0 ||
          qn_refuse(out_reason, QN_WHY_const_value, "0", "another number"));
}

// The product of all factors on the way to the softmax: arm 0 of a statement multiplies, arm 1 divides.
static qn_status folded_scale(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  static const char *const steps[3][2] = { { "qs", "cq" }, { "ks", "ck" }, { "sc", "cs" } };
  const qn_graph *graph = qn_match_get_graph(match);
  (void)args;
  double scale = 1;
  for (int i = 0; i < 3; i++) {
    int arm = qn_match_get_arm(match, steps[i][0]);
    if (arm == 0) scale *= read_scalar(graph, qn_match_get_value(match, steps[i][1]));
    if (arm == 1) scale /= read_scalar(graph, qn_match_get_value(match, steps[i][1]));
  }
  out_attr->f = scale;
  return QN_OK;
}

// c tanh(s / c), the same for -c; 0 where there is none.
static qn_status softcap_of(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  (void)args;
  out_attr->f = qn_match_get_arm(match, "soft") == 0
                    ? fabs(read_scalar(qn_match_get_graph(match), qn_match_get_value(match, "cap")))
                    : 0;
  return QN_OK;
}

// --- layouts -----------------------------------------------------------------------------------------------

// k^T comes from k in [B,H,S,D] (arm 0) or straight from [B,S,H,D] (arm 1).
static qn_status layout_of_k(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  (void)args;
  out_attr->text = qn_match_get_arm(match, "kt") == 1 ? "bshd" : "bhsd";
  return QN_OK;
}

// A softmax over scores that were cast says in which type it is meant.
static qn_status type_of_softmax(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  const qn_graph *graph = qn_match_get_graph(match);
  (void)args;
  qn_node cast = qn_match_get_node(match, "wide");
  out_attr->i =
      cast ? qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, cast, 0))).dtype
           : QN_ANY;
  return QN_OK;
}

static qn_type_info type_of(const qn_graph *graph, qn_value value) {
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

static bool same_dim(qn_reason *out_reason, const char *what, qn_dim a, qn_dim b) {
  return a == b || qn_refuse(out_reason, QN_WHY_predicate, what, "two different dims");
}

// q [B,H,Sq,D], k [B,G,Skv,D] under its layout, v [B,G,Skv,Dv], H a multiple of G; one float element type.
static bool is_attention(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_type_info q = type_of(graph, args[0].value), k = type_of(graph, args[1].value),
               v = type_of(graph, args[2].value);
  if (q.rank != 4 || k.rank != 4 || v.rank != 4)
    return qn_refuse(out_reason, QN_WHY_predicate, "q, k and v of rank 4", "ranks %d, %d, %d", q.rank, k.rank,
                     v.rank);
  if (q.dtype != k.dtype || q.dtype != v.dtype)
    return qn_refuse(out_reason, QN_WHY_predicate, "one element type of q, k and v", "%s, %s, %s",
                     qn_dtype_name(q.dtype), qn_dtype_name(k.dtype), qn_dtype_name(v.dtype));
  bool bshd = qn_match_get_arm(match, "kt") == 1;
  qn_dim k_heads = k.dims[bshd ? 2 : 1], k_len = k.dims[bshd ? 1 : 2];
  if (!same_dim(out_reason, "one head_dim of q and k", q.dims[3], k.dims[3])) return false;
  if (!same_dim(out_reason, "one batch of q and k", q.dims[0], k.dims[0])) return false;
  if (!same_dim(out_reason, "one batch of q and v", q.dims[0], v.dims[0])) return false;
  if (!same_dim(out_reason, "one length of k and v", k_len, v.dims[2])) return false;
  if (!same_dim(out_reason, "as many heads of k as of v", k_heads, v.dims[1])) return false;
  // Grouped queries: both repeated alike, or not at all; one head broadcasts (multi-query attention).
  qn_node k_repeat = qn_match_get_node(match, "kr"), v_repeat = qn_match_get_node(match, "vr");
  int64_t groups = k_repeat ? qn_node_get_int(graph, k_repeat, "count") : 1;
  if (groups != (v_repeat ? qn_node_get_int(graph, v_repeat, "count") : 1))
    return qn_refuse(out_reason, QN_WHY_predicate, "k and v repeated alike", "different counts");
  int64_t q_heads, kv_heads;
  if (qn_dim_is_const(graph, q.dims[1], &q_heads) && qn_dim_is_const(graph, k_heads, &kv_heads))
    return kv_heads * groups == q_heads || kv_heads == 1 ||
           qn_refuse(out_reason, QN_WHY_head_count, "heads = kv_heads * groups", "%lld, %lld, %lld",
                     (long long)q_heads, (long long)kv_heads, (long long)groups);
  return groups == 1 && same_dim(out_reason, "as many heads of q as of k", q.dims[1], k_heads);
}

// (a value with heads, a reshape of it or to it): heads and batch are one dim. True if the arm was not taken.
static bool merges_batch(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_graph *graph = qn_match_get_graph(match);
  if (!args[0].value) return true;
  qn_type_info four = type_of(graph, args[0].value), three = type_of(graph, args[1].value);
  return (four.rank == 4 && three.rank == 3 && three.dims[0] == qn_dim_mul(graph, four.dims[0], four.dims[1]) &&
          three.dims[1] == four.dims[2] && three.dims[2] == four.dims[3]) ||
         qn_refuse(out_reason, QN_WHY_predicate, "[B,H,..] as [B*H,..]", "another reshape");
}

// The mask must broadcast to [B,H,Sq,Skv] and span all keys: attention pads a shorter one with -inf instead of
// broadcasting it (ONNX), so a last dim of 1 means something else there.
static bool spans_keys(const qn_graph *graph, qn_value mask, qn_value scores, qn_reason *out_reason) {
  qn_type_info type = type_of(graph, mask), to = type_of(graph, scores);
  if (type.rank == QN_RANK_UNKNOWN)
    return qn_refuse(out_reason, QN_WHY_mask_shape, "a mask of rank 1 to 4", "an unknown rank");
  if (type.rank < 1 || type.rank > 4)
    return qn_refuse(out_reason, QN_WHY_mask_shape, "a mask of rank 1 to 4", "rank %d", type.rank);
  bool single = type.dims[type.rank - 1] == 1 && !(to.rank > 0 && to.dims[to.rank - 1] == 1);
  return !single || qn_refuse(out_reason, QN_WHY_mask_shape, "a mask over all keys", "a last dim of 1");
}

static bool is_mask(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  if (!args[0].value) return true;
  qn_dtype mask = type_of(graph, args[0].value).dtype;
  if (mask != type_of(graph, args[1].value).dtype)
    return qn_refuse(out_reason, QN_WHY_mask_type, "the type of the scores", "%s", qn_dtype_name(mask));
  return spans_keys(graph, args[0].value, args[1].value, out_reason);
}

// -1, whatever the rank is.
static bool is_last_axis(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_tensor *tensor = qn_value_get_const(qn_match_get_graph(match), args[0].value);
  int64_t axis = 0;
  uint64_t count = tensor && tensor->data && tensor->dtype == QN_S64 ? tensor->bytes / sizeof axis : 0;
  if (count == 1) memcpy(&axis, tensor->data, sizeof axis);
  return axis == -1 || qn_refuse(out_reason, QN_WHY_const_value, "the last axis", "%s",
                                 count == 1 ? "another one" : "no constant");
}

// A mask whose rows are looked at for what they hide is the mask that was added.
static bool hides_what_it_adds(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)args;
  return qn_match_get_arm(match, "g") != 1 || qn_match_get_arm(match, "m") == 0 ||
         qn_refuse(out_reason, QN_WHY_predicate, "rows that the added mask hides", "a mask that is not added");
}

// (mask, scores): booleans by which a `where` chooses between a score and a constant.
static bool is_choice(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return spans_keys(qn_match_get_graph(match), args[0].value, args[1].value, out_reason);
}

// A constant that hides a score whether it replaces it or is added to it: -inf, or so low that in f32 a score
// added to it is lost. With a higher one, the finfo.min of f16 too, a row that is hidden whole would be the
// softmax of its scores and no longer the mean.
static bool is_hiding(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  if (!is_factor(match, args, out_reason) && out_reason->why != QN_WHY_const_value) return false;
  double value = read_scalar(graph, args[0].value);
  return value <= -1e30 || qn_refuse(out_reason, QN_WHY_const_value, "-1e30 or less", "%g", value);
}

// An operand that is not there. A cache holds heads that are repeated already.
static bool is_absent(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)match;
  return args[0].value == QN_NONE || qn_refuse(out_reason, QN_WHY_kv_cache, "no cache", "%s", args[0].name);
}

// A constant 0 of the same type.
static qn_status zero_of(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  static const uint64_t zero;
  const qn_tensor *like = qn_value_get_const(qn_match_get_graph(match), args[0].value);
  qn_tensor *tensor = qn_match_alloc(match, sizeof *tensor);
  if (!tensor) return QN_MEMORY;
  *tensor = (qn_tensor){ .dtype = like->dtype, .data = &zero, .bytes = qn_dtype_bytes(like->dtype, 1) };
  out_attr->tensor = tensor;
  return QN_OK;
}

// --- the family --------------------------------------------------------------------------------------------

// The parts that all forms share: before the mask, and from the softmax on.
// clang-format off
#define OPERANDS                                                                                \
  "qs   = mul(q, cq:factor) | div(q, cq) | q                                                \n" \
  "kt   = transpose(k)[perm={0, 1, 3, 2}] | transpose(k)[perm={0, 2, 3, 1}]                 \n" \
  "kr   = repeat(kt)[axis=1, count=_]?                                                      \n" \
  "ks   = mul(kr, ck:factor) | div(kr, ck) | kr                                             \n" \
  "vr   = repeat(v)[axis=1, count=_]?                                                       \n"
#define SCALED                                                                                  \
  "sc   = mul(s, cs:factor) | div(s, cs) | s                                                \n"
#define SCORES OPERANDS                                                                         \
  "s    = matmul(qs, ks)                                                                    \n" \
  SCALED                                                                                        \
  "soft = mul(tanh(div(sc, cap:factor)), cap) | sc                                          \n"
#define WEIGHTS(guard)                                                                          \
  "wide = cast(m)[to=_]?                                                                    \n" \
  "p    = softmax(wide)                                                                     \n" \
  "g    = where(is_nan(p), z:zero, p) | " guard "p                                          \n" \
  "back = cast(g)[to=_]?                                                                    \n"
#define OUTPUT                                                                                  \
  "o    = matmul(back, vr)                                                                  \n" \
  "=> o"
// Heads go into the batch in front of each product and come back behind it.
#define BATCHED_SCORES OPERANDS                                                                 \
  "q3   = reshape(qs, shape_q)[..]                                                          \n" \
  "k3   = reshape(ks, shape_k)[..]                                                          \n" \
  "s    = matmul(q3, k3)                                                                    \n" \
  SCALED                                                                                        \
  "s4   = reshape(sc, shape_s)[..]                                                          \n" \
  "m    = reshape(add(s4, mask), shape_m)[..] | sc                                          \n"
#define BATCHED_OUTPUT                                                                          \
  "v3   = reshape(vr, shape_v)[..]                                                          \n" \
  "o    = matmul(back, v3)                                                                  \n" \
  "y    = reshape(o, shape_o)[..]                                                           \n" \
  "=> y"
// ONNX's own definition: rows that the mask hides whole are zero, as they are in attention.
#define HIDDEN_ROWS "where(equal(reduce_max(mask, ax:last_axis), -inf), z, p) | "
#define ATTENTION(mask) \
  "o = attention(q, k, v, " mask ")"                                                                    \
  "[scale=@folded_scale(), softcap=@softcap_of(), k_layout=@layout_of_k(), softmax_type=@type_of_softmax()]"
// One head of k and v that is repeated, and four that are not, as many as the sequence is long, so that every form of kt
// fits. Recovering rounds less often than the parts do.
#define SAMPLE(mask_of_5_by_7, mask_of_4_by_4)                                                                        \
  "q: f32[2,4,5,64]; k, v: f32[2,1,7,64]; count = 4; to = f32; cq: f32[] = 0.5; ck: f32[] = 0.25; cs: f32[] = 0.75; cap: f32[] = 2;"  \
  "z: f32[] = 0; within 1e-5; " mask_of_5_by_7 " |"                                                                   \
  "q: f32[2,4,4,64]; k, v: f32[2,4,4,64]; to = f32; cq: f32[1] = 0.5; ck: f32[] = 0.25; cs: f32[] = 0.75; cap: f32[] = 2;"            \
  "z: f32[] = 0; within 1e-5; " mask_of_4_by_4

static const qn_rule rules[] = {
  { .name = "recover_attention",
    .doc = "softmax(scale q k^T + mask) v in its parts is one attention.",
    .match = SCORES "m = add(soft, mask) | soft\n" WEIGHTS(HIDDEN_ROWS) OUTPUT,
    .where = { { "is_attention", "q", "k", "v" }, { "is_mask", "mask", "s" }, { "hides_what_it_adds" } },
    .build = ATTENTION("mask"),
    .sample = SAMPLE("mask: f32[2,1,5,7]; ax: s64[1] = -1", "mask: f32[4]; ax: s64[1] = -1") },
  { .name = "recover_attention_keep",
    .doc = "The same where a boolean mask says which scores are kept and the others become a constant.",
    .match = SCORES "m = where(keep, soft, fill:hiding)\n" WEIGHTS("") OUTPUT,
    .where = { { "is_attention", "q", "k", "v" }, { "is_choice", "keep", "s" } },
    .build = "bias = where(keep, const()[value=@zero_of(fill)], fill)\n" ATTENTION("bias"),
    .sample = SAMPLE("keep: bool[2,1,5,7]; fill: f32[] = -3e38", "keep: bool[4,1,4]; fill: f32[] = -3e38") },
  { .name = "recover_attention_hide",
    .doc = "The same where a boolean mask says which scores become a constant.",
    .match = SCORES "m = where(hide, fill:hiding, soft)\n" WEIGHTS("") OUTPUT,
    .where = { { "is_attention", "q", "k", "v" }, { "is_choice", "hide", "s" } },
    .build = "bias = where(hide, fill, const()[value=@zero_of(fill)])\n" ATTENTION("bias"),
    .sample = SAMPLE("hide: bool[2,1,5,7]; fill: f32[] = -1e30", "hide: bool[4]; fill: f32[] = -1e30") },
  { .name = "recover_attention_batched",
    .doc = "The same where heads are part of the batch while products are taken, as batched matrix products have it.",
    .match = BATCHED_SCORES WEIGHTS("") BATCHED_OUTPUT,
    .where = { { "is_attention", "q", "k", "v" }, { "merges_batch", "qs", "q3" }, { "merges_batch", "ks", "k3" },
               { "merges_batch", "vr", "v3" }, { "merges_batch", "s4", "sc" }, { "merges_batch", "y", "o" },
               { "is_mask", "mask", "s4" } },
    .build = "y = attention(q, k, v, mask)"
             "[scale=@folded_scale(), k_layout=@layout_of_k(), softmax_type=@type_of_softmax()]",
    .sample = "q: f32[2,4,5,64]; k, v: f32[2,1,7,64]; count = 4; to = f32; cq: f32[] = 0.5; ck: f32[] = 0.25; cs: f32[] = 0.75;"
              "z: f32[] = 0; within 1e-5; mask: f32[2,1,5,7]; shape_q, shape_v: s64[3] = {8, -1, 64}; shape_k: s64[3] = {8, 64, 7};"
              "shape_s: s64[4] = {2, 4, 5, 7}; shape_m: s64[3] = {-1, 5, 7}; shape_o: s64[4] = {2, 4, 5, 64} |"
              "q: f32[2,4,4,64]; k, v: f32[2,4,4,64]; to = f32; cq: f32[1] = 0.5; ck: f32[] = 0.25; cs: f32[] = 0.75;"
              "z: f32[] = 0; within 1e-5; mask: f32[4]; shape_q, shape_v: s64[3] = {8, 4, 64}; shape_k: s64[3] = {8, 64, 4};"
              "shape_s: s64[4] = {2, 4, 4, 4}; shape_m: s64[3] = {-1, 4, 4}; shape_o: s64[4] = {2, 4, 4, 64}" },
  { .name = "absorb_repeat",
    .doc = "Attention over k and v whose heads are repeated reads each head once: grouped queries.",
    .match = "kr = repeat(k)[axis=1, count=g]                                                                 \n"
             "vr = repeat(v)[axis=1, count=g]                                                                 \n"
             "o  = attention(q, kr, vr, mask?, past_key?, past_value?, ...)[k_layout=bhsd, v_layout=bhsd, ..] \n"
             "=> o",
    .where = { { "is_absent", "past_key" }, { "is_absent", "past_value" } },
    .build = "o = attention(q, k, v, mask, past_key, past_value, o..)[o..]",
    .sample = "q: f16[1,4,5,16]; k, v: f16[1,2,5,16]; mask: f16[5,5]; g = 2" },
};
// clang-format on

static const qn_predicate predicates[] = {
  { "factor", is_factor },
  { "zero", is_zero },
  { "is_attention", is_attention },
  { "merges_batch", merges_batch },
  { "is_mask", is_mask },
  { "is_choice", is_choice },
  { "is_absent", is_absent },
  { "hiding", is_hiding },
  { "last_axis", is_last_axis },
  { "hides_what_it_adds", hides_what_it_adds },
  { 0 },
};

static const qn_function functions[] = {
  { "folded_scale", folded_scale },       { "softcap_of", softcap_of }, { "layout_of_k", layout_of_k },
  { "type_of_softmax", type_of_softmax }, { "zero_of", zero_of },       { 0 },
};

const qn_family qn_family_attention = {
  .name = "attention",
  .doc = "attention in its parts becomes one operation",
  .rules = rules,
  .rule_count = QN_COUNT(rules),
  .predicates = predicates,
  .functions = functions,
};
