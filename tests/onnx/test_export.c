// Writing: what was read comes back byte for byte; fusions become calls; nothing is left when it fails.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "onnx_test.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
  INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
  E4M3 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FN
};

static char folder[64];
static char path[160];

static void make_folder(void) {
  strcpy(folder, "/tmp/qn-onnx-XXXXXX");
  cr_assert(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/out.onnx", folder);
}

static void remove_folder(void) {
  char command[256];
  snprintf(command, sizeof command, "chmod 700 '%s'; rm -r '%s'", folder, folder);
  cr_assert_eq(system(command), 0);
}

static size_t count_files(void) {
  DIR *dir = opendir(folder);
  size_t count = 0;
  for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

// The written file, decoded; freed with free_unpacked.
static pb_model *decode_written(builder *b) {
  char *data;
  size_t length;
  cr_assert_eq(qn_read_file(b->context, path, &data, &length), QN_OK);
  pb_model *model = onnx__model_proto__unpack(NULL, length, (uint8_t *)data);
  cr_assert(model);
  qn_free(b->context, data, length + 1);
  return model;
}

static void add_unknown(ProtobufCMessage *message, ProtobufCMessageUnknownField *field) {
  static uint8_t bytes[] = "\x05hello";
  *field = (ProtobufCMessageUnknownField){
    .tag = 1000, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .len = 6, .data = bytes
  };
  message->n_unknown_fields = 1;
  message->unknown_fields = field;
}

Test(onnx_export, nothing_fused_nothing_changed, .init = make_folder, .fini = remove_folder) {
  builder b;
  builder_init(&b, 13);
  builder_import(&b, "com.acme", 7);
  builder_input(&b, "x", F32, "2,3");
  builder_scalar(&b, "w", 3);
  builder_declare(&b, "nobody makes this", F32, "4");
  pb_node *node = builder_node(&b, "com.acme::Thing", "x,,w", "y,,z");
  node->overload = builder_text(&b, "fast");
  builder_metadata(&b, node, "key", "value");
  builder_int(&b, node, "option", 3);
  builder_output(&b, "y", F32, NULL);
  ProtobufCMessageUnknownField unknown[4];
  add_unknown(&b.model.base, &unknown[0]);
  add_unknown(&b.graph.base, &unknown[1]);
  add_unknown(&node->base, &unknown[2]);
  add_unknown(&node->attribute[0]->base, &unknown[3]);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_eq(qn_onnx_model_count_fused(model), 0);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK, "%s", qn_context_get_error(b.context)->message);
  char *data;
  size_t length;
  cr_assert_eq(qn_read_file(b.context, path, &data, &length), QN_OK);
  cr_assert_eq(length, b.packed_length);
  cr_expect_arr_eq((uint8_t *)data, b.packed, length);
  cr_expect_eq(count_files(), 1);
  qn_free(b.context, data, length + 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

// attention -> transpose -> reshape -> quantize, `layers` times, each layer fed by the one before.
static void build_layers(builder *b, int layers) {
  builder_init(b, 23);
  b->model.ir_version = 7;
  builder_input(b, "h0", F32, "B,4,T,64");
  builder_scalar(b, "s", 0.5f);
  builder_initializer(b, "z", E4M3, "", "\0", 1);
  builder_initializer(b, "merge", INT64, "3", (const int64_t[]){ 0, 0, -1 }, 24);
  builder_initializer(b, "split", INT64, "4", (const int64_t[]){ 0, 0, 4, 64 }, 32);
  for (int i = 0; i < layers; i++) {
    char in[8], names[6][8], text[40];
    snprintf(in, sizeof in, "h%d", i);
    for (int n = 0; n < 6; n++) snprintf(names[n], sizeof names[n], "%c%d", "atryds"[n], i);
    snprintf(text, sizeof text, "%s,%s,%s", in, in, in);
    builder_node(b, "Attention", text, names[0]);
    builder_ints(b, builder_node(b, "Transpose", names[0], names[1]), "perm", 4,
                 (const int64_t[]){ 0, 2, 1, 3 });
    snprintf(text, sizeof text, "%s,merge", names[1]);
    builder_node(b, "Reshape", text, names[2]);
    snprintf(text, sizeof text, "%s,s,z", names[2]);
    pb_node *quantize = builder_node(b, "QuantizeLinear", text, names[3]);
    snprintf(text, sizeof text, "layer%d/QuantizeLinear", i);
    quantize->name = builder_text(b, text);
    builder_metadata(b, quantize, "layer", text);
    snprintf(text, sizeof text, "%s,s", names[3]);
    builder_node(b, "DequantizeLinear", text, names[4]);
    snprintf(text, sizeof text, "%s,split", names[4]);
    builder_node(b, "Reshape", text, names[5] + 0);
    snprintf(in, sizeof in, "h%d", i + 1);
    builder_ints(b, builder_node(b, "Transpose", names[5], in), "perm", 4, (const int64_t[]){ 0, 2, 1, 3 });
    builder_declare(b, names[0], F32, "B,4,T,64");
    builder_declare(b, names[3], E4M3, "B,T,256");
  }
}

// What the passes do, by hand: one node for attention, transpose, reshape and quantize.
static void fuse_by_hand(qn_graph *graph) {
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_quantize) continue;
    qn_value value = qn_node_get_operand(graph, node, 0);
    qn_node attention = qn_value_get_node(graph, value);
    while (qn_node_get_op(graph, attention) == QN_OP_reshape ||
           qn_node_get_op(graph, attention) == QN_OP_transpose)
      attention = qn_value_get_node(graph, qn_node_get_operand(graph, attention, 0));
    if (qn_node_get_op(graph, attention) != QN_OP_attention) continue;
    qn_value operands[8] = { 0 };
    for (uint32_t i = 0; i < 3; i++) operands[i] = qn_node_get_operand(graph, attention, i);
    operands[7] = qn_node_get_operand(graph, node, 1);
    qn_scheme scheme = qn_node_get_scheme(graph, node, "scheme");
    const qn_attr attrs[] = { { .name = "output", .scheme = &scheme },
                              { .name = "out_layout", .text = "bsm" } };
    qn_value result, old = qn_node_get_result(graph, node, 0);
    cr_assert_eq(
        qn_graph_add(graph,
                     qn_node_params(.op = QN_OP_attention, .operands = operands, .operand_count = 8,
                                    .attrs = attrs, .attr_count = 2, .result_count = 1, .before = node),
                     &result),
        QN_OK, "%s", qn_context_get_error(qn_graph_get_context(graph))->message);
    cr_assert_eq(qn_value_replace(graph, old, result, true), QN_OK);
    for (qn_node dead = node; qn_node_get_op(graph, dead) != QN_OP_const;) {
      qn_node next = qn_value_get_node(graph, qn_node_get_operand(graph, dead, 0));
      bool used = qn_value_get_first_use(graph, qn_node_get_result(graph, dead, 0)) ||
                  qn_value_is_output(graph, qn_node_get_result(graph, dead, 0));
      if (used || dead == qn_value_get_node(graph, result) || qn_node_get_op(graph, dead) == QN_OP_input) break;
      if (dead == node) node = qn_value_get_node(graph, result);
      qn_node_remove(graph, dead);
      dead = next;
    }
  }
}

static qn_onnx_model *read_fused(builder *b) {
  qn_onnx_model *model = builder_read(b);
  fuse_by_hand(model->graph);
  cr_assert_eq(qn_graph_verify(model->graph), QN_OK, "%s", qn_context_get_error(b->context)->message);
  return model;
}

static size_t count_ops(const pb_graph *graph, const char *op) {
  size_t count = 0;
  for (size_t i = 0; i < graph->n_node; i++) count += strcmp(graph->node[i]->op_type, op) == 0;
  return count;
}

static const pb_node *find_call(const pb_graph *graph) {
  for (size_t i = 0; i < graph->n_node; i++) {
    if (qn_onnx_same(graph->node[i]->domain, "quench")) return graph->node[i];
  }
  return NULL;
}

static const char *attr_text(const pb_node *node, const char *name) {
  static char text[4096];
  const pb_attr *attr = qn_onnx_find_attr(node, name);
  cr_assert(attr && attr->has_s, "%s", name);
  snprintf(text, sizeof text, "%.*s", (int)attr->s.len, (const char *)attr->s.data);
  return text;
}

Test(onnx_export, equal_layers_share_a_function, .init = make_folder, .fini = remove_folder) {
  builder b;
  build_layers(&b, 3);
  builder_output(&b, "h3", F32, NULL);
  qn_onnx_model *model = read_fused(&b);
  cr_expect_eq(qn_onnx_model_count_fused(model), 3);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK, "%s", qn_context_get_error(b.context)->message);
  pb_model *written = decode_written(&b);
  cr_assert_eq(written->n_functions, 1);
  const pb_function *function = written->functions[0];
  cr_expect_str_eq(function->domain, "quench");
  cr_expect_str_eq(function->name, "Attention_fp8_static");
  cr_expect_eq(function->n_node, 4);
  cr_expect_eq(written->ir_version, 8, "functions need version 8");
  cr_expect_eq(count_ops(written->graph, "Attention_fp8_static"), 3);
  cr_expect_eq(count_ops(written->graph, "Attention"), 0);
  cr_expect_eq(count_ops(written->graph, "QuantizeLinear"), 0);
  cr_expect_eq(written->graph->n_node, 12);
  cr_expect_eq(written->graph->n_value_info, 3, "types of what is gone are gone");
  const pb_node *call = find_call(written->graph);
  cr_expect_str_eq(call->output[0], "y0");
  cr_expect_str_eq(call->name, "layer0/QuantizeLinear/quench");
  cr_expect_str_eq(call->metadata_props[0]->value, "layer0/QuantizeLinear");
  cr_expect_str_eq(attr_text(call, "output_scheme"), "fp8_static");
  cr_expect_str_eq(attr_text(call, "out_layout"), "bsm");
  cr_expect_eq(function->n_attribute, call->n_attribute);
  onnx__model_proto__free_unpacked(written, NULL);

  // What was read is untouched: writing once more gives the same bytes.
  char *first, *second;
  size_t first_length, second_length;
  cr_assert_eq(qn_read_file(b.context, path, &first, &first_length), QN_OK);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK);
  cr_assert_eq(qn_read_file(b.context, path, &second, &second_length), QN_OK);
  cr_assert_eq(first_length, second_length);
  cr_expect_arr_eq(first, second, first_length);
  qn_free(b.context, first, first_length + 1);
  qn_free(b.context, second, second_length + 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

// The text of the call is a graph, over the call's inputs and outputs.
Test(onnx_export, the_call_describes_itself, .init = make_folder, .fini = remove_folder) {
  builder b;
  build_layers(&b, 1);
  builder_output(&b, "h1", F32, NULL);
  qn_onnx_model *model = read_fused(&b);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK);
  pb_model *written = decode_written(&b);
  const pb_node *call = find_call(written->graph);
  const char *text = attr_text(call, "graph");
  qn_graph *graph = NULL;
  cr_assert_eq(qn_graph_read_text(b.context, "graph", text, strlen(text), &graph), QN_OK, "%s\n%s",
               qn_context_get_error(b.context)->message, text);
  qn_node attention = find_op(graph, QN_OP_attention);
  cr_assert_neq(attention, QN_NONE);
  size_t inputs = 0;
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node))
    inputs += qn_node_get_op(graph, node) == QN_OP_input;
  cr_expect_eq(inputs, call->n_input);
  cr_expect_eq(qn_graph_get_output_count(graph), call->n_output);
  cr_expect_eq(qn_graph_get_output(graph, 0), qn_node_get_result(graph, attention, 0));
  qn_graph_destroy(graph);
  onnx__model_proto__free_unpacked(written, NULL);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_export, what_others_read_stays_too, .init = make_folder, .fini = remove_folder) {
  builder b;
  build_layers(&b, 1);
  builder_node(&b, "Shape", "t0", "sizes"); // of the transposed attention output
  builder_output(&b, "h1", F32, NULL);
  builder_output(&b, "sizes", INT64, NULL);
  qn_onnx_model *model = read_fused(&b);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK, "%s", qn_context_get_error(b.context)->message);
  pb_model *written = decode_written(&b);
  cr_expect_eq(count_ops(written->graph, "Transpose"), 2);
  cr_expect_eq(count_ops(written->graph, "Reshape"), 1);
  cr_expect_eq(count_ops(written->graph, "Attention_fp8_static"), 1);
  onnx__model_proto__free_unpacked(written, NULL);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_export, shapes_that_serve_nothing_else_move_in, .init = make_folder, .fini = remove_folder) {
  for (int shared = 0; shared < 2; shared++) {
    builder b;
    build_layers(&b, 1);
    // The merge's shape is computed: Concat(Shape(ids)[0:1], Constant).
    builder_input(&b, "ids", INT64, "B,T");
    builder_int(&b, builder_node(&b, "Shape", "ids", "batch"), "end", 1);
    builder_ints(&b, builder_node(&b, "Constant", "", "rest"), "value_ints", 2, (const int64_t[]){ -1, 256 });
    builder_int(&b, builder_node(&b, "Concat", "batch,rest", "computed"), "axis", 0);
    for (size_t i = 0; i < 3; i++) { // in front of the others
      pb_node *moved = b.graph.node[b.graph.n_node - 1];
      memmove(b.graph.node + 1, b.graph.node, (b.graph.n_node - 1) * sizeof *b.graph.node);
      b.graph.node[0] = moved;
    }
    b.graph.node[5]->input[1] = builder_text(&b, "computed");
    builder_output(&b, "h1", F32, NULL);
    if (shared) builder_output(&b, "computed", INT64, NULL);
    qn_onnx_model *model = read_fused(&b);
    cr_assert_eq(qn_onnx_write_file(model, path), QN_OK, "%s", qn_context_get_error(b.context)->message);
    pb_model *written = decode_written(&b);
    cr_expect_eq(count_ops(written->graph, "Concat"), (size_t)shared);
    cr_expect_eq(written->functions[0]->n_node, shared ? 4u : 7u);
    onnx__model_proto__free_unpacked(written, NULL);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_export, a_call_is_opened_only_if_its_nodes_are_fused, .init = make_folder, .fini = remove_folder) {
  builder b;
  builder_init(&b, 23);
  builder_import(&b, "local", 1);
  builder_input(&b, "x", F32, "1,4,5,64");
  builder_scalar(&b, "s", 0.5f);
  builder_initializer(&b, "z", E4M3, "", "\0", 1);
  builder_initializer(&b, "merge", INT64, "3", (const int64_t[]){ 0, 0, -1 }, 24);
  pb_node *attend[] = { builder_make_node(&b, "Attention", "q,q,q", "a"),
                        builder_make_node(&b, "Transpose", "a", "o") };
  builder_ints(&b, attend[1], "perm", 4, (const int64_t[]){ 0, 2, 1, 3 });
  pb_node *soften[] = { builder_make_node(&b, "Softmax", "i", "p"), builder_make_node(&b, "Neg", "p", "o") };
  builder_function(&b, "local", "Attend", "q", "o", 2, attend);
  builder_function(&b, "local", "Soften", "i", "o", 2, soften);
  builder_node(&b, "local::Soften", "x", "soft");
  builder_node(&b, "local::Attend", "soft", "t");
  builder_node(&b, "Reshape", "t,merge", "r");
  builder_node(&b, "QuantizeLinear", "r,s,z", "y");
  builder_output(&b, "y", E4M3, NULL);
  qn_onnx_model *model = read_fused(&b);
  cr_assert_eq(qn_onnx_write_file(model, path), QN_OK, "%s", qn_context_get_error(b.context)->message);
  pb_model *written = decode_written(&b);
  cr_expect_eq(count_ops(written->graph, "Soften"), 1);
  cr_expect_eq(count_ops(written->graph, "Softmax"), 0);
  cr_expect_eq(count_ops(written->graph, "Attend"), 0);
  cr_expect_eq(written->graph->n_node, 2);
  cr_expect_eq(written->functions[2]->n_node, 4);
  onnx__model_proto__free_unpacked(written, NULL);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_export, a_folder_that_is_not_there, .init = make_folder, .fini = remove_folder) {
  builder b;
  build_layers(&b, 1);
  builder_output(&b, "h1", F32, NULL);
  qn_onnx_model *model = read_fused(&b);
  char missing[160];
  snprintf(missing, sizeof missing, "%s/missing/out.onnx", folder);
  cr_expect_eq(qn_onnx_write_file(model, missing), QN_IO);
  cr_expect(strstr(qn_context_get_error(b.context)->message, "No such file"));
  // A target that is a folder: the finished file cannot take its name, and is removed.
  cr_assert_eq(mkdir(path, 0700), 0);
  cr_expect_eq(qn_onnx_write_file(model, path), QN_IO);
  cr_expect_eq(count_files(), 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}
