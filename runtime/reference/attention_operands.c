// The operands of the attention operation: layouts, pages, lengths, masks.
#include "runtime/reference/attention_priv.h"

#include <math.h>

// The dims of an operand in its layout.
typedef struct layout_dims {
  bool tokens, merged, pages;
  int64_t fresh; // positions that x itself brings; of pages, those of one page
} layout_dims;

static qn_status read_dims(qn_ref *ref, const char *name, const qn_ref_tensor *x, int64_t layout, int64_t heads,
                           layout_dims *out_dims, qn_ref_side *out_side) {
  static const int32_t RANKS[] = {
    [QN_LAYOUT_BHSD] = 4, [QN_LAYOUT_BSHD] = 4, [QN_LAYOUT_BSM] = 3, [QN_LAYOUT_TM] = 2,
    [QN_LAYOUT_THD] = 3,  [QN_LAYOUT_PSHD] = 4, [QN_LAYOUT_PHSD] = 4
  };
  layout_dims dims = { .tokens = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD,
                       .merged = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_BSM,
                       .pages = layout == QN_LAYOUT_PSHD || layout == QN_LAYOUT_PHSD };
  bool head_first = layout == QN_LAYOUT_BHSD || layout == QN_LAYOUT_PHSD;
  if (x->rank != RANKS[layout])
    return qn_ref_fail(ref, QN_INVALID, "%s has rank %d, its layout %d", name, (int)x->rank,
                       (int)RANKS[layout]);
  if (!qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "%s has type %s", name, qn_dtype_name(x->dtype));
  int64_t columns = x->dims[x->rank - 1];
  if (dims.merged && (heads <= 0 || columns % heads != 0))
    return qn_ref_fail(ref, QN_INVALID, "%s has %lld columns for %lld heads", name, (long long)columns,
                       (long long)heads);
  qn_ref_side side = { .batch = dims.tokens ? 1 : x->dims[0] };
  side.heads = dims.merged ? heads : x->dims[head_first ? 1 : x->rank - 2];
  side.dim = dims.merged ? columns / heads : columns;
  dims.fresh = x->dims[dims.tokens ? 0 : head_first ? 2 : 1];
  if (heads > 0 && side.heads != heads)
    return qn_ref_fail(ref, QN_INVALID, "%s has %lld heads, the attribute says %lld", name,
                       (long long)side.heads, (long long)heads);
  *out_dims = dims;
  *out_side = side;
  return QN_OK;
}

// The pages that the table names, up to the length of each sequence; what is beyond it is 0.
static qn_status gather_pages(qn_ref *ref, const char *name, const qn_ref_tensor *x, int64_t layout,
                              int64_t page_size, const qn_ref_attended *a, qn_ref_side *side) {
  const qn_ref_tensor *table = qn_ref_operand(ref, QN_ATTENTION_PAGE_TABLE);
  const int64_t *pages;
  const double *from;
  if (!table || table->rank != 2 || !a->kv_lengths)
    return qn_ref_fail(ref, QN_INVALID, "%s in pages without a page table of rank 2 and kv_lengths", name);
  int64_t available = x->dims[0], columns = table->dims[1];
  uint64_t count;
  side->batch = table->dims[0];
  side->length = columns * page_size;
  QN_TRY(qn_ref_count(ref, 4, (int64_t[]){ side->batch, side->heads, side->length, side->dim }, &count));
  QN_TRY(qn_ref_load_ints(ref, table, &pages));
  QN_TRY(qn_ref_load(ref, x, &from));
  side->values = qn_ref_doubles(ref, count);
  if (!side->values) return QN_MEMORY;
  if (a->kv_length_count != (uint64_t)side->batch)
    return qn_ref_fail(ref, QN_INVALID, "%llu kv_lengths for %lld rows of the page table",
                       (unsigned long long)a->kv_length_count, (long long)side->batch);
  for (int64_t b = 0; count > 0 && b < side->batch; b++)
    for (int64_t s = 0; s < side->length && s < a->kv_lengths[b]; s++) {
      int64_t page = pages[b * columns + s / page_size], at = s % page_size;
      if (page < 0 || page >= available)
        return qn_ref_fail(ref, QN_INVALID, "page_table[%lld,%lld] is %lld, %s has %lld pages", (long long)b,
                           (long long)(s / page_size), (long long)page, name, (long long)available);
      for (int64_t h = 0; h < side->heads; h++) {
        int64_t row = layout == QN_LAYOUT_PHSD ? (page * side->heads + h) * page_size + at
                                               : (page * page_size + at) * side->heads + h;
        memcpy(side->values + ((b * side->heads + h) * side->length + s) * side->dim, from + row * side->dim,
               (size_t)side->dim * sizeof *from);
      }
    }
  return QN_OK;
}

