// The graph as a Graphviz drawing: layers as clusters, repeated layers drawn once with their count.
//
// A layer is what the layer names of its nodes say: `model.layers.3.self_attn` is part of `model.layers.3`. A
// node without a layer name is part of the layer that its first operand comes from. Two layers repeat each
// other if their nodes, in order, have the same operations, attributes and types and take the same operands
// from within the layer; the first is drawn, the others are counted in its title. Constants are part of the
// labels of their users.
#include "ir/element_priv.h"
#include "ir/graph_priv.h"
#include "ir/lex_priv.h"
#include "ir/text_priv.h"

#include <inttypes.h>
#include <xxhash.h>

enum { NODE_LIMIT = 400, LABEL_MAX = 48, CONST_MAX = 4 };

typedef struct group {
  qn_str name;      // empty: nodes of no layer
  uint64_t hash;    // of what makes one layer repeat another
  uint32_t members; // nodes so far
  uint32_t drawn;   // the group that is drawn for this one: itself, or an earlier one
  uint32_t last;    // the last group that this one is drawn for
  uint32_t repeats; // how many groups this one is drawn for, itself too
} group;

typedef struct dot_writer {
  const qn_graph *graph;
  qn_buf buf;
  group *groups; // in order of first appearance; the first is that of no layer
  uint32_t group_count, group_capacity;
  uint32_t *group_of; // by node
  uint32_t *place;    // by node: among the members of its group
  uint32_t *members;  // nodes sorted by group, each group in order of execution
  uint32_t *first;    // by group: its first in `members`
  bool *shown;        // by node
  bool expand;
  uint32_t limit, hidden;
} dot_writer;

static void put(dot_writer *w, const char *text) {
  qn_buf_append(&w->buf, text, strlen(text));
}

// --- groups ----------------------------------------------------------------------------------------------

// A layer name up to its first number, or whole if it has none.
static size_t layer_length(qn_str layer) {
  for (size_t i = 0; i < layer.length; i++) {
    bool starts = i == 0 || layer.text[i - 1] == '.' || layer.text[i - 1] == '/';
    size_t end = i;
    while (starts && end < layer.length && layer.text[end] >= '0' && layer.text[end] <= '9') end++;
    if (end > i && (end == layer.length || layer.text[end] == '.' || layer.text[end] == '/')) return end;
  }
  return layer.length;
}

// Finds a key in a table of a power of two of slots, more than there are keys, or puts it there with `value`.
typedef struct slot {
  uint64_t key;
  uint32_t value; // plus 1; 0: empty
} slot;

static uint32_t find_or_put(slot *slots, uint32_t mask, uint64_t key, uint32_t value) {
  uint32_t i = (uint32_t)key & mask;
  while (slots[i].value && slots[i].key != key) i = (i + 1) & mask;
  if (!slots[i].value) slots[i] = (slot){ .key = key, .value = value + 1 };
  return slots[i].value - 1;
}

static uint32_t table_size(uint32_t keys) {
  uint32_t size = 16;
  while (size < 2ull * keys && size < 1u << 31) size *= 2;
  return size;
}

static bool is_drawn_inline(const qn_graph *graph, qn_node node) {
  return qn_node_get_op(graph, node) == QN_OP_const;
}

static qn_status find_groups(dot_writer *w, slot *slots, uint32_t mask) {
  const qn_graph *graph = w->graph;
  QN_TRY(QN_RESERVE(graph->context, w->groups, w->group_capacity, 1));
  w->groups[w->group_count++] = (group){ .name = { .text = "" } };
  for (qn_node node = graph->first; node; node = graph->nodes.at[node].next) {
    qn_str layer = qn_node_get_layer(graph, node);
    qn_value operand = qn_node_get_operand(graph, node, 0);
    uint32_t at = operand ? w->group_of[graph->values.at[operand].node] : 0;
    if (layer.length) {
      layer.length = layer_length(layer);
      at = find_or_put(slots, mask, XXH3_64bits(layer.text, layer.length), w->group_count);
      if (at == w->group_count) {
        QN_TRY(QN_RESERVE(graph->context, w->groups, w->group_capacity, at + 1ull));
        w->groups[w->group_count++] = (group){ .name = layer, .drawn = at, .last = at, .repeats = 1 };
      }
    }
    w->group_of[node] = at;
    if (!is_drawn_inline(graph, node)) w->place[node] = w->groups[at].members++;
  }
  return QN_OK;
}

