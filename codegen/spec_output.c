// The spec of an attention node: what becomes of its output, and what lies in caches of keys and values.

#include "codegen/spec_read_priv.h"

#include "ir/base_priv.h"

#include <stdio.h>

// --- operands of the output scheme -----------------------------------------------------------------------

// The number of elements; -1 where it is not known.
static int64_t count_of(const qn_graph *graph, const qn_type_info *type) {
  int64_t count = 1, dim;
  if (type->rank == QN_RANK_UNKNOWN) return -1;
  for (int32_t i = 0; i < type->rank; i++) {
    if (!qn_dim_is_const(graph, type->dims[i], &dim) || dim > INT32_MAX || count > INT32_MAX) return -1;
    count *= dim;
  }
  return count;
}

enum { NAME_MAX = 32 };

// Without the mark of an optional one.
static void name_operand(qn_op op, uint32_t index, char out_name[NAME_MAX]) {
  const char *name = qn_op_get_info(op)->operands[index];
  snprintf(out_name, NAME_MAX, "%.*s", (int)strcspn(name, "?"), name);
}

bool qn_spec_read_numbers(const qn_graph *graph, qn_node node, uint32_t index, qn_dtype dtype, int64_t count,
                          qn_reason *reason) {
  qn_value value = qn_node_get_operand(graph, node, index);
  char name[NAME_MAX], expected[96];
  if (value == QN_NONE) return true; // a question of the scheme that is to come
  qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, value));
  name_operand(qn_node_get_op(graph, node), index, name);
  if (type.dtype != dtype) {
    snprintf(expected, sizeof expected, "%s in %s", name, qn_dtype_name(dtype));
    return qn_refuse(reason, QN_WHY_scale_type, expected, "%s", qn_dtype_name(type.dtype));
  }
  int64_t found = count_of(graph, &type);
  if (found == count) return true;
  snprintf(expected, sizeof expected, count == 1 ? "%s of one element" : "%s of %lld elements", name,
           (long long)count);
  if (found < 0) return qn_refuse(reason, QN_WHY_scale_length, expected, "an unknown number");
  return qn_refuse(reason, QN_WHY_scale_length, expected, "%lld", (long long)found);
}

static bool has(const qn_graph *graph, qn_node node, uint32_t operand) {
  return qn_node_get_operand(graph, node, operand) != QN_NONE;
}

bool qn_spec_read_zero_point(const qn_graph *graph, qn_node node, uint32_t index, int64_t count,
                             qn_kernel_spec *spec, qn_reason *reason) {
  bool given = has(graph, node, index);
  if (spec->output.dynamic || !spec->output.zero_point)
    return !given || qn_refuse_scheme(reason, QN_WHY_zero_point,
                                      "a scheme that takes the zero point that is given", &spec->output);
  if (!given) spec->output.zero_point = QN_ZERO_POINT_NONE;
  return qn_spec_read_numbers(graph, node, index, qn_scheme_get_zero_point(&spec->output), count, reason);
}

bool qn_spec_read_output(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  qn_layout layout = (qn_layout)qn_node_get_int(graph, node, "out_layout");
  bool merged = layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM;
  int64_t row = merged ? (int64_t)spec->heads * spec->v_head_dim : spec->v_head_dim;
  int32_t rank = 4 - merged - (layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD);
  qn_value pre_scale = qn_node_get_operand(graph, node, QN_ATTENTION_PRE_SCALE);

  spec->output = qn_node_get_scheme(graph, node, "output");
  spec->numerics = (qn_numerics)qn_node_get_int(graph, node, "numerics");
  if (spec->output.axis == rank - 1 && spec->output.granularity != QN_PER_TENSOR) spec->output.axis = -1;
  spec->unquantized = qn_spec_is_used(graph, node, QN_ATTENTION_UNQUANTIZED);
  if (pre_scale != QN_NONE)
    spec->pre_scale_dtype = qn_type_get_info(graph, qn_value_get_type(graph, pre_scale)).dtype;
  spec->scale_bound = has(graph, node, QN_ATTENTION_SCALE_BOUND);
  if (spec->output.family == QN_SCHEME_none) return true;
  int64_t scales = spec->output.granularity == QN_PER_CHANNEL && !spec->output.dynamic ? row : 1;
  return qn_spec_read_numbers(graph, node, QN_ATTENTION_OUTPUT_SCALE, qn_scheme_get_read_scale(&spec->output),
                              scales, reason) &&
         qn_spec_read_zero_point(graph, node, QN_ATTENTION_OUTPUT_ZERO_POINT, scales, spec, reason) &&
         qn_spec_read_numbers(graph, node, QN_ATTENTION_PRE_SCALE, spec->pre_scale_dtype, row, reason) &&
         qn_spec_read_numbers(graph, node, QN_ATTENTION_SCALE_BOUND, QN_F32, 1, reason);
}

