// A dump of oneDNN Graph as a graph: logical tensors by their ids, operations in the order of the file.
#include "formats/onednn/onednn_priv.h"

#include <inttypes.h>
#include <quench/onednn.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPS_MAX = 1000000, NAME_MAX_LENGTH = 32 };

typedef struct reader {
  qn_context *context;
  qn_graph *graph;
  const char *place;
  qn_arena memory;
} reader;

// --- attributes ------------------------------------------------------------------------------------------

// The value of an attribute `{"type": .., "value": ..}`, or NULL.
static json_t *find_attr(const qn_onednn_op *op, const char *name) {
  return json_object_get(json_object_get(json_object_get(op->json, "attrs"), name), "value");
}

int64_t qn_onednn_get_int(const qn_onednn_op *op, const char *name, int64_t otherwise) {
  const json_t *value = find_attr(op, name);
  return json_is_integer(value) ? json_integer_value(value) : otherwise;
}
double qn_onednn_get_float(const qn_onednn_op *op, const char *name, double otherwise) {
  const json_t *value = find_attr(op, name);
  return json_is_number(value) ? json_number_value(value) : otherwise;
}
// Dumps write a boolean as true or as 1.
bool qn_onednn_get_bool(const qn_onednn_op *op, const char *name, bool otherwise) {
  const json_t *value = find_attr(op, name);
  if (json_is_boolean(value)) return json_is_true(value);
  return json_is_integer(value) ? json_integer_value(value) != 0 : otherwise;
}
const char *qn_onednn_get_text(const qn_onednn_op *op, const char *name, const char *otherwise) {
  const json_t *value = find_attr(op, name);
  return json_is_string(value) ? json_string_value(value) : otherwise;
}
const json_t *qn_onednn_get_list(const qn_onednn_op *op, const char *name) {
  json_t *value = find_attr(op, name);
  return json_is_array(value) ? value : NULL;
}

bool qn_onednn_get_ints(const qn_onednn_op *op, const char *name, int64_t *out_ints, size_t *out_count) {
  const json_t *list = qn_onednn_get_list(op, name);
  *out_count = list ? json_array_size(list) : 0;
  if (!list || *out_count > QN_RANK_MAX) return false;
  for (size_t i = 0; i < *out_count; i++) {
    const json_t *item = json_array_get(list, i);
    if (!json_is_integer(item)) return false;
    out_ints[i] = json_integer_value(item);
  }
  return true;
}

// Whether every attribute is one of the words of `known`.
static bool knows_attrs(const qn_onednn_op *op, const char *known) {
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(op->json, "attrs"), name, value) {
    size_t length = strlen(name);
    const char *word = known;
    while (*word && !(strncmp(word, name, length) == 0 && (word[length] == ' ' || word[length] == '\0'))) {
      word += strcspn(word, " ");
      word += *word == ' ';
    }
    if (!*word) return false;
  }
  return true;
}

// --- logical tensors -------------------------------------------------------------------------------------

static qn_dtype dtype_of(const json_t *tensor) {
  static const struct {
    const char *name;
    qn_dtype dtype;
  } names[] = { { "f32", QN_F32 },     { "f16", QN_F16 },      { "bf16", QN_BF16 }, { "s8", QN_S8 },
                { "u8", QN_U8 },       { "s4", QN_S4 },        { "u4", QN_U4 },     { "s32", QN_S32 },
                { "s64", QN_S64 },     { "boolean", QN_BOOL }, { "f64", QN_F64 },   { "f8_e4m3", QN_E4M3 },
                { "f8_e5m2", QN_E5M2 } };
  const char *text = json_string_value(json_object_get(tensor, "dtype"));
  for (size_t i = 0; text && i < QN_COUNT(names); i++)
    if (strcmp(names[i].name, text) == 0) return names[i].dtype;
  return QN_ANY;
}

