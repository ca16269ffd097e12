// The table of operations: order, one sample a row, attributes that became operands, versions.
#include "onnx_test.h"

enum {
  FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
  INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
  BOOL = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL
};

Test(onnx_ops, rows_are_sorted_and_their_words_exist) {
  const qn_onnx_op *previous = NULL, *row;
  for (uint32_t i = 0; (row = qn_onnx_op_get(i)); previous = row, i++) {
    cr_expect_leq(row->from, row->until, "%s", row->name);
    if (previous) {
      int order = strcmp(previous->name, row->name);
      cr_expect(order < 0 || (order == 0 && previous->until < row->from), "%s after %s", row->name,
                previous->name);
    }
    cr_expect_eq(qn_onnx_op_find("", row->name, row->from), row);
    cr_expect_eq(qn_onnx_op_find("", row->name, row->until), row);
    for (const char *word = row->attrs; *word; word += strcspn(word, " "), word += *word == ' ') {
      size_t length = strcspn(word, " "), own = strcspn(word, " @=:");
      char mark = word[own];
      if (*word == '-' || mark == '@' || mark == ':') continue;
      const char *name = mark == '=' ? word + own + 1 : word;
      cr_expect_geq(qn_op_find_attr(row->op, name, (size_t)(word + length - name)), 0, "%s: %.*s", row->name,
                    (int)length, word);
    }
  }
}

// One node of each row over plausible operands becomes the row's operation, with nothing left over.
typedef struct sample {
  const char *op, *inputs;
  int64_t opset;
  qn_op expect;
} sample;