// --- caches ----------------------------------------------------------------------------------------------

static bool read_kv_scale(const qn_graph *graph, qn_node node, uint32_t index, uint32_t kv_heads,
                          qn_kv_scale *out_scale, qn_reason *reason) {
  *out_scale = QN_KV_SCALE_NONE;
  if (!has(graph, node, index)) return true;
  qn_type_info type =
      qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, node, index)));
  int64_t count = count_of(graph, &type);
  *out_scale = count == 1 ? QN_KV_SCALE_TENSOR : QN_KV_SCALE_HEAD;
  return qn_spec_read_numbers(graph, node, index, QN_F32, count == 1 ? 1 : kv_heads, reason);
}

// Pages of k and v have one size.
static bool read_pages(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  static const char *const LAYOUTS[] = { "k_layout", "v_layout" };
  int64_t size[2];
  if (!has(graph, node, QN_ATTENTION_PAGE_TABLE)) return true;
  for (uint32_t i = 0; i < 2; i++) {
    qn_value value = qn_node_get_operand(graph, node, QN_ATTENTION_K + i);
    qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, value));
    bool heads_first = qn_node_get_int(graph, node, LAYOUTS[i]) == QN_LAYOUT_PHSD;
    if (!qn_dim_is_const(graph, type.dims[heads_first ? 2 : 1], &size[i]) || size[i] > INT32_MAX)
      return qn_refuse(reason, QN_WHY_unknown_shape, "pages of a constant size", "an unknown one");
  }
  if (size[0] != size[1])
    return qn_refuse(reason, QN_WHY_kv_cache, "pages of one size for k and v", "%lld and %lld",
                     (long long)size[0], (long long)size[1]);
  spec->page_size = (uint32_t)size[0];
  qn_value table = qn_node_get_operand(graph, node, QN_ATTENTION_PAGE_TABLE);
  qn_dtype dtype = qn_type_get_info(graph, qn_value_get_type(graph, table)).dtype;
  return dtype == QN_S32 ||
         qn_refuse(reason, QN_WHY_kv_cache, "a page table in s32", "%s", qn_dtype_name(dtype));
}

bool qn_spec_read_cache(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason) {
  static const uint32_t PAST[] = { QN_ATTENTION_PAST_KEY, QN_ATTENTION_PAST_VALUE };
  for (uint32_t i = 0; i < QN_COUNT(PAST); i++) {
    char name[NAME_MAX];
    name_operand(QN_OP_attention, PAST[i], name);
    if (has(graph, node, PAST[i])) return qn_refuse(reason, QN_WHY_kv_cache, "no cache operands", "%s", name);
  }
  if (qn_spec_is_used(graph, node, QN_ATTENTION_PRESENT_KEY) ||
      qn_spec_is_used(graph, node, QN_ATTENTION_PRESENT_VALUE))
    return qn_refuse(reason, QN_WHY_kv_cache, "no cache results", "present_key or present_value is used");
  return read_pages(graph, node, spec, reason) &&
         read_kv_scale(graph, node, QN_ATTENTION_K_SCALE, spec->kv_heads, &spec->k_scale, reason) &&
         read_kv_scale(graph, node, QN_ATTENTION_V_SCALE, spec->kv_heads, &spec->v_scale, reason);
}
