// The shape rule of attention: heads of q, k and v whatever their layouts, the operands that come a number a
// head or a number a sequence, and the results.
#include "ir/shape_priv.h"

// Heads of an operand or result, whatever its layout. Where positions of all sequences stand in one axis there
// is no batch, and `length` counts the tokens.
typedef struct heads {
  qn_dim batch, heads, length, dim;
} heads;

static const int32_t RANKS[QN_LAYOUT_COUNT] = { 4, 4, 3, 2, 3, 4, 4 };

static bool has_tokens(int64_t layout) {
  return layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
}
static bool has_pages(int64_t layout) {
  return layout == QN_LAYOUT_PSHD || layout == QN_LAYOUT_PHSD;
}
static bool is_merged(int64_t layout) {
  return layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM;
}

// An operand's name in ops.def without the mark of an optional one.
typedef struct operand_name {
  char text[24];
} operand_name;
static operand_name name_of(uint32_t operand) {
  operand_name name = { .text = "" };
  const char *marked = qn_op_get_info(QN_OP_attention)->operands[operand];
  memcpy(name.text, marked, QN_MIN(strcspn(marked, "?"), sizeof name.text - 1));
  return name;
}

static bool is_given(const qn_shape *shape, uint32_t operand) {
  return qn_node_get_operand(shape->graph, shape->node, operand) != QN_NONE;
}

// --- q, k and v ------------------------------------------------------------------------------------------

static qn_status read_heads(qn_shape *shape, uint32_t operand, const char *layout_name, const char *heads_name,
                            heads *out) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, operand);
  int64_t layout = qn_node_get_int(graph, shape->node, layout_name),
          count = qn_node_get_int(graph, shape->node, heads_name);
  *out = (heads){ QN_DIM_NONE, count > 0 ? qn_dim_const(graph, count) : QN_DIM_NONE, QN_DIM_NONE, QN_DIM_NONE };
  if (has_pages(layout) != (operand != QN_ATTENTION_Q && is_given(shape, QN_ATTENTION_PAGE_TABLE)))
    return qn_shape_fail(shape,
                         has_pages(layout) ? "%s in the layout %s needs a page table"
                                           : "a page table needs %s in the layout pshd or phsd",
                         name_of(operand).text, layout == QN_LAYOUT_PSHD ? "pshd" : "phsd");
  if (!has_pages(layout) && has_tokens(layout) != is_given(shape, QN_ATTENTION_CU_SEQLENS_Q))
    return qn_shape_fail(shape,
                         has_tokens(layout) ? "%s in the layout %s needs cumulative lengths"
                                            : "cumulative lengths need %s in the layout tm or thd",
                         name_of(operand).text, layout == QN_LAYOUT_TM ? "tm" : "thd");
  if (x.rank < 0) return QN_OK;
  if (x.rank != RANKS[layout])
    return qn_shape_fail(shape, "expected rank %d of operand %s in its layout, found %d", (int)RANKS[layout],
                         name_of(operand).text, (int)x.rank);
  if (!has_tokens(layout) && !has_pages(layout)) out->batch = x.dims[0];
  if (!has_pages(layout)) out->length = x.dims[has_tokens(layout) ? 0 : layout == QN_LAYOUT_BHSD ? 2 : 1];
  qn_dim last = x.dims[x.rank - 1];
  if (is_merged(layout)) {
    out->dim = qn_shape_divide(graph, last, out->heads);
    int64_t width;
    if (out->heads != QN_DIM_NONE && out->dim == QN_DIM_NONE && qn_dim_is_const(graph, last, &width))
      return qn_shape_fail(shape, "%lld elements cannot be split into %lld %s", (long long)width,
                           (long long)count, heads_name);
    return QN_OK;
  }
  qn_dim found = x.dims[layout == QN_LAYOUT_BHSD || layout == QN_LAYOUT_PHSD ? 1 : x.rank - 2];
  if (qn_shape_differ(graph, found, out->heads)) {
    int64_t number = 0;
    qn_shape_is_const(graph, found, &number);
    return qn_shape_fail(shape, "expected %lld %s, found %lld", (long long)count, heads_name,
                         (long long)number);
  }
  out->heads = qn_shape_same(graph, found, out->heads);
  out->dim = last;
  return QN_OK;
}

