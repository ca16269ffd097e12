// Which tensor of a node goes where in a launch, and checks that it is what the kernel will read.
#include "runtime/bind_priv.h"

#include "ir/element_priv.h"
#include "ir/reason_priv.h"

#include <stddef.h>
#include <stdio.h>

// --- operands --------------------------------------------------------------------------------------------

enum { NOWHERE = -1 };

// Where the operand of an attention stands in the node.
static int32_t place_of(const qn_bind *b, uint32_t index) {
  if (b->op == QN_OP_attention) return (int32_t)index;
  switch (index) {
  case QN_ATTENTION_Q: return QN_QUANTIZE_X;
  case QN_ATTENTION_OUTPUT_SCALE: return QN_QUANTIZE_SCALE;
  case QN_ATTENTION_OUTPUT_ZERO_POINT: return QN_QUANTIZE_ZERO_POINT;
  case QN_ATTENTION_PRE_SCALE: return QN_QUANTIZE_PRE_SCALE;
  case QN_ATTENTION_SCALE_BOUND: return QN_QUANTIZE_SCALE_BOUND;
  default: return NOWHERE;
  }
}

// Without the mark of the row.
const char *qn_bind_name(qn_bind *b, uint32_t index) {
  const char *name = qn_op_get_info(b->op)->operands[place_of(b, index)];
  snprintf(b->name, sizeof b->name, "%.*s", (int)strcspn(name, "?*"), name);
  return b->name;
}

const qn_tensor *qn_bind_operand(const qn_bind *b, uint32_t index) {
  int32_t place = place_of(b, index);
  return place != NOWHERE && (uint32_t)place < b->operand_count ? b->operands[place] : NULL;
}

int64_t qn_bind_count(const qn_tensor *tensor) {
  int64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; d++) count *= tensor->dims[d];
  return count;
}

bool qn_bind_refuse_shape(qn_bind *b, uint32_t index) {
  const qn_tensor *x = qn_bind_operand(b, index);
  char dims[64] = "";
  for (int32_t d = 0; d < x->rank; d++) {
    size_t length = strlen(dims);
    snprintf(dims + length, sizeof dims - length, "%s%lld", d ? "," : "", (long long)x->dims[d]);
  }
  return qn_refuse(b->reason, QN_WHY_layout, "the shapes that the kernel was made for", "%s as [%s]",
                   qn_bind_name(b, index), dims);
}

// The element type of an operand of the output scheme as the kernel reads it; ANY where it does not.
static qn_dtype wanted_of_scheme(const qn_kernel_spec *spec, uint32_t index) {
  const qn_scheme *scheme = &spec->output;
  if (scheme->family == QN_SCHEME_none) return QN_ANY;
  switch (index) {
  case QN_ATTENTION_OUTPUT_SCALE: return qn_scheme_get_read_scale(scheme);
  case QN_ATTENTION_OUTPUT_ZERO_POINT: return scheme->dynamic ? QN_ANY : qn_scheme_get_zero_point(scheme);
  case QN_ATTENTION_PRE_SCALE: return spec->pre_scale_dtype;
  default: return scheme->dynamic && spec->scale_bound ? QN_F32 : QN_ANY;
  }
}

static qn_dtype wanted_dtype(const qn_bind *b, uint32_t index) {
  const qn_kernel_spec *spec = b->spec;
  if (place_of(b, index) == NOWHERE) return QN_ANY;
  switch (index) {
  case QN_ATTENTION_Q: return spec->dtype;
  case QN_ATTENTION_K:
  case QN_ATTENTION_V: return spec->kv_dtype != QN_ANY ? spec->kv_dtype : spec->dtype;
  case QN_ATTENTION_MASK:
    return spec->mask == QN_MASK_NONE ? QN_ANY : spec->mask == QN_MASK_BOOLEAN ? QN_BOOL : spec->mask_dtype;
  case QN_ATTENTION_KV_LENGTHS: return spec->kv_lengths ? spec->lengths_dtype : QN_ANY;
  case QN_ATTENTION_SINKS: return spec->sinks_dtype;
  case QN_ATTENTION_ALIBI_SLOPES: return spec->alibi ? QN_F32 : QN_ANY;
  case QN_ATTENTION_CU_SEQLENS_Q:
  case QN_ATTENTION_CU_SEQLENS_KV: return spec->varlen ? spec->lengths_dtype : QN_ANY;
  case QN_ATTENTION_PAGE_TABLE: return spec->page_size > 0 ? QN_S32 : QN_ANY;
  case QN_ATTENTION_K_SCALE: return spec->k_scale != QN_KV_SCALE_NONE ? QN_F32 : QN_ANY;
  case QN_ATTENTION_V_SCALE: return spec->v_scale != QN_KV_SCALE_NONE ? QN_F32 : QN_ANY;
  default: return wanted_of_scheme(spec, index);
  }
}

