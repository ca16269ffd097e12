// The inside of the reference executor: tensors, the frame in which one node is evaluated, and what the
// operations are written with.
//
// An operation loads its operands as planes of f64 or s64 (quant/elements_priv.h), computes, and stores planes;
// the store does the rounding. Arithmetic in f32 is done as f64 operations whose results are rounded to f32 one
// by one (qn_ref_narrow): for + - * / and sqrt that is exactly f32 arithmetic, for exp and its like it is f32
// arithmetic with correctly rounded functions, the same on every machine. So one text serves f32, f64 and both
// modes.
#ifndef QUENCH_RUNTIME_REFERENCE_PRIV_H
#define QUENCH_RUNTIME_REFERENCE_PRIV_H

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <quench/reference.h>

// Elements of one tensor; beyond it QN_LIMIT.
#define QN_REF_ELEMENTS_MAX ((uint64_t)1 << 30)

// Bytes that several tensors may share.
typedef struct qn_ref_buffer {
  uint32_t owners;
  size_t size; // of the whole block, this header included
} qn_ref_buffer;

// A dense tensor, unpacked (4-bit types take a byte an element). Empty while `alive` is false.
typedef struct qn_ref_tensor {
  qn_dtype dtype; // as held: F64 for f16, bf16 and f32 in mode F64
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  uint64_t count;
  const uint8_t *data;
  qn_ref_buffer *buffer; // NULL: the bytes are borrowed from the graph or the caller
  bool alive;
} qn_ref_tensor;

// The evaluation of one node; qn_reference_call to the outside.
typedef struct qn_ref {
  qn_context *context;
  const qn_graph *graph;
  qn_node node;
  bool f64;                             // mode F64
  bool wide;                            // the node computes in f64: mode F64, or an f64 operand
  qn_arena arena;                       // for what does not outlive the node
  const qn_ref_tensor *const *operands; // NULL where absent
  uint32_t operand_count;
  qn_ref_tensor *results;
  uint32_t result_count;
  void **packed; // by result: where the outside puts one of a 4-bit type; NULL while nobody may
} qn_ref;

typedef qn_status (*qn_ref_fn)(qn_ref *ref);
// NULL for an operation that the executor lacks.
qn_ref_fn qn_ref_find(qn_op op);

// The outputs of a run, each with its own bytes.
struct qn_results {
  qn_context *context;
  uint32_t count;
  qn_tensor tensors[];
};
// Results without bytes; `data` of each is the context's, at least one byte long (results.c).
qn_status qn_results_create(qn_context *context, uint32_t count, qn_results **out_results);
// Gives result `index` the dtype, rank and dims of `shape`, and zeroed bytes.
qn_status qn_results_add(qn_results *results, uint32_t index, const qn_tensor *shape, void **out_data);

// Every operation but input, const and extern, by the file that evaluates it.
// clang-format off
#define QN_REF_OPS(X)                                                                                       \
  X(unary, neg) X(unary, abs) X(unary, sqrt) X(unary, rsqrt) X(unary, reciprocal) X(unary, exp)             \
  X(unary, log) X(unary, sin) X(unary, cos) X(unary, tanh) X(unary, erf) X(unary, sigmoid) X(unary, relu)   \
  X(unary, gelu) X(unary, swish) X(unary, floor) X(unary, ceil) X(unary, round)                             \
  X(test, not) X(test, is_nan) X(test, is_inf)                                                              \
  X(binary, add) X(binary, sub) X(binary, mul) X(binary, div) X(binary, mod) X(binary, pow) X(binary, min)  \
  X(binary, max)                                                                                            \
  X(compare, equal) X(compare, less) X(compare, less_equal) X(compare, greater) X(compare, greater_equal)   \
  X(logic, and) X(logic, or) X(logic, xor)                                                                  \
  X(clip, clip) X(cast, cast) X(where, where) X(reduce, reduce_sum) X(reduce, reduce_mean)                  \
  X(reduce, reduce_max) X(reduce, reduce_min)                                                               \
  X(cumsum, cumsum) X(bitcast, bitcast) X(identity, identity) X(reshape, reshape) X(flatten, flatten) X(squeeze, squeeze)       \
  X(unsqueeze, unsqueeze) X(transpose, transpose) X(expand, expand) X(concat, concat) X(split, split)       \
  X(slice, slice) X(tile, tile) X(pad, pad) X(gather, gather) X(gather_elements, gather_elements)           \
  X(gather_nd, gather_nd) X(scatter_nd, scatter_nd) X(shape, shape) X(size, size) X(range, range)           \
  X(repeat, repeat) X(fill, fill) X(trilu, trilu) X(matmul, matmul) X(gemm, gemm) X(conv, conv)             \
  X(softmax, softmax) X(layer_norm, layer_norm) X(rms_norm, rms_norm) X(rotary_embedding, rotary_embedding)                     \
  X(quantize, quantize) X(dequantize, dequantize) X(attention, attention)
// clang-format on

#define X(function, op) qn_status qn_ref_##function(qn_ref *ref);
QN_REF_OPS(X)
#undef X

// --- failing -----------------------------------------------------------------------------------------------

// Records a failure at the node: "node 'layers.0/Softmax' (softmax)".
qn_status qn_ref_fail(qn_ref *ref, qn_status status, const char *format, ...) QN_PRINTF(3, 4);
// Puts the node in front of the place of a failure recorded below.
qn_status qn_ref_fail_within(qn_ref *ref, qn_status status);

