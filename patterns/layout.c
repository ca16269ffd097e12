// What stands between attention and quantize: transposes, reshapes and casts that attention can do itself by
// writing its output in another layout or element type. Absorbed only where a quantize follows, so that
// everything else in the graph stays as it was.
#include "patterns/consumers_priv.h"
#include "patterns/rule_priv.h"

#include <quench/kernel.h>

// --- guards ----------------------------------------------------------------------------------------------

// (value, attention output it comes from): it leads to the one quantize that reads attention's output. What
// else reads the output on the way there is served by the inverse of what is absorbed.
static bool leads_to_quantize(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_consumers all = qn_find_consumers(graph, args[1].value), below = qn_find_consumers(graph, args[0].value);
  if (!qn_has_one_quantize(graph, &all, out_reason)) return false;
  if (below.quantize_count) return true;
  qn_op op = below.other == QN_NONE ? QN_OP_NONE : qn_node_get_op(graph, below.other);
  qn_why why = op != QN_OP_NONE && (qn_op_get_info(op)->facts & QN_FACT_ELEMENTWISE) ? QN_WHY_arithmetic_between
                                                                                     : QN_WHY_not_quantized;
  return qn_refuse(out_reason, why, "quantize", "%s", op == QN_OP_NONE ? "no user" : qn_op_get_info(op)->name);
}

// (value): what attention gives.
static bool is_attended(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_op op = qn_node_get_op(qn_match_get_graph(match), args[0].node);
  return op == QN_OP_attention || qn_refuse(out_reason, QN_WHY_op, "attention", "%s", qn_op_get_info(op)->name);
}

// The layouts that reshapes lead to: in how many dims positions lie (batch and length, or tokens), and in how
// many the rest (heads and head_dim, or their product). A reshape merges, and merges only these. bhsd has to be
// transposed first.
static const struct {
  qn_layout layout;
  int32_t positions, values;
} FORMS[] = {
  { QN_LAYOUT_BSHD, 2, 2 }, { QN_LAYOUT_BSM, 2, 1 }, { QN_LAYOUT_THD, 1, 2 }, { QN_LAYOUT_TM, 1, 1 }
};
enum { FORM_COUNT = sizeof FORMS / sizeof FORMS[0] };

// One or two dims as `count` of them.
static void merge_dims(qn_graph *graph, const qn_dim *from, int32_t from_count, int32_t count, qn_dim *out) {
  if (from_count == count)
    for (int32_t i = 0; i < count; i++) out[i] = from[i];
  else
    out[0] = qn_dim_mul(graph, from[0], from[1]);
}

// Whether two shapes of equal element count are the same: if all dims but one agree, the last one does too.
static bool same_dims(const qn_graph *graph, const qn_type_info *type, const qn_dim *dims, int32_t rank) {
  int open = 0;
  if (type->rank != rank) return false;
  for (int32_t d = 0; d < rank; d++) {
    int64_t a, b;
    if (type->dims[d] == dims[d]) continue;
    if (qn_dim_is_const(graph, type->dims[d], &a) && qn_dim_is_const(graph, dims[d], &b)) return false;
    open++;
  }
  return open <= 1;
}

// The layout in which attention writes what the reshape makes of its output; false if there is none.
static bool find_layout(qn_graph *graph, qn_node attention, qn_value reshaped, qn_layout *out_layout) {
  qn_layout layout = (qn_layout)qn_node_get_int(graph, attention, "out_layout");
  qn_type_info to = qn_type_get_info(graph, qn_value_get_type(graph, reshaped));
  qn_type_info from =
      qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, attention, 0)));
  int f = 0;
  while (f < FORM_COUNT && FORMS[f].layout != layout) f++;
  if (f == FORM_COUNT || from.rank != FORMS[f].positions + FORMS[f].values) return false;
  for (int i = 0; i < FORM_COUNT; i++) {
    qn_dim dims[4];
    if (FORMS[i].positions > FORMS[f].positions || FORMS[i].values > FORMS[f].values) continue;
    merge_dims(graph, from.dims, FORMS[f].positions, FORMS[i].positions, dims);
    merge_dims(graph, from.dims + FORMS[f].positions, FORMS[f].values, FORMS[i].values,
               dims + FORMS[i].positions);
    if (!same_dims(graph, &to, dims, FORMS[i].positions + FORMS[i].values)) continue;
    *out_layout = FORMS[i].layout;
    return true;
  }
  return false;
}

