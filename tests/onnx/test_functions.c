// Functions of the model: inlined where they hide attention, one extern node elsewhere.
#include "onnx_test.h"

enum { F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT };

static void start(builder *b) {
  builder_init(b, 17);
  builder_import(b, "local", 1);
  builder_input(b, "x", F32, "2,3");
}

Test(onnx_functions, hiding_softmax_is_inlined) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "Softmax", "a", "p"), builder_make_node(&b, "Neg", "p", "y") };
  builder_attr(&b, body[0], "axis")->ref_attr_name = builder_text(&b, "dim");
  builder_function(&b, "local", "Soft", "a", "y", 2, body);
  for (int i = 0; i < 2; i++) {
    pb_node *call = builder_node(&b, "local::Soft", i ? "y1" : "x", i ? "y2" : "y1");
    call->name = builder_text(&b, i ? "second" : "first");
    if (i) builder_int(&b, call, "dim", 0);
  }
  builder_output(&b, "y2", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  qn_value first = value_of(graph, "first/p"), second = value_of(graph, "second/p");
  cr_assert(first && second);
  qn_node node = qn_value_get_node(graph, second);
  cr_expect_eq(qn_node_get_op(graph, node), QN_OP_softmax);
  cr_expect_eq(qn_node_get_int(graph, node, "axis"), 0);
  cr_expect_eq(qn_node_get_int(graph, qn_value_get_node(graph, first), "axis"), -1);
  cr_expect_eq(qn_node_get_id(graph, node), 2);
  cr_expect_eq(qn_node_get_operand(graph, node, 0), value_of(graph, "y1"));
  cr_expect_str_eq(type_text(graph, value_of(graph, "y2")), "f32[2,3]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_functions, through_another_function) {
  builder b;
  start(&b);
  pb_node *inner[] = { builder_make_node(&b, "Softmax", "a", "y") };
  pb_node *outer[] = { builder_make_node(&b, "local::Inner", "u", "v"),
                       builder_make_node(&b, "Neg", "v", "w") };
  builder_function(&b, "local", "Inner", "a", "y", 1, inner);
  builder_function(&b, "local", "Outer", "u", "w", 2, outer);
  builder_node(&b, "local::Outer", "x", "out");
  builder_output(&b, "out", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_neq(find_op(model->graph, QN_OP_softmax), QN_NONE);
  cr_expect_eq(find_op(model->graph, QN_OP_extern), QN_NONE);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_functions, hiding_nothing_stays_a_call) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "Neg", "a", "y") };
  builder_function(&b, "local", "F", "a", "y", 1, body);
  builder_node(&b, "local::F", "x", "out");
  builder_output(&b, "out", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_node node = find_op(model->graph, QN_OP_extern);
  cr_expect_str_eq(qn_node_get_string(model->graph, node, "name").text, "local::F");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_functions, output_that_is_an_input_or_named_twice) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "Softmax", "a", "p") };
  builder_function(&b, "local", "F", "a", "a,p,p", 1, body);
  builder_node(&b, "local::F", "x", "same,p1,p2");
  builder_output(&b, "same", F32, NULL);
  builder_output(&b, "p1", F32, NULL);
  builder_output(&b, "p2", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_op(graph, qn_value_get_node(graph, value_of(graph, "same"))), QN_OP_identity);
  cr_expect_eq(qn_node_get_op(graph, qn_value_get_node(graph, value_of(graph, "p2"))), QN_OP_identity);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_functions, names_that_are_taken) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "Softmax", "a", "p"), builder_make_node(&b, "Neg", "p", "y") };
  builder_function(&b, "local", "F", "a", "y", 2, body);
  builder_node(&b, "Neg", "x", "call/p");
  builder_node(&b, "local::F", "call/p", "out")->name = builder_text(&b, "call");
  builder_output(&b, "out", F32, NULL);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_neq(value_of(model->graph, "call/p_1"), QN_NONE);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_functions, calling_itself) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "local::F", "a", "y") };
  builder_function(&b, "local", "F", "a", "y", 1, body);
  builder_node(&b, "local::F", "x", "out");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_INVALID, "calls itself", "test.onnx");
  builder_done(&b);
}

// Each function calls the next one sixteen times: 16^8 nodes if nobody counts.
Test(onnx_functions, exponential_calls) {
  builder b;
  start(&b);
  for (int level = 0; level < 8; level++) {
    char name[8], callee[16];
    snprintf(name, sizeof name, "F%d", level);
    snprintf(callee, sizeof callee, "local::F%d", level + 1);
    pb_node *body[16];
    for (int i = 0; i < 16; i++) {
      char from[8] = "a", to[8] = "y";
      if (i) snprintf(from, sizeof from, "t%d", i);
      if (i < 15) snprintf(to, sizeof to, "t%d", i + 1);
      body[i] = builder_make_node(&b, level == 7 ? "Softmax" : callee, from, to);
    }
    builder_function(&b, "local", name, "a", "y", 16, body);
  }
  builder_node(&b, "local::F0", "x", "out");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_LIMIT, "inlining functions makes more than", "test.onnx");
  builder_done(&b);
}

Test(onnx_functions, too_many_operands) {
  builder b;
  start(&b);
  pb_node *body[] = { builder_make_node(&b, "Softmax", "a", "y") };
  builder_function(&b, "local", "F", "a", "y", 1, body);
  builder_node(&b, "local::F", "x,x", "out");
  builder_output(&b, "out", F32, NULL);
  builder_refused(&b, QN_INVALID, "a call with 2 inputs and 1 outputs of a function with 1 and 1", "out");
  builder_done(&b);
}
