// Which tensor of an attention goes where in a launch: sizes, strides, and checks that shapes are what the
// kernel will read.
#include "runtime/bind_priv.h"

#include "ir/element_priv.h"
#include "ir/reason_priv.h"

#include <stddef.h>
#include <stdio.h>

typedef struct bind {
  const qn_kernel_spec *spec;
  const qn_tensor *const *operands;
  uint32_t operand_count;
  qn_binding *binding;
  qn_reason *reason;
  char name[32]; // of the operand that is spoken of
} bind;

// --- operands --------------------------------------------------------------------------------------------

// The element type of each operand as the kernel reads it; ANY where it does not.
static qn_dtype wanted_dtype(const qn_kernel_spec *spec, uint32_t index) {
  switch (index) {
  case QN_ATTENTION_Q:
  case QN_ATTENTION_K:
  case QN_ATTENTION_V: return spec->dtype;
  case QN_ATTENTION_MASK:
    return spec->mask == QN_MASK_NONE ? QN_ANY : spec->mask == QN_MASK_BOOLEAN ? QN_BOOL : spec->mask_dtype;
  case QN_ATTENTION_KV_LENGTHS: return spec->kv_lengths ? spec->lengths_dtype : QN_ANY;
  case QN_ATTENTION_OUTPUT_SCALE:
    return spec->output.family == QN_SCHEME_none ? QN_ANY : (qn_dtype)spec->output.scale_dtype;
  case QN_ATTENTION_SINKS: return spec->sinks_dtype;
  case QN_ATTENTION_ALIBI_SLOPES: return spec->alibi ? QN_F32 : QN_ANY;
  default: return spec->varlen ? spec->lengths_dtype : QN_ANY;
  }
}

// Without the mark of the row.
static const char *operand_name(bind *b, uint32_t index) {
  const char *name = qn_op_get_info(QN_OP_attention)->operands[index];
  snprintf(b->name, sizeof b->name, "%.*s", (int)strcspn(name, "?*"), name);
  return b->name;
}

static const qn_tensor *operand(bind *b, uint32_t index) {
  return index < b->operand_count ? b->operands[index] : NULL;
}

static int64_t count_of(const qn_tensor *tensor) {
  int64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; d++) count *= tensor->dims[d];
  return count;
}

// Lists what the kernel reads; each must be there, in its element type, with its bytes.
static bool collect(bind *b) {
  static const qn_bound_operand slots[] = {
    { QN_ATTENTION_Q, offsetof(qn_attention_args, q) },
    { QN_ATTENTION_K, offsetof(qn_attention_args, k) },
    { QN_ATTENTION_V, offsetof(qn_attention_args, v) },
    { QN_ATTENTION_MASK, offsetof(qn_attention_args, mask) },
    { QN_ATTENTION_KV_LENGTHS, offsetof(qn_attention_args, kv_lengths) },
    { QN_ATTENTION_OUTPUT_SCALE, offsetof(qn_attention_args, output_scale) },
    { QN_ATTENTION_SINKS, offsetof(qn_attention_args, sinks) },
    { QN_ATTENTION_ALIBI_SLOPES, offsetof(qn_attention_args, alibi_slopes) },
    { QN_ATTENTION_CU_SEQLENS_Q, offsetof(qn_attention_args, cu_seqlens_q) },
    { QN_ATTENTION_CU_SEQLENS_KV, offsetof(qn_attention_args, cu_seqlens_kv) },
  };
  for (uint32_t i = 0; i < QN_COUNT(slots); i++) {
    qn_dtype wanted = wanted_dtype(b->spec, slots[i].index);
    const qn_tensor *tensor = operand(b, slots[i].index);
    if (wanted == QN_ANY) continue;
    if (!tensor)
      return qn_refuse(b->reason, QN_WHY_operand_count, "every operand that the kernel reads", "no %s",
                       operand_name(b, slots[i].index));
    if (tensor->dtype != wanted)
      return qn_refuse(b->reason, QN_WHY_dtype, "the element types that the kernel reads", "%s in %s, not %s",
                       operand_name(b, slots[i].index), qn_dtype_name(tensor->dtype), qn_dtype_name(wanted));
    b->binding->operands[b->binding->operand_count++] = slots[i];
  }
  return true;
}

// --- q, k and v ------------------------------------------------------------------------------------------

// An operand's dims, whatever its layout. Where sequences lie end to end, `batch` is 0 and `length` counts the
// tokens of all, until read_sequences has cut them.
typedef struct side {
  qn_layout layout;
  int64_t batch, length;
} side;

static bool is_by_tokens(qn_layout layout) {
  return layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
}

