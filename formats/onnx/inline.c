// The main graph as a flat list. A call of a function whose body hides attention or its quantize is replaced by
// the body, so that matching sees it; every other call stays one node.
#include "formats/onnx/onnx_priv.h"

enum { DEPTH_MAX = 32, INLINED_MAX = 1 << 17 };

typedef enum hiding { UNKNOWN, LOOKING, NOTHING, HIDES } hiding;

typedef struct inliner {
  qn_onnx_model *model;
  uint8_t *hiding;     // for each function of the model
  qn_onnx_names names; // every tensor name of the main graph, to keep inlined ones apart
  uint32_t inlined;
} inliner;

const pb_function *qn_onnx_find_function(const qn_onnx_model *model, const pb_node *node) {
  for (size_t i = 0; i < model->proto->n_functions; i++) {
    const pb_function *function = model->proto->functions[i];
    if (qn_onnx_same(function->name, node->op_type) && qn_onnx_same(function->overload, node->overload) &&
        strcmp(qn_onnx_domain(function->domain), qn_onnx_domain(node->domain)) == 0)
      return function;
  }
  return NULL;
}

static size_t index_of(const inliner *in, const pb_function *function) {
  size_t i = 0;
  while (in->model->proto->functions[i] != function) i++;
  return i;
}

static bool is_wanted(const pb_node *node) {
  static const char *const wanted[] = { "Attention", "Softmax", "QuantizeLinear" };
  for (size_t i = 0; i < QN_COUNT(wanted); i++) {
    if (qn_onnx_same(node->op_type, wanted[i])) return true;
  }
  return false;
}

static int64_t find_opset(pb_opset **opsets, size_t count, const char *domain) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(qn_onnx_domain(opsets[i]->domain), domain) == 0) return opsets[i]->version;
  }
  return 0;
}

// A body can stand in the main graph if it means the same there: equal operator sets, and no subgraphs, whose
// captured names would have to be renamed inside.
static bool can_inline(const inliner *in, const pb_function *function) {
  const pb_model *proto = in->model->proto;
  for (size_t i = 0; i < function->n_opset_import; i++) {
    const char *domain = qn_onnx_domain(function->opset_import[i]->domain);
    int64_t version = find_opset(proto->opset_import, proto->n_opset_import, domain);
    if (version && version != function->opset_import[i]->version) return false;
  }
  for (size_t n = 0; n < function->n_node; n++) {
    for (size_t a = 0; a < function->node[n]->n_attribute; a++) {
      if (function->node[n]->attribute[a]->g || function->node[n]->attribute[a]->n_graphs) return false;
    }
  }
  return true;
}

// Whether a body, or one that it calls, holds what matching looks for.
static qn_status find_hiding(inliner *in, const pb_function *function, uint32_t depth, bool *out_hides) {
  uint8_t *state = &in->hiding[index_of(in, function)];
  if (*state == LOOKING || depth > DEPTH_MAX)
    return qn_fail(in->model->context, *state == LOOKING ? QN_INVALID : QN_LIMIT, in->model->place,
                   "function '%s' %s", qn_onnx_text(function->name),
                   *state == LOOKING ? "calls itself" : "is called through too many others");
  if (*state == UNKNOWN) {
    *state = LOOKING;
    bool hides = false;
    for (size_t n = 0; n < function->n_node; n++) {
      const pb_function *called = qn_onnx_find_function(in->model, function->node[n]);
      bool inner = false;
      if (called) QN_TRY(find_hiding(in, called, depth + 1, &inner));
      hides = hides || inner || (!called && is_wanted(function->node[n]));
    }
    *state = hides && can_inline(in, function) ? HIDES : NOTHING;
  }
  *out_hides = *state == HIDES;
  return QN_OK;
}

static qn_status add_item(inliner *in, pb_node *node, uint32_t origin, bool inlined) {
  qn_onnx_model *model = in->model;
  QN_TRY(QN_RESERVE(model->context, model->items, model->item_capacity, (uint64_t)model->item_count + 1));
  model->items[model->item_count++] = (qn_onnx_item){ .node = node, .origin = origin, .inlined = inlined };
  return QN_OK;
}

// --- one call ----------------------------------------------------------------------------------------------

typedef struct call {
  inliner *in;
  const pb_function *function;
  const pb_node *node;
  const char *prefix;
  qn_onnx_names map; // body name -> index in `texts`
  char **texts;      // names in the main graph
  uint32_t text_count, text_capacity;
  uint32_t origin;
} call;