static void sort_members(dot_writer *w) {
  uint32_t total = 0;
  for (uint32_t i = 0; i < w->group_count; i++) {
    w->first[i] = total;
    total += w->groups[i].members;
  }
  for (qn_node node = w->graph->first; node; node = w->graph->nodes.at[node].next)
    if (!is_drawn_inline(w->graph, node)) w->members[w->first[w->group_of[node]] + w->place[node]] = node;
}

// --- repeats ---------------------------------------------------------------------------------------------

static uint64_t mix(uint64_t hash, uint64_t value) {
  return XXH3_64bits_withSeed(&value, sizeof value, hash);
}

static uint64_t hash_attr(uint64_t hash, const qn_node_attr *attr) {
  hash = mix(hash, attr->index);
  char scheme[QN_SCHEME_TEXT_MAX];
  switch ((qn_attr_kind)attr->kind) {
  case QN_ATTR_INTS: return XXH3_64bits_withSeed(attr->ints, attr->length * sizeof *attr->ints, hash);
  case QN_ATTR_STRING: return XXH3_64bits_withSeed(attr->string, attr->length, hash);
  case QN_ATTR_SCHEME:
    qn_scheme_format(attr->scheme, scheme);
    return XXH3_64bits_withSeed(scheme, strlen(scheme), hash);
  case QN_ATTR_TENSOR: return mix(hash, attr->tensor->tensor.dtype);
  default: return mix(hash, (uint64_t)attr->i);
  }
}

static uint64_t hash_node(const dot_writer *w, uint64_t hash, qn_node node) {
  const qn_graph *graph = w->graph;
  const qn_node_entry *entry = &graph->nodes.at[node];
  hash = mix(hash, (uint64_t)entry->op << 32 | entry->result_count);
  for (uint32_t i = 0; i < entry->attr_count; i++) hash = hash_attr(hash, &graph->attrs.at[entry->attrs + i]);
  for (uint32_t i = 0; i < entry->result_count; i++) hash = mix(hash, graph->values.at[entry->values + i].type);
  for (uint32_t i = 0; i < entry->operand_count; i++) {
    qn_value value = graph->uses.at[entry->uses + i].value;
    qn_node from = value ? graph->values.at[value].node : QN_NONE;
    bool inside = from && !is_drawn_inline(graph, from) && w->group_of[from] == w->group_of[node];
    hash = mix(hash, inside ? (uint64_t)w->place[from] << 1 | 1
                            : (uint64_t)(value ? graph->values.at[value].type : 0) << 1);
  }
  return hash;
}

// What a layer shares with those that may repeat it: its name without the number at its end.
static uint64_t hash_series(qn_str name) {
  size_t length = name.length;
  while (length > 0 && name.text[length - 1] >= '0' && name.text[length - 1] <= '9') length--;
  bool numbered = length == 0 || name.text[length - 1] == '.' || name.text[length - 1] == '/';
  return XXH3_64bits(name.text, numbered ? length : name.length);
}

static void find_repeats(dot_writer *w, slot *slots, uint32_t mask) {
  for (uint32_t i = 1; i < w->group_count && !w->expand; i++) {
    group *g = &w->groups[i];
    if (!g->members) continue;
    g->hash = hash_series(g->name);
    for (uint32_t k = 0; k < g->members; k++) g->hash = hash_node(w, g->hash, w->members[w->first[i] + k]);
    uint32_t same = find_or_put(slots, mask, g->hash, i);
    if (same == i || w->groups[same].members != g->members) continue;
    g->drawn = same;
    w->groups[same].last = i;
    w->groups[same].repeats++;
  }
}

static void choose_nodes(dot_writer *w) {
  uint32_t count = 0;
  for (qn_node node = w->graph->first; node; node = w->graph->nodes.at[node].next) {
    uint32_t at = w->group_of[node];
    if (is_drawn_inline(w->graph, node) || w->groups[at].drawn != at) continue;
    w->shown[node] = count < w->limit;
    count++;
  }
  w->hidden = count > w->limit ? count - w->limit : 0;
}

