// The kernel spec: read from an attention node, completed, named.

#include "codegen/cost_priv.h"
#include "codegen/spec_read_priv.h"

#include "ir/base_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <xxhash.h>

// --- reading a node --------------------------------------------------------------------------------------

static qn_type_info type_of(const qn_graph *graph, qn_value value) {
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

bool qn_spec_is_used(const qn_graph *graph, qn_node node, uint32_t result) {
  if (result >= qn_node_get_result_count(graph, node)) return false;
  qn_value value = qn_node_get_result(graph, node, result);
  return value != QN_NONE &&
         (qn_value_get_first_use(graph, value) != QN_NONE || qn_value_is_output(graph, value));
}

// The dim of one axis as a number that fits a spec.
static bool read_dim(const qn_graph *graph, const char *operand, const char *what, qn_dim dim,
                     uint32_t *out_value, qn_reason *reason) {
  int64_t value;
  if (qn_dim_is_const(graph, dim, &value) && value >= 0 && value <= INT32_MAX) {
    *out_value = (uint32_t)value;
    return true;
  }
  char text[96];
  qn_buf buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(&buf);
  bool written = qn_dim_write(graph, dim, &writer) == QN_OK && buf.text != NULL;
  snprintf(text, sizeof text, "%s", written ? buf.text : "?");
  qn_buf_free(&buf);
  return qn_refuse(reason, QN_WHY_unknown_shape, "a constant number of heads and head_dim", "%s of %s is %.60s",
                   what, operand, text);
}

static bool is_merged(qn_layout layout) {
  return layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM;
}
static bool has_tokens(qn_layout layout) {
  return layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
}
static bool has_heads_first(qn_layout layout) {
  return layout == QN_LAYOUT_BHSD || layout == QN_LAYOUT_PHSD;
}

// Heads and head_dim of q, k or v. In the layouts bsm and tm the head count is the node's attribute.
static bool read_operand(const qn_graph *graph, qn_node node, uint32_t index, qn_layout layout, int64_t heads,
                         uint32_t *out_heads, uint32_t *out_head_dim, qn_reason *reason) {
  const char *name = qn_op_get_info(QN_OP_attention)->operands[index];
  qn_type_info type = type_of(graph, qn_node_get_operand(graph, node, index));
  int rank = 4 - is_merged(layout) - has_tokens(layout);

  if (type.rank == QN_RANK_UNKNOWN)
    return qn_refuse(reason, QN_WHY_unknown_shape, "operands of known rank", "%s of unknown rank", name);
  if (type.rank != rank)
    return qn_refuse(reason, QN_WHY_layout, "operands of the rank of their layout", "%s of rank %d", name,
                     type.rank);
  if (!read_dim(graph, name, is_merged(layout) ? "heads * head_dim" : "head_dim", type.dims[rank - 1],
                out_head_dim, reason))
    return false;
  if (!is_merged(layout))
    return read_dim(graph, name, "heads", type.dims[has_heads_first(layout) ? 1 : rank - 2], out_heads, reason);
  if (heads <= 0 || heads > INT32_MAX || *out_head_dim % heads != 0)
    return qn_refuse(reason, QN_WHY_layout, "heads that divide the last axis",
                     "%s with %lld heads on an axis of %u", name, (long long)heads, *out_head_dim);
  *out_heads = (uint32_t)heads;
  *out_head_dim /= (uint32_t)heads;
  return true;
}

static bool read_shapes(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_layout q_layout = (qn_layout)qn_node_get_int(graph, node, "q_layout");
  qn_layout k_layout = (qn_layout)qn_node_get_int(graph, node, "k_layout");
  qn_layout v_layout = (qn_layout)qn_node_get_int(graph, node, "v_layout");
  int64_t heads = qn_node_get_int(graph, node, "heads"), kv_heads = qn_node_get_int(graph, node, "kv_heads");
  uint32_t k_head_dim = 0, v_heads = 0;

  if (kv_heads == 0) kv_heads = heads;
  if (!read_operand(graph, node, QN_ATTENTION_Q, q_layout, heads, &spec->heads, &spec->head_dim, reason) ||
      !read_operand(graph, node, QN_ATTENTION_K, k_layout, kv_heads, &spec->kv_heads, &k_head_dim, reason) ||
      !read_operand(graph, node, QN_ATTENTION_V, v_layout, kv_heads, &v_heads, &spec->v_head_dim, reason))
    return false;
  if (k_head_dim != spec->head_dim)
    return qn_refuse(reason, QN_WHY_head_dim, "one head_dim for q and k", "%u in q, %u in k", spec->head_dim,
                     k_head_dim);
  if (v_heads != spec->kv_heads)
    return qn_refuse(reason, QN_WHY_head_count, "as many heads in k as in v", "%u in k, %u in v",
                     spec->kv_heads, v_heads);
  return true;
}

static bool read_dtypes(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_dtype softmax_type = (qn_dtype)qn_node_get_int(graph, node, "softmax_type");
  qn_dtype out_type = (qn_dtype)qn_node_get_int(graph, node, "out_type");

  spec->dtype = type_of(graph, qn_node_get_operand(graph, node, QN_ATTENTION_Q)).dtype;
  spec->kv_dtype = type_of(graph, qn_node_get_operand(graph, node, QN_ATTENTION_K)).dtype;
  qn_dtype v_dtype = type_of(graph, qn_node_get_operand(graph, node, QN_ATTENTION_V)).dtype;
  if (v_dtype != spec->kv_dtype)
    return qn_refuse(reason, QN_WHY_dtype, "one element type for k and v", "k in %s, v in %s",
                     qn_dtype_name(spec->kv_dtype), qn_dtype_name(v_dtype));
  if (spec->kv_dtype == spec->dtype) spec->kv_dtype = QN_ANY;
  spec->out_dtype = out_type == QN_ANY ? spec->dtype : out_type;
  if (softmax_type != QN_ANY && softmax_type != QN_F32)
    return qn_refuse(reason, QN_WHY_softmax_type, "f32", "%s", qn_dtype_name(softmax_type));
  return true;
}

// How many keys a sequence may have: of pages, those of all that the table has room for.
static bool count_keys(const qn_graph *graph, qn_node node, const qn_kernel_spec *spec, int64_t *out_keys) {
  qn_type_info k = type_of(graph, qn_node_get_operand(graph, node, QN_ATTENTION_K));
  qn_layout layout = (qn_layout)qn_node_get_int(graph, node, "k_layout");
  if (spec->page_size == 0) return qn_dim_is_const(graph, k.dims[has_heads_first(layout) ? 2 : 1], out_keys);
  qn_type_info table = type_of(graph, qn_node_get_operand(graph, node, QN_ATTENTION_PAGE_TABLE));
  if (table.rank != 2 || !qn_dim_is_const(graph, table.dims[1], out_keys) || *out_keys > INT32_MAX)
    return false;
  *out_keys *= spec->page_size;
  return true;
}

static bool read_mask(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_value mask = qn_node_get_operand(graph, node, QN_ATTENTION_MASK);
  if (mask == QN_NONE) return true;
  qn_type_info type = type_of(graph, mask);
  if (type.rank == QN_RANK_UNKNOWN)
    return qn_refuse(reason, QN_WHY_mask_shape, "a mask of known rank", "a mask of unknown rank");
  // A mask that is shorter than the keys hides those beyond it, which a kernel cannot tell from the strides.
  int64_t length, keys;
  if (type.rank > 0 && qn_dim_is_const(graph, type.dims[type.rank - 1], &length) &&
      !(count_keys(graph, node, spec, &keys) && length == keys))
    return qn_refuse(reason, QN_WHY_mask_shape, "a mask with a column for each key", "a mask of %lld columns",
                     (long long)length);
  if (type.dtype != QN_BOOL && !qn_dtype_is_float(type.dtype))
    return qn_refuse(reason, QN_WHY_mask_type, "a boolean or floating-point mask", "%s",
                     qn_dtype_name(type.dtype));
  spec->mask = type.dtype == QN_BOOL ? QN_MASK_BOOLEAN : QN_MASK_ADDITIVE;
  spec->mask_dtype = type.dtype == QN_BOOL ? QN_ANY : type.dtype;
  return true;
}

// Sinks, slopes and lengths: given or not, and in which type.
static bool read_vectors(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_value sinks = qn_node_get_operand(graph, node, QN_ATTENTION_SINKS);
  qn_value slopes = qn_node_get_operand(graph, node, QN_ATTENTION_ALIBI_SLOPES);
  qn_value kv_lengths = qn_node_get_operand(graph, node, QN_ATTENTION_KV_LENGTHS);
  qn_value starts_q = qn_node_get_operand(graph, node, QN_ATTENTION_CU_SEQLENS_Q);
  qn_value starts_kv = qn_node_get_operand(graph, node, QN_ATTENTION_CU_SEQLENS_KV);
  if (sinks != QN_NONE) {
    spec->sinks_dtype = type_of(graph, sinks).dtype;
    if (spec->sinks_dtype == QN_ANY)
      return qn_refuse(reason, QN_WHY_sinks, "sinks in f32 or in the element type of q", "an unknown type");
  }
  spec->alibi = slopes != QN_NONE;
  if (spec->alibi && type_of(graph, slopes).dtype != QN_F32)
    return qn_refuse(reason, QN_WHY_alibi, "alibi_slopes in f32", "%s",
                     qn_dtype_name(type_of(graph, slopes).dtype));
  spec->kv_lengths = kv_lengths != QN_NONE;
  spec->varlen = starts_q != QN_NONE && starts_kv != QN_NONE;
  if (spec->kv_lengths) spec->lengths_dtype = type_of(graph, kv_lengths).dtype;
  if (!spec->varlen) return true;
  spec->lengths_dtype = type_of(graph, starts_q).dtype;
  if (type_of(graph, starts_kv).dtype == spec->lengths_dtype) return true;
  return qn_refuse(reason, QN_WHY_variable_length, "cu_seqlens_q and cu_seqlens_kv in one element type",
                   "%s and %s", qn_dtype_name(spec->lengths_dtype),
                   qn_dtype_name(type_of(graph, starts_kv).dtype));
}

// Reads what the node says, supported or not. False only where a spec cannot say it.
static bool read_node(const qn_graph *graph, qn_node node, qn_target target, qn_kernel_spec *spec,
                      qn_reason *reason) {
  *spec = (qn_kernel_spec){
    .target = target,
    .schedule = QN_SCHEDULE_mma,
    .causal = (qn_causal)qn_node_get_int(graph, node, "causal"),
    .window_left = (int32_t)QN_MAX(INT32_MIN, QN_MIN(INT32_MAX, qn_node_get_int(graph, node, "window_left"))),
    .window_right = (int32_t)QN_MAX(INT32_MIN, QN_MIN(INT32_MAX, qn_node_get_int(graph, node, "window_right"))),
    .scale = (float)qn_node_get_float(graph, node, "scale"),
    .softcap = (float)qn_node_get_float(graph, node, "softcap"),
  };
  *reason = (qn_reason){ .why = QN_WHY_none };
  if (qn_spec_is_used(graph, node, QN_ATTENTION_SCORES))
    return qn_refuse(reason, QN_WHY_extra_result, "no scores", "scores is used");
  if (!read_dtypes(graph, node, spec, reason) || !read_shapes(graph, node, spec, reason) ||
      !qn_spec_read_cache(graph, node, spec, reason) || !read_mask(graph, node, spec, reason) ||
      !read_vectors(graph, node, spec, reason) || !qn_spec_read_output(graph, node, spec, reason))
    return false;
  qn_spec_choose_schedule(graph, node, spec);
  return true;
}

// Heads that share a tile are a choice, which the node does not ask for: no reason to refuse it.
static bool supports_node(qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->pack_heads) spec->pack_heads = qn_target_supports(spec, reason);
  return qn_target_supports(spec, reason);
}