static void check_sample(const sample *s) {
  builder b;
  builder_init(&b, s->opset);
  builder_input(&b, "x", FLOAT, "2,3,4");
  builder_input(&b, "y", FLOAT, "2,3,4");
  builder_input(&b, "m", FLOAT, "4,4");
  builder_input(&b, "p", BOOL, "2,3,4");
  builder_input(&b, "i", INT64, "2,3,4");
  builder_input(&b, "shape", INT64, "2");
  builder_input(&b, "pads", INT64, "6");
  builder_input(&b, "n", INT64, "");
  builder_input(&b, "w", FLOAT, "4");
  pb_node *node = builder_node(&b, s->op, s->inputs, "out");
  if (strcmp(s->op, "Concat") == 0) builder_int(&b, node, "axis", 1);
  if (strcmp(s->op, "Cast") == 0) builder_int(&b, node, "to", 10);
  builder_output(&b, "out", 0, NULL);
  b.graph.output[0]->type = NULL;
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = qn_onnx_model_get_graph(model);
  qn_node made = qn_value_get_node(graph, value_of(graph, "out"));
  cr_expect_eq(qn_node_get_op(graph, made), s->expect, "%s: %s", s->op,
               qn_op_get_info(qn_node_get_op(graph, made))->name);
  cr_expect_eq(qn_node_get_id(graph, made), 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, every_plain_row_is_read) {
  static const sample samples[] = {
    { "Abs", "x", 13, QN_OP_abs },
    { "Add", "x,y", 13, QN_OP_add },
    { "And", "p,p", 13, QN_OP_and },
    { "Cast", "x", 13, QN_OP_cast },
    { "CastLike", "x,i", 15, QN_OP_cast },
    { "Ceil", "x", 13, QN_OP_ceil },
    { "Clip", "x", 13, QN_OP_clip },
    { "Concat", "x,y", 13, QN_OP_concat },
    { "ConstantOfShape", "shape", 13, QN_OP_fill },
    { "Cos", "x", 13, QN_OP_cos },
    { "CumSum", "x,n", 14, QN_OP_cumsum },
    { "Div", "x,y", 13, QN_OP_div },
    { "Dropout", "x", 13, QN_OP_identity },
    { "Equal", "x,y", 13, QN_OP_equal },
    { "Erf", "x", 13, QN_OP_erf },
    { "Exp", "x", 13, QN_OP_exp },
    { "Flatten", "x", 13, QN_OP_flatten },
    { "Floor", "x", 13, QN_OP_floor },
    { "Gather", "x,i", 13, QN_OP_gather },
    { "GatherElements", "x,i", 13, QN_OP_gather_elements },
    { "Gelu", "x", 20, QN_OP_gelu },
    { "Gemm", "m,m", 13, QN_OP_gemm },
    { "Greater", "x,y", 13, QN_OP_greater },
    { "GreaterOrEqual", "x,y", 13, QN_OP_greater_equal },
    { "Identity", "x", 13, QN_OP_identity },
    { "IsInf", "x", 13, QN_OP_is_inf },
    { "IsNaN", "x", 13, QN_OP_is_nan },
    { "LayerNormalization", "x,w", 17, QN_OP_layer_norm },
    { "Less", "x,y", 13, QN_OP_less },
    { "LessOrEqual", "x,y", 13, QN_OP_less_equal },
    { "Log", "x", 13, QN_OP_log },
    { "MatMul", "x,m", 13, QN_OP_matmul },
    { "Max", "x,y", 13, QN_OP_max },
    { "Max", "x", 13, QN_OP_identity },
    { "Min", "x,y,x", 13, QN_OP_min },
    { "Mod", "i,i", 13, QN_OP_mod },
    { "Mul", "x,y", 13, QN_OP_mul },
    { "Neg", "x", 13, QN_OP_neg },
    { "Not", "p", 13, QN_OP_not },
    { "Or", "p,p", 13, QN_OP_or },
    { "Pow", "x,y", 13, QN_OP_pow },
    { "RMSNormalization", "x,w", 23, QN_OP_rms_norm },
    { "Range", "n,n,n", 13, QN_OP_range },
    { "Reciprocal", "x", 13, QN_OP_reciprocal },
    { "ReduceMax", "x", 13, QN_OP_reduce_max },
    { "ReduceMax", "x", 18, QN_OP_reduce_max },
    { "ReduceMean", "x", 13, QN_OP_reduce_mean },
    { "ReduceMean", "x", 18, QN_OP_reduce_mean },
    { "ReduceMin", "x", 13, QN_OP_reduce_min },
    { "ReduceMin", "x", 20, QN_OP_reduce_min },
    { "ReduceSum", "x", 12, QN_OP_reduce_sum },
    { "ReduceSum", "x", 13, QN_OP_reduce_sum },
    { "Relu", "x", 13, QN_OP_relu },
    { "Reshape", "x,shape", 13, QN_OP_reshape },
    { "Round", "x", 13, QN_OP_round },
    { "Shape", "x", 13, QN_OP_shape },
    { "Sigmoid", "x", 13, QN_OP_sigmoid },
    { "Sin", "x", 13, QN_OP_sin },
    { "Size", "x", 13, QN_OP_size },
    { "Slice", "x,shape,shape", 13, QN_OP_slice },
    { "Softmax", "x", 13, QN_OP_softmax },
    { "Split", "x", 13, QN_OP_split },
    { "Sqrt", "x", 13, QN_OP_sqrt },
    { "Squeeze", "x,shape", 13, QN_OP_squeeze },
    { "Sub", "x,y", 13, QN_OP_sub },
    { "Sum", "x,y", 13, QN_OP_add },
    { "Swish", "x", 24, QN_OP_swish },
    { "Tanh", "x", 13, QN_OP_tanh },
    { "Transpose", "x", 13, QN_OP_transpose },
    { "Trilu", "x", 14, QN_OP_trilu },
    { "Unsqueeze", "x,shape", 13, QN_OP_unsqueeze },
    { "Where", "p,x,y", 13, QN_OP_where },
    { "Xor", "p,p", 13, QN_OP_xor },
    { "Expand", "x,shape", 13, QN_OP_expand },
    { "Pad", "x,pads", 13, QN_OP_pad },
    // Other versions, other meanings: left alone.
    { "Gelu", "x", 19, QN_OP_extern },
    { "RMSNormalization", "x,w", 22, QN_OP_extern },
    { "Mod", "i,i", 28, QN_OP_extern },
    { "Softmax", "x", 12, QN_OP_extern },
    { "NoSuchOperation", "x", 13, QN_OP_extern },
    { "com.acme::Add", "x,y", 13, QN_OP_extern },
  };
  for (size_t i = 0; i < QN_COUNT(samples); i++) check_sample(&samples[i]);
}

static qn_onnx_model *read_one(builder *b, qn_node *out_node) {
  builder_output(b, "out", FLOAT, NULL);
  qn_onnx_model *model = builder_read(b);
  qn_graph *graph = qn_onnx_model_get_graph(model);
  *out_node = qn_value_get_node(graph, value_of(graph, "out"));
  return model;
}

static const int64_t *const_ints(const qn_graph *graph, qn_node node, uint32_t operand) {
  const qn_tensor *tensor = qn_value_get_const(graph, qn_node_get_operand(graph, node, operand));
  cr_assert(tensor && tensor->dtype == QN_S64);
  return tensor->data;
}

Test(onnx_ops, axes_attribute_becomes_an_operand) {
  static const char *const ops[] = { "ReduceSum", "ReduceMean", "Squeeze", "Unsqueeze" };
  for (size_t i = 0; i < QN_COUNT(ops); i++) {
    builder b;
    builder_init(&b, 11);
    builder_input(&b, "x", FLOAT, "1,3");
    pb_node *node = builder_node(&b, ops[i], "x", "out");
    builder_ints(&b, node, "axes", 1, (const int64_t[]){ 0 });
    qn_node made;
    qn_onnx_model *model = read_one(&b, &made);
    cr_expect_eq(const_ints(model->graph, made, 1)[0], 0, "%s", ops[i]);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_ops, old_slice_split_and_clip) {
  builder b;
  builder_init(&b, 9);
  builder_input(&b, "x", FLOAT, "7,3");
  pb_node *slice = builder_node(&b, "Slice", "x", "s");
  builder_ints(&b, slice, "starts", 1, (const int64_t[]){ 1 });
  builder_ints(&b, slice, "ends", 1, (const int64_t[]){ 5 });
  builder_ints(&b, slice, "axes", 1, (const int64_t[]){ 0 });
  pb_node *split = builder_node(&b, "Split", "s", "a,b");
  builder_ints(&b, split, "split", 2, (const int64_t[]){ 1, 3 });
  pb_node *clip = builder_node(&b, "Clip", "b", "out");
  builder_float(&b, clip, "min", -1);
  builder_float(&b, clip, "max", 2);
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  qn_graph *graph = model->graph;
  cr_expect_str_eq(type_text(graph, value_of(graph, "s")), "f32[4,3]");
  cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f32[3,3]");
  const qn_tensor *max = qn_value_get_const(graph, qn_node_get_operand(graph, made, 2));
  cr_expect_eq(*(const float *)max->data, 2.0f);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, softmax_of_old_means_the_same_on_the_last_dim_only) {
  static const struct {
    int64_t axis;
    qn_op expect;
  } cases[] = { { 2, QN_OP_softmax }, { -1, QN_OP_softmax }, { 1, QN_OP_extern } };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    builder b;
    builder_init(&b, 11);
    builder_input(&b, "x", FLOAT, "2,3,4");
    builder_int(&b, builder_node(&b, "Softmax", "x", "out"), "axis", cases[i].axis);
    qn_node made;
    qn_onnx_model *model = read_one(&b, &made);
    cr_expect_eq(qn_node_get_op(model->graph, made), cases[i].expect, "axis %d", (int)cases[i].axis);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_ops, unequal_split_says_its_sizes) {
  builder b;
  builder_init(&b, 18);
  builder_input(&b, "x", FLOAT, "7,3");
  builder_int(&b, builder_node(&b, "Split", "x", "a,b,out"), "num_outputs", 3);
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  const int64_t *sizes = const_ints(model->graph, made, 1);
  cr_expect(sizes[0] == 3 && sizes[1] == 3 && sizes[2] == 1);
  cr_expect_str_eq(type_text(model->graph, value_of(model->graph, "out")), "f32[1,3]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, variadic_is_a_chain_from_the_left) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", FLOAT, "2");
  builder_input(&b, "y", FLOAT, "2");
  builder_input(&b, "z", FLOAT, "2");
  builder_node(&b, "Sum", "x,y,z", "out");
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_operand(graph, made, 1), value_of(graph, "z"));
  qn_node first = qn_value_get_node(graph, qn_node_get_operand(graph, made, 0));
  cr_expect_eq(qn_node_get_op(graph, first), QN_OP_add);
  cr_expect_eq(qn_node_get_operand(graph, first, 0), value_of(graph, "x"));
  cr_expect_eq(qn_node_get_id(graph, first), 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, attributes_are_carried_and_unknown_ones_leave_the_node) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", FLOAT, "2,3");
  pb_node *gemm = builder_node(&b, "Gemm", "x,x", "g");
  builder_float(&b, gemm, "alpha", 0.5f);
  builder_int(&b, gemm, "transB", 1);
  pb_node *pad = builder_node(&b, "Transpose", "g", "t");
  builder_ints(&b, pad, "perm", 2, (const int64_t[]){ 1, 0 });
  builder_int(&b, builder_node(&b, "Relu", "t", "out"), "new_in_the_future", 1);
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_op(graph, made), QN_OP_extern);
  cr_expect_str_eq(qn_node_get_string(graph, made, "name").text, "ai.onnx::Relu");
  cr_expect_gt(qn_node_get_string(graph, made, "raw").length, 0);
  qn_node g = find_op(graph, QN_OP_gemm), t = find_op(graph, QN_OP_transpose);
  cr_expect_eq(qn_node_get_float(graph, g, "alpha"), 0.5);
  cr_expect_eq(qn_node_get_int(graph, g, "trans_b"), 1);
  const int64_t *perm;
  cr_expect_eq(qn_node_get_ints(graph, t, "perm", &perm), 2);
  cr_expect_eq(perm[0], 1);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, enum_attributes_in_any_case) {
  builder b;
  builder_init(&b, 20);
  builder_input(&b, "x", FLOAT, "1,3,8,8");
  builder_input(&b, "w", FLOAT, "4,3,3,3");
  builder_string(&b, builder_node(&b, "Conv", "x,w", "c"), "auto_pad", "SAME_UPPER");
  builder_string(&b, builder_node(&b, "Gelu", "c", "out"), "approximate", "tanh");
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  qn_graph *graph = model->graph;
  cr_expect_eq(qn_node_get_int(graph, made, "approximate"), 1);
  char text[32];
  const qn_op_info *row = qn_op_get_info(QN_OP_conv);
  int index = qn_op_find_attr(QN_OP_conv, "auto_pad", 8);
  qn_attr_format_choice(&row->attrs[index], qn_node_get_int(graph, find_op(graph, QN_OP_conv), "auto_pad"),
                        text);
  cr_expect_str_eq(text, "same_upper");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, a_demanded_value_that_differs_leaves_the_node) {
  builder b;
  builder_init(&b, 17);
  builder_input(&b, "x", FLOAT, "2,3");
  builder_input(&b, "w", FLOAT, "3");
  builder_int(&b, builder_node(&b, "LayerNormalization", "x,w", "l"), "stash_type", 1);
  builder_int(&b, builder_node(&b, "LayerNormalization", "l,w", "out"), "stash_type", 16);
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  cr_expect_eq(qn_node_get_op(model->graph, made), QN_OP_extern);
  cr_expect_neq(find_op(model->graph, QN_OP_layer_norm), QN_NONE);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, dropout_that_may_train_stays) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", FLOAT, "2");
  builder_input(&b, "training", BOOL, "");
  builder_node(&b, "Dropout", "x,,training", "out");
  qn_node made;
  qn_onnx_model *model = read_one(&b, &made);
  cr_expect_eq(qn_node_get_op(model->graph, made), QN_OP_extern);
  cr_expect(qn_node_has_effect(model->graph, made));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_ops, attribute_twice) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", FLOAT, "2,3");
  pb_node *node = builder_node(&b, "Softmax", "x", "out");
  builder_int(&b, node, "axis", 0);
  builder_int(&b, node, "axis", 1);
  builder_refused(&b, QN_INVALID, "'axis' occurs twice", "out");
  builder_done(&b);
}