// The node that is drawn for a node.
static qn_node drawn_node(const dot_writer *w, qn_node node) {
  uint32_t drawn = w->groups[w->group_of[node]].drawn;
  return is_drawn_inline(w->graph, node) ? node : w->members[w->first[drawn] + w->place[node]];
}

// --- labels ----------------------------------------------------------------------------------------------

// Text within a label in Graphviz's HTML, on one line, cut to `limit` bytes.
static void put_html(dot_writer *w, const char *text, size_t length, size_t limit) {
  qn_buf plain = QN_BUF(w->graph->context);
  qn_buf_quoted(&plain, text, length);
  if (plain.status != QN_OK) w->buf.status = plain.status;
  size_t end = plain.length ? plain.length - 1 : 0; // the closing quote
  bool cut = end > limit + 1;
  if (cut) end = limit + 1;
  while (cut && ((unsigned char)plain.text[end] & 0xc0) == 0x80) end--; // not within a UTF-8 sequence
  for (size_t i = 1; i < end; i++) {
    bool escaped =
        plain.text[i] == '\\' && i + 1 < end && (plain.text[i + 1] == '"' || plain.text[i + 1] == '\\');
    switch (plain.text[i += escaped]) { // these two need no escape here
    case '<': put(w, "&lt;"); break;
    case '>': put(w, "&gt;"); break;
    case '&': put(w, "&amp;"); break;
    case '"': put(w, "&quot;"); break;
    default: qn_buf_append(&w->buf, plain.text + i, 1);
    }
  }
  if (cut) put(w, "..");
  qn_buf_free(&plain);
}

// One line of small print.
static void put_line(dot_writer *w, const char *color, const qn_buf *line) {
  if (!line->length) return;
  qn_buf_printf(&w->buf, "<br/><font point-size=\"9\" color=\"%s\">", color);
  put_html(w, line->text, line->length, LABEL_MAX);
  put(w, "</font>");
}

static void append_const(qn_buf *line, const qn_graph *graph, qn_value value) {
  const qn_tensor *tensor = qn_value_get_const(graph, value);
  uint64_t count = tensor ? qn_tensor_count(tensor) : 0;
  if (!tensor || !tensor->data || count > CONST_MAX || tensor->dtype == QN_STRING) {
    qn_writer writer = qn_buf_writer(line);
    qn_status status = qn_type_write(graph, qn_value_get_type(graph, value), &writer);
    if (line->status == QN_OK) line->status = status;
    return;
  }
  qn_buf_append(line, tensor->rank ? "{" : "", tensor->rank != 0);
  for (uint64_t i = 0; i < count; i++) {
    char text[QN_ELEMENT_TEXT_MAX];
    qn_element_format(tensor->dtype, qn_element_load(tensor->dtype, tensor->data, i), text);
    qn_buf_printf(line, "%s%s", i ? ", " : "", text);
  }
  qn_buf_append(line, tensor->rank ? "}" : "", tensor->rank != 0);
}

static void write_label(dot_writer *w, qn_node node) {
  const qn_graph *graph = w->graph;
  const qn_op_info *row = qn_op_get_info(qn_node_get_op(graph, node));
  qn_value result = qn_node_get_result(graph, node, 0);
  qn_str title = { .text = row->name, .length = strlen(row->name) };
  if (qn_node_get_op(graph, node) == QN_OP_input) title = qn_value_get_name(graph, result);
  if (qn_node_get_op(graph, node) == QN_OP_extern) title = qn_node_get_string(graph, node, "name");
  put(w, "<b>");
  put_html(w, title.text, title.length, LABEL_MAX);
  put(w, "</b>");
  qn_buf attrs = QN_BUF(graph->context), consts = QN_BUF(graph->context), type = QN_BUF(graph->context);
  if (qn_node_get_op(graph, node) != QN_OP_extern) qn_text_append_attrs(&attrs, graph, node);
  for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++) {
    qn_value operand = qn_node_get_operand(graph, node, i);
    if (!operand || !is_drawn_inline(graph, qn_value_get_node(graph, operand))) continue;
    const char *name = row->operands[QN_MIN(i, row->operand_count - 1u)];
    qn_buf_printf(&consts, "%s%.*s = ", consts.length ? ", " : "", (int)strcspn(name, "?*"), name);
    append_const(&consts, graph, operand);
  }
  qn_writer writer = qn_buf_writer(&type);
  qn_status status = result ? qn_type_write(graph, qn_value_get_type(graph, result), &writer) : QN_OK;
  put_line(w, "#5f6368", &attrs);
  put_line(w, "#5f6368", &consts);
  put_line(w, "#1a73e8", &type);
  if (status == QN_OK)
    status = attrs.status != QN_OK ? attrs.status : consts.status != QN_OK ? consts.status : type.status;
  if (w->buf.status == QN_OK) w->buf.status = status;
  qn_buf_free(&attrs);
  qn_buf_free(&consts);
  qn_buf_free(&type);
}

