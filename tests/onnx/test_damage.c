// Damaged and hostile files: each gives one clear status, reads no byte outside, and leaks nothing.
#include "onnx_test.h"
#include <stdlib.h>

enum { F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT };

// A model with a little of everything.
static void build(builder *b) {
  builder_init(b, 23);
  builder_input(b, "q", F32, "1,4,T,64");
  builder_scalar(b, "s", 0.5f);
  builder_initializer(b, "z", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FN, "", "\0", 1);
  builder_initializer(b, "shape", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, "3", (const int64_t[]){ 0, 0, -1 }, 24);
  pb_node *attention = builder_node(b, "Attention", "q,q,q", "a");
  builder_metadata(b, attention, "pkg.torch.onnx.name_scopes", "['', 'm', 'attention']");
  builder_float(b, attention, "scale", 0.125f);
  builder_ints(b, builder_node(b, "Transpose", "a", "t"), "perm", 4, (const int64_t[]){ 0, 2, 1, 3 });
  builder_node(b, "Reshape", "t,shape", "r");
  builder_node(b, "QuantizeLinear", "r,s,z", "y");
  pb_node *body[] = { builder_make_node(b, "Softmax", "i", "o") };
  builder_function(b, "local", "F", "i", "o", 1, body);
  builder_import(b, "local", 1);
  builder_node(b, "local::F", "a", "f");
  builder_output(b, "y", 17, "1,T,256");
  builder_output(b, "f", F32, NULL);
  builder_pack(b);
}

// The bytes stand at the end of a block of their own, so that a checker of memory sees a step too far.
static qn_status read_copy(builder *b, const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length ? length : 1);
  memcpy(copy, bytes, length);
  qn_onnx_model *model = NULL;
  qn_status status = qn_onnx_read_memory(b->context, "test.onnx", copy, length, NULL, &model);
  free(copy);
  cr_expect_eq(status == QN_OK, model != NULL);
  if (status != QN_OK) cr_expect(*qn_context_get_error(b->context)->message);
  qn_onnx_model_destroy(model);
  return status;
}

Test(onnx_damage, whole) {
  builder b;
  build(&b);
  cr_expect_eq(read_copy(&b, b.packed, b.packed_length), QN_OK, "%s", qn_context_get_error(b.context)->message);
  builder_done(&b);
}

Test(onnx_damage, cut_at_every_byte) {
  builder b;
  build(&b);
  size_t refused = 0;
  for (size_t length = 0; length < b.packed_length; length++)
    refused += read_copy(&b, b.packed, length) != QN_OK;
  // A cut between two fields of the model is a smaller model: only few of those are whole enough to be read.
  cr_expect_gt(refused, b.packed_length - 16);
  builder_done(&b);
}