static qn_status load_side(qn_ref *ref, const char *name, const qn_ref_tensor *x, const qn_ref_tensor *past,
                           int64_t layout, int64_t heads, const qn_ref_attended *a, qn_ref_side *out_side) {
  const double *from, *before = NULL;
  layout_dims dims;
  qn_ref_side side;
  QN_TRY(read_dims(ref, name, x, layout, heads, &dims, &side));
  if (dims.pages) {
    *out_side = side;
    return gather_pages(ref, name, x, layout, dims.fresh, a, out_side);
  }
  int64_t cached = past && past->rank == 4 ? past->dims[2] : 0;
  if (past && (past->rank != 4 || past->dtype != x->dtype || past->dims[0] != side.batch ||
               past->dims[1] != side.heads || past->dims[3] != side.dim))
    return qn_ref_fail(ref, QN_INVALID, "the past of %s does not fit it", name);
  side.length = cached + dims.fresh;
  uint64_t count;
  QN_TRY(qn_ref_count(ref, 4, (int64_t[]){ side.batch, side.heads, side.length, side.dim }, &count));
  QN_TRY(qn_ref_load(ref, x, &from));
  if (past) QN_TRY(qn_ref_load(ref, past, &before));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  side.values = to;
  for (int64_t b = 0; count > 0 && b < side.batch; b++)
    for (int64_t h = 0; h < side.heads; h++)
      for (int64_t s = 0; s < side.length; s++, to += side.dim) {
        int64_t token = s - cached;
        const double *row = token < 0 ? before + ((b * side.heads + h) * cached + s) * side.dim
                            : layout == QN_LAYOUT_BHSD
                                ? from + ((b * side.heads + h) * dims.fresh + token) * side.dim
                                : from + ((b * dims.fresh + token) * side.heads + h) * side.dim;
        memcpy(to, row, (size_t)side.dim * sizeof(*to));
      }
  *out_side = side;
  return QN_OK;
}