qn_status qn_kernel_spec_from_node(const qn_graph *graph, qn_node attention, qn_target target,
                                   qn_kernel_spec *out_spec, qn_reason *out_reason) {
  qn_context *context = qn_graph_get_context(graph);
  qn_reason reason = { .why = QN_WHY_none };
  bool ok = false;

  if (qn_node_get_op(graph, attention) != QN_OP_attention)
    qn_refuse(&reason, QN_WHY_op, "a node of attention", "node %u is another operation", attention);
  else
    ok = read_node(graph, attention, target, out_spec, &reason) && supports_node(out_spec, &reason);
  if (out_reason != NULL) *out_reason = reason;
  if (ok) return QN_OK;
  qn_str name = qn_node_get_name(graph, attention);
  return qn_fail(context, QN_UNSUPPORTED, name.length > 0 ? name.text : NULL, "%s: expected %s, found %s",
                 qn_why_sentence(reason.why), reason.expected, reason.found);
}

// --- legality --------------------------------------------------------------------------------------------

// Where heads lie apart a kernel writes scales in rows and columns only, a whole number for each head: see
// qn_attention_args_set_dense_scales.
static bool places_scales(const qn_graph *graph, qn_node attention, const qn_scheme *output,
                          const qn_kernel_spec *spec, qn_reason *out_reason) {
  int64_t layout = qn_node_get_int(graph, attention, "out_layout");
  bool rows = output->scale_layout == QN_SCALES_ROW || output->scale_layout == QN_SCALES_COLUMN;
  if (!output->dynamic || layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM) return true;
  return (output->granularity == QN_PER_GROUP && rows && output->group &&
          spec->v_head_dim % output->group == 0) ||
         qn_refuse(out_reason, QN_WHY_layout,
                   "heads merged in front of quantize, or groups whose scales lie in rows", "heads apart");
}