// --- drawing ---------------------------------------------------------------------------------------------

// clang-format off
static const char *style_of(qn_op op) {
  switch (op) {
  case QN_OP_attention:                                          return ", fillcolor=\"#fdd663\", color=\"#e37400\", penwidth=2";
  case QN_OP_quantize: case QN_OP_dequantize:                    return ", fillcolor=\"#a8dab5\", color=\"#188038\"";
  case QN_OP_matmul: case QN_OP_gemm: case QN_OP_conv:           return ", fillcolor=\"#aecbfa\", color=\"#1967d2\"";
  case QN_OP_softmax: case QN_OP_layer_norm: case QN_OP_rms_norm: return ", fillcolor=\"#e8daf9\", color=\"#8430ce\"";
  case QN_OP_input:                                              return ", shape=ellipse, style=filled, fillcolor=\"#e8eaed\"";
  case QN_OP_extern:                                             return ", fillcolor=\"#fad2cf\", color=\"#c5221f\", style=\"filled,dashed\"";
  default: break;
  }
  if (qn_op_get_info(op)->facts & (QN_FACT_VIEW | QN_FACT_LAYOUT)) return ", fillcolor=\"#f1f3f4\", color=\"#bdc1c6\"";
  return "";
}
// clang-format on

static void write_node(dot_writer *w, qn_node node, const char *indent) {
  qn_buf_printf(&w->buf, "%sn%u [label=<", indent, node);
  write_label(w, node);
  qn_buf_printf(&w->buf, ">%s];\n", style_of(qn_node_get_op(w->graph, node)));
}

static void write_group(dot_writer *w, uint32_t index) {
  const group *g = &w->groups[index];
  bool any = false;
  if (g->drawn != index) return;
  for (uint32_t i = 0; i < g->members; i++) {
    qn_node node = w->members[w->first[index] + i];
    if (!w->shown[node]) continue;
    if (index && !any) {
      qn_buf_printf(&w->buf, "  subgraph cluster_%u {\n    label=<<b>", index);
      put_html(w, g->name.text, g->name.length, LABEL_MAX);
      put(w, "</b>");
      if (g->repeats > 1) {
        qn_buf_printf(&w->buf, " and %u like it, the last <b>", g->repeats - 1);
        put_html(w, w->groups[g->last].name.text, w->groups[g->last].name.length, LABEL_MAX);
        put(w, "</b>");
      }
      put(w, ">;\n    style=\"rounded,filled\"; fillcolor=\"#fafbfc\"; color=\"#9aa0a6\"; "
             "fontname=\"Helvetica\"; fontsize=11; margin=14;\n");
    }
    any = true;
    write_node(w, node, index ? "    " : "  ");
  }
  if (index && any) put(w, "  }\n");
}

static void write_edges(dot_writer *w, qn_node node) {
  const qn_graph *graph = w->graph;
  for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++) {
    qn_value operand = qn_node_get_operand(graph, node, i);
    qn_node from = operand ? drawn_node(w, qn_value_get_node(graph, operand)) : QN_NONE;
    if (from && w->shown[from]) qn_buf_printf(&w->buf, "  n%u -> n%u;\n", from, node);
  }
}