// The mask broadcasts to [B, heads, q_len, kv_len]; a shorter last dim counts as masked from there on (ONNX).
static qn_status load_mask(qn_ref *ref, const qn_ref_tensor *mask, qn_ref_attended *a) {
  int64_t wanted[4] = { a->q.batch, a->q.heads, a->q.length, a->k.length }, stride = 1;
  a->mask_boolean = mask->dtype == QN_BOOL;
  if (mask->rank < 1 || mask->rank > 4 || (!a->mask_boolean && !qn_dtype_is_float(mask->dtype)))
    return qn_ref_fail(ref, QN_INVALID, "a mask of type %s and rank %d", qn_dtype_name(mask->dtype),
                       (int)mask->rank);
  a->mask_length = mask->dims[mask->rank - 1];
  if (a->mask_length > wanted[3])
    return qn_ref_fail(ref, QN_INVALID, "the mask is %lld long for %lld keys", (long long)a->mask_length,
                       (long long)wanted[3]);
  for (int32_t i = 1; i <= mask->rank; i++) {
    int64_t dim = mask->dims[mask->rank - i];
    if (i > 1 && dim != 1 && dim != wanted[4 - i])
      return qn_ref_fail(ref, QN_INVALID, "dim -%d of the mask is %lld, expected 1 or %lld", (int)i,
                         (long long)dim, (long long)wanted[4 - i]);
    if (i > 1) a->mask_strides[4 - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
  return qn_ref_load(ref, mask, &a->mask);
}

static qn_status load_window(qn_ref *ref, const char *name, int64_t *out_window) {
  *out_window = qn_node_get_int(ref->graph, ref->node, name);
  if (*out_window >= -1) return QN_OK;
  return qn_ref_fail(ref, QN_INVALID, "%s is %lld; -1 stands for no bound", name, (long long)*out_window);
}

static qn_status load_attributes(qn_ref *ref, qn_ref_attended *a) {
  qn_dtype softmax_type = (qn_dtype)qn_node_get_int(ref->graph, ref->node, "softmax_type");
  a->scale = qn_node_get_float(ref->graph, ref->node, "scale");
  a->softcap = qn_ref_narrow(ref->wide, qn_node_get_float(ref->graph, ref->node, "softcap"));
  a->causal = qn_node_get_int(ref->graph, ref->node, "causal");
  QN_TRY(load_window(ref, "window_left", &a->window_left));
  QN_TRY(load_window(ref, "window_right", &a->window_right));
  if (a->scale == 0) a->scale = 1 / sqrt((double)a->q.dim);
  a->scale = qn_ref_narrow(ref->wide, a->scale);
  a->softmax_wide = ref->wide || softmax_type == QN_F64;
  a->softmax_round = ref->f64 || softmax_type == QN_F32 ? QN_ANY : softmax_type;
  return QN_OK;
}

// One number a head.
static qn_status load_per_head(qn_ref *ref, const char *name, const qn_ref_tensor *x, int64_t heads,
                               const double **out_values) {
  if (!x) return QN_OK;
  if (x->rank != 1 || x->dims[0] != heads || !qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "%s has %llu elements of %s for %lld heads", name,
                       (unsigned long long)x->count, qn_dtype_name(x->dtype), (long long)heads);
  return qn_ref_load(ref, x, out_values);
}

static qn_status load_kv_lengths(qn_ref *ref, qn_ref_attended *a) {
  const qn_ref_tensor *kv_lengths = qn_ref_operand(ref, QN_ATTENTION_KV_LENGTHS);
  if (!kv_lengths) return QN_OK;
  a->kv_length_count = kv_lengths->count;
  return qn_ref_load_ints(ref, kv_lengths, &a->kv_lengths);
}

static qn_status check_kv_lengths(qn_ref *ref, const qn_ref_attended *a) {
  if (!a->kv_lengths) return QN_OK;
  if (a->kv_length_count != (uint64_t)a->q.batch)
    return qn_ref_fail(ref, QN_INVALID, "%llu kv_lengths for a batch of %lld",
                       (unsigned long long)a->kv_length_count, (long long)a->q.batch);
  for (int64_t b = 0; b < a->q.batch; b++)
    if (a->kv_lengths[b] < 0 || a->kv_lengths[b] > a->k.length)
      return qn_ref_fail(ref, QN_INVALID, "kv_lengths[%lld] is %lld of %lld", (long long)b,
                         (long long)a->kv_lengths[b], (long long)a->k.length);
  return QN_OK;
}

// Cumulative lengths rise from 0 to the number of tokens.
static qn_status load_starts(qn_ref *ref, const char *name, const qn_ref_tensor *starts, int64_t tokens,
                             const int64_t **out_starts) {
  QN_TRY(qn_ref_load_ints(ref, starts, out_starts));
  const int64_t *at = *out_starts;
  if (starts->rank != 1 || starts->count == 0)
    return qn_ref_fail(ref, QN_INVALID, "%s has no element, or is no vector", name);
  for (uint64_t i = 0; i < starts->count; i++)
    if (at[i] < (i ? at[i - 1] : 0) || at[i] > tokens || (i == 0 && at[0] != 0))
      return qn_ref_fail(ref, QN_INVALID, "%s[%llu] is %lld, cumulative lengths rise from 0 to %lld", name,
                         (unsigned long long)i, (long long)at[i], (long long)tokens);
  if (at[starts->count - 1] == tokens) return QN_OK;
  return qn_ref_fail(ref, QN_INVALID, "%s ends at %lld of %lld tokens", name, (long long)at[starts->count - 1],
                     (long long)tokens);
}

static qn_status load_sequences(qn_ref *ref, qn_ref_attended *a) {
  const qn_ref_tensor *q = qn_ref_operand(ref, QN_ATTENTION_CU_SEQLENS_Q),
                      *kv = qn_ref_operand(ref, QN_ATTENTION_CU_SEQLENS_KV);
  a->sequences = a->q.batch;
  if (!q || !kv) return QN_OK; // the shape rule sees to it that there are both or none
  QN_TRY(load_starts(ref, "cu_seqlens_q", q, a->q.length, &a->starts_q));
  QN_TRY(load_starts(ref, "cu_seqlens_kv", kv, a->k.length, &a->starts_kv));
  if (q->count != kv->count)
    return qn_ref_fail(ref, QN_INVALID, "%llu cu_seqlens_q and %llu cu_seqlens_kv",
                       (unsigned long long)q->count, (unsigned long long)kv->count);
  a->sequences = (int64_t)q->count - 1;
  return QN_OK;
}

qn_status qn_ref_load_attention(qn_ref *ref, qn_ref_attended *a) {
  const qn_ref_tensor *past_key = qn_ref_operand(ref, QN_ATTENTION_PAST_KEY),
                      *past_value = qn_ref_operand(ref, QN_ATTENTION_PAST_VALUE);
  int64_t q_layout = qn_node_get_int(ref->graph, ref->node, "q_layout");
  int64_t k_layout = qn_node_get_int(ref->graph, ref->node, "k_layout");
  int64_t v_layout = qn_node_get_int(ref->graph, ref->node, "v_layout");
  int64_t heads = qn_node_get_int(ref->graph, ref->node, "heads");
  int64_t kv_heads = qn_node_get_int(ref->graph, ref->node, "kv_heads");
  bool merged = k_layout == QN_LAYOUT_BSM || v_layout == QN_LAYOUT_BSM || k_layout == QN_LAYOUT_TM ||
                v_layout == QN_LAYOUT_TM;
  if (kv_heads == 0) kv_heads = merged ? heads : 0;
  if ((past_key == NULL) != (past_value == NULL))
    return qn_ref_fail(ref, QN_INVALID, "one of past_key and past_value without the other");
  if (past_key && qn_ref_operand(ref, QN_ATTENTION_PAGE_TABLE))
    return qn_ref_fail(ref, QN_INVALID, "a page table together with a past");
  if (ref->result_count > QN_ATTENTION_PRESENT_KEY && qn_ref_operand(ref, QN_ATTENTION_PAGE_TABLE))
    return qn_ref_fail(ref, QN_INVALID, "a page table together with results present_key and so on");
  if (past_key && qn_ref_operand(ref, QN_ATTENTION_KV_LENGTHS))
    return qn_ref_fail(ref, QN_INVALID, "kv_lengths together with a past");
  QN_TRY(load_kv_lengths(ref, a));
  QN_TRY(load_side(ref, "q", qn_ref_operand(ref, QN_ATTENTION_Q), NULL, q_layout, heads, a, &a->q));
  QN_TRY(load_side(ref, "k", qn_ref_operand(ref, QN_ATTENTION_K), past_key, k_layout, kv_heads, a, &a->k));
  QN_TRY(load_side(ref, "v", qn_ref_operand(ref, QN_ATTENTION_V), past_value, v_layout, kv_heads, a, &a->v));
  if (past_key) a->past = past_key->dims[2];
  if (a->k.batch != a->q.batch || a->v.batch != a->q.batch || a->k.dim != a->q.dim ||
      a->v.heads != a->k.heads || a->v.length != a->k.length)
    return qn_ref_fail(ref, QN_INVALID, "q, k and v disagree in batch, length, heads or head_dim");
  if (a->k.heads == 0 ? a->q.heads != 0 : a->q.heads % a->k.heads != 0)
    return qn_ref_fail(ref, QN_INVALID, "%lld heads on %lld kv_heads", (long long)a->q.heads,
                       (long long)a->k.heads);
  if (qn_ref_operand(ref, QN_ATTENTION_MASK)) QN_TRY(load_mask(ref, qn_ref_operand(ref, QN_ATTENTION_MASK), a));
  QN_TRY(check_kv_lengths(ref, a));
  QN_TRY(load_sequences(ref, a));
  QN_TRY(load_per_head(ref, "sinks", qn_ref_operand(ref, QN_ATTENTION_SINKS), a->q.heads, &a->sinks));
  QN_TRY(load_per_head(ref, "alibi_slopes", qn_ref_operand(ref, QN_ATTENTION_ALIBI_SLOPES), a->q.heads,
                       &a->slopes));
  return load_attributes(ref, a);
}

// One number, or one a kv head.
static qn_status scale_side(qn_ref *ref, const char *name, const qn_ref_tensor *scale, qn_ref_side *side) {
  const double *factors;
  if (!scale) return QN_OK;
  if (scale->count != 1 && scale->count != (uint64_t)side->heads)
    return qn_ref_fail(ref, QN_INVALID, "%s has %llu elements for %lld kv_heads", name,
                       (unsigned long long)scale->count, (long long)side->heads);
  QN_TRY(qn_ref_load(ref, scale, &factors));
  int64_t rows = side->length * side->dim, planes = rows > 0 ? side->batch * side->heads : 0;
  for (int64_t plane = 0; plane < planes; plane++) {
    double factor = factors[scale->count == 1 ? 0 : plane % side->heads], *values = side->values + plane * rows;
    for (int64_t i = 0; i < rows; i++) values[i] = qn_ref_narrow(ref->wide, values[i] * factor);
  }
  return QN_OK;
}

qn_status qn_ref_scale_cache(qn_ref *ref, qn_ref_attended *a) {
  QN_TRY(scale_side(ref, "k_scale", qn_ref_operand(ref, QN_ATTENTION_K_SCALE), &a->k));
  return scale_side(ref, "v_scale", qn_ref_operand(ref, QN_ATTENTION_V_SCALE), &a->v);
}