static bool refuse_shape(bind *b, uint32_t index, const qn_tensor *x) {
  char dims[64] = "";
  for (int32_t d = 0; d < x->rank; d++) {
    size_t length = strlen(dims);
    snprintf(dims + length, sizeof dims - length, "%s%lld", d ? "," : "", (long long)x->dims[d]);
  }
  return qn_refuse(b->reason, QN_WHY_layout, "the shapes that the kernel was made for", "%s as [%s]",
                   operand_name(b, index), dims);
}

static bool read_side(bind *b, uint32_t index, qn_layout layout, uint32_t heads, uint32_t head_dim, side *out) {
  static const struct {
    int32_t rank, length, heads; // axes; the last one is head_dim, or both where `heads` is -1
  } forms[] = { [QN_LAYOUT_BHSD] = { 4, 2, 1 },
                [QN_LAYOUT_BSHD] = { 4, 1, 2 },
                [QN_LAYOUT_BSM] = { 3, 1, -1 },
                [QN_LAYOUT_TM] = { 2, 0, -1 },
                [QN_LAYOUT_THD] = { 3, 0, 1 } };
  const qn_tensor *x = operand(b, index);
  int32_t rank = forms[layout].rank, axis = forms[layout].heads;
  bool fits = x->rank == rank &&
              x->dims[rank - 1] == (axis < 0 ? (int64_t)heads * head_dim : (int64_t)head_dim) &&
              (axis < 0 || x->dims[axis] == heads);
  for (int32_t d = 0; d < x->rank; d++) fits = fits && x->dims[d] <= UINT32_MAX;
  if (!fits) return refuse_shape(b, index, x);
  *out = (side){ .layout = layout,
                 .batch = forms[layout].length == 0 ? 0 : x->dims[0],
                 .length = x->dims[forms[layout].length] };
  return true;
}

// Sequences that lie end to end, from the first token to the last. `length` becomes that of the longest.
static bool read_sequences(bind *b, uint32_t index, side *x) {
  const qn_tensor *starts = operand(b, index);
  int64_t count = count_of(starts), longest = 0;
  double last = 0, at = 0;
  for (int64_t i = 0; i < count; i++, last = at) {
    bool read = qn_element_read(starts->dtype, starts->data, (uint64_t)i, &at);
    if (!read || (i == 0 ? at != 0 : at < last) || at > (double)x->length)
      return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths from 0 up to the number of tokens",
                       "%s[%lld] is %.0f after %.0f, of %lld tokens", operand_name(b, index), (long long)i, at,
                       last, (long long)x->length);
    longest = QN_MAX(longest, (int64_t)(at - last));
  }
  if (count == 0 || last != (double)x->length)
    return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths from 0 up to the number of tokens",
                     "%s ends at %.0f of %lld tokens", operand_name(b, index), last, (long long)x->length);
  x->batch = count - 1;
  x->length = longest;
  return true;
}

static bool bind_products(bind *b, const qn_graph *graph, qn_node node) {
  const qn_kernel_spec *spec = b->spec;
  qn_attention_args *args = &b->binding->args;
  qn_layout out_layout = (qn_layout)qn_node_get_int(graph, node, "out_layout");
  side sides[3];
  if (!read_side(b, QN_ATTENTION_Q, (qn_layout)qn_node_get_int(graph, node, "q_layout"), spec->heads,
                 spec->head_dim, &sides[0]) ||
      !read_side(b, QN_ATTENTION_K, (qn_layout)qn_node_get_int(graph, node, "k_layout"), spec->kv_heads,
                 spec->head_dim, &sides[1]) ||
      !read_side(b, QN_ATTENTION_V, (qn_layout)qn_node_get_int(graph, node, "v_layout"), spec->kv_heads,
                 spec->v_head_dim, &sides[2]))
    return false;
  for (int i = 0; i < 3; i++)
    if (is_by_tokens(sides[i].layout) != spec->varlen)
      return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths exactly where tokens lie in one axis",
                       "another layout of %s", operand_name(b, (uint32_t)i));
  int64_t tokens = spec->varlen ? sides[0].length : sides[0].batch * sides[0].length;
  if (spec->varlen && (!read_sequences(b, QN_ATTENTION_CU_SEQLENS_Q, &sides[0]) ||
                       !read_sequences(b, QN_ATTENTION_CU_SEQLENS_KV, &sides[1]) ||
                       !read_sequences(b, QN_ATTENTION_CU_SEQLENS_KV, &sides[2])))
    return false;
  for (uint32_t i = 1; i < 3; i++)
    if (sides[i].batch != sides[0].batch || sides[i].length != sides[1].length)
      return refuse_shape(b, i, operand(b, i));
  args->batch = (uint32_t)sides[0].batch;
  args->q_len = (uint32_t)sides[0].length;
  args->kv_len = (uint32_t)sides[1].length;
  qn_attention_args_set_dense(spec, sides[0].layout, sides[1].layout, sides[2].layout, out_layout, args);

  const int64_t batch = args->batch, length = args->q_len, heads = spec->heads, dim = spec->v_head_dim;
  const qn_tensor outs[] = { [QN_LAYOUT_BHSD] = { .rank = 4, .dims = { batch, heads, length, dim } },
                             [QN_LAYOUT_BSHD] = { .rank = 4, .dims = { batch, length, heads, dim } },
                             [QN_LAYOUT_BSM] = { .rank = 3, .dims = { batch, length, heads * dim } },
                             [QN_LAYOUT_TM] = { .rank = 2, .dims = { tokens, heads * dim } },
                             [QN_LAYOUT_THD] = { .rank = 3, .dims = { tokens, heads, dim } } };
  if (spec->varlen && !is_by_tokens(out_layout))
    return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths exactly where tokens lie in one axis",
                     "another layout of out");
  b->binding->out = outs[out_layout];
  b->binding->out.dtype =
      spec->output.family == QN_SCHEME_none ? spec->out_dtype : (qn_dtype)spec->output.target;
  return true;
}

