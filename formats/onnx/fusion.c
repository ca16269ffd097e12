// Which piece of the file one fused attention stands for.
//
// Passes keep the names of the values that they replace, so the fused node's surroundings lead back to tensors
// of the file: its inputs and outputs there. The piece is every node on a way from those inputs to those
// outputs, and what serves nothing but these nodes (the shapes that a reshape was told, for one).
#include "formats/onnx/export_priv.h"

enum { BACKWARD = 1, INSIDE = 2 }; // of items
enum { TERMINAL = 1, SEEN = 2 };   // of tensors
enum { CHAIN_MAX = 64 };           // nodes that passes put between the fused node and a tensor of the file

static qn_status fail(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion, const char *what, const char *name) {
  qn_str label = qn_node_get_name(ex->graph, fusion->attention);
  return qn_fail(
      ex->context, QN_UNSUPPORTED, ex->model->place, "the fused attention '%s' cannot be written back: %s '%s'",
      label.length ? label.text
                   : qn_value_get_name(ex->graph, qn_node_get_result(ex->graph, fusion->attention, 0)).text,
      what, name);
}

static const char *name_of(const qn_onnx_exporter *ex, qn_onnx_tensor tensor) {
  return ex->model->names.entries[tensor].text;
}

// --- the ends ----------------------------------------------------------------------------------------------

// The tensors of the file that `value` is computed from by nodes that passes made.
static qn_status find_inputs(qn_onnx_exporter *ex, qn_onnx_fusion *fusion, uint32_t slot, qn_value value,
                             uint32_t depth) {
  if (value == QN_NONE) return QN_OK;
  qn_onnx_tensor tensor = qn_onnx_tensor_of(ex, value);
  if (tensor != UINT32_MAX) {
    if (ex->tensor_marks[tensor] & TERMINAL) return QN_OK;
    ex->tensor_marks[tensor] |= TERMINAL;
    QN_TRY(qn_onnx_list_add(ex, &fusion->input_slots, slot));
    return qn_onnx_list_add(ex, &fusion->inputs, tensor);
  }
  qn_node node = qn_value_get_node(ex->graph, value);
  if (depth == CHAIN_MAX)
    return fail(ex, fusion, "too long a way to the file from",
                qn_op_get_info(qn_node_get_op(ex->graph, node))->name);
  for (uint32_t i = 0; i < qn_node_get_operand_count(ex->graph, node); i++)
    QN_TRY(find_inputs(ex, fusion, slot, qn_node_get_operand(ex->graph, node, i), depth + 1));
  return QN_OK;
}

// The tensors of the file that are computed from `value` by nodes that passes made, and those nodes' other
// inputs.
static qn_status find_outputs(qn_onnx_exporter *ex, qn_onnx_fusion *fusion, uint32_t slot, qn_value value,
                              uint32_t depth) {
  qn_onnx_tensor tensor = qn_onnx_tensor_of(ex, value);
  if (tensor != UINT32_MAX) {
    if (qn_onnx_list_has(&fusion->outputs, tensor)) return QN_OK;
    QN_TRY(qn_onnx_list_add(ex, &fusion->output_slots, slot));
    return qn_onnx_list_add(ex, &fusion->outputs, tensor);
  }
  for (qn_use use = qn_value_get_first_use(ex->graph, value); use; use = qn_use_get_next(ex->graph, use)) {
    qn_node user = qn_use_get_user(ex->graph, use);
    if (depth == CHAIN_MAX)
      return fail(ex, fusion, "too long a way to the file from",
                  qn_op_get_info(qn_node_get_op(ex->graph, user))->name);
    for (uint32_t i = 0; i < qn_node_get_operand_count(ex->graph, user); i++) {
      qn_value other = qn_node_get_operand(ex->graph, user, i);
      if (other != value) QN_TRY(find_inputs(ex, fusion, UINT32_MAX, other, depth + 1));
    }
    for (uint32_t i = 0; i < qn_node_get_result_count(ex->graph, user); i++)
      QN_TRY(find_outputs(ex, fusion, slot, qn_node_get_result(ex->graph, user, i), depth + 1));
  }
  return QN_OK;
}

