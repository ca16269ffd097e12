// Inside of formats/onnx: the decoded model, its names, and the steps of import and export.
#ifndef QN_FORMATS_ONNX_PRIV_H
#define QN_FORMATS_ONNX_PRIV_H

#include "formats/onnx/onnx.pb-c.h"
#include "ir/base_priv.h"
#include <assert.h>
#include <quench/onnx.h>
#include <stdarg.h>
#include <stdio.h>

typedef Onnx__ModelProto pb_model;
typedef Onnx__GraphProto pb_graph;
typedef Onnx__NodeProto pb_node;
typedef Onnx__AttributeProto pb_attr;
typedef Onnx__TensorProto pb_tensor;
typedef Onnx__TypeProto pb_type;
typedef Onnx__ValueInfoProto pb_value_info;
typedef Onnx__FunctionProto pb_function;
typedef Onnx__OperatorSetIdProto pb_opset;
typedef Onnx__StringStringEntryProto pb_entry;

// --- memory (memory.c), scan (scan.c) ----------------------------------------------------------------------

typedef struct qn_onnx_memory {
  ProtobufCAllocator allocator; // for protobuf-c
  qn_arena arena;
  struct qn_onnx_big *big;
  bool failed; // an allocation came back empty
} qn_onnx_memory;

void qn_onnx_memory_init(qn_onnx_memory *memory, qn_context *context);
void qn_onnx_memory_free(qn_onnx_memory *memory);
// Zeroed; NULL on failure.
void *qn_onnx_alloc(qn_onnx_memory *memory, size_t size);
char *qn_onnx_printf(qn_onnx_memory *memory, const char *format, ...) QN_PRINTF(2, 3);

// Errors: QN_INVALID or QN_LIMIT with the byte at fault.
qn_status qn_onnx_scan(qn_context *context, const char *place, const void *data, size_t length);

// --- names (scope.c) ---------------------------------------------------------------------------------------

typedef enum qn_onnx_maker { QN_ONNX_UNMADE, QN_ONNX_INPUT, QN_ONNX_INITIALIZER, QN_ONNX_ITEM } qn_onnx_maker;

// One tensor of the main graph, by name.
typedef struct qn_onnx_name {
  const char *text;
  uint32_t length;
  uint32_t item;       // its index, if an item makes it
  qn_onnx_maker maker; // UNMADE: only a type is declared
  qn_value value;      // QN_NONE: not built yet
  const pb_type *type; // as declared, or NULL
} qn_onnx_name;

typedef struct qn_onnx_names {
  qn_onnx_name *entries;
  uint32_t *slots; // 1 + index of an entry, open addressing
  uint32_t count, capacity, slot_count;
} qn_onnx_names;

qn_status qn_onnx_names_init(qn_onnx_names *names, qn_context *context, uint32_t expected);
void qn_onnx_names_free(qn_onnx_names *names, qn_context *context);
// NULL if there is none.
qn_onnx_name *qn_onnx_names_find(const qn_onnx_names *names, const char *text, size_t length);
// The entry of that name, made if needed; earlier pointers become invalid. The text is borrowed. NULL: no
// memory.
qn_onnx_name *qn_onnx_names_get(qn_onnx_names *names, qn_context *context, const char *text, size_t length);

// --- the model (model.c) -----------------------------------------------------------------------------------

// A node of the main graph, or of the body of a function that was inlined where it is called.
typedef struct qn_onnx_item {
  pb_node *node;
  uint32_t origin; // index of the node, or of the call, in the main graph
  bool inlined;
} qn_onnx_item;

// A file of external data, mapped once.
typedef struct qn_onnx_mapping {
  struct qn_onnx_mapping *next;
  const char *location; // as the model spells it
  const char *path;     // resolved
  void *data;
  size_t length;
} qn_onnx_mapping;

struct qn_onnx_model {
  qn_context *context;
  const char *place;  // for messages
  const char *folder; // of external data, or NULL
  qn_onnx_memory memory;
  pb_model *proto;
  qn_graph *graph;
  qn_onnx_item *items; // what the graph was built from, in order
  uint32_t item_count, item_capacity;
  qn_onnx_names names;
  qn_onnx_mapping *mappings;
};

// Records a failure with "place: node 'name'" in front.
qn_status qn_onnx_fail_node(qn_onnx_model *model, qn_status status, const pb_node *node, const char *format,
                            ...) QN_PRINTF(4, 5);
// Decodes, without building the graph: what the importer's time is counted from.
qn_status qn_onnx_decode(qn_context *context, const char *place, const void *data, size_t length,
                         const char *folder, qn_onnx_model **out_model);
// Builds the graph of a decoded model (import.c).
qn_status qn_onnx_build(qn_onnx_model *model);

static inline const char *qn_onnx_text(const char *text) {
  return text ? text : "";
}
static inline bool qn_onnx_same(const char *a, const char *b) {
  return strcmp(qn_onnx_text(a), qn_onnx_text(b)) == 0;
}
// "" for both spellings of the standard domain.
const char *qn_onnx_domain(const char *domain);
const pb_attr *qn_onnx_find_attr(const pb_node *node, const char *name);
// Flattens the main graph into items, inlining calls whose bodies hide attention (inline.c).
qn_status qn_onnx_list_items(qn_onnx_model *model);
// The body of a call, or NULL if the node is no call of a function of the model.
const pb_function *qn_onnx_find_function(const qn_onnx_model *model, const pb_node *node);

// --- data (types.c, tensor.c, external.c) ------------------------------------------------------------------

