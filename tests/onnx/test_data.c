// Tensor data: raw, in typed lists, in other files; constants.
#define _XOPEN_SOURCE 700 // mkdtemp, symlink
#include "onnx_test.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef Onnx__TensorProto__DataType data_type;
#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

static const qn_tensor *const_of(const qn_onnx_model *model, const char *name) {
  const qn_tensor *tensor = qn_value_get_const(model->graph, value_of(model->graph, name));
  cr_assert(tensor, "%s", name);
  return tensor;
}

static void add(builder *b, pb_tensor *tensor) {
  builder_initializer(b, tensor->name, tensor->data_type, "", NULL, 0);
  b->graph.initializer[b->graph.n_initializer - 1] = tensor;
}

Test(onnx_data, typed_lists) {
  static const struct {
    data_type type;
    const char *dims;
    qn_dtype dtype;
    int32_t values[4];
    size_t count;
    const char *bytes;
    uint64_t size;
  } rows[] = {
    { T(INT32), "2", QN_S32, { 1, -2 }, 2, "\x01\0\0\0\xfe\xff\xff\xff", 8 },
    { T(INT8), "2", QN_S8, { 1, -2 }, 2, "\x01\xfe", 2 },
    { T(BOOL), "2", QN_BOOL, { 1, 0 }, 2, "\x01\0", 2 },
    { T(FLOAT16), "2", QN_F16, { 0x3c00, 0xbc00 }, 2, "\0\x3c\0\xbc", 4 },
    { T(BFLOAT16), "1", QN_BF16, { 0x3f80 }, 1, "\x80\x3f", 2 },
    { T(FLOAT8E4M3FN), "2", QN_E4M3, { 0x38, 0xb8 }, 2, "\x38\xb8", 2 },
    { T(UINT4), "3", QN_U4, { 0x21, 0x03 }, 2, "\x21\x03", 2 },
    { T(FLOAT4E2M1), "4", QN_E2M1, { 0x21, 0x43 }, 2, "\x21\x43", 2 },
    { T(UINT16), "1", QN_U16, { 65535 }, 1, "\xff\xff", 2 },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    builder b;
    builder_init(&b, 25);
    pb_tensor *tensor = builder_tensor(&b, "w", (int)rows[i].type, rows[i].dims, NULL, 0);
    tensor->n_int32_data = rows[i].count;
    tensor->int32_data = (int32_t *)(uintptr_t)rows[i].values;
    add(&b, tensor);
    builder_output(&b, "w", (int)rows[i].type, NULL);
    qn_onnx_model *model = builder_read(&b);
    const qn_tensor *got = const_of(model, "w");
    cr_expect_eq(got->dtype, rows[i].dtype);
    cr_expect_eq(got->bytes, rows[i].size);
    cr_expect_arr_eq((const char *)got->data, rows[i].bytes, rows[i].size, "row %zu", i);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_data, wide_lists) {
  builder b;
  builder_init(&b, 25);
  pb_tensor *f = builder_tensor(&b, "f", T(FLOAT), "2", NULL, 0),
            *d = builder_tensor(&b, "d", T(DOUBLE), "", NULL, 0);
  pb_tensor *l = builder_tensor(&b, "l", T(INT64), "1", NULL, 0),
            *u = builder_tensor(&b, "u", T(UINT32), "2", NULL, 0);
  f->n_float_data = 2, f->float_data = (float[]){ 1, 2 };
  d->n_double_data = 1, d->double_data = (double[]){ 0.5 };
  l->n_int64_data = 1, l->int64_data = (int64_t[]){ INT64_MIN };
  u->n_uint64_data = 2, u->uint64_data = (uint64_t[]){ 7, UINT32_MAX };
  add(&b, f), add(&b, d), add(&b, l), add(&b, u);
  builder_output(&b, "f", T(FLOAT), NULL);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_eq(((const float *)const_of(model, "f")->data)[1], 2);
  cr_expect_eq(*(const double *)const_of(model, "d")->data, 0.5);
  cr_expect_eq(*(const int64_t *)const_of(model, "l")->data, INT64_MIN);
  cr_expect_eq(((const uint32_t *)const_of(model, "u")->data)[1], UINT32_MAX);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_data, constants_of_every_kind) {
  builder b;
  builder_init(&b, 13);
  builder_int(&b, builder_node(&b, "Constant", "", "i"), "value_int", -7);
  builder_float(&b, builder_node(&b, "Constant", "", "f"), "value_float", 1.5f);
  builder_ints(&b, builder_node(&b, "Constant", "", "is"), "value_ints", 2, (const int64_t[]){ 3, 4 });
  pb_attr *floats = builder_attr(&b, builder_node(&b, "Constant", "", "fs"), "value_floats");
  floats->n_floats = 1, floats->floats = (float[]){ 2.5f };
  pb_attr *value = builder_attr(&b, builder_node(&b, "Constant", "", "t"), "value");
  value->t = builder_tensor(&b, "t", T(INT8), "3", "\x01\x02\x03", 3);
  builder_string(&b, builder_node(&b, "Constant", "", "text"), "value_string", "words");
  pb_node *fill = builder_node(&b, "ConstantOfShape", "is", "filled");
  builder_attr(&b, fill, "value")->t = builder_tensor(&b, "", T(FLOAT), "1", (float[]){ 9 }, 4);
  builder_output(&b, "filled", T(FLOAT), NULL);
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = model->graph;
  cr_expect_eq(*(const int64_t *)const_of(model, "i")->data, -7);
  cr_expect_eq(const_of(model, "i")->rank, 0);
  cr_expect_eq(*(const float *)const_of(model, "f")->data, 1.5f);
  cr_expect_eq(const_of(model, "is")->dims[0], 2);
  cr_expect_eq(*(const float *)const_of(model, "fs")->data, 2.5f);
  cr_expect_eq(const_of(model, "t")->bytes, 3);
  cr_expect_eq(qn_node_get_op(graph, qn_value_get_node(graph, value_of(graph, "text"))), QN_OP_extern);
  cr_expect_eq(*(const float *)qn_node_get_tensor(graph, find_op(graph, QN_OP_fill), "value")->data, 9);
  cr_expect_str_eq(type_text(graph, value_of(graph, "filled")), "f32[3,4]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

static void refuse_tensor(pb_tensor *(*make)(builder *), qn_status status, const char *message) {
  builder b;
  builder_init(&b, 13);
  add(&b, make(&b));
  builder_refused(&b, status, message, "test.onnx");
  builder_done(&b);
}
static pb_tensor *too_short(builder *b) {
  return builder_tensor(b, "w", T(FLOAT), "2,3", "12345678", 8);
}
static pb_tensor *no_data(builder *b) {
  return builder_tensor(b, "w", T(FLOAT), "2", NULL, 0);
}
static pb_tensor *negative(builder *b) {
  return builder_tensor(b, "w", T(FLOAT), "-2", "12345678", 8);
}
static pb_tensor *huge(builder *b) {
  return builder_tensor(b, "w", T(FLOAT), "4611686018427387904,4611686018427387904", "12345678", 8);
}
static pb_tensor *segmented(builder *b) {
  pb_tensor *tensor = builder_tensor(b, "w", T(FLOAT), "1", "1234", 4);
  tensor->segment = qn_onnx_alloc(&b->memory, sizeof *tensor->segment);
  onnx__tensor_proto__segment__init(tensor->segment);
  return tensor;
}

Test(onnx_data, data_and_dims_that_disagree) {
  refuse_tensor(too_short, QN_INVALID, "'w' needs 24 bytes and has 8");
  refuse_tensor(no_data, QN_INVALID, "'w' has 2 elements and data for 0");
  refuse_tensor(negative, QN_INVALID, "dim 0 is -2");
  refuse_tensor(huge, QN_LIMIT, "overflows");
  refuse_tensor(segmented, QN_UNSUPPORTED, "segments");
}

// --- external data -----------------------------------------------------------------------------------------

static char folder[64];

static void make_folder(void) {
  strcpy(folder, "/tmp/qn-onnx-XXXXXX");
  cr_assert(mkdtemp(folder));
}

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  cr_assert_eq(system(command), 0);
}

static void write_bytes(const char *name, const void *bytes, size_t length) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  cr_assert(file);
  cr_assert_eq(fwrite(bytes, 1, length, file), length);
  fclose(file);
}

static pb_tensor *external(builder *b, const char *location, const char *offset, const char *length) {
  pb_tensor *tensor = builder_tensor(b, "w", T(FLOAT), "2", NULL, 0);
  const char *pairs[][2] = { { "location", location }, { "offset", offset }, { "length", length } };
  tensor->external_data = qn_onnx_alloc(&b->memory, 3 * sizeof *tensor->external_data);
  for (size_t i = 0; i < 3; i++) {
    if (!pairs[i][1]) continue;
    pb_entry *entry = qn_onnx_alloc(&b->memory, sizeof *entry);
    onnx__string_string_entry_proto__init(entry);
    entry->key = builder_text(b, pairs[i][0]);
    entry->value = builder_text(b, pairs[i][1]);
    tensor->external_data[tensor->n_external_data++] = entry;
  }
  tensor->has_data_location = 1;
  tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  return tensor;
}

// Writes a model with one external tensor and reads it; the value of element 1, or the error's message.
static float read_external(const char *location, const char *offset, const char *length, qn_status *out_status,
                           char message[512]) {
  builder b;
  builder_init(&b, 13);
  add(&b, external(&b, location, offset, length));
  builder_output(&b, "w", T(FLOAT), "2");
  builder_pack(&b);
  write_bytes("model.onnx", b.packed, b.packed_length);
  char path[256];
  snprintf(path, sizeof path, "%s/model.onnx", folder);
  qn_onnx_model *model = NULL;
  *out_status = qn_onnx_read_file(b.context, path, &model);
  snprintf(message, 512, "%s", qn_context_get_error(b.context)->message);
  float value = *out_status == QN_OK ? ((const float *)const_of(model, "w")->data)[1] : 0;
  qn_onnx_model_destroy(model);
  builder_done(&b);
  return value;
}

Test(onnx_data, external, .init = make_folder, .fini = remove_folder) {
  qn_status status;
  char message[512];
  const float floats[] = { 1, 2, 3 };
  write_bytes("weights", floats, sizeof floats);
  cr_expect_eq(read_external("weights", "4", "8", &status, message), 3);
  cr_expect_eq(status, QN_OK, "%s", message);
  cr_expect_eq(read_external("weights", "4", NULL, &status, message), 3, "length to the end");
  char odd[13] = "x";
  memcpy(odd + 1, floats, sizeof floats);
  write_bytes("odd", odd, sizeof odd);
  cr_expect_eq(read_external("odd", "1", "8", &status, message), 2, "an odd offset");
}

Test(onnx_data, external_that_is_wrong, .init = make_folder, .fini = remove_folder) {
  static const struct {
    const char *location, *offset, *length;
    qn_status status;
    const char *message;
  } rows[] = {
    { "gone", NULL, NULL, QN_NOT_FOUND, "tensor 'w': cannot open" },
    { "gone/../weights", NULL, NULL, QN_INVALID, "leads out of the model's folder" },
    { "../weights", NULL, NULL, QN_INVALID, "leads out of the model's folder" },
    { "/etc/passwd", NULL, NULL, QN_INVALID, "leads out of the model's folder" },
    { "", NULL, NULL, QN_INVALID, "leads out of the model's folder" },
    { "link", NULL, NULL, QN_INVALID, "is a link that leads out" },
    { "folder", NULL, NULL, QN_INVALID, "no regular file" },
    { "weights", "8", "8", QN_INVALID, "8 bytes at 8 of 'weights', which has 12" },
    { "weights", "18446744073709551615", "8", QN_INVALID, "which has 12" },
    { "weights", "99999999999999999999", "8", QN_INVALID, "is no number" },
    { "weights", "-4", "8", QN_INVALID, "is no number" },
    { "weights", "0", "12", QN_INVALID, "'w' needs 8 bytes and has 12" },
    { NULL, NULL, NULL, QN_INVALID, "has no location" },
  };
  const float floats[] = { 1, 2, 3 };
  write_bytes("weights", floats, sizeof floats);
  char path[256], message[512];
  snprintf(path, sizeof path, "%s/link", folder);
  cr_assert_eq(symlink("/etc/passwd", path), 0);
  snprintf(path, sizeof path, "%s/folder", folder);
  cr_assert_eq(mkdir(path, 0700), 0);
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    qn_status status;
    read_external(rows[i].location, rows[i].offset, rows[i].length, &status, message);
    cr_expect_eq(status, rows[i].status, "row %zu: %s", i, message);
    cr_expect(strstr(message, rows[i].message), "row %zu: %s", i, message);
  }
}

Test(onnx_data, external_without_a_folder) {
  builder b;
  builder_init(&b, 13);
  add(&b, external(&b, "weights", NULL, NULL));
  builder_refused(&b, QN_NOT_FOUND, "no folder to look in", "test.onnx");
  builder_done(&b);
}