static bool target_fuses(const void *user, const qn_graph *graph, qn_node attention, const qn_scheme *output,
                         qn_reason *out_reason) {
  const qn_target *target = user;
  qn_kernel_spec spec;
  if (!read_node(graph, attention, *target, &spec, out_reason)) return false;
  spec.output = *output;
  qn_spec_choose_schedule(graph, attention, &spec);
  return supports_node(&spec, out_reason) && places_scales(graph, attention, output, &spec, out_reason) &&
         qn_cost_check_node(graph, attention, &spec, out_reason);
}

qn_legality qn_legality_of_target(const qn_target *target) {
  return (qn_legality){ .fuses = target_fuses, .user = target };
}

// --- completing and naming -------------------------------------------------------------------------------

void qn_kernel_spec_resolve(qn_kernel_spec *spec) {
  qn_tiles tiles = qn_schedule_get_tiles(spec);
  if (spec->tile_q == 0) spec->tile_q = tiles.tile_q;
  if (spec->tile_kv == 0) spec->tile_kv = tiles.tile_kv;
  if (spec->warps == 0) spec->warps = tiles.warps;
  if (spec->stages == 0) spec->stages = tiles.stages;
  if (spec->scale == 0 && spec->head_dim > 0) spec->scale = (float)(1 / sqrt((double)spec->head_dim));
}