// (attention, reshape of it): the reshape merges heads and head_dim, or batch and length, or both.
static bool merges_heads(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_graph *graph = qn_match_get_graph(match);
  qn_layout layout;
  if (find_layout(graph, args[0].node, args[1].value, &layout)) return true;
  qn_buf buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(&buf);
  qn_type_write(graph, qn_value_get_type(graph, args[0].value), &writer);
  qn_write(&writer, " to ");
  qn_type_write(graph, qn_value_get_type(graph, args[1].value), &writer);
  qn_refuse(out_reason, QN_WHY_layout_chain, "[B,S,H,D] or [T,H,D] to [B,S,H*D], [T,H,D] or [T,H*D]", "%.90s",
            buf.text ? buf.text : "");
  qn_buf_free(&buf);
  return false;
}

// (attention output, reshape of it): nothing else reads the output, or a reshape can bring its dims back.
static bool unmerges(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_use use = qn_value_get_first_use(graph, args[0].value);
  bool alone = !qn_value_is_output(graph, args[0].value) && qn_use_get_next(graph, use) == QN_NONE;
  return alone || qn_match_reshapes(match, args, out_reason) ||
         qn_refuse(out_reason, QN_WHY_multiple_users, "one reader, or known dims", "another reader");
}

static qn_status merged_layout(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_layout layout = QN_LAYOUT_BSM;
  find_layout(qn_match_get_graph(match), args[0].node, args[1].value, &layout);
  out_attr->i = layout;
  return QN_OK;
}

// (value, cast of it)
static bool keeps_values(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_dtype from = qn_type_get_info(graph, qn_value_get_type(graph, args[0].value)).dtype;
  qn_dtype to = qn_type_get_info(graph, qn_value_get_type(graph, args[1].value)).dtype;
  bool half = from == QN_F16 || from == QN_BF16;
  return (half && to == QN_F32) || qn_refuse(out_reason, QN_WHY_cast_chain, "f16 or bf16 to f32", "%s to %s",
                                             qn_dtype_name(from), qn_dtype_name(to));
}

// (attention output, cast of it): the accumulator is f32, so rounding it to f32 first changes nothing. From any
// other type the cast would round a second time.
static bool rounds_once(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_dtype from = qn_type_get_info(graph, qn_value_get_type(graph, args[0].value)).dtype;
  qn_dtype to = qn_type_get_info(graph, qn_value_get_type(graph, args[1].value)).dtype;
  return (from == QN_F32 && (to == QN_F16 || to == QN_BF16)) ||
         qn_refuse(out_reason, QN_WHY_cast_chain, "f32 to f16 or bf16", "%s to %s", qn_dtype_name(from),
                   qn_dtype_name(to));
}

static const qn_predicate predicates[] = {
  { "leads_to_quantize", leads_to_quantize },
  { "attended", is_attended },
  { "merges_heads", merges_heads },
  { "unmerges", unmerges },
  { "keeps_values", keeps_values },
  { "rounds_once", rounds_once },
  { 0 },
};
static const qn_function functions[] = { { "merged_layout", merged_layout }, { 0 } };

// --- rules -----------------------------------------------------------------------------------------------

