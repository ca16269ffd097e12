// One attention by itself. To tell how far a decomposed attention and its recovered form are from f64, both
// must see the same operands; in a whole run they would not, since the first layer's difference reaches the
// second. So the recovered attentions are grafted into the graph as read, beside the originals, and the f64
// result is computed from the operands of that run.
#include "verify.h"

#include <stdlib.h>
#include <string.h>

// --- copying a node --------------------------------------------------------------------------------------

typedef struct attr_copy {
  qn_attr attrs[QN_OP_ATTRS_MAX];
  qn_scheme schemes[QN_OP_ATTRS_MAX];
  uint32_t count;
} attr_copy;

static void copy_attrs(const qn_graph *graph, qn_node node, attr_copy *out) {
  out->count = 0;
  for (const qn_attr_info *info = qn_op_get_info(qn_node_get_op(graph, node))->attrs; info->name; info++) {
    if (!qn_node_has_attr(graph, node, info->name)) continue;
    qn_attr *attr = &out->attrs[out->count];
    *attr = (qn_attr){ .name = info->name };
    switch (info->kind) {
    case QN_ATTR_INT:
    case QN_ATTR_BOOL:
    case QN_ATTR_ENUM:
    case QN_ATTR_DTYPE: attr->i = qn_node_get_int(graph, node, info->name); break;
    case QN_ATTR_FLOAT: attr->f = qn_node_get_float(graph, node, info->name); break;
    case QN_ATTR_INTS: attr->length = qn_node_get_ints(graph, node, info->name, &attr->ints); break;
    case QN_ATTR_TENSOR: attr->tensor = qn_node_get_tensor(graph, node, info->name); break;
    case QN_ATTR_STRING: {
      qn_str text = qn_node_get_string(graph, node, info->name);
      attr->text = text.text;
      attr->length = text.length;
      break;
    }
    case QN_ATTR_SCHEME:
      out->schemes[out->count] = qn_node_get_scheme(graph, node, info->name);
      attr->scheme = &out->schemes[out->count];
      break;
    }
    out->count++;
  }
}

typedef struct graft {
  tool *t;
  qn_graph *to;
  const qn_graph *from;
  qn_value *map; // values of `from` to values of `to`, where copied
} graft;

// The value of `to` that a value of `from` is: the one of the same name, or a copy of what computes it.
static bool graft_value(graft *g, qn_value value, bool copy_always, qn_value *out_value) {
  *out_value = QN_NONE;
  if (value == QN_NONE) return true;
  qn_str name = qn_value_get_name(g->from, value);
  if (!copy_always && name.length) *out_value = qn_graph_find_value(g->to, name.text, name.length);
  if (!copy_always && *out_value == QN_NONE) *out_value = g->map[value];
  if (*out_value != QN_NONE) return true;

  qn_node node = qn_value_get_node(g->from, value);
  uint32_t operand_count = qn_node_get_operand_count(g->from, node),
           result_count = qn_node_get_result_count(g->from, node);
  qn_value *operands = calloc(operand_count + result_count + 1, sizeof *operands),
           *results = operands + operand_count;
  bool good = operands != NULL;
  for (uint32_t i = 0; good && i < operand_count; i++)
    good = graft_value(g, qn_node_get_operand(g->from, node, i), false, &operands[i]);
  if (good) {
    attr_copy attrs;
    copy_attrs(g->from, node, &attrs);
    good = qn_graph_add(g->to,
                        qn_node_params(.op = qn_node_get_op(g->from, node), .operands = operands,
                                       .operand_count = operand_count, .attrs = attrs.attrs,
                                       .attr_count = attrs.count, .result_count = result_count),
                        results) == QN_OK;
    if (!good) tool_fail(g->t);
  }
  for (uint32_t i = 0; good && i < result_count; i++) g->map[qn_node_get_result(g->from, node, i)] = results[i];
  if (good) *out_value = results[qn_value_get_result_index(g->from, value)];
  free(operands);
  return good;
}

bool verify_graft(tool *t, qn_graph *read, const qn_graph *recovered, qn_value **out_originals,
                  qn_value **out_copies, uint32_t *out_count) {
  uint32_t limit = qn_graph_get_node_limit(recovered), count = 0;
  graft g = {
    .t = t, .to = read, .from = recovered, .map = calloc(qn_graph_get_value_limit(recovered), sizeof(qn_value))
  };
  *out_originals = calloc(limit, sizeof(qn_value));
  *out_copies = calloc(limit, sizeof(qn_value));
  bool good = g.map && *out_originals && *out_copies;
  if (!good) tool_error("verify", "out of memory", NULL);
  for (qn_node node = qn_graph_get_first(recovered); good && node != QN_NONE;
       node = qn_node_get_next(recovered, node)) {
    if (qn_node_get_op(recovered, node) != QN_OP_attention) continue;
    qn_value value = qn_node_get_result(recovered, node, 0);
    qn_str name = qn_value_get_name(recovered, value);
    qn_value original = name.length ? qn_graph_find_value(read, name.text, name.length) : QN_NONE;
    if (original == QN_NONE) continue; // reported by the caller, which counts them
    (*out_originals)[count] = original;
    good = graft_value(&g, value, true, &(*out_copies)[count++]);
  }
  *out_count = count;
  free(g.map);
  return good;
}

