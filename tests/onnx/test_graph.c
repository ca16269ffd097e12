// The graph made from a model: names, ids, layers, order, operations that are kept as they came, subgraphs.
#include "onnx_test.h"

enum { F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, TEXT = ONNX__TENSOR_PROTO__DATA_TYPE__STRING };

Test(onnx_graph, ids_names_and_locations) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "batch,4");
  builder_node(&b, "Relu", "x", "r")->name = builder_text(&b, "/model/layers.0/mlp/Relu");
  builder_node(&b, "Neg", "r", "out");
  builder_output(&b, "out", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  qn_node relu = find_op(graph, QN_OP_relu), neg = find_op(graph, QN_OP_neg);
  cr_expect_eq(qn_node_get_id(graph, relu), 1);
  cr_expect_eq(qn_node_get_id(graph, neg), 2);
  cr_expect_str_eq(qn_node_get_name(graph, relu).text, "/model/layers.0/mlp/Relu");
  cr_expect_str_eq(qn_node_get_layer(graph, relu).text, "model.layers.0.mlp");
  cr_expect_str_eq(qn_node_get_layer(graph, neg).text, "");
  cr_expect_str_eq(qn_node_get_location(graph, neg).text, "test.onnx");
  cr_expect_str_eq(qn_graph_get_name(graph).text, "test");
  cr_expect_eq(qn_node_get_id(graph, qn_graph_get_first(graph)), 0);
  cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f32[batch,4]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_graph, layers_from_metadata) {
  static const struct {
    const char *key, *value, *layer;
  } rows[] = {
    { "pkg.torch.onnx.name_scopes", "['', 'model', 'model.layers.3', 'model.layers.3.self_attn', 'softmax']",
      "model.layers.3.self_attn" },
    { "pkg.torch.onnx.name_scopes", "['', 'softmax']", "" },
    { "pkg.torch.onnx.name_scopes", "['broken", "" },
    { "namespace", ": Model/model.layers.1: Block/softmax: aten.softmax.int", "model.layers.1" },
    { "namespace", "nothing", "" },
    { "other", "x", "a.b" },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    builder b;
    builder_init(&b, 13);
    builder_input(&b, "x", F32, "4");
    pb_node *node = builder_node(&b, "Relu", "x", "out");
    node->name = builder_text(&b, "a/b/Relu");
    builder_metadata(&b, node, rows[i].key, rows[i].value);
    builder_output(&b, "out", F32, NULL);
    qn_onnx_model *model = builder_read(&b);
    cr_expect_str_eq(qn_node_get_layer(model->graph, find_op(model->graph, QN_OP_relu)).text, rows[i].layer,
                     "%s", rows[i].value);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_graph, odd_names_are_kept) {
  static const char name[] = "a \"quoted\"\nname";
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "4");
  pb_node *node = builder_node(&b, "Relu", "x", "y");
  node->name = node->output[0] = builder_text(&b, name);
  builder_output(&b, name, F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_neq(value_of(model->graph, name), QN_NONE);
  cr_expect_str_eq(qn_node_get_name(model->graph, find_op(model->graph, QN_OP_relu)).text, name);
  qn_onnx_model_destroy(model);
  node->input[0] = builder_text(&b, name); // an error names it in one line
  builder_refused(&b, QN_INVALID, "out of order or form a cycle", "\\n");
  builder_done(&b);
}

Test(onnx_graph, dims_as_expressions_and_as_names) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "B,S");
  builder_input(&b, "y", F32, "2*B*S + 1,Min(48; S)");
  builder_input(&b, "z", F32, "unk__7,-1");
  builder_output(&b, "x", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  qn_type_info y = qn_type_get_info(graph, qn_value_get_type(graph, value_of(graph, "y")));
  qn_dim b_dim = qn_dim_symbol(graph, "B", 1), s_dim = qn_dim_symbol(graph, "S", 1);
  qn_dim expected =
      qn_dim_add(graph, qn_dim_mul(graph, qn_dim_const(graph, 2), qn_dim_mul(graph, s_dim, b_dim)),
                 qn_dim_const(graph, 1));
  cr_expect_eq(y.dims[0], expected);
  cr_expect_eq(y.dims[1], qn_dim_symbol(graph, "Min(48; S)", 10));
  cr_expect(strchr(type_text(graph, value_of(graph, "z")), '?'));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_graph, huge_dims_are_no_overflow) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "4611686018427387904,4611686018427387904,9223372036854775807*9");
  builder_node(&b, "Flatten", "x", "out");
  builder_output(&b, "out", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_graph, shapes_that_disagree) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "2,3");
  builder_input(&b, "y", F32, "4,5");
  builder_node(&b, "MatMul", "x,y", "out")->name = builder_text(&b, "the product");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_INVALID, "", "test.onnx: node 'the product'");
  builder_done(&b);
}

Test(onnx_graph, nodes_out_of_order_and_cycles) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "2");
  builder_node(&b, "Relu", "later", "out")->name = builder_text(&b, "early");
  builder_node(&b, "Neg", "out", "later");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_INVALID, "out of order or form a cycle", "node 'early'");
  builder_done(&b);
}