// What attention gave before is an output, too: where something else reads it, the inverse is built for that.
static const qn_rule rules[] = {
  { .name = "absorb_transpose",
    .doc = "Attention that writes [B,S,H,D] instead of a transpose that makes it so.",
    .match = "o = attention(q, k, v, mask?, ...)[out_layout=bhsd, output=none, ..] \n"
             "y = transpose(o)[perm={0, 2, 1, 3}]                                  \n"
             "=> y, o",
    .where = { { "leads_to_quantize", "y", "o" } },
    .build = "y = attention(q, k, v, mask, o..)[o.., out_layout=bshd] \n"
             "o = transpose(y)[perm={0, 2, 1, 3}]",
    .sample = "q: f16[1,4,5,16]; k, v: f16[1,2,5,16]; mask: f16[5,5]; then quantize" },
  { .name = "absorb_reshape",
    .doc = "Attention that writes [B,S,H*D], [T,H,D] or [T,H*D] instead of a reshape that makes it so.",
    .match = "o = attention(q, k, v, mask?, ...)[output=none, ..] \n"
             "y = reshape(o, shape)[..]                           \n"
             "=> y, o",
    .where = { { "merges_heads", "o", "y" }, { "unmerges", "o", "y" }, { "leads_to_quantize", "y", "o" } },
    .build = "y = attention(q, k, v, mask, o..)[o.., out_layout=@merged_layout(o, y)] \n"
             "o = reshape(y, const()[value=@dims_of(o, y)])",
    .sample =
        "q: f16[1,4,5,16]; k, v: f16[1,2,5,16]; mask: f16[5,5]; o[out_layout=bshd]; shape: s64[3] = {0, 0, 64};"
        "then quantize" },
  { .name = "absorb_cast",
    .doc = "Attention that rounds to f16 or bf16 itself.",
    .match = "o = attention(q, k, v, mask?, ...)[output=none, ..] \n"
             "y = cast(o)[to=t]                                   \n"
             "=> y",
    .where = { { "rounds_once", "o", "y" }, { "leads_to_quantize", "y", "o" } },
    .build = "y = attention(q, k, v, mask, o..)[o.., out_type=t]",
    .sample = "q: f32[1,4,5,16]; k, v: f32[1,2,5,16]; mask: f32[5,5]; t = f16; then quantize" },
  { .name = "sink_cast_below_transpose",
    .doc = "A cast after attention moves down, so that the layout is next to attention.",
    .match = "c = cast(o:attended)[to=t] \n"
             "y = transpose(c)[perm=p]    \n"
             "=> y, c",
    .where = { { "leads_to_quantize", "y", "o" } },
    .build = "y = cast(transpose(o)[perm=p])[to=t] \n"
             "c = cast(o)[to=t]",
    .sample = "o: f16[1,2,5,16] attended; t = f32; p = {0, 2, 1, 3}; then quantize" },
  { .name = "sink_cast_below_reshape",
    .doc = "A cast after attention moves down, so that the layout is next to attention.",
    .match = "c = cast(o:attended)[to=t] \n"
             "y = reshape(c, shape)[..]   \n"
             "=> y, c",
    .where = { { "leads_to_quantize", "y", "o" } },
    .build = "y = cast(reshape(o, shape)[y..])[to=t] \n"
             "c = cast(o)[to=t]",
    .sample = "o: f16[1,2,5,16] attended; t = f32; shape: s64[3] = {0, 0, -1}; then quantize" },
  { .name = "quantize_before_cast",
    .doc = "Quantize reads what a cast reads that keeps every value; other readers of the cast keep it.",
    .match = "c = cast(o:attended)[to=t]                                       \n"
             "y, bs, zp = quantize(c, s?, zero?, pre?, bound?)[scheme=sc]      \n"
             "=> y, bs, zp, c",
    .where = { { "keeps_values", "o", "c" } },
    .build = "y, bs, zp = quantize(o, s, zero, pre, bound)[scheme=sc] \n"
             "c = cast(o)[to=t]",
    .sample = "o: bf16[1,2,5,64] attended; t = f32; pre: bf16[64]; sc = int8_token_zp" },
};

const qn_family qn_family_layout = {
  .name = "layout",
  .doc = "layout and casts between attention and quantize",
  .rules = rules,
  .rule_count = QN_COUNT(rules),
  .predicates = predicates,
  .functions = functions,
};