// Takes the more precise of two dims that must be equal.
static qn_status agree(qn_shape *shape, const char *what, qn_dim *a, qn_dim *b) {
  int64_t x = 0, y = 0;
  if (qn_shape_differ(shape->graph, *a, *b)) {
    qn_shape_is_const(shape->graph, *a, &x);
    qn_shape_is_const(shape->graph, *b, &y);
    return qn_shape_fail(shape, "%s differ: %lld and %lld", what, (long long)x, (long long)y);
  }
  *a = *b = qn_shape_same(shape->graph, *a, *b);
  return QN_OK;
}

// --- vectors ---------------------------------------------------------------------------------------------

// An operand of rank 1, if it is there; its length goes to `out_length`.
static qn_status read_vector(qn_shape *shape, uint32_t operand, bool integer, qn_dim *out_length) {
  qn_type_info x = qn_shape_operand(shape, operand);
  *out_length = QN_DIM_NONE;
  if (!is_given(shape, operand)) return QN_OK;
  if (x.rank >= 0 && x.rank != 1)
    return qn_shape_fail(shape, "expected rank 1 of %s, found %d", name_of(operand).text, (int)x.rank);
  bool fits = integer ? x.dtype == QN_S32 || x.dtype == QN_S64 : qn_dtype_is_float(x.dtype);
  if (x.dtype != QN_ANY && !fits)
    return qn_shape_fail(shape, "expected %s in %s, found %s", name_of(operand).text,
                         integer ? "s32 or s64" : "a floating-point type", qn_dtype_name(x.dtype));
  if (x.rank == 1) *out_length = x.dims[0];
  return QN_OK;
}

// One number a head, one a sequence.
static qn_status check_vectors(qn_shape *shape, heads *q) {
  qn_dim length, starts, kv_starts;
  for (uint32_t i = QN_ATTENTION_SINKS; i <= QN_ATTENTION_ALIBI_SLOPES; i++) {
    QN_TRY(read_vector(shape, i, false, &length));
    QN_TRY(agree(shape,
                 i == QN_ATTENTION_SINKS ? "heads and the length of sinks"
                                         : "heads and the length of alibi_slopes",
                 &q->heads, &length));
  }
  for (uint32_t i = QN_ATTENTION_K_SCALE; i <= QN_ATTENTION_V_SCALE; i++) {
    qn_type_info x = qn_shape_operand(shape, i);
    if (x.dtype != QN_ANY && !qn_dtype_is_float(x.dtype))
      return qn_shape_fail(shape, "expected %s in a floating-point type, found %s", name_of(i).text,
                           qn_dtype_name(x.dtype));
  }
  QN_TRY(read_vector(shape, QN_ATTENTION_KV_LENGTHS, true, &length));
  QN_TRY(agree(shape, "the batch and the length of kv_lengths", &q->batch, &length));
  QN_TRY(read_vector(shape, QN_ATTENTION_CU_SEQLENS_Q, true, &starts));
  QN_TRY(read_vector(shape, QN_ATTENTION_CU_SEQLENS_KV, true, &kv_starts));
  return agree(shape, "the lengths of cu_seqlens_q and cu_seqlens_kv", &starts, &kv_starts);
}

// Sequences that lie end to end: what cannot be said of them.
static qn_status check_sequences(qn_shape *shape) {
  static const uint32_t OTHERS[] = { QN_ATTENTION_MASK, QN_ATTENTION_PAST_KEY, QN_ATTENTION_PAST_VALUE,
                                     QN_ATTENTION_KV_LENGTHS, QN_ATTENTION_PAGE_TABLE };
  if (is_given(shape, QN_ATTENTION_CU_SEQLENS_Q) != is_given(shape, QN_ATTENTION_CU_SEQLENS_KV))
    return qn_shape_fail(shape, "one of cu_seqlens_q and cu_seqlens_kv without the other");
  if (!is_given(shape, QN_ATTENTION_CU_SEQLENS_Q)) return QN_OK;
  for (size_t i = 0; i < QN_COUNT(OTHERS); i++)
    if (is_given(shape, OTHERS[i]))
      return qn_shape_fail(shape, "%s together with cumulative lengths", name_of(OTHERS[i]).text);
  if (!has_tokens(qn_node_get_int(shape->graph, shape->node, "out_layout")))
    return qn_shape_fail(shape, "cumulative lengths need out in the layout tm or thd");
  if (qn_node_get_result_count(shape->graph, shape->node) > QN_ATTENTION_PRESENT_KEY)
    return qn_shape_fail(shape, "cumulative lengths have no results present_key, present_value and scores");
  return QN_OK;
}