// --- the piece ---------------------------------------------------------------------------------------------

static qn_onnx_tensor result_of(const qn_onnx_exporter *ex, const pb_node *node, size_t index) {
  const char *text = node->output[index];
  const qn_onnx_name *name = *text ? qn_onnx_names_find(&ex->model->names, text, strlen(text)) : NULL;
  return name ? (uint32_t)(name - ex->model->names.entries) : UINT32_MAX;
}

static qn_status push_maker(qn_onnx_exporter *ex, qn_onnx_tensor tensor) {
  const qn_onnx_name *name = &ex->model->names.entries[tensor];
  if (name->maker != QN_ONNX_ITEM || (ex->tensor_marks[tensor] & TERMINAL) || ex->item_marks[name->item])
    return QN_OK;
  ex->item_marks[name->item] = BACKWARD;
  return qn_onnx_list_add(ex, &ex->stack, name->item);
}

// Everything that the outputs need, back to the inputs.
static qn_status mark_backward(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion) {
  ex->stack.count = 0;
  for (uint32_t i = 0; i < fusion->outputs.count; i++) QN_TRY(push_maker(ex, fusion->outputs.at[i]));
  while (ex->stack.count) {
    uint32_t item = ex->stack.at[--ex->stack.count];
    for (uint32_t r = ex->read_start[item]; r < ex->read_start[item + 1]; r++)
      QN_TRY(push_maker(ex, ex->reads.at[r]));
  }
  return QN_OK;
}

// Of those, what depends on an input.
static void mark_inside(qn_onnx_exporter *ex) {
  for (uint32_t item = 0; item < ex->model->item_count; item++) {
    if (!ex->item_marks[item]) continue;
    for (uint32_t r = ex->read_start[item]; r < ex->read_start[item + 1]; r++) {
      qn_onnx_tensor tensor = ex->reads.at[r];
      const qn_onnx_name *name = &ex->model->names.entries[tensor];
      bool inside = name->maker == QN_ONNX_ITEM && (ex->item_marks[name->item] & INSIDE);
      if (inside || (ex->tensor_marks[tensor] & TERMINAL)) ex->item_marks[item] |= INSIDE;
    }
  }
}

static bool serves_inside_only(const qn_onnx_exporter *ex, const pb_node *node) {
  for (size_t o = 0; o < node->n_output; o++) {
    qn_onnx_tensor tensor = result_of(ex, node, o);
    if (tensor == UINT32_MAX) continue;
    if (ex->is_output[tensor] || (ex->tensor_marks[tensor] & TERMINAL)) return false;
    for (uint32_t u = ex->user_start[tensor]; u < ex->user_start[tensor + 1]; u++) {
      if (!(ex->item_marks[ex->users[u]] & INSIDE)) return false;
    }
  }
  return true;
}

// Whether a node may stand in a function instead of, or beside, the main graph.
static bool is_pure(const qn_onnx_exporter *ex, const pb_node *node) {
  if (qn_onnx_find_function(ex->model, node)) return false;
  for (size_t a = 0; a < node->n_attribute; a++) { // names in subgraphs are not followed into a function
    if (node->attribute[a]->g || node->attribute[a]->n_graphs) return false;
  }
  const char *domain = qn_onnx_domain(node->domain);
  return qn_onnx_op_is_pure(node) || (*domain && qn_onnx_op_find(domain, qn_onnx_text(node->op_type), 1));
}

// Constants are copied wherever they are read; other helpers move in if nothing else needs them.
static void mark_helpers(qn_onnx_exporter *ex) {
  for (uint32_t item = ex->model->item_count; item-- > 0;) {
    const pb_node *node = ex->model->items[item].node;
    if (ex->item_marks[item] != BACKWARD || !is_pure(ex, node)) continue;
    if (qn_onnx_same(node->op_type, "Constant") || serves_inside_only(ex, node)) ex->item_marks[item] |= INSIDE;
  }
}

