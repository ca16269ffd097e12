// q, k and v of a launch: how many sequences, how long, and that every element that lengths and pages lead to
// is there. Of quantize: the tokens of x.
#include "runtime/bind_priv.h"

#include "ir/element_priv.h"
#include "ir/reason_priv.h"

// An operand's dims, whatever its layout. Where sequences lie end to end, `batch` is 0 and `length` counts the
// tokens of all, until read_sequences has cut them; of pages it is what one holds.
typedef struct side {
  qn_layout layout;
  int64_t batch, length;
} side;

static bool is_by_tokens(qn_layout layout) {
  return layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
}
static bool has_pages(qn_layout layout) {
  return layout == QN_LAYOUT_PSHD || layout == QN_LAYOUT_PHSD;
}

static bool read_side(qn_bind *b, uint32_t index, const char *attribute, uint32_t heads, uint32_t head_dim,
                      side *out) {
  static const struct {
    int32_t rank, batch, length, heads; // axes, -1 where there is none; the last axis is head_dim, or both
  } forms[QN_LAYOUT_COUNT] = {
    [QN_LAYOUT_BHSD] = { 4, 0, 2, 1 }, [QN_LAYOUT_BSHD] = { 4, 0, 1, 2 }, [QN_LAYOUT_BSM] = { 3, 0, 1, -1 },
    [QN_LAYOUT_TM] = { 2, -1, 0, -1 }, [QN_LAYOUT_THD] = { 3, -1, 0, 1 }, [QN_LAYOUT_PSHD] = { 4, 0, 1, 2 },
    [QN_LAYOUT_PHSD] = { 4, 0, 2, 1 },
  };
  const qn_tensor *x = qn_bind_operand(b, index);
  qn_layout layout = (qn_layout)qn_node_get_int(b->graph, b->node, attribute);
  int32_t rank = forms[layout].rank, axis = forms[layout].heads;
  bool fits = x->rank == rank &&
              x->dims[rank - 1] == (axis < 0 ? (int64_t)heads * head_dim : (int64_t)head_dim) &&
              (axis < 0 || x->dims[axis] == heads);
  for (int32_t d = 0; d < x->rank; d++) fits = fits && x->dims[d] <= UINT32_MAX;
  if (!fits) return qn_bind_refuse_shape(b, index);
  *out = (side){ .layout = layout,
                 .batch = forms[layout].batch < 0 ? 0 : x->dims[forms[layout].batch],
                 .length = x->dims[forms[layout].length] };
  if (is_by_tokens(layout) != b->spec->varlen)
    return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths exactly where tokens lie in one axis",
                     "another layout of %s", qn_bind_name(b, index));
  if (index != QN_ATTENTION_Q && has_pages(layout) != (b->spec->page_size > 0))
    return qn_refuse(b->reason, QN_WHY_layout, "a page table exactly where k and v lie in pages",
                     "another layout of %s", qn_bind_name(b, index));
  return true;
}

// Sequences that lie end to end, from the first token to the last. `length` becomes that of the longest.
static bool read_sequences(qn_bind *b, uint32_t index, side *x) {
  const qn_tensor *starts = qn_bind_operand(b, index);
  int64_t count = qn_bind_count(starts), longest = 0;
  double last = 0, at = 0;
  for (int64_t i = 0; i < count; i++, last = at) {
    bool read = qn_element_read(starts->dtype, starts->data, (uint64_t)i, &at);
    if (!read || (i == 0 ? at != 0 : at < last) || at > (double)x->length)
      return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths from 0 up to the number of tokens",
                       "%s[%lld] is %.0f after %.0f, of %lld tokens", qn_bind_name(b, index), (long long)i, at,
                       last, (long long)x->length);
    longest = QN_MAX(longest, (int64_t)(at - last));
  }
  if (count == 0 || last != (double)x->length)
    return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths from 0 up to the number of tokens",
                     "%s ends at %.0f of %lld tokens", qn_bind_name(b, index), last, (long long)x->length);
  x->batch = count - 1;
  x->length = longest;
  return true;
}

