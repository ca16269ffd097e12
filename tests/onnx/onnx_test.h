// Small ONNX models, built in memory through the structs of the schema, for the tests of formats/onnx.
#ifndef QN_TESTS_ONNX_TEST_H
#define QN_TESTS_ONNX_TEST_H

#include "formats/onnx/onnx_priv.h"
#include <criterion/criterion.h>

// A model under construction. Everything lives in its memory; builder_done frees it.
typedef struct builder {
  qn_context *context;
  qn_onnx_memory memory;
  pb_model model;
  pb_graph graph;
  uint8_t *packed;
  size_t packed_length;
} builder;

void builder_init(builder *b, int64_t opset);
void builder_done(builder *b);
char *builder_text(builder *b, const char *text);
void builder_import(builder *b, const char *domain, int64_t version);

// `dims` is text: "2,8,T", "" for a scalar, NULL for an unknown rank. An empty word is an unknown dim.
pb_value_info *builder_info(builder *b, const char *name, int data_type, const char *dims);
void builder_input(builder *b, const char *name, int data_type, const char *dims);
void builder_output(builder *b, const char *name, int data_type, const char *dims);
void builder_declare(builder *b, const char *name, int data_type, const char *dims);
// `bytes` is copied.
pb_tensor *builder_tensor(builder *b, const char *name, int data_type, const char *dims, const void *bytes,
                          size_t length);
void builder_initializer(builder *b, const char *name, int data_type, const char *dims, const void *bytes,
                         size_t length);
void builder_scalar(builder *b, const char *name, float value); // an f32 initializer of rank 0

// `inputs` and `outputs` are names with commas between; an empty word is an absent one.
pb_node *builder_make_node(builder *b, const char *op, const char *inputs, const char *outputs);
pb_node *builder_node(builder *b, const char *op, const char *inputs, const char *outputs);
pb_attr *builder_attr(builder *b, pb_node *node, const char *name);
void builder_int(builder *b, pb_node *node, const char *name, int64_t value);
void builder_float(builder *b, pb_node *node, const char *name, float value);
void builder_string(builder *b, pb_node *node, const char *name, const char *value);
void builder_ints(builder *b, pb_node *node, const char *name, size_t count, const int64_t *values);
// A function of the model with the given nodes.
pb_function *builder_function(builder *b, const char *domain, const char *name, const char *inputs,
                              const char *outputs, size_t node_count, pb_node **nodes);
void builder_metadata(builder *b, pb_node *node, const char *key, const char *value);

// Packs the model; the bytes live as long as the builder, until the next call.
void builder_pack(builder *b);
// Packs and reads. Fails the test if that fails.
qn_onnx_model *builder_read(builder *b);
// Packs and reads; returns the status, for models that are wrong. `message` and `place` are searched for.
void builder_refused(builder *b, qn_status status, const char *message, const char *place);

// The first node with that operation, or QN_NONE.
qn_node find_op(const qn_graph *graph, qn_op op);
// The text of a node's type of result 0: "f32[2,T]". Static storage, two at a time.
const char *type_text(const qn_graph *graph, qn_value value);
qn_value value_of(const qn_graph *graph, const char *name);

#endif