// A constant that none of the nodes inside reads came along from further up: it stays where it is.
static bool is_read_inside(const qn_onnx_exporter *ex, const pb_node *node) {
  for (size_t o = 0; o < node->n_output; o++) {
    qn_onnx_tensor tensor = result_of(ex, node, o);
    for (uint32_t u = tensor == UINT32_MAX ? 0 : ex->user_start[tensor];
         tensor != UINT32_MAX && u < ex->user_start[tensor + 1]; u++) {
      if (ex->item_marks[ex->users[u]] & INSIDE) return true;
    }
  }
  return false;
}

static qn_status collect(qn_onnx_exporter *ex, qn_onnx_fusion *fusion) {
  const qn_onnx_model *model = ex->model;
  for (uint32_t item = 0; item < model->item_count; item++) {
    if (!(ex->item_marks[item] & INSIDE)) continue;
    const pb_node *node = model->items[item].node;
    if (qn_onnx_same(node->op_type, "Constant") && !is_read_inside(ex, node)) {
      ex->item_marks[item] = 0;
      continue;
    }
    if (!is_pure(ex, node))
      return fail(ex, fusion, "among the nodes that it replaces is one with effects,",
                  qn_onnx_text(node->op_type));
    for (size_t o = 0; o < node->n_output; o++) {
      qn_onnx_tensor tensor = result_of(ex, node, o);
      if (tensor != UINT32_MAX && (ex->tensor_marks[tensor] & TERMINAL))
        return fail(ex, fusion, "the nodes that it replaces make its own input", name_of(ex, tensor));
    }
    QN_TRY(qn_onnx_list_add(ex, &fusion->body, item));
  }
  for (uint32_t i = 0; i < fusion->outputs.count; i++) {
    const qn_onnx_name *name = &model->names.entries[fusion->outputs.at[i]];
    if (name->maker != QN_ONNX_ITEM || !(ex->item_marks[name->item] & INSIDE))
      return fail(ex, fusion, "nothing leads from its inputs to", name->text);
  }
  // What the body reads besides: initializers, shapes that others need too.
  for (uint32_t i = 0; i < fusion->inputs.count; i++) ex->tensor_marks[fusion->inputs.at[i]] |= SEEN;
  for (uint32_t b = 0; b < fusion->body.count; b++) {
    uint32_t item = fusion->body.at[b];
    for (uint32_t r = ex->read_start[item]; r < ex->read_start[item + 1]; r++) {
      qn_onnx_tensor tensor = ex->reads.at[r];
      const qn_onnx_name *name = &model->names.entries[tensor];
      if ((ex->tensor_marks[tensor] & SEEN) ||
          (name->maker == QN_ONNX_ITEM && (ex->item_marks[name->item] & INSIDE)))
        continue;
      ex->tensor_marks[tensor] |= SEEN;
      QN_TRY(qn_onnx_list_add(ex, &fusion->input_slots, UINT32_MAX));
      QN_TRY(qn_onnx_list_add(ex, &fusion->inputs, tensor));
    }
  }
  return QN_OK;
}

qn_status qn_onnx_find_fusion(qn_onnx_exporter *ex, qn_onnx_fusion *fusion) {
  memset(ex->item_marks, 0, ex->model->item_count);
  memset(ex->tensor_marks, 0, ex->model->names.count);
  qn_node node = fusion->attention;
  for (uint32_t i = 0; i < qn_node_get_operand_count(ex->graph, node); i++)
    QN_TRY(find_inputs(ex, fusion, i, qn_node_get_operand(ex->graph, node, i), 0));
  for (uint32_t i = 0; i < qn_node_get_result_count(ex->graph, node); i++) {
    qn_value result = qn_node_get_result(ex->graph, node, i);
    if (i == 0 || qn_value_get_first_use(ex->graph, result) || qn_value_is_output(ex->graph, result))
      QN_TRY(find_outputs(ex, fusion, i, result, 0));
  }
  if (!fusion->outputs.count)
    return fail(ex, fusion, "its result has no name of the file; its operation is", "attention");
  QN_TRY(mark_backward(ex, fusion));
  mark_inside(ex);
  mark_helpers(ex);
  return collect(ex, fusion);
}
