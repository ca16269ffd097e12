// The main graph of the fused file: what no call replaces, and the calls, in an order that keeps makers before
// readers and is otherwise that of the file.
#include "formats/onnx/export_priv.h"

enum { NEEDED = 1, PROVIDED = 2, MADE = QN_ONNX_MADE }; // of tensors
enum { CONSUMED = 1, KEPT = 2 };                        // of items
enum { WAITING, OPEN, DONE };                           // of units

// One node to be written: an item, a call of the file with all the items that it was inlined to, or a fusion.
typedef struct unit {
  pb_node *node;
  uint32_t first, count;        // items
  const qn_onnx_fusion *fusion; // or NULL
  uint8_t state;
} unit;

typedef struct rewriter {
  qn_onnx_exporter *ex;
  unit *units;
  uint32_t unit_count;
  uint32_t *maker; // of each tensor: 1 + its unit
  pb_node **nodes;
  size_t node_count;
} rewriter;

static uint32_t tensor_at(const qn_onnx_exporter *ex, const char *text) {
  const qn_onnx_name *name = *text ? qn_onnx_names_find(&ex->model->names, text, strlen(text)) : NULL;
  return name ? (uint32_t)(name - ex->model->names.entries) : UINT32_MAX;
}

// Keeps what is no part of a body, and parts that something else still reads.
static void mark_kept(qn_onnx_exporter *ex) {
  const qn_onnx_model *model = ex->model;
  memset(ex->item_marks, 0, model->item_count);
  memset(ex->tensor_marks, 0, model->names.count);
  for (uint32_t t = 0; t < model->names.count; t++) ex->tensor_marks[t] = ex->is_output[t] ? NEEDED : 0;
  for (uint32_t f = 0; f < ex->fusion_count; f++) {
    const qn_onnx_fusion *fusion = &ex->fusions[f];
    for (uint32_t i = 0; i < fusion->inputs.count; i++) ex->tensor_marks[fusion->inputs.at[i]] |= NEEDED;
    for (uint32_t i = 0; i < fusion->outputs.count; i++) ex->tensor_marks[fusion->outputs.at[i]] |= PROVIDED;
    for (uint32_t i = 0; i < fusion->body.count; i++) ex->item_marks[fusion->body.at[i]] |= CONSUMED;
  }
  for (uint32_t item = model->item_count; item-- > 0;) {
    const pb_node *node = model->items[item].node;
    bool kept = !(ex->item_marks[item] & CONSUMED);
    for (size_t o = 0; o < node->n_output && !kept; o++) {
      uint32_t tensor = tensor_at(ex, node->output[o]);
      kept = tensor != UINT32_MAX && (ex->tensor_marks[tensor] & (NEEDED | PROVIDED)) == NEEDED;
    }
    if (!kept) continue;
    ex->item_marks[item] |= KEPT;
    for (uint32_t r = ex->read_start[item]; r < ex->read_start[item + 1]; r++)
      ex->tensor_marks[ex->reads.at[r]] |= NEEDED;
  }
}

// A node that stays although a call makes one of its outputs too: that output gets another name.
static qn_status rename_provided(qn_onnx_exporter *ex, pb_node **inout_node) {
  pb_node *copy = NULL;
  for (size_t o = 0; o < (*inout_node)->n_output; o++) {
    uint32_t tensor = tensor_at(ex, (*inout_node)->output[o]);
    if (tensor == UINT32_MAX || !(ex->tensor_marks[tensor] & PROVIDED)) continue;
    if (!copy) {
      copy = qn_onnx_alloc(ex->memory, sizeof *copy);
      if (!copy) return qn_fail_memory(ex->context);
      *copy = **inout_node;
      copy->output = qn_onnx_alloc(ex->memory, copy->n_output * sizeof *copy->output);
      if (!copy->output) return qn_fail_memory(ex->context);
      memcpy(copy->output, (*inout_node)->output, copy->n_output * sizeof *copy->output);
    }
    do {
      copy->output[o] = qn_onnx_printf(ex->memory, "%s.unfused", copy->output[o]);
      if (!copy->output[o]) return qn_fail_memory(ex->context);
    } while (qn_onnx_names_find(&ex->model->names, copy->output[o], strlen(copy->output[o])));
  }
  if (copy) *inout_node = copy;
  return QN_OK;
}

static void provide(rewriter *rw, uint32_t unit_index, const pb_node *node) {
  for (size_t o = 0; o < node->n_output; o++) {
    uint32_t tensor = tensor_at(rw->ex, node->output[o]);
    if (tensor == UINT32_MAX) continue;
    rw->maker[tensor] = unit_index + 1;
    rw->ex->tensor_marks[tensor] |= MADE;
  }
}