// --- the rest --------------------------------------------------------------------------------------------

// The mask's dims, of rank 1 to 4, as strides over [batch, heads, q_len, kv_len]; a dim of 1 broadcasts, but
// the last one, whose missing columns hide keys.
static bool bind_mask(bind *b) {
  qn_attention_args *args = &b->binding->args;
  const qn_tensor *mask = operand(b, QN_ATTENTION_MASK);
  if (wanted_dtype(b->spec, QN_ATTENTION_MASK) == QN_ANY) return true;
  int64_t wanted[4] = { args->batch, b->spec->heads, args->q_len, args->kv_len }, stride = 1;
  int64_t *strides[4] = { &args->mask_batch_stride, &args->mask_head_stride, &args->mask_q_stride,
                          &args->mask_kv_stride };
  if (mask->rank < 1 || mask->rank > 4)
    return qn_refuse(b->reason, QN_WHY_mask_shape, "a mask of rank 1 to 4", "rank %d", (int)mask->rank);
  for (int32_t i = 1; i <= mask->rank; i++) {
    int64_t dim = mask->dims[mask->rank - i];
    if (i == 1 && dim != wanted[3])
      return qn_refuse(b->reason, QN_WHY_mask_shape, "a mask with a column for each key",
                       "a mask of %lld columns for %lld keys", (long long)dim, (long long)wanted[3]);
    if (dim != 1 && dim != wanted[4 - i]) return refuse_shape(b, QN_ATTENTION_MASK, mask);
    *strides[4 - i] = i > 1 && dim == 1 ? 0 : stride;
    stride *= dim;
  }
  return true;
}

static bool bind_vectors(bind *b) {
  const struct {
    uint32_t index;
    int64_t count;
  } vectors[] = { { QN_ATTENTION_OUTPUT_SCALE, 1 },
                  { QN_ATTENTION_SINKS, b->spec->heads },
                  { QN_ATTENTION_ALIBI_SLOPES, b->spec->heads },
                  { QN_ATTENTION_KV_LENGTHS, b->binding->args.batch } };
  for (uint32_t i = 0; i < QN_COUNT(vectors); i++) {
    const qn_tensor *x = operand(b, vectors[i].index);
    if (wanted_dtype(b->spec, vectors[i].index) != QN_ANY && count_of(x) != vectors[i].count)
      return refuse_shape(b, vectors[i].index, x);
  }
  const qn_tensor *lengths = operand(b, QN_ATTENTION_KV_LENGTHS);
  for (int64_t i = 0; b->spec->kv_lengths && i < count_of(lengths); i++) {
    double length;
    if (!qn_element_read(lengths->dtype, lengths->data, (uint64_t)i, &length) || length < 0 ||
        length > b->binding->args.kv_len)
      return qn_refuse(b->reason, QN_WHY_layout, "kv_lengths of keys that there are",
                       "kv_lengths[%lld] is %.0f of %u", (long long)i, length, b->binding->args.kv_len);
  }
  return true;
}

bool qn_bind_attention(const qn_kernel_spec *spec, const qn_graph *graph, qn_node attention,
                       const qn_tensor *const *operands, uint32_t operand_count, qn_binding *out_binding,
                       qn_reason *out_reason) {
  bind b = { spec, operands, operand_count, out_binding, out_reason, "" };
  *out_binding = (qn_binding){ .operand_count = 0 };
  *out_reason = (qn_reason){ .why = QN_WHY_none };
  return collect(&b) && bind_products(&b, graph, attention) && bind_mask(&b) && bind_vectors(&b);
}