// How many pages a kernel reads of a sequence: those that its keys need. Without kv_lengths, or with lengths
// that bind_vectors will refuse, all.
static int64_t pages_of(const qn_bind *b, int64_t sequence, int64_t columns) {
  const qn_tensor *lengths = b->spec->kv_lengths ? qn_bind_operand(b, QN_ATTENTION_KV_LENGTHS) : NULL;
  double length;
  if (!lengths || sequence >= qn_bind_count(lengths) ||
      !qn_element_read(lengths->dtype, lengths->data, (uint64_t)sequence, &length) || length < 0)
    return columns;
  int64_t pages = ((int64_t)length + b->spec->page_size - 1) / b->spec->page_size;
  return QN_MIN(pages, columns);
}

// Pages that the table names must be there. k and v then are as long as the table's rows, for as many
// sequences.
static bool read_pages(qn_bind *b, side *x) {
  const qn_tensor *table = qn_bind_operand(b, QN_ATTENTION_PAGE_TABLE);
  if (table->rank != 2) return qn_bind_refuse_shape(b, QN_ATTENTION_PAGE_TABLE);
  int64_t pages = x->batch, columns = table->dims[1];
  if (x->length != b->spec->page_size)
    return qn_refuse(b->reason, QN_WHY_layout, "pages of the size that the kernel was made for",
                     "pages of %lld positions, not %u", (long long)x->length, b->spec->page_size);
  for (int64_t s = 0; s < table->dims[0]; s++)
    for (int64_t i = 0, count = pages_of(b, s, columns); i < count; i++) {
      double page;
      bool read = qn_element_read(table->dtype, table->data, (uint64_t)(s * columns + i), &page);
      if (!read || page < 0 || page >= (double)pages)
        return qn_refuse(b->reason, QN_WHY_layout, "pages that there are",
                         "page_table[%lld, %lld] is %.0f of %lld", (long long)s, (long long)i, page,
                         (long long)pages);
    }
  x->batch = table->dims[0];
  x->length *= columns;
  b->binding->args.page_table_stride = columns;
  return true;
}

bool qn_bind_sides(qn_bind *b) {
  const qn_kernel_spec *spec = b->spec;
  qn_attention_args *args = &b->binding->args;
  side sides[3];
  if (!read_side(b, QN_ATTENTION_Q, "q_layout", spec->heads, spec->head_dim, &sides[0]) ||
      !read_side(b, QN_ATTENTION_K, "k_layout", spec->kv_heads, spec->head_dim, &sides[1]) ||
      !read_side(b, QN_ATTENTION_V, "v_layout", spec->kv_heads, spec->v_head_dim, &sides[2]))
    return false;
  b->tokens = spec->varlen ? sides[0].length : sides[0].batch * sides[0].length;
  if (spec->varlen && (!read_sequences(b, QN_ATTENTION_CU_SEQLENS_Q, &sides[0]) ||
                       !read_sequences(b, QN_ATTENTION_CU_SEQLENS_KV, &sides[1]) ||
                       !read_sequences(b, QN_ATTENTION_CU_SEQLENS_KV, &sides[2])))
    return false;
  for (int i = 1; spec->page_size > 0 && i < 3; i++)
    if (!read_pages(b, &sides[i])) return false;
  for (uint32_t i = 1; i < 3; i++)
    if (sides[i].batch != sides[0].batch || sides[i].length != sides[1].length)
      return qn_bind_refuse_shape(b, i);
  if (sides[1].length > UINT32_MAX) return qn_bind_refuse_shape(b, QN_ATTENTION_PAGE_TABLE);
  args->batch = (uint32_t)sides[0].batch;
  args->q_len = (uint32_t)sides[0].length;
  args->kv_len = (uint32_t)sides[1].length;
  qn_attention_args_set_dense(spec, sides[0].layout, sides[1].layout, sides[2].layout, b->out_layout, args);
  return true;
}

bool qn_bind_tokens(qn_bind *b) {
  const qn_tensor *x = qn_bind_operand(b, QN_ATTENTION_Q);
  qn_attention_args *args = &b->binding->args;
  b->tokens = 1;
  for (int32_t d = 0; d + 1 < x->rank; d++) b->tokens *= x->dims[d];
  if (x->rank < 1 || x->dims[x->rank - 1] != b->spec->v_head_dim || b->tokens > UINT32_MAX)
    return qn_bind_refuse_shape(b, QN_ATTENTION_Q);
  args->batch = 1;
  args->q_len = (uint32_t)b->tokens;
  qn_attention_args_set_dense(b->spec, QN_LAYOUT_TM, QN_LAYOUT_TM, QN_LAYOUT_TM, b->out_layout, args);
  return true;
}