static void add_unit(rewriter *rw, unit u) {
  provide(rw, rw->unit_count, u.node);
  rw->units[rw->unit_count++] = u;
}

static qn_status list_units(rewriter *rw) {
  qn_onnx_exporter *ex = rw->ex;
  const qn_onnx_model *model = ex->model;
  for (uint32_t item = 0; item < model->item_count;) {
    const qn_onnx_item *it = &model->items[item];
    uint32_t count = 1;
    bool opened = false;
    for (; it->inlined && item + count < model->item_count && model->items[item + count].origin == it->origin;
         count++) {
    }
    for (uint32_t i = item; i < item + count; i++) opened = opened || (ex->item_marks[i] & CONSUMED);
    for (uint32_t i = item; i < item + count; i++) { // a call stands where its first output was made
      for (uint32_t f = 0; f < ex->fusion_count; f++) {
        if (model->names.entries[ex->fusions[f].outputs.at[0]].item == i)
          add_unit(rw, (unit){ .node = ex->fusions[f].call, .fusion = &ex->fusions[f] });
      }
      if (!(ex->item_marks[i] & KEPT) || (!opened && count > 1)) continue;
      pb_node *node = it->inlined && !opened ? model->proto->graph->node[it->origin] : model->items[i].node;
      QN_TRY(rename_provided(ex, &node));
      add_unit(rw, (unit){ .node = node, .first = i, .count = 1 });
    }
    if (!opened && count > 1)
      add_unit(rw, (unit){ .node = model->proto->graph->node[it->origin], .first = item, .count = count });
    item += count;
  }
  return QN_OK;
}

// The next unit that `u` waits for, or UINT32_MAX.
static uint32_t find_missing(const rewriter *rw, const unit *u) {
  const qn_onnx_exporter *ex = rw->ex;
  const uint32_t *reads = u->fusion ? u->fusion->inputs.at : ex->reads.at + ex->read_start[u->first];
  uint32_t count =
      u->fusion ? u->fusion->inputs.count : ex->read_start[u->first + u->count] - ex->read_start[u->first];
  for (uint32_t r = 0; r < count; r++) {
    uint32_t maker = rw->maker[reads[r]];
    if (maker && &rw->units[maker - 1] != u && rw->units[maker - 1].state != DONE) return maker - 1;
  }
  return UINT32_MAX;
}

static qn_status emit_units(rewriter *rw) {
  qn_onnx_exporter *ex = rw->ex;
  for (uint32_t i = 0; i < rw->unit_count; i++) {
    ex->stack.count = 0;
    if (rw->units[i].state != DONE) QN_TRY(qn_onnx_list_add(ex, &ex->stack, i));
    while (ex->stack.count) {
      unit *top = &rw->units[ex->stack.at[ex->stack.count - 1]];
      uint32_t missing = top->state == DONE ? UINT32_MAX : find_missing(rw, top);
      if (missing == UINT32_MAX) {
        if (top->state != DONE) rw->nodes[rw->node_count++] = top->node;
        top->state = DONE;
        ex->stack.count--;
      } else if (rw->units[missing].state == OPEN) {
        return qn_fail(ex->context, QN_UNSUPPORTED, ex->model->place,
                       "the fused nodes cannot be written back: '%s' would need its own output",
                       rw->units[missing].node->output[0]);
      } else {
        top->state = OPEN;
        QN_TRY(qn_onnx_list_add(ex, &ex->stack, missing));
      }
    }
  }
  return QN_OK;
}

qn_status qn_onnx_rewrite_nodes(qn_onnx_exporter *ex, pb_node ***out_nodes, size_t *out_count) {
  size_t most = (size_t)ex->model->item_count + ex->fusion_count;
  rewriter rw = { .ex = ex };
  size_t units_size = most * sizeof *rw.units,
         maker_size = ((size_t)ex->model->names.count + 1) * sizeof *rw.maker;
  rw.units = qn_alloc_zero(ex->context, units_size ? units_size : 1);
  rw.maker = qn_alloc_zero(ex->context, maker_size);
  rw.nodes = qn_onnx_alloc(ex->memory, most * sizeof *rw.nodes);
  qn_status status = rw.units && rw.maker && rw.nodes ? QN_OK : qn_fail_memory(ex->context);
  if (status == QN_OK) {
    mark_kept(ex);
    status = list_units(&rw);
  }
  if (status == QN_OK) status = emit_units(&rw);
  qn_free(ex->context, rw.units, units_size ? units_size : 1);
  qn_free(ex->context, rw.maker, maker_size);
  *out_nodes = rw.nodes;
  *out_count = rw.node_count;
  return status;
}
