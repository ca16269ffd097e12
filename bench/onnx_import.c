// ONNX import: nanoseconds a node, the protobuf decoding and the building of the graph apart.
//
// The model is generated: decoder layers of plain nodes, as an exporter writes them, with names and module
// paths.
#include "formats/onnx/onnx_priv.h"
#include <stdlib.h>
#include <time.h>

enum { NODES_PER_LAYER = 12, RUNS = 7 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID,
                &time); // one thread, nothing to wait for: a busy machine does not count
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static pb_node *add_node(qn_onnx_memory *memory, pb_graph *graph, const char *op, const char *a, const char *b,
                         const char *out, uint32_t layer, bool metadata) {
  pb_node *node = qn_onnx_alloc(memory, sizeof *node);
  onnx__node_proto__init(node);
  node->op_type = qn_onnx_printf(memory, "%s", op);
  node->name = qn_onnx_printf(memory, "/model/layers.%u/self_attn/%s_%zu", layer, op, graph->n_node);
  node->input = qn_onnx_alloc(memory, 2 * sizeof *node->input);
  node->input[node->n_input++] = qn_onnx_printf(memory, "%s", a);
  if (b) node->input[node->n_input++] = qn_onnx_printf(memory, "%s", b);
  node->output = qn_onnx_alloc(memory, sizeof *node->output);
  node->output[node->n_output++] = qn_onnx_printf(memory, "%s", out);
  if (metadata) {
    static const char *const keys[] = { "namespace", "pkg.torch.onnx.class_hierarchy", "pkg.torch.onnx.fx_node",
                                        "pkg.torch.onnx.name_scopes" };
    node->metadata_props = qn_onnx_alloc(memory, QN_COUNT(keys) * sizeof *node->metadata_props);
    for (size_t i = 0; i < QN_COUNT(keys); i++) {
      pb_entry *entry = qn_onnx_alloc(memory, sizeof *entry);
      onnx__string_string_entry_proto__init(entry);
      entry->key = qn_onnx_printf(memory, "%s", keys[i]);
      entry->value = qn_onnx_printf(
          memory, "['', 'model', 'model.layers.%u', 'model.layers.%u.self_attn', '%s']", layer, layer, op);
      node->metadata_props[node->n_metadata_props++] = entry;
    }
  }
  graph->node[graph->n_node++] = node;
  return node;
}

static pb_value_info *make_info(qn_onnx_memory *memory, const char *name) {
  pb_value_info *info = qn_onnx_alloc(memory, sizeof *info);
  onnx__value_info_proto__init(info);
  info->name = qn_onnx_printf(memory, "%s", name);
  info->type = qn_onnx_alloc(memory, sizeof *info->type);
  onnx__type_proto__init(info->type);
  info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  info->type->tensor_type = qn_onnx_alloc(memory, sizeof *info->type->tensor_type);
  onnx__type_proto__tensor__init(info->type->tensor_type);
  info->type->tensor_type->has_elem_type = 1;
  info->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  Onnx__TensorShapeProto *shape = qn_onnx_alloc(memory, sizeof *shape);
  onnx__tensor_shape_proto__init(shape);
  shape->dim = qn_onnx_alloc(memory, 4 * sizeof *shape->dim);
  for (shape->n_dim = 0; shape->n_dim < 4; shape->n_dim++) {
    Onnx__TensorShapeProto__Dimension *dim = qn_onnx_alloc(memory, sizeof *dim);
    onnx__tensor_shape_proto__dimension__init(dim);
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    dim->dim_value = 8;
    shape->dim[shape->n_dim] = dim;
  }
  info->type->tensor_type->shape = shape;
  return info;
}