// A negative dim is one that is not known. An empty shape is a scalar where the layout is said.
static qn_type type_of(const reader *r, const json_t *tensor) {
  const json_t *shape = json_object_get(tensor, "shape");
  const char *layout = json_string_value(json_object_get(tensor, "layout_type"));
  size_t rank = json_array_size(shape);
  qn_dim dims[QN_RANK_MAX];
  bool known =
      json_is_array(shape) && rank <= QN_RANK_MAX && (rank > 0 || !layout || strcmp(layout, "undef") != 0);
  if (!known) return qn_type_get(r->graph, dtype_of(tensor), QN_RANK_UNKNOWN, NULL);
  for (size_t d = 0; d < rank; d++) {
    const json_t *dim = json_array_get(shape, d);
    bool given = json_is_integer(dim) && json_integer_value(dim) >= 0;
    dims[d] = given ? qn_dim_const(r->graph, json_integer_value(dim)) : qn_dim_fresh(r->graph);
  }
  return qn_type_get(r->graph, dtype_of(tensor), (int32_t)rank, dims);
}

static bool read_id(const json_t *object, uint64_t *out_id) {
  const json_t *id = json_object_get(object, "id");
  if (!json_is_integer(id) || json_integer_value(id) < 0) return false;
  *out_id = (uint64_t)json_integer_value(id);
  return true;
}

// The value of a logical tensor; one that nothing has made is an input of the graph.
static qn_status find_tensor(const reader *r, const json_t *tensor, const char *place, qn_value *out_value) {
  char name[NAME_MAX_LENGTH];
  uint64_t id;
  if (!read_id(tensor, &id)) return qn_fail(r->context, QN_INVALID, place, "a logical tensor without an id");
  int length = snprintf(name, sizeof name, "t%" PRIu64, id);
  *out_value = qn_graph_find_value(r->graph, name, (size_t)length);
  if (*out_value) return QN_OK;
  return qn_graph_add_input(r->graph, name, type_of(r, tensor), out_value);
}

// --- nodes beside an operation ---------------------------------------------------------------------------

static qn_status add_beside(qn_onednn_op *op, const char *suffix, qn_node_params params, qn_value *out_value) {
  char text[2 * NAME_MAX_LENGTH];
  const char *name = text;
  snprintf(text, sizeof text, "%s.%s", op->result, suffix);
  params.names = &name;
  params.name = op->name;
  params.id = op->id + 1;
  qn_status status = qn_graph_add(op->graph, &params, out_value);
  return status == QN_OK ? QN_OK : qn_fail_within(op->context, status, "%s", op->place);
}

qn_status qn_onednn_add_const(qn_onednn_op *op, const char *suffix, qn_dtype dtype, int32_t rank,
                              int64_t length, const void *data, uint64_t bytes, qn_value *out_value) {
  const qn_tensor tensor = { .dtype = dtype, .rank = rank, .dims = { length }, .data = data, .bytes = bytes };
  const qn_attr value = { .name = "value", .tensor = &tensor };
  return add_beside(op, suffix, (qn_node_params){ .op = QN_OP_const, .attrs = &value, .attr_count = 1 },
                    out_value);
}

qn_status qn_onednn_add_node(qn_onednn_op *op, const char *suffix, qn_op kind, const qn_value *operands,
                             uint32_t operand_count, const qn_attr *attr, qn_value *out_value) {
  return add_beside(op, suffix,
                    (qn_node_params){ .op = kind,
                                      .operands = operands,
                                      .operand_count = operand_count,
                                      .attrs = attr,
                                      .attr_count = attr != NULL },
                    out_value);
}

qn_type_info qn_onednn_operand_type(const qn_onednn_op *op, uint32_t index) {
  qn_value value = index < op->operand_count || op->operands[index] ? op->operands[index] : QN_NONE;
  return qn_type_get_info(op->graph, value ? qn_value_get_type(op->graph, value) : 0);
}

// --- operations ------------------------------------------------------------------------------------------