void verify_want_operands(const qn_graph *graph, qn_node node, bool *wanted) {
  for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++)
    wanted[qn_node_get_operand(graph, node, i)] = true;
  wanted[QN_NONE] = false;
}

// --- running one -----------------------------------------------------------------------------------------

// What an attention is without quantization: the same attributes but these.
static bool is_of_output(const char *attr) {
  return strcmp(attr, "output") == 0 || strcmp(attr, "numerics") == 0 || strcmp(attr, "scores_mode") == 0;
}

static bool is_operand_of_output(uint32_t operand) {
  return operand == QN_ATTENTION_OUTPUT_SCALE || operand == QN_ATTENTION_OUTPUT_ZERO_POINT ||
         operand == QN_ATTENTION_PRE_SCALE || operand == QN_ATTENTION_SCALE_BOUND;
}

static void unfuse(attr_copy *attrs) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < attrs->count; i++)
    if (!is_of_output(attrs->attrs[i].name)) attrs->attrs[kept++] = attrs->attrs[i];
  attrs->count = kept;
}

// A graph of one attention, whose inputs have the types of the tensors; they are listed in `out_inputs`.
static qn_status build_alone(tool *t, const verify_alone *alone, qn_graph **out_graph,
                             qn_tensor out_inputs[QN_OP_OPERANDS_MAX], uint32_t *out_count) {
  qn_value operands[QN_OP_OPERANDS_MAX] = { QN_NONE }, results[QN_OP_RESULTS_MAX];
  uint32_t count = qn_node_get_operand_count(alone->graph, alone->node);
  bool scores = alone->scores_mode >= 0;
  attr_copy attrs;
  *out_count = 0;
  QN_TRY(qn_graph_create(t->context, "attention", out_graph));
  for (uint32_t i = 0; i < count; i++) {
    const qn_tensor *tensor = alone->operands[i];
    qn_dim dims[QN_RANK_MAX];
    if (!tensor || (alone->unfused && is_operand_of_output(i))) continue;
    for (int32_t d = 0; d < tensor->rank; d++) dims[d] = qn_dim_const(*out_graph, tensor->dims[d]);
    QN_TRY(qn_graph_add_input(*out_graph, NULL, qn_type_get(*out_graph, tensor->dtype, tensor->rank, dims),
                              &operands[i]));
    out_inputs[(*out_count)++] = *tensor;
  }
  copy_attrs(alone->graph, alone->node, &attrs);
  if (alone->unfused) unfuse(&attrs);
  if (scores) attrs.attrs[attrs.count++] = (qn_attr){ .name = "scores_mode", .i = alone->scores_mode };
  QN_TRY(qn_graph_add(*out_graph,
                      qn_node_params(.op = QN_OP_attention, .operands = operands, .operand_count = count,
                                     .attrs = attrs.attrs, .attr_count = attrs.count,
                                     .result_count = scores ? QN_ATTENTION_SCORES + 1 : 1),
                      results));
  QN_TRY(qn_graph_add_output(*out_graph, results[0], "out"));
  return scores ? qn_graph_add_output(*out_graph, results[QN_ATTENTION_SCORES], "scores") : QN_OK;
}

bool verify_run_alone(tool *t, const verify_alone *alone, qn_results **out_results) {
  qn_tensor inputs[QN_OP_OPERANDS_MAX];
  qn_graph *graph = NULL;
  uint32_t count;
  *out_results = NULL;
  qn_status status = build_alone(t, alone, &graph, inputs, &count);
  if (status == QN_OK)
    status = qn_reference_run(
        graph, qn_reference_params(.inputs = inputs, .input_count = count, .mode = QN_REFERENCE_F64),
        out_results);
  if (status != QN_OK) tool_fail(t);
  qn_graph_destroy(graph);
  return status == QN_OK;
}

void verify_get_operands(const verify_run *run, qn_node node,
                         const qn_tensor *out_operands[QN_OP_OPERANDS_MAX]) {
  for (uint32_t i = 0; i < QN_OP_OPERANDS_MAX; i++) {
    qn_value value = qn_node_get_operand(run->graph, node, i); // none beyond the count
    out_operands[i] = value == QN_NONE ? NULL : &run->values[value];
  }
}