// --- operands ----------------------------------------------------------------------------------------------

// NULL if absent.
const qn_ref_tensor *qn_ref_operand(const qn_ref *ref, uint32_t index);
// The values of a tensor, in the node's arena. Errors: QN_UNSUPPORTED for strings, QN_MEMORY.
qn_status qn_ref_load(qn_ref *ref, const qn_ref_tensor *tensor, const double **out_values);
qn_status qn_ref_load_ints(qn_ref *ref, const qn_ref_tensor *tensor, const int64_t **out_values);
// A tensor with one element.
qn_status qn_ref_load_scalar(qn_ref *ref, const qn_ref_tensor *tensor, double *out_value);
qn_status qn_ref_load_int(qn_ref *ref, const qn_ref_tensor *tensor, int64_t *out_value);
// A tensor of at most QN_RANK_MAX integers (axes, shapes).
qn_status qn_ref_load_list(qn_ref *ref, const qn_ref_tensor *tensor, int64_t out_list[QN_RANK_MAX],
                           uint32_t *out_count);
// 0 <= axis < rank from -rank <= axis < rank. Errors: QN_INVALID.
qn_status qn_ref_axis(qn_ref *ref, int64_t axis, int32_t rank, int32_t *out_axis);
// The axes of operand `index` (all if it is absent or empty) as flags. Errors: QN_INVALID for one that repeats.
qn_status qn_ref_load_axes(qn_ref *ref, uint32_t index, int32_t rank, bool out_chosen[QN_RANK_MAX],
                           uint32_t *out_count);
// Whether both have the same dims.
bool qn_ref_same_shape(const qn_ref_tensor *a, const qn_ref_tensor *b);

// --- results -----------------------------------------------------------------------------------------------

// The type that a value declared as `dtype` is held in.
qn_dtype qn_ref_held(const qn_ref *ref, qn_dtype dtype);
// The element type that the graph declares for a result, as held; `otherwise` where it says none.
qn_dtype qn_ref_declared(const qn_ref *ref, uint32_t result, qn_dtype otherwise);
// The product of dims. Errors: QN_LIMIT, QN_INVALID for a negative one.
qn_status qn_ref_count(qn_ref *ref, int32_t rank, const int64_t *dims, uint64_t *out_count);
// Result `index` with its own bytes, zeroed.
qn_status qn_ref_new(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                     uint8_t **out_data);
// Result `index` from a plane, rounded to f32 first unless the node is wide, then to `dtype`.
qn_status qn_ref_store(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                       const double *values);
qn_status qn_ref_store_ints(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                            const int64_t *values);
// Result `index` as the same elements under other dims (of equal product).
qn_status qn_ref_share(qn_ref *ref, uint32_t index, const qn_ref_tensor *tensor, int32_t rank,
                       const int64_t *dims);

// --- arithmetic --------------------------------------------------------------------------------------------

static inline double qn_ref_narrow(bool wide, double value) {
  return wide ? value : (double)(float)value;
}
double *qn_ref_doubles(qn_ref *ref, uint64_t count); // zeroed, in the arena; NULL after a recorded failure
int64_t *qn_ref_ints(qn_ref *ref, uint64_t count);
// x[i * stride] for i < count becomes its softmax; the largest is taken off first, sums run upwards. A row
// whose largest is -inf becomes NaN, as in ONNX Softmax.
void qn_ref_softmax_row(bool wide, double *x, uint64_t count, uint64_t stride);

// The operands of quantizing, NULL where absent.
typedef struct qn_ref_quantize_operands {
  const qn_ref_tensor *scale, *zero_point, *pre_scale, *scale_bound;
} qn_ref_quantize_operands;
// Result 0 as the codes of a plane under a scheme, and results 1 and 2, where the node has them, as the scales
// and zero points of a dynamic one. `wide`: as in qn_quantize_args. Shared by quantize and attention, which
// must agree bit for bit.
qn_status qn_ref_quantize_values(qn_ref *ref, const qn_scheme *scheme, bool wide, int32_t rank,
                                 const int64_t *dims, const double *values,
                                 const qn_ref_quantize_operands *operands);

// --- broadcasting ------------------------------------------------------------------------------------------

// Walks the elements of a shape in row-major order with an offset into each of up to three operands.
typedef struct qn_ref_walk {
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  uint64_t count;
  int64_t index[QN_RANK_MAX];
  int64_t strides[3][QN_RANK_MAX]; // 0 along a broadcast dim
  int64_t offset[3];
} qn_ref_walk;
// The broadcast of the operands (NULL ones count as scalars). Errors: QN_INVALID where dims disagree.
qn_status qn_ref_broadcast(qn_ref *ref, const qn_ref_tensor *const *operands, uint32_t count,
                           qn_ref_walk *out_walk);
// The walk of one tensor over given dims, to which it must broadcast.
qn_status qn_ref_broadcast_to(qn_ref *ref, const qn_ref_tensor *tensor, int32_t rank, const int64_t *dims,
                              qn_ref_walk *out_walk);
static inline void qn_ref_walk_next(qn_ref_walk *walk) {
  for (int32_t d = walk->rank - 1; d >= 0; d--) {
    for (int k = 0; k < 3; k++) walk->offset[k] += walk->strides[k][d];
    if (++walk->index[d] < walk->dims[d]) return;
    for (int k = 0; k < 3; k++) walk->offset[k] -= walk->strides[k][d] * walk->dims[d];
    walk->index[d] = 0;
  }
}

#endif