Test(onnx_graph, inputs_that_nothing_makes) {
  builder b;
  builder_init(&b, 13);
  builder_node(&b, "Relu", "missing", "out");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_INVALID, "'missing' is made by no node", "'out'");
  b.graph.n_node = 0;
  builder_refused(&b, QN_INVALID, "graph output 'out' is made by no node", "test.onnx");
  builder_done(&b);
}

Test(onnx_graph, two_tensors_of_one_name) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "2");
  builder_node(&b, "Relu", "x", "y");
  builder_node(&b, "Neg", "x", "y");
  builder_output(&b, "y", F32, NULL);
  builder_refused(&b, QN_INVALID, "two tensors have the name 'y'", "test.onnx");
  builder_done(&b);
}

Test(onnx_graph, operator_set_of_the_future) {
  builder b;
  builder_init(&b, 99);
  builder_refused(&b, QN_UNSUPPORTED, "operator set 99", "test.onnx");
  builder_done(&b);
}

// An If whose branches read two values of the main graph.
static void add_if(builder *b) {
  builder_input(b, "cond", ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, "");
  pb_node *node = builder_node(b, "If", "cond", "chosen");
  static const char *const reads[] = { "x", "r" };
  for (size_t i = 0; i < 2; i++) {
    pb_attr *attr = builder_attr(b, node, i ? "else_branch" : "then_branch");
    attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
    attr->g = qn_onnx_alloc(&b->memory, sizeof *attr->g);
    onnx__graph_proto__init(attr->g);
    pb_graph outer = b->graph;
    b->graph = *attr->g;
    builder_node(b, "Neg", reads[i], "inner");
    builder_output(b, "inner", F32, NULL);
    *attr->g = b->graph;
    b->graph = outer;
  }
}

Test(onnx_graph, captures_of_subgraphs_are_uses) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "2");
  builder_node(&b, "Relu", "x", "r");
  add_if(&b);
  builder_output(&b, "chosen", F32, "2");
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  qn_node node = find_op(graph, QN_OP_extern);
  cr_expect_str_eq(qn_node_get_string(graph, node, "name").text, "ai.onnx::If");
  cr_expect(qn_node_has_effect(graph, node));
  cr_expect_eq(qn_node_get_operand_count(graph, node), 3);
  cr_expect_eq(qn_node_get_operand(graph, node, 1), value_of(graph, "x"));
  cr_expect_eq(qn_node_get_operand(graph, node, 2), value_of(graph, "r"));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_graph, foreign_operations_have_effects_and_standard_ones_are_pure) {
  static const struct {
    const char *op;
    bool effect;
  } rows[] = {
    { "LRN", false }, { "ai.onnx.ml::Scaler", false }, { "RandomNormalLike", true }, { "com.acme::Thing", true }
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    builder b;
    builder_init(&b, 13);
    builder_input(&b, "x", F32, "2");
    builder_int(&b, builder_node(&b, rows[i].op, "x,,x", "y,,out"), "size", 3);
    builder_output(&b, "out", F32, "7");
    qn_onnx_model *model = builder_read(&b);
    qn_graph *graph = model->graph;
    qn_node node = find_op(graph, QN_OP_extern);
    cr_expect_eq(qn_node_has_effect(graph, node), rows[i].effect, "%s", rows[i].op);
    cr_expect_eq(qn_node_get_operand(graph, node, 1), QN_NONE);
    cr_expect_eq(qn_node_get_result_count(graph, node), 3);
    cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f32[7]");
    // `raw` decodes to the attributes.
    qn_str raw = qn_node_get_string(graph, node, "raw");
    pb_node *decoded = onnx__node_proto__unpack(NULL, raw.length, (const uint8_t *)raw.text);
    cr_assert(decoded);
    cr_expect_eq(decoded->attribute[0]->i, 3);
    onnx__node_proto__free_unpacked(decoded, NULL);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_graph, strings_and_sparse_initializers_are_opaque) {
  builder b;
  builder_init(&b, 13);
  builder_initializer(&b, "words", TEXT, "2", NULL, 0);
  builder_initializer(&b, "others", TEXT, "2", NULL, 0);
  builder_node(&b, "Identity", "words", "out");
  builder_node(&b, "Identity", "others", "out2");
  builder_output(&b, "out", TEXT, "2");
  builder_output(&b, "out2", TEXT, "2");
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_op(graph, qn_value_get_node(graph, value_of(graph, "words"))), QN_OP_extern);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_graph, initializer_that_is_an_input_may_be_overridden) {
  for (int64_t ir = 3; ir <= 4; ir++) {
    builder b;
    builder_init(&b, 13);
    b.model.ir_version = ir;
    builder_input(&b, "s", F32, "");
    builder_scalar(&b, "s", 2);
    builder_output(&b, "s", F32, "");
    qn_onnx_model *model = builder_read(&b);
    qn_op op = qn_node_get_op(model->graph, qn_value_get_node(model->graph, value_of(model->graph, "s")));
    cr_expect_eq(op, ir == 3 ? QN_OP_const : QN_OP_input, "IR %d", (int)ir);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}