static void write_outputs(dot_writer *w) {
  for (uint32_t i = 0; i < qn_graph_get_output_count(w->graph); i++) {
    qn_node from = drawn_node(w, qn_value_get_node(w->graph, qn_graph_get_output(w->graph, i)));
    if (!w->shown[from]) continue;
    qn_str name = qn_graph_get_output_name(w->graph, i);
    qn_buf_printf(&w->buf, "  out%u [label=<<b>", i);
    put_html(w, name.text, name.length, LABEL_MAX);
    qn_buf_printf(&w->buf, "</b>>, shape=ellipse, style=filled, fillcolor=\"#e8eaed\"];\n  n%u -> out%u;\n",
                  from, i);
  }
}

static void write_drawing(dot_writer *w) {
  qn_str name = qn_graph_get_name(w->graph);
  put(w, "digraph quench {\n");
  if (name.length) {
    put(w, "  label=<<b>");
    put_html(w, name.text, name.length, LABEL_MAX);
    put(w, "</b>>; labelloc=t;\n");
  }
  put(w, "  fontname=\"Helvetica\"; fontsize=13; nodesep=0.25; ranksep=0.3;\n"
         "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11, color=\"#9aa0a6\", "
         "fillcolor=white, margin=\"0.12,0.05\", height=0.3];\n"
         "  edge [color=\"#5f6368\", arrowsize=0.6];\n");
  for (uint32_t i = 0; i < w->group_count; i++) write_group(w, i);
  for (qn_node node = w->graph->first; node; node = w->graph->nodes.at[node].next)
    if (w->shown[node]) write_edges(w, node);
  write_outputs(w);
  if (w->hidden)
    qn_buf_printf(&w->buf,
                  "  more [label=\"%u more nodes are not drawn: the limit is %u\", shape=note, style=filled, "
                  "fillcolor=\"#fce8e6\"];\n",
                  w->hidden, w->limit);
  put(w, "}\n");
}

// --- the whole -------------------------------------------------------------------------------------------

static qn_status layout(dot_writer *w, slot *slots, uint32_t size) {
  QN_TRY(find_groups(w, slots, size - 1));
  w->first = qn_alloc(w->graph->context, w->group_count * sizeof *w->first);
  if (!w->first) return qn_fail_memory(w->graph->context);
  sort_members(w);
  memset(slots, 0, size * sizeof *slots);
  find_repeats(w, slots, size - 1);
  choose_nodes(w);
  write_drawing(w);
  return w->buf.status;
}

qn_status qn_graph_write_dot(const qn_graph *graph, const qn_dot_params *params, const qn_writer *writer) {
  qn_context *context = graph->context;
  dot_writer w = { .graph = graph, .buf = QN_BUF(context), .limit = NODE_LIMIT };
  if (params) w.expand = params->expand_repeats;
  if (params && params->node_limit) w.limit = params->node_limit;
  uint32_t nodes = graph->nodes.count, size = table_size(nodes);
  slot *slots = qn_alloc_zero(context, size * sizeof *slots);
  w.group_of = qn_alloc_zero(context, nodes * sizeof *w.group_of);
  w.place = qn_alloc_zero(context, nodes * sizeof *w.place);
  w.members = qn_alloc_zero(context, nodes * sizeof *w.members);
  w.shown = qn_alloc_zero(context, nodes * sizeof *w.shown);
  bool room = slots && w.group_of && w.place && w.members && w.shown;
  qn_status status = room ? layout(&w, slots, size) : qn_fail_memory(context);
  if (status == QN_OK) status = writer->write(writer->user, w.buf.text, w.buf.length);
  qn_free(context, slots, size * sizeof *slots);
  qn_free(context, w.group_of, nodes * sizeof *w.group_of);
  qn_free(context, w.place, nodes * sizeof *w.place);
  qn_free(context, w.members, nodes * sizeof *w.members);
  qn_free(context, w.shown, nodes * sizeof *w.shown);
  if (w.first) qn_free(context, w.first, w.group_count * sizeof *w.first);
  qn_free(context, w.groups, w.group_capacity * sizeof *w.groups);
  qn_buf_free(&w.buf);
  return status;
}