// Lists what the kernel reads; each must be there, in its element type, with its bytes.
static bool collect(qn_bind *b) {
#define SLOT(operand, field) { QN_ATTENTION_##operand, offsetof(qn_attention_args, field) }
  static const qn_bound_operand slots[] = {
    SLOT(Q, q),
    SLOT(K, k),
    SLOT(V, v),
    SLOT(MASK, mask),
    SLOT(KV_LENGTHS, kv_lengths),
    SLOT(OUTPUT_SCALE, output_scale),
    SLOT(SINKS, sinks),
    SLOT(ALIBI_SLOPES, alibi_slopes),
    SLOT(CU_SEQLENS_Q, cu_seqlens_q),
    SLOT(CU_SEQLENS_KV, cu_seqlens_kv),
    SLOT(OUTPUT_ZERO_POINT, output_zero_point),
    SLOT(PRE_SCALE, pre_scale),
    SLOT(SCALE_BOUND, scale_bound),
    SLOT(PAGE_TABLE, page_table),
    SLOT(K_SCALE, k_scale),
    SLOT(V_SCALE, v_scale),
  };
#undef SLOT
  _Static_assert(QN_COUNT(slots) <= QN_BOUND_OPERANDS_MAX, "room for every operand");
  for (uint32_t i = 0; i < QN_COUNT(slots); i++) {
    qn_dtype wanted = wanted_dtype(b, slots[i].index);
    const qn_tensor *tensor = qn_bind_operand(b, slots[i].index);
    if (wanted == QN_ANY) continue;
    if (!tensor)
      return qn_refuse(b->reason, QN_WHY_operand_count, "every operand that the kernel reads", "no %s",
                       qn_bind_name(b, slots[i].index));
    if (tensor->dtype != wanted)
      return qn_refuse(b->reason, QN_WHY_dtype, "the element types that the kernel reads", "%s in %s, not %s",
                       qn_bind_name(b, slots[i].index), qn_dtype_name(tensor->dtype), qn_dtype_name(wanted));
    b->binding->operands[b->binding->operand_count++] =
        (qn_bound_operand){ (uint32_t)place_of(b, slots[i].index), slots[i].address };
  }
  return true;
}

// --- the mask --------------------------------------------------------------------------------------------

// The mask's dims, of rank 1 to 4, as strides over [batch, heads, q_len, kv_len]; a dim of 1 broadcasts, but
// the last one, whose missing columns hide keys.
static bool bind_mask(qn_bind *b) {
  qn_attention_args *args = &b->binding->args;
  const qn_tensor *mask = qn_bind_operand(b, QN_ATTENTION_MASK);
  if (wanted_dtype(b, QN_ATTENTION_MASK) == QN_ANY) return true;
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
    if (dim != 1 && dim != wanted[4 - i]) return qn_bind_refuse_shape(b, QN_ATTENTION_MASK);
    *strides[4 - i] = i > 1 && dim == 1 ? 0 : stride;
    stride *= dim;
  }
  return true;
}

// --- vectors ---------------------------------------------------------------------------------------------