// One that the table does not know: its attributes as they stand in the file.
static qn_status add_extern(qn_onednn_op *op, const qn_value *operands, uint32_t operand_count,
                            uint32_t result_count, const qn_type *types, const char *const *names) {
  json_t *given = json_object_get(op->json, "attrs");
  char *raw = given ? json_dumps(given, JSON_COMPACT | JSON_SORT_KEYS) : NULL, name[128];
  snprintf(name, sizeof name, "onednn::%.100s", op->kind);
  const qn_attr attrs[] = { { .name = "name", .text = name },
                            { .name = "pure", .i = 1 },
                            { .name = "raw", .text = raw ? raw : "" } };
  qn_status status = qn_graph_add(
      op->graph,
      qn_node_params(.op = QN_OP_extern, .operands = operands, .operand_count = operand_count, .attrs = attrs,
                     .attr_count = raw ? QN_COUNT(attrs) : QN_COUNT(attrs) - 1, .result_count = result_count,
                     .types = types, .names = names, .name = op->name, .id = op->id + 1),
      NULL);
  free(raw);
  return status == QN_OK ? QN_OK : qn_fail_within(op->context, status, "%s", op->place);
}

static qn_status add_known(qn_onednn_op *op, const qn_onednn_row *row, bool *out_read) {
  qn_onednn_op draft = *op;
  draft.op = row->op;
  *out_read = true;
  if (row->special) QN_TRY(row->special(&draft, out_read));
  if (!*out_read) return QN_OK;
  qn_status status = qn_graph_add(
      op->graph,
      qn_node_params(.op = draft.op, .operands = draft.operands, .operand_count = draft.operand_count,
                     .attrs = draft.attrs, .attr_count = draft.attr_count, .result_count = 1,
                     .types = &draft.type, .names = &draft.result, .name = draft.name, .id = draft.id + 1),
      NULL);
  return status == QN_OK ? QN_OK : qn_fail_within(op->context, status, "%s", op->place);
}

// The results of an operation: their types and names, in the arena.
static qn_status read_results(reader *r, const qn_onednn_op *op, const json_t *outputs, qn_type *types,
                              const char **names) {
  size_t i;
  json_t *tensor;
  json_array_foreach(outputs, i, tensor) {
    char name[NAME_MAX_LENGTH];
    uint64_t id;
    if (!read_id(tensor, &id))
      return qn_fail(r->context, QN_INVALID, op->place, "a logical tensor without an id");
    int length = snprintf(name, sizeof name, "t%" PRIu64, id);
    if (qn_graph_find_value(r->graph, name, (size_t)length))
      return qn_fail(r->context, QN_INVALID, op->place,
                     "logical tensor %" PRIu64 " is made a second time, or after it was read", id);
    names[i] = qn_arena_copy(&r->memory, name, (size_t)length);
    if (!names[i]) return qn_fail_memory(r->context);
    types[i] = type_of(r, tensor);
  }
  return QN_OK;
}

static qn_status read_op(reader *r, json_t *json, size_t index) {
  const char *kind = json_string_value(json_object_get(json, "kind"));
  const char *name = json_string_value(json_object_get(json, "name"));
  const json_t *inputs = json_object_get(json, "inputs"), *outputs = json_object_get(json, "outputs");
  char place[512];
  qn_onednn_op op = { .context = r->context, .graph = r->graph, .json = json, .kind = kind, .name = name };
  op.place = place;
  snprintf(place, sizeof place, "%s: operation %zu '%s' (%s)", r->place, index, name ? name : "",
           kind ? kind : "?");
  if (!kind || !read_id(json, &op.id) || !json_is_array(inputs) || !json_is_array(outputs))
    return qn_fail(r->context, QN_INVALID, place, "an operation has kind, id, inputs and outputs");

  size_t input_count = json_array_size(inputs), output_count = json_array_size(outputs);
  qn_value *operands = qn_arena_alloc(&r->memory, (input_count + 1) * sizeof *operands);
  qn_type *types = qn_arena_alloc(&r->memory, (output_count + 1) * sizeof *types);
  const char **names = qn_arena_alloc(&r->memory, (output_count + 1) * sizeof *names);
  if (!operands || !types || !names) return qn_fail_memory(r->context);
  for (size_t i = 0; i < input_count; i++)
    QN_TRY(find_tensor(r, json_array_get(inputs, i), place, &operands[i]));
  QN_TRY(read_results(r, &op, outputs, types, names));
  if (strcmp(kind, "End") == 0 && input_count == 1 && output_count == 0)
    return qn_graph_add_output(r->graph, operands[0], NULL);

  const qn_onednn_row *row = qn_onednn_find(kind);
  bool read = row && output_count == 1 && input_count >= row->operands_min &&
              input_count <= row->operands_max && knows_attrs(&op, row->attrs);
  if (read) {
    memcpy(op.operands, operands, input_count * sizeof *operands);
    op.operand_count = (uint32_t)input_count;
    op.type = types[0];
    op.result = names[0];
    QN_TRY(add_known(&op, row, &read));
    if (read) return QN_OK;
  }
  return add_extern(&op, operands, (uint32_t)input_count, (uint32_t)output_count, types, names);
}