static qn_status map_name(call *c, const char *body, char *text) {
  qn_context *context = c->in->model->context;
  qn_onnx_name *name = qn_onnx_names_get(&c->map, context, body, strlen(body));
  if (!name || !text) return qn_fail_memory(context);
  QN_TRY(QN_RESERVE(context, c->texts, c->text_capacity, (uint64_t)c->text_count + 1));
  name->maker = QN_ONNX_ITEM;
  name->item = c->text_count;
  c->texts[c->text_count++] = text;
  return QN_OK;
}

// A name for the main graph that nothing there has.
static char *fresh_name(call *c, const char *body) {
  qn_onnx_memory *memory = &c->in->model->memory;
  char *text = qn_onnx_printf(memory, "%s/%s", c->prefix, body);
  // The count of inlined nodes grows from try to try and from call to call: few tries find a free name.
  for (uint32_t suffix = c->in->inlined; text && qn_onnx_names_find(&c->in->names, text, strlen(text));
       suffix++)
    text = qn_onnx_printf(memory, "%s/%s_%u", c->prefix, body, suffix);
  if (!text || !qn_onnx_names_get(&c->in->names, c->in->model->context, text, strlen(text))) return NULL;
  return text;
}

static qn_status rename_all(call *c, size_t count, char **names, char ***out_names) {
  char **texts = qn_onnx_alloc(&c->in->model->memory, count * sizeof *texts);
  if (!texts) return qn_fail_memory(c->in->model->context);
  for (size_t i = 0; i < count; i++) {
    const qn_onnx_name *name = *names[i] ? qn_onnx_names_find(&c->map, names[i], strlen(names[i])) : NULL;
    if (*names[i] && !name) {
      QN_TRY(map_name(c, names[i], fresh_name(c, names[i])));
      name = qn_onnx_names_find(&c->map, names[i], strlen(names[i]));
    }
    texts[i] = name ? c->texts[name->item] : names[i];
  }
  *out_names = texts;
  return QN_OK;
}

static const pb_attr *find_default(const pb_function *function, const char *name) {
  for (size_t i = 0; i < function->n_attribute_proto; i++) {
    if (qn_onnx_same(function->attribute_proto[i]->name, name)) return function->attribute_proto[i];
  }
  return NULL;
}

// Puts the call's attributes where the body refers to them. One that neither the call nor the function gives is
// left out, which is how ONNX makes an attribute optional.
static qn_status resolve_attrs(call *c, pb_node *node) {
  qn_onnx_memory *memory = &c->in->model->memory;
  pb_attr **attrs = qn_onnx_alloc(memory, node->n_attribute * sizeof *attrs);
  if (!attrs) return qn_fail_memory(c->in->model->context);
  size_t count = 0;
  for (size_t i = 0; i < node->n_attribute; i++) {
    const char *reference = node->attribute[i]->ref_attr_name;
    attrs[count] = node->attribute[i];
    if (reference && *reference) {
      const pb_attr *given = qn_onnx_find_attr(c->node, reference);
      if (!given) given = find_default(c->function, reference);
      if (!given) continue;
      attrs[count] = qn_onnx_alloc(memory, sizeof **attrs);
      if (!attrs[count]) return qn_fail_memory(c->in->model->context);
      *attrs[count] = *given;
      attrs[count]->name = node->attribute[i]->name;
    }
    count++;
  }
  node->attribute = attrs;
  node->n_attribute = count;
  return QN_OK;
}

static qn_status expand(inliner *in, pb_node *node, uint32_t origin, uint32_t depth);

static qn_status add_identity(call *c, char *from, char *to) {
  qn_onnx_memory *memory = &c->in->model->memory;
  pb_node *node = qn_onnx_alloc(memory, sizeof *node);
  char **names = qn_onnx_alloc(memory, 2 * sizeof *names);
  if (!node || !names) return qn_fail_memory(c->in->model->context);
  onnx__node_proto__init(node);
  names[0] = from;
  names[1] = to;
  node->op_type = (char *)(uintptr_t)"Identity"; // never written through
  node->n_input = node->n_output = 1;
  node->input = names;
  node->output = names + 1;
  return add_item(c->in, node, c->origin, true);
}