// --- results ---------------------------------------------------------------------------------------------

static qn_status attention_out(qn_shape *shape, const heads *q, qn_dim value_dim) {
  qn_graph *graph = shape->graph;
  qn_scheme output = qn_node_get_scheme(graph, shape->node, "output");
  qn_dtype out_type = (qn_dtype)qn_node_get_int(graph, shape->node, "out_type");
  qn_dtype dtype = out_type != QN_ANY ? out_type : qn_shape_operand(shape, 0).dtype;
  int64_t layout = qn_node_get_int(graph, shape->node, "out_layout");
  qn_dim width = qn_shape_mul(graph, q->heads, value_dim);
  qn_dim tokens =
      is_given(shape, QN_ATTENTION_CU_SEQLENS_Q) ? q->length : qn_shape_mul(graph, q->batch, q->length);
  const qn_dim dims[QN_LAYOUT_COUNT][4] = {
    [QN_LAYOUT_BHSD] = { q->batch, q->heads, q->length, value_dim },
    [QN_LAYOUT_BSHD] = { q->batch, q->length, q->heads, value_dim },
    [QN_LAYOUT_BSM] = { q->batch, q->length, width },
    [QN_LAYOUT_TM] = { tokens, width },
    [QN_LAYOUT_THD] = { tokens, q->heads, value_dim },
  };
  if (output.family == QN_SCHEME_none) return qn_shape_result(shape, 0, dtype, RANKS[layout], dims[layout]);
  QN_TRY(qn_shape_quantized(shape, &output, RANKS[layout], dims[layout]));
  return qn_shape_result(shape, QN_ATTENTION_UNQUANTIZED, dtype, RANKS[layout], dims[layout]);
}

qn_status qn_shape_attention(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  heads q, k, v;
  QN_TRY(check_sequences(shape));
  QN_TRY(read_heads(shape, QN_ATTENTION_Q, "q_layout", "heads", &q));
  QN_TRY(read_heads(shape, QN_ATTENTION_K, "k_layout", "kv_heads", &k));
  QN_TRY(read_heads(shape, QN_ATTENTION_V, "v_layout", "kv_heads", &v));
  QN_TRY(agree(shape, "the lengths of k and v", &k.length, &v.length));
  QN_TRY(agree(shape, "the heads of k and v", &k.heads, &v.heads));
  QN_TRY(agree(shape, "the batches of k and v", &k.batch, &v.batch));
  QN_TRY(agree(shape, "the batches of q and k", &q.batch, &k.batch));
  QN_TRY(agree(shape, "the head dims of q and k", &q.dim, &k.dim));
  QN_TRY(check_vectors(shape, &q));
  QN_TRY(attention_out(shape, &q, v.dim));
  if (qn_node_get_result_count(graph, shape->node) <= QN_ATTENTION_PRESENT_KEY) return QN_OK;
  // The cache grows by what is new; it is [batch, heads, length, dim] in every layout.
  qn_dim total = k.length;
  if (is_given(shape, QN_ATTENTION_PAST_KEY)) {
    qn_type_info past = qn_shape_operand(shape, QN_ATTENTION_PAST_KEY);
    if (past.rank >= 0 && past.rank != 4)
      return qn_shape_fail(shape, "expected rank 4 of past_key, found %d", (int)past.rank);
    total = past.rank == 4 ? qn_shape_add(graph, past.dims[2], k.length) : QN_DIM_NONE;
  }
  qn_dtype key = qn_shape_operand(shape, QN_ATTENTION_K).dtype,
           value = qn_shape_operand(shape, QN_ATTENTION_V).dtype;
  QN_TRY(
      qn_shape_result(shape, QN_ATTENTION_PRESENT_KEY, key, 4, (qn_dim[]){ k.batch, k.heads, total, k.dim }));
  QN_TRY(qn_shape_result(shape, QN_ATTENTION_PRESENT_VALUE, value, 4,
                         (qn_dim[]){ v.batch, v.heads, total, v.dim }));
  return qn_shape_result(shape, QN_ATTENTION_SCORES, qn_shape_operand(shape, QN_ATTENTION_Q).dtype, 4,
                         (qn_dim[]){ q.batch, q.heads, q.length, total });
}