// A growing name in a fixed space that any name fits in.
typedef struct name_text {
  char text[1024];
  size_t length;
} name_text;

static void append(name_text *name, const char *format, ...) QN_PRINTF(2, 3);
static void append(name_text *name, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(name->text + name->length, sizeof name->text - name->length, format, list);
  va_end(list);
  name->length = QN_MIN(name->length + (size_t)length, sizeof name->text - 1);
}

static void append_window(name_text *name, const char *before, int32_t window) {
  append(name, "%s", before);
  if (window < 0)
    append(name, "x");
  else
    append(name, "%" PRId32, window);
}

// What stands between q k^T and the softmax.
static void append_scores(name_text *name, const qn_kernel_spec *spec) {
  static const char *const CAUSAL[] = { "", "_causal", "_causal_bottom_right" };
  uint32_t bits;
  memcpy(&bits, &spec->softcap, sizeof bits);
  if ((unsigned)spec->causal < QN_COUNT(CAUSAL)) append(name, "%s", CAUSAL[spec->causal]);
  if (spec->window_left >= 0 || spec->window_right >= 0) {
    append_window(name, "_w", spec->window_left);
    append_window(name, "_", spec->window_right);
  }
  if (spec->mask == QN_MASK_BOOLEAN) append(name, "_mask_bool");
  if (spec->mask == QN_MASK_ADDITIVE) append(name, "_mask_%s", qn_dtype_name(spec->mask_dtype));
  if (spec->softcap != 0) append(name, "_softcap%08" PRIx32, bits);
  if (spec->alibi) append(name, "_alibi");
  if (spec->sinks_dtype != QN_ANY) append(name, "_sinks");
  if (spec->sinks_dtype != QN_ANY && spec->sinks_dtype != spec->dtype)
    append(name, "_%s", qn_dtype_name(spec->sinks_dtype));
  if (spec->varlen) append(name, "_varlen");
  if (spec->kv_lengths) append(name, "_kvlen");
  if ((spec->varlen || spec->kv_lengths) && spec->lengths_dtype != QN_S32)
    append(name, "_%s", qn_dtype_name(spec->lengths_dtype));
}

