// What the steps of export share: who uses which tensor, and the pieces of the file that fusions replace.
#ifndef QN_FORMATS_ONNX_EXPORT_PRIV_H
#define QN_FORMATS_ONNX_EXPORT_PRIV_H

#include "formats/onnx/onnx_priv.h"

// A tensor of the file: an index into model->names.
typedef uint32_t qn_onnx_tensor;

typedef struct qn_onnx_list {
  uint32_t *at;
  uint32_t count, capacity;
} qn_onnx_list;

// One fused attention of the graph and what stands for it in the file.
typedef struct qn_onnx_fusion {
  qn_node attention;
  qn_onnx_list
      inputs; // tensors that the call takes: those of the fused node first, then what only the body reads
  qn_onnx_list input_slots;  // for each: the operand of the fused node that it leads to, or UINT32_MAX
  qn_onnx_list outputs;      // tensors that the call makes
  qn_onnx_list output_slots; // for each: the result of the fused node that it comes from
  qn_onnx_list body;         // items, ascending
  const char **input_names, **output_names; // inside of the function
  pb_node *call;
} qn_onnx_fusion;

// A function that was made, with its encoding without a name, by which equal ones are found.
typedef struct qn_onnx_body {
  pb_function *function;
  uint8_t *packed;
  size_t length;
} qn_onnx_body;

typedef struct qn_onnx_exporter {
  qn_onnx_model *model;
  qn_context *context;
  qn_onnx_memory *memory;
  const qn_graph *graph;
  // Tensors read by item i: reads[read_start[i] .. read_start[i + 1]], captures of subgraphs included.
  uint32_t *read_start;
  qn_onnx_list reads;
  // Items that read tensor t, in order.
  uint32_t *user_start, *users;
  uint8_t *is_output; // of each tensor: a graph output
  qn_onnx_fusion *fusions;
  uint32_t fusion_count;
  const char **inner; // of each tensor: its name inside of the function that is being made
  // Scratch of the analysis, one byte for each item and each tensor.
  uint8_t *item_marks, *tensor_marks;
  qn_onnx_list stack;
  qn_onnx_body *bodies;
  uint32_t body_count, body_capacity;
} qn_onnx_exporter;

qn_status qn_onnx_list_add(qn_onnx_exporter *ex, qn_onnx_list *list, uint32_t value);
bool qn_onnx_list_has(const qn_onnx_list *list, uint32_t value);

// Fills reads, users and is_output (uses.c).
qn_status qn_onnx_find_uses(qn_onnx_exporter *ex);
// The tensor of the file that a value of the graph is, or UINT32_MAX if a pass made it (uses.c).
qn_onnx_tensor qn_onnx_tensor_of(const qn_onnx_exporter *ex, qn_value value);
// Fills inputs, outputs and body (fusion.c). Errors: QN_UNSUPPORTED.
qn_status qn_onnx_find_fusion(qn_onnx_exporter *ex, qn_onnx_fusion *fusion);
// The fused node, and what leads to and from it, as text over the call's inputs and outputs (describe.c).
qn_status qn_onnx_describe_fusion(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion, char **out_text);
// The function with the body, shared where an equal one stands already, and the call (function.c).
qn_status qn_onnx_make_call(qn_onnx_exporter *ex, qn_onnx_fusion *fusion);
// The nodes of the new main graph, in order (rewrite.c). Marks the tensors that they make in ex->tensor_marks.
enum { QN_ONNX_MADE = 4 };
qn_status qn_onnx_rewrite_nodes(qn_onnx_exporter *ex, pb_node ***out_nodes, size_t *out_count);
// Copies the files of external data beside `path`, unless they are there already (external_copy.c).
qn_status qn_onnx_copy_external(qn_onnx_model *model, qn_onnx_memory *memory, const char *path);

#endif
