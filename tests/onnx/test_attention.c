// Attention 23 to 25: every attribute, both ranks, every alignment of a causal mask.
#include "onnx_test.h"

enum { F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64 };

static pb_node *start(builder *b, int64_t opset, const char *inputs, bool flat) {
  builder_init(b, opset);
  builder_input(b, "q", F32, flat ? "2,5,256" : "2,4,5,64");
  builder_input(b, "k", F32, flat ? "2,5,128" : "2,2,5,64");
  builder_input(b, "v", F32, flat ? "2,5,128" : "2,2,5,64");
  builder_input(b, "m", F32, "5,5");
  builder_input(b, "pk", F32, "2,2,3,64");
  builder_input(b, "pv", F32, "2,2,3,64");
  builder_input(b, "n", INT64, "2");
  builder_output(b, "out", F32, NULL);
  pb_node *node = builder_node(b, "Attention", inputs, "out,present_k,present_v,scores");
  if (flat) {
    builder_int(b, node, "q_num_heads", 4);
    builder_int(b, node, "kv_num_heads", 2);
  }
  return node;
}

static qn_onnx_model *finish(builder *b, qn_node *out_node) {
  qn_onnx_model *model = builder_read(b);
  *out_node = find_op(model->graph, QN_OP_attention);
  return model;
}

static const char *choice(const qn_graph *graph, qn_node node, const char *name) {
  static char text[32];
  int index = qn_op_find_attr(QN_OP_attention, name, strlen(name));
  qn_attr_format_choice(&qn_op_get_info(QN_OP_attention)->attrs[index], qn_node_get_int(graph, node, name),
                        text);
  return text;
}

Test(onnx_attention, defaults) {
  builder b;
  qn_node node;
  start(&b, 23, "q,k,v", false);
  qn_onnx_model *model = finish(&b, &node);
  cr_assert_neq(node, QN_NONE);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_float(graph, node, "scale"), 0);
  cr_expect_str_eq(choice(graph, node, "causal"), "none");
  cr_expect_str_eq(choice(graph, node, "q_layout"), "bhsd");
  cr_expect_eq(qn_node_get_int(graph, node, "window_left"), -1);
  cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f32[2,4,5,64]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_attention, every_attribute) {
  builder b;
  qn_node node;
  pb_node *proto = start(&b, 25, "q,k,v,m", false);
  builder_float(&b, proto, "scale", 0.25f);
  builder_float(&b, proto, "softcap", 50);
  builder_int(&b, proto, "softmax_precision", 1);
  builder_int(&b, proto, "qk_matmul_output_mode", 3);
  builder_int(&b, proto, "left_window_size", 128);
  builder_int(&b, proto, "right_window_size", 0);
  qn_onnx_model *model = finish(&b, &node);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_float(graph, node, "scale"), 0.25);
  cr_expect_eq(qn_node_get_float(graph, node, "softcap"), 50);
  cr_expect_eq(qn_node_get_int(graph, node, "softmax_type"), QN_F32);
  cr_expect_eq(qn_node_get_int(graph, node, "scores_mode"), 3);
  cr_expect_eq(qn_node_get_int(graph, node, "window_left"), 128);
  cr_expect_eq(qn_node_get_int(graph, node, "window_right"), 0);
  cr_expect_eq(qn_node_get_operand(graph, node, 3), value_of(graph, "m"));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_attention, rank_3_has_heads_and_merged_layouts) {
  builder b;
  qn_node node;
  start(&b, 23, "q,k,v", true);
  qn_onnx_model *model = finish(&b, &node);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_int(graph, node, "heads"), 4);
  cr_expect_eq(qn_node_get_int(graph, node, "kv_heads"), 2);
  cr_expect_str_eq(choice(graph, node, "q_layout"), "bsm");
  cr_expect_str_eq(choice(graph, node, "k_layout"), "bsm");
  cr_expect_str_eq(choice(graph, node, "v_layout"), "bsm");
  cr_expect_str_eq(choice(graph, node, "out_layout"), "bsm");
  cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f32[2,5,256]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_attention, causal_alignment) {
  static const struct {
    const char *inputs;
    int64_t opset;
    const char *expect;
  } rows[] = {
    { "q,k,v", 23, "top_left" },
    { "q,k,v,,pk,pv", 23, "top_left" },
    { "q,k,v,,,,n", 24, "bottom_right" },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    builder b;
    qn_node node;
    builder_int(&b, start(&b, rows[i].opset, rows[i].inputs, false), "is_causal", 1);
    qn_onnx_model *model = finish(&b, &node);
    cr_expect_str_eq(choice(model->graph, node, "causal"), rows[i].expect, "%s", rows[i].inputs);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_attention, results_keep_their_places) {
  builder b;
  qn_node node;
  start(&b, 24, "q,k,v,,pk,pv", false);
  builder_output(&b, "present_v", F32, NULL);
  qn_onnx_model *model = finish(&b, &node);
  cr_expect_eq(qn_node_get_result(model->graph, node, QN_ATTENTION_PRESENT_VALUE),
               value_of(model->graph, "present_v"));
  cr_expect_eq(qn_node_get_operand(model->graph, node, 3), QN_NONE);
  cr_expect_eq(qn_node_get_operand(model->graph, node, 5), value_of(model->graph, "pv"));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_attention, scale_of_zero_has_no_words) {
  builder b;
  qn_node node;
  builder_float(&b, start(&b, 23, "q,k,v", false), "scale", 0);
  qn_onnx_model *model = finish(&b, &node);
  cr_expect_eq(node, QN_NONE);
  cr_expect_neq(find_op(model->graph, QN_OP_extern), QN_NONE);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_attention, rank_3_without_heads) {
  builder b;
  pb_node *node = start(&b, 23, "q,k,v", true);
  node->n_attribute = 1;
  builder_refused(&b, QN_INVALID, "kv_num_heads is missing", "out");
  builder_done(&b);
}

Test(onnx_attention, missing_operand) {
  builder b;
  start(&b, 23, "q,k", false);
  builder_refused(&b, QN_INVALID, "needs q, k and v", "out");
  builder_done(&b);
}