static void append_kv(name_text *name, const qn_kernel_spec *spec) {
  static const char *const SCALES[] = { "", "s", "sh" }; // none, of the tensor, of each head
  bool scaled = spec->k_scale != QN_KV_SCALE_NONE || spec->v_scale != QN_KV_SCALE_NONE;
  if (spec->kv_dtype != QN_ANY && spec->kv_dtype != spec->dtype)
    append(name, "_kv_%s", qn_dtype_name(spec->kv_dtype));
  if (scaled && (unsigned)spec->k_scale < QN_COUNT(SCALES) && (unsigned)spec->v_scale < QN_COUNT(SCALES))
    append(name, "_k%s_v%s", SCALES[spec->k_scale], SCALES[spec->v_scale]);
  if (spec->page_size > 0) append(name, "_page%u", spec->page_size);
}

// The text of a scheme in the letters of a name: `fp8_static{target=e5m2}` is fp8_static_target_e5m2.
static void append_scheme(name_text *name, const qn_scheme *scheme) {
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(scheme, text);
  append(name, "_");
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '?')
      append(name, "any");
    else if (strchr("{=,-", *c) != NULL)
      append(name, "_");
    else if (strchr(" }", *c) == NULL)
      append(name, "%c", *c);
  }
}

static void append_output(name_text *name, const qn_kernel_spec *spec) {
  if (spec->output.family == QN_SCHEME_none) return;
  append_scheme(name, &spec->output);
  if (spec->pre_scale_dtype != QN_ANY) append(name, "_pre_%s", qn_dtype_name(spec->pre_scale_dtype));
  if (spec->scale_bound) append(name, "_bound");
  if (spec->unquantized) append(name, "_both");
  if (spec->numerics == QN_DIRECT) append(name, "_direct");
}

static void finish_name(const name_text *name, char out_name[128]) {
  enum { NAME_MAX_LENGTH = 127, HASH_LENGTH = 17 };
  if (name->length <= NAME_MAX_LENGTH)
    snprintf(out_name, 128, "%.127s", name->text);
  else
    snprintf(out_name, 128, "%.*s_%016llx", NAME_MAX_LENGTH - HASH_LENGTH, name->text,
             (unsigned long long)XXH3_64bits(name->text, name->length));
}

// A quantizer has rows and a scheme, and nothing else.
static void format_quantizer_name(const qn_kernel_spec *spec, char out_name[128]) {
  name_text name = { .length = 0 };
  append(&name, "qn_quantize_%s_d%u_h%u", qn_dtype_name(spec->out_dtype), spec->v_head_dim, spec->heads);
  append_output(&name, spec);
  finish_name(&name, out_name);
}

void qn_kernel_format_name(const qn_kernel_spec *spec, char out_name[128]) {
  qn_kernel_spec r = *spec, chosen = *spec;
  name_text name = { .length = 0 };
  uint32_t scale_bits;

  if (spec->schedule == QN_SCHEDULE_quantize) {
    format_quantizer_name(spec, out_name);
    return;
  }
  chosen.tile_q = chosen.tile_kv = chosen.warps = chosen.stages = 0;
  chosen.scale = 0;
  qn_kernel_spec_resolve(&r);
  qn_kernel_spec_resolve(&chosen);
  append(&name, "qn_attention_%s_%s", qn_schedule_name(r.schedule), qn_dtype_name(r.dtype));
  if (r.dtype == QN_F32 && r.f32_mode == QN_F32_TF32) append(&name, "_tf32");
  append(&name, "_d%u", r.head_dim);
  if (r.v_head_dim != r.head_dim) append(&name, "_%u", r.v_head_dim);
  append(&name, "_h%u", r.heads);
  if (r.kv_heads != r.heads) append(&name, "_%u", r.kv_heads);
  if (r.pack_heads) append(&name, "_packed");
  append_kv(&name, &r);
  append_scores(&name, &r);
  append_output(&name, &r);
  memcpy(&scale_bits, &r.scale, sizeof scale_bits);
  if (r.scale != chosen.scale) append(&name, "_scale%08x", scale_bits);
  if (r.tile_q != chosen.tile_q || r.tile_kv != chosen.tile_kv || r.warps != chosen.warps ||
      r.stages != chosen.stages)
    append(&name, "_q%u_kv%u_w%u_s%u", r.tile_q, r.tile_kv, r.warps, r.stages);

  finish_name(&name, out_name);
}
