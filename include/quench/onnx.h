// ONNX models, in and out.
#ifndef QUENCH_ONNX_H
#define QUENCH_ONNX_H

#include <quench/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

// A model file as read: the decoded protobuf, which is kept so that all that Quench does not touch is written
// back as it came, and the graph made from it. Node ids are 1 + the index of the node in the main graph.
// Thread-safety: as qn_graph.
typedef struct qn_onnx_model qn_onnx_model;

// Reads a file. External data is mapped, not copied; paths outside the model's folder are refused.
// Errors: QN_NOT_FOUND, QN_IO, QN_INVALID with the node or tensor at fault, QN_LIMIT.
QN_API qn_status qn_onnx_read_file(qn_context *context, const char *path, qn_onnx_model **out_model);
// Reads from memory, which must outlive the model. `folder` is where external data is looked for; NULL:
// refused.
QN_API qn_status qn_onnx_read_memory(qn_context *context, const char *place, const void *data, size_t length,
                                     const char *folder, qn_onnx_model **out_model);
QN_API void qn_onnx_model_destroy(qn_onnx_model *model);
// The graph; owned by the model, to be changed in place by a pipeline.
QN_API qn_graph *qn_onnx_model_get_graph(qn_onnx_model *model);

// Writes the model with one node of domain `quench` for each fused attention of the graph. It calls a
// model-local function whose body is the nodes that it replaces, as they were; everything else stays as it was.
// The file is written under a temporary name and renamed. External data stays where it is: the new file must
// be in the same folder as the old one, or its data is copied beside it.
// Errors: QN_IO; QN_UNSUPPORTED if the replaced nodes do not form a closed piece of the file.
QN_API qn_status qn_onnx_write_file(qn_onnx_model *model, const char *path);
// The number of fused attentions that a write would produce.
QN_API uint32_t qn_onnx_model_count_fused(const qn_onnx_model *model);

#ifdef __cplusplus
}
#endif
#endif