// `layers` layers of square matrices; returns the encoded model.
static uint8_t *make_model(qn_onnx_memory *memory, uint32_t layers, bool metadata, size_t *out_length) {
  static const char *const ops[NODES_PER_LAYER] = {
    "MatMul", "MatMul",  "MatMul", "Transpose", "MatMul", "Mul",
    "Add",    "Softmax", "MatMul", "Transpose", "Relu",   "Add"
  };
  pb_model model = ONNX__MODEL_PROTO__INIT;
  pb_graph graph = ONNX__GRAPH_PROTO__INIT;
  pb_opset opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[] = { &opset };
  opset.has_version = 1, opset.version = 20;
  model.has_ir_version = 1, model.ir_version = 10;
  model.n_opset_import = 1, model.opset_import = opsets;
  model.graph = &graph;
  size_t nodes = (size_t)layers * NODES_PER_LAYER;
  graph.node = qn_onnx_alloc(memory, nodes * sizeof *graph.node);
  graph.value_info = qn_onnx_alloc(memory, nodes * sizeof *graph.value_info);
  pb_value_info *input[] = { make_info(memory, "x") }, *output[1];
  graph.n_input = 1, graph.input = input;
  char from[32] = "x", to[32];
  for (uint32_t i = 0; i < nodes; i++) {
    const char *op = ops[i % NODES_PER_LAYER];
    bool unary = strcmp(op, "Transpose") == 0 || strcmp(op, "Softmax") == 0 || strcmp(op, "Relu") == 0;
    snprintf(to, sizeof to, "val_%u", i);
    add_node(memory, &graph, op, from, unary ? NULL : "x", to, i / NODES_PER_LAYER, metadata);
    graph.value_info[graph.n_value_info++] = make_info(memory, to);
    memcpy(from, to, sizeof from);
  }
  output[0] = make_info(memory, from);
  graph.n_output = 1, graph.output = output;
  *out_length = protobuf_c_message_get_packed_size(&model.base);
  uint8_t *bytes = qn_onnx_alloc(memory, *out_length);
  protobuf_c_message_pack(&model.base, bytes);
  return bytes;
}

static int run(uint32_t layers, bool metadata) {
  qn_context *context = NULL;
  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  qn_onnx_memory memory;
  qn_onnx_memory_init(&memory, context);
  size_t length = 0;
  uint8_t *bytes = make_model(&memory, layers, metadata, &length);
  double scan[RUNS], decode[RUNS], build[RUNS];
  uint32_t nodes = layers * NODES_PER_LAYER;
  for (int i = 0; i < RUNS; i++) {
    qn_onnx_model *model = NULL;
    double start = now();
    qn_status status = qn_onnx_scan(context, "bench", bytes, length);
    double scanned = now();
    if (status == QN_OK) status = qn_onnx_decode(context, "bench", bytes, length, NULL, &model);
    double decoded = now();
    if (status == QN_OK) status = qn_onnx_build(model);
    double built = now();
    if (status != QN_OK) {
      fprintf(stderr, "%s\n", qn_context_get_error(context)->message);
      return 1;
    }
    qn_onnx_model_destroy(model);
    scan[i] = scanned - start;
    decode[i] = decoded - scanned - scan[i]; // decoding scans too
    build[i] = built - decoded;
  }
  qsort(scan, RUNS, sizeof *scan, compare);
  qsort(decode, RUNS, sizeof *decode, compare);
  qsort(build, RUNS, sizeof *build, compare);
  printf("%9u nodes, %-8s  decode %7.0f  scan %6.0f  build %6.0f  beyond decoding %6.0f   ns a node\n", nodes,
         metadata ? "metadata" : "plain", decode[RUNS / 2] / nodes, scan[RUNS / 2] / nodes,
         build[RUNS / 2] / nodes, (scan[RUNS / 2] + build[RUNS / 2]) / nodes);
  qn_onnx_memory_free(&memory);
  qn_context_destroy(context);
  return 0;
}

int main(void) {
  printf("ONNX import, median of %d\n", RUNS);
  for (int metadata = 0; metadata < 2; metadata++) {
    for (uint32_t layers = 100; layers <= 10000; layers *= 10) {
      if (run(layers, metadata)) return 1;
    }
  }
  return 0;
}