static bool bind_vectors(qn_bind *b) {
  const qn_kernel_spec *spec = b->spec;
  const struct {
    uint32_t index;
    int64_t count;
  } vectors[] = { { QN_ATTENTION_SCALE_BOUND, 1 },
                  { QN_ATTENTION_K_SCALE, spec->k_scale == QN_KV_SCALE_HEAD ? spec->kv_heads : 1 },
                  { QN_ATTENTION_V_SCALE, spec->v_scale == QN_KV_SCALE_HEAD ? spec->kv_heads : 1 },
                  { QN_ATTENTION_SINKS, spec->heads },
                  { QN_ATTENTION_ALIBI_SLOPES, spec->heads },
                  { QN_ATTENTION_KV_LENGTHS, b->binding->args.batch } };
  for (uint32_t i = 0; i < QN_COUNT(vectors); i++)
    if (wanted_dtype(b, vectors[i].index) != QN_ANY &&
        qn_bind_count(qn_bind_operand(b, vectors[i].index)) != vectors[i].count)
      return qn_bind_refuse_shape(b, vectors[i].index);
  const qn_tensor *lengths = qn_bind_operand(b, QN_ATTENTION_KV_LENGTHS);
  bool counted = wanted_dtype(b, QN_ATTENTION_KV_LENGTHS) != QN_ANY;
  for (int64_t i = 0; counted && i < qn_bind_count(lengths); i++) {
    double length;
    if (!qn_element_read(lengths->dtype, lengths->data, (uint64_t)i, &length) || length < 0 ||
        length > b->binding->args.kv_len)
      return qn_refuse(b->reason, QN_WHY_layout, "kv_lengths of keys that there are",
                       "kv_lengths[%lld] is %.0f of %u", (long long)i, length, b->binding->args.kv_len);
  }
  return true;
}

// A number for each channel of the output: those of all heads where they lie together, in the last axis or, if
// `two_axes` may be taken together, in the last two; else those of one head, which all heads share.
static bool bind_channels(qn_bind *b, uint32_t index, bool two_axes, int64_t *out_head) {
  bool merged = b->out_layout == QN_LAYOUT_BSM || b->out_layout == QN_LAYOUT_TM;
  int64_t dim = b->spec->v_head_dim, count = qn_bind_count(qn_bind_operand(b, index));
  bool all = count == dim * b->spec->heads && (merged || (two_axes && b->out_layout != QN_LAYOUT_BHSD));
  *out_head = all ? dim : 0;
  return all || (count == dim && !merged) || qn_bind_refuse_shape(b, index);
}

// The operands of the output scheme. Scale and zero point of a scheme without channels are one number each.
static bool bind_scales(qn_bind *b) {
  static const uint32_t pair[] = { QN_ATTENTION_OUTPUT_SCALE, QN_ATTENTION_OUTPUT_ZERO_POINT };
  qn_attention_args *args = &b->binding->args;
  bool channels = b->spec->output.granularity == QN_PER_CHANNEL;
  for (uint32_t i = 0; i < QN_COUNT(pair); i++) {
    if (wanted_dtype(b, pair[i]) == QN_ANY) continue;
    if (channels && !bind_channels(b, pair[i], false, &args->output_scale_head)) return false;
    if (!channels && qn_bind_count(qn_bind_operand(b, pair[i])) != 1) return qn_bind_refuse_shape(b, pair[i]);
  }
  return wanted_dtype(b, QN_ATTENTION_PRE_SCALE) == QN_ANY ||
         bind_channels(b, QN_ATTENTION_PRE_SCALE, true, &args->pre_scale_head);
}

bool qn_bind_node(const qn_kernel_spec *spec, const qn_graph *graph, qn_node node,
                  const qn_tensor *const *operands, uint32_t operand_count, qn_binding *out_binding,
                  qn_reason *out_reason) {
  const qn_op op = qn_node_get_op(graph, node);
  const bool attends = op == QN_OP_attention;
  qn_bind b = { .spec = spec,
                .graph = graph,
                .node = node,
                .op = op,
                .out_layout = attends ? (qn_layout)qn_node_get_int(graph, node, "out_layout") : QN_LAYOUT_TM,
                .operands = operands,
                .operand_count = operand_count,
                .binding = out_binding,
                .reason = out_reason };
  *out_binding = (qn_binding){ .operand_count = 0 };
  *out_reason = (qn_reason){ .why = QN_WHY_none };
  return collect(&b) && (attends ? qn_bind_sides(&b) : qn_bind_tokens(&b)) && qn_bind_results(&b) &&
         bind_mask(&b) && bind_vectors(&b) && bind_scales(&b);
}
