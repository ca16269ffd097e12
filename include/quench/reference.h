// The reference executor: a whole graph on the CPU, the oracle for everything else.
#ifndef QUENCH_REFERENCE_H
#define QUENCH_REFERENCE_H

#include <quench/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qn_reference_mode {
  QN_REFERENCE_DECLARED, // arithmetic in f32, each result rounded to the element type that the graph declares
  QN_REFERENCE_F64       // float values are held and computed in f64, no rounding but quantization's own
} qn_reference_mode;

// Called after each node; for progress and for comparing interior values. `result` lives for the call only.
// In mode F64 float tensors arrive with dtype F64.
typedef qn_status (*qn_reference_fn)(void *user, qn_node node, uint32_t result_index, const qn_tensor *result);

// The evaluation of one node, to be taken over by somebody else: a device, say. Lives for the call only.
typedef struct qn_ref qn_reference_call;
// Called before each node that is neither an input nor a constant. Operands are dense, NULL where absent.
// Either every result that is used is given by qn_reference_call_new_result and `*out_done` set, or nothing is
// done and the executor evaluates the node.
typedef qn_status (*qn_execute_fn)(void *user, qn_reference_call *call, qn_node node,
                                   const qn_tensor *const *operands, uint32_t operand_count, bool *out_done);
// Memory for result `index`, dense and zeroed, for the caller to fill; `shape` says dtype, rank and dims. The
// executor then holds it to what the graph declares. Errors: QN_UNSUPPORTED for strings.
QN_API qn_status qn_reference_call_new_result(qn_reference_call *call, uint32_t index, const qn_tensor *shape,
                                              void **out_data);

typedef struct qn_reference_params {
  const qn_tensor *inputs; // one for each `input` node, in graph order
  uint32_t input_count;
  qn_reference_mode mode;
  qn_execute_fn execute;     // NULL: the executor evaluates every node
  qn_reference_fn on_result; // NULL: none
  void *user;                // of both
} qn_reference_params;
#define qn_reference_params(...) (&(const qn_reference_params){ __VA_ARGS__ })

// The outputs of a run.
typedef struct qn_results qn_results;

// Runs the graph. Errors: QN_UNSUPPORTED for an operation or element type that the executor lacks, QN_INVALID
// for inputs that do not fit the graph or shapes that disagree, both naming the node; QN_LIMIT, QN_MEMORY.
QN_API qn_status qn_reference_run(const qn_graph *graph, const qn_reference_params *params,
                                  qn_results **out_results);
QN_API void qn_results_destroy(qn_results *results);
QN_API uint32_t qn_results_get_count(const qn_results *results);
// Output `index` of the graph; lives as long as the results. Mode F64: float tensors have dtype F64.
QN_API const qn_tensor *qn_results_get(const qn_results *results, uint32_t index);

// How far two tensors are apart, as values.
typedef struct qn_difference {
  uint64_t count;     // elements
  uint64_t different; // elements whose bits differ
  double max_abs;     // largest |a - b|
  double rms;         // sqrt(mean((a - b)^2))
  double max_rel;     // max_abs / max |b|
  uint64_t first;     // index of the first differing element; count if none
} qn_difference;
// Errors: QN_INVALID if shapes differ. Element types may differ; bits are compared only where they do not.
QN_API qn_status qn_tensor_compare(qn_context *context, const qn_tensor *a, const qn_tensor *b,
                                   qn_difference *out_difference);

// Element `index` of a tensor: its value, as the nearest f64, and its code in the low bits. False beyond the
// end, without data, and for strings.
QN_API bool qn_tensor_get_element(const qn_tensor *tensor, uint64_t index, double *out_value,
                                  uint64_t *out_bits);

// .npy files (format 1.0 to 3.0, C order). bf16 and FP8 are stored as u2 / u1 and need `dtype` said;
// QN_ANY takes the file's own. The tensor's data is owned by the caller's `qn_npy`.
typedef struct qn_npy qn_npy;
QN_API qn_status qn_npy_read_file(qn_context *context, const char *path, qn_dtype dtype, qn_npy **out_npy);
QN_API const qn_tensor *qn_npy_get_tensor(const qn_npy *npy);
QN_API void qn_npy_destroy(qn_npy *npy);
QN_API qn_status qn_npy_write_file(qn_context *context, const char *path, const qn_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