// QN_ANY for types that Quench has no name for.
qn_dtype qn_onnx_dtype(int64_t data_type);
// 0 if `type` is NULL or no tensor.
qn_type qn_onnx_type(qn_graph *graph, const pb_type *type);
qn_dim qn_onnx_dim_param(qn_graph *graph, const char *text);
// Whether Quench can hold the tensor at all: a numeric type and a rank of at most 8.
bool qn_onnx_tensor_readable(const pb_tensor *tensor);
// The tensor's bytes, borrowed where they lie in order; else converted into the model's memory.
// Precondition: readable. Errors name the tensor.
qn_status qn_onnx_tensor_read(qn_onnx_model *model, const pb_tensor *tensor, qn_tensor *out_tensor);
// The bytes of a tensor of external data, mapped. Errors: QN_NOT_FOUND, QN_INVALID, QN_IO, QN_UNSUPPORTED.
qn_status qn_onnx_external_get(qn_onnx_model *model, const pb_tensor *tensor, const uint8_t **out_data,
                               uint64_t *out_length);
void qn_onnx_external_free(qn_onnx_model *model);

// --- import ------------------------------------------------------------------------------------------------

typedef struct qn_onnx_importer {
  qn_onnx_model *model;
  qn_context *context;
  qn_graph *graph;
  qn_onnx_memory *memory;
  const char *file; // the last part of the place: the location of every node, whose id says where in it
  qn_buf layer, raw;
  // The current node, being made. Arrays grow and are reused.
  const qn_onnx_item *item;
  qn_op op;
  qn_value *operands;
  uint32_t operand_count, operand_capacity;
  qn_attr attrs[QN_OP_ATTRS_MAX];
  uint32_t attr_count;
  bool trt;         // the node is one of TensorRT's own operations
  bool lax;         // the file is for TensorRT, which does not read value_info: one that is wrong does not count
  qn_scheme scheme; // storage for a scheme attribute
  qn_tensor tensor; // storage for a tensor attribute
  const char **names;
  qn_type *types;
  qn_value *results;
  uint32_t name_capacity, type_capacity, result_capacity;
} qn_onnx_importer;

// Fills the draft further than the table can. `*out_read` false: leave the node an extern.
typedef qn_status (*qn_onnx_special_fn)(qn_onnx_importer *im, bool *out_read);

// One row of ops.c. `attrs` is a list of words, one for each attribute that is understood:
//   axis        carried under the same name       axis=dim    carried as `dim`
//   axes@1      becomes a constant operand 1      axis:1      must be 1 (a number or a word), else the node
//   stays extern -seed       means nothing here
// An attribute that no word names leaves the node extern.
typedef struct qn_onnx_op {
  const char *name;
  uint16_t from, until; // versions of the operator set
  qn_op op;
  const char *attrs;
  qn_onnx_special_fn special; // or NULL
} qn_onnx_op;

// NULL if the table has no such row.
const qn_onnx_op *qn_onnx_op_find(const char *domain, const char *name, int64_t version);
// Whether the row is one of TensorRT's own operations, whose declared result types are not to be trusted.
bool qn_onnx_op_is_trt(const qn_onnx_op *row);
// Rows in order, for tests and documentation.
const qn_onnx_op *qn_onnx_op_get(uint32_t index);
// Whether an operation that is no row still computes its results from its operands alone.
bool qn_onnx_op_is_pure(const pb_node *node);

// The draft's attributes and operands.
void qn_onnx_set_int(qn_onnx_importer *im, const char *name, int64_t value);
void qn_onnx_set_float(qn_onnx_importer *im, const char *name, double value);
void qn_onnx_set_text(qn_onnx_importer *im, const char *name, const char *value);
void qn_onnx_set_scheme(qn_onnx_importer *im, const char *name, const qn_scheme *scheme);
qn_status qn_onnx_set_operand(qn_onnx_importer *im, uint32_t index, qn_value value);
qn_value qn_onnx_get_operand(const qn_onnx_importer *im, uint32_t index); // QN_NONE beyond the count
// What is known of a draft's operand, or of result `index` as declared.
qn_type_info qn_onnx_operand_type(const qn_onnx_importer *im, uint32_t index);
qn_type_info qn_onnx_result_type(const qn_onnx_importer *im, uint32_t index);
// Adds a small constant that the node implies, named after its first result.
qn_status qn_onnx_add_const(qn_onnx_importer *im, const char *suffix, const qn_tensor *tensor,
                            qn_value *out_value);
// Adds the draft. Results are the node's, or one of the name `result` if that is not NULL.
qn_status qn_onnx_add_draft(qn_onnx_importer *im, const char *result);
// Converts the node's attributes as the row says. `*out_read` false: something is outside of the row.
qn_status qn_onnx_map_attrs(qn_onnx_importer *im, const char *words, bool *out_read);

// Integer attribute or its default.
int64_t qn_onnx_attr_int(const pb_node *node, const char *name, int64_t otherwise);

// Specials (special.c, constant.c, quantize.c, quantize_trt.c, attention.c).
qn_status qn_onnx_special_constant(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_fill(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_cast(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_cast_like(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_dropout(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_softmax_1(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_split(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_variadic(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_quantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_dequantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_dynamic_quantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_trt_fp8_quantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_trt_fp8_dequantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_trt_fp4_quantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_trt_mxfp8_quantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_trt_mxfp8_dequantize(qn_onnx_importer *im, bool *out_read);
qn_status qn_onnx_special_attention(qn_onnx_importer *im, bool *out_read);

// The module path of a node into `out` (layer.c); empty if nothing tells it.
void qn_onnx_layer(const pb_node *node, qn_buf *out);

#endif