// --- the document ----------------------------------------------------------------------------------------

// The ports that are said, and where none is, every value that nothing reads.
static qn_status add_outputs(const reader *r, const json_t *root) {
  const json_t *ports = json_object_get(root, "output_ports");
  size_t i;
  json_t *port;
  if (json_array_size(ports) > 0) {
    json_array_foreach(ports, i, port) {
      char name[NAME_MAX_LENGTH];
      int length = snprintf(name, sizeof name, "t%lld", (long long)json_integer_value(port));
      qn_value value = qn_graph_find_value(r->graph, name, (size_t)length);
      if (!value)
        return qn_fail(r->context, QN_INVALID, r->place, "output port %s is no logical tensor of the graph",
                       name);
      QN_TRY(qn_graph_add_output(r->graph, value, NULL));
    }
    return QN_OK;
  }
  if (qn_graph_get_output_count(r->graph) > 0) return QN_OK;
  for (qn_node node = qn_graph_get_first(r->graph); node; node = qn_node_get_next(r->graph, node))
    for (uint32_t k = 0; k < qn_node_get_result_count(r->graph, node); k++) {
      qn_value value = qn_node_get_result(r->graph, node, k);
      if (qn_node_get_op(r->graph, node) != QN_OP_input && qn_value_get_first_use(r->graph, value) == QN_NONE)
        QN_TRY(qn_graph_add_output(r->graph, value, NULL));
    }
  return QN_OK;
}

static qn_status read_document(reader *r, const json_t *root) {
  const json_t *ops = json_object_get(root, "graph");
  size_t index;
  json_t *op;
  if (!json_is_array(ops))
    return qn_fail(r->context, QN_INVALID, r->place, "an object with the list \"graph\"");
  if (json_array_size(ops) > OPS_MAX)
    return qn_fail(r->context, QN_LIMIT, r->place, "%zu operations, more than %d", json_array_size(ops),
                   OPS_MAX);
  json_array_foreach(ops, index, op) {
    QN_TRY(read_op(r, op, index));
    qn_arena_reset(&r->memory);
  }
  return add_outputs(r, root);
}

qn_status qn_onednn_read(qn_context *context, const char *place, const void *data, size_t length,
                         qn_graph **out_graph) {
  json_error_t error;
  json_t *root = json_loadb(data, length, JSON_REJECT_DUPLICATES, &error);
  *out_graph = NULL;
  if (!root)
    return qn_fail(context, QN_INVALID, place, "line %d, column %d: %s", error.line, error.column, error.text);
  reader r = { .context = context, .place = place, .memory = QN_ARENA(context) };
  qn_status status = qn_graph_create(context, "", &r.graph);
  if (status == QN_OK) status = read_document(&r, root);
  qn_arena_free(&r.memory);
  json_decref(root);
  if (status == QN_OK)
    *out_graph = r.graph;
  else
    qn_graph_destroy(r.graph);
  return status;
}