static qn_status add_body(call *c, uint32_t depth) {
  const pb_function *function = c->function;
  qn_onnx_model *model = c->in->model;
  char empty[] = "";
  char *none = qn_onnx_printf(&model->memory, "%s", empty);
  if (function->n_input < c->node->n_input || function->n_output < c->node->n_output)
    return qn_onnx_fail_node(model, QN_INVALID, c->node,
                             "a call with %zu inputs and %zu outputs of a function with %zu and %zu",
                             c->node->n_input, c->node->n_output, function->n_input, function->n_output);
  QN_TRY(qn_onnx_names_init(&c->map, model->context, (uint32_t)function->n_node));
  for (size_t i = 0; i < function->n_input; i++)
    QN_TRY(map_name(c, function->input[i], i < c->node->n_input ? c->node->input[i] : none));
  size_t inputs = c->text_count;
  (void)inputs; // read by an assert only
  for (size_t i = 0; i < c->node->n_output; i++) {
    if (*c->node->output[i] && !qn_onnx_names_find(&c->map, function->output[i], strlen(function->output[i])))
      QN_TRY(map_name(c, function->output[i], c->node->output[i]));
  }
  for (size_t n = 0; n < function->n_node; n++) {
    if (++c->in->inlined > INLINED_MAX)
      return qn_fail(model->context, QN_LIMIT, model->place, "inlining functions makes more than %d nodes",
                     INLINED_MAX);
    pb_node *copy = qn_onnx_alloc(&model->memory, sizeof *copy);
    if (!copy) return qn_fail_memory(model->context);
    *copy = *function->node[n];
    QN_TRY(rename_all(c, copy->n_input, copy->input, &copy->input));
    QN_TRY(rename_all(c, copy->n_output, copy->output, &copy->output));
    QN_TRY(resolve_attrs(c, copy));
    copy->name = qn_onnx_printf(&model->memory, "%s/%s", c->prefix,
                                copy->name && *copy->name ? copy->name : copy->op_type);
    if (!copy->name) return qn_fail_memory(model->context);
    QN_TRY(expand(c->in, copy, c->origin, depth));
  }
  // An output that is an input, or the same value as an earlier output, needs a node of its own.
  for (size_t i = 0; i < c->node->n_output; i++) {
    const qn_onnx_name *name = qn_onnx_names_find(&c->map, function->output[i], strlen(function->output[i]));
    if (!*c->node->output[i] || !name || c->texts[name->item] == c->node->output[i]) continue;
    assert(name->item < inputs || i > 0);
    QN_TRY(add_identity(c, c->texts[name->item], c->node->output[i]));
  }
  return QN_OK;
}

static qn_status expand(inliner *in, pb_node *node, uint32_t origin, uint32_t depth) {
  const pb_function *function = in->hiding ? qn_onnx_find_function(in->model, node) : NULL;
  bool hides = false;
  if (function) QN_TRY(find_hiding(in, function, depth, &hides));
  if (!hides) return add_item(in, node, origin, depth > 0);
  call c = { .in = in, .function = function, .node = node, .origin = origin };
  c.prefix = node->name && *node->name ? node->name : node->n_output ? node->output[0] : node->op_type;
  qn_status status = add_body(&c, depth + 1);
  qn_onnx_names_free(&c.map, in->model->context);
  qn_free(in->model->context, c.texts, c.text_capacity * sizeof *c.texts);
  return status;
}

// Every name that an inlined one must not take.
static qn_status collect_names(inliner *in) {
  const pb_graph *graph = in->model->proto->graph;
  qn_context *context = in->model->context;
  QN_TRY(qn_onnx_names_init(&in->names, context, (uint32_t)QN_MIN(graph->n_node, 1u << 28)));
#define TAKE(list, member)                                                                                     \
  for (size_t i = 0; i < graph->n_##list; i++) {                                                               \
    const char *text = qn_onnx_text(graph->list[i]->member);                                                   \
    if (!qn_onnx_names_get(&in->names, context, text, strlen(text))) return qn_fail_memory(context);           \
  }
  TAKE(input, name)
  TAKE(initializer, name)
  TAKE(value_info, name)
#undef TAKE
  for (size_t n = 0; n < graph->n_node; n++) {
    for (size_t o = 0; o < graph->node[n]->n_output; o++) {
      const char *text = graph->node[n]->output[o];
      if (!qn_onnx_names_get(&in->names, context, text, strlen(text))) return qn_fail_memory(context);
    }
  }
  return QN_OK;
}

static qn_status list_items(inliner *in) {
  pb_model *proto = in->model->proto;
  if (proto->graph->n_node > UINT32_MAX / 4)
    return qn_fail(in->model->context, QN_LIMIT, in->model->place, "%zu nodes", proto->graph->n_node);
  if (proto->n_functions) {
    in->hiding = qn_alloc_zero(in->model->context, proto->n_functions);
    if (!in->hiding) return qn_fail_memory(in->model->context);
    QN_TRY(collect_names(in));
  }
  for (size_t i = 0; i < proto->graph->n_node; i++) QN_TRY(expand(in, proto->graph->node[i], (uint32_t)i, 0));
  return QN_OK;
}

qn_status qn_onnx_list_items(qn_onnx_model *model) {
  inliner in = { .model = model };
  qn_status status = list_items(&in);
  qn_free(model->context, in.hiding, model->proto->n_functions);
  qn_onnx_names_free(&in.names, model->context);
  return status;
}