Test(onnx_damage, every_bit_flipped) {
  builder b;
  build(&b);
  for (size_t bit = 0; bit < 8 * b.packed_length; bit++) {
    b.packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    read_copy(&b, b.packed, b.packed_length);
    b.packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  builder_done(&b);
}

Test(onnx_damage, every_byte_as_large_as_it_gets) {
  builder b;
  build(&b);
  for (size_t i = 0; i < b.packed_length; i++) {
    uint8_t old = b.packed[i];
    b.packed[i] = 0xff;
    read_copy(&b, b.packed, b.packed_length);
    b.packed[i] = old;
  }
  builder_done(&b);
}

static void refuse_bytes(const char *bytes, size_t length, qn_status status, const char *message) {
  builder b;
  builder_init(&b, 13);
  cr_expect_eq(read_copy(&b, (const uint8_t *)bytes, length), status);
  const char *got = qn_context_get_error(b.context)->message;
  cr_expect(strstr(got, message), "expected '%s' in '%s'", message, got);
  builder_done(&b);
}

Test(onnx_damage, wire_format) {
  refuse_bytes("", 0, QN_INVALID, "the file is empty");
  refuse_bytes("\x08\x0a", 2, QN_INVALID, "no graph");
  refuse_bytes("\x3a\x05", 2, QN_INVALID, "field 7 of a ModelProto needs 5 bytes and 0 are left");
  refuse_bytes("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, QN_INVALID, "needs 9223372036854775807 bytes");
  refuse_bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, QN_INVALID, "more than ten bytes");
  refuse_bytes("\x3b", 1, QN_INVALID, "wire type 3");
  refuse_bytes("\x38\x01", 2, QN_INVALID, "field 'graph' of a ModelProto has wire type 0 where 2 is due");
  refuse_bytes("\x3a\x00\x3a\x00", 4, QN_INVALID, "'graph' occurs twice");
  refuse_bytes("\x00\x00", 2, QN_INVALID, "field of number 0");
  refuse_bytes("\x12\x03"
               "a\0b",
               5, QN_INVALID, "holds a zero byte");
  refuse_bytes("\x08", 1, QN_INVALID, "ends in the middle of a ModelProto");
  refuse_bytes("PK\x03\x04", 4, QN_INVALID, "");
}

// graph { node { attribute { g { ... } } } }, `levels` times.
Test(onnx_damage, deep_nesting) {
  for (int levels = 10; levels <= 1250; levels *= 5) {
    builder b;
    builder_init(&b, 13);
    pb_graph *graphs = calloc((size_t)levels + 1, sizeof *graphs);
    pb_node *nodes = calloc((size_t)levels, sizeof *nodes),
            **node_lists = calloc((size_t)levels, sizeof *node_lists);
    pb_attr *attrs = calloc((size_t)levels, sizeof *attrs),
            **attr_lists = calloc((size_t)levels, sizeof *attr_lists);
    onnx__graph_proto__init(&graphs[levels]);
    for (int i = levels; i-- > 0;) {
      onnx__graph_proto__init(&graphs[i]);
      onnx__node_proto__init(&nodes[i]);
      onnx__attribute_proto__init(&attrs[i]);
      attrs[i].g = &graphs[i + 1];
      attr_lists[i] = &attrs[i];
      nodes[i].n_attribute = 1, nodes[i].attribute = &attr_lists[i];
      node_lists[i] = &nodes[i];
      graphs[i].n_node = 1, graphs[i].node = &node_lists[i];
    }
    b.model.graph = &graphs[0];
    builder_pack(&b);
    qn_status status = read_copy(&b, b.packed, b.packed_length);
    cr_expect_eq(status, levels == 10 ? QN_OK : QN_LIMIT, "%d levels", levels);
    if (levels > 10) cr_expect(strstr(qn_context_get_error(b.context)->message, "nested deeper than 100"));
    free(graphs), free(nodes), free(node_lists), free(attrs), free(attr_lists);
    builder_done(&b);
  }
}

// An allocator that fails from the nth call on.
typedef struct failing {
  long left;
} failing;
static void *fail_later(void *user, void *ptr, size_t old_size, size_t new_size) {
  failing *f = user;
  (void)old_size;
  if (!new_size) {
    free(ptr);
    return NULL;
  }
  if (f->left-- <= 0) return NULL;
  return realloc(ptr, new_size);
}

Test(onnx_damage, no_memory_at_any_point) {
  builder b;
  build(&b);
  for (long count = 0;; count++) {
    failing state = { .left = count };
    qn_allocator allocator = { .realloc = fail_later, .user = &state };
    qn_context *context = NULL;
    if (qn_context_create(&(qn_context_params){ .allocator = &allocator }, &context) != QN_OK) continue;
    qn_onnx_model *model = NULL;
    qn_status status = qn_onnx_read_memory(context, "test.onnx", b.packed, b.packed_length, NULL, &model);
    qn_onnx_model_destroy(model);
    qn_context_destroy(context);
    if (status == QN_OK) break;
    cr_assert_eq(status, QN_MEMORY, "after %ld allocations: %s", count, qn_status_name(status));
  }
  builder_done(&b);
}
