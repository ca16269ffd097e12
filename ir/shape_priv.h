// Shape rules: the types of a node's results from those of its operands and from its attributes.
//
// One rule an op (the table in shape.c). A rule reads operand types, says result types, and fails only where
// two things are known to disagree; what is not known makes the result less known, never an error.
#ifndef QUENCH_IR_SHAPE_PRIV_H
#define QUENCH_IR_SHAPE_PRIV_H

#include "ir/graph_priv.h"

// In the lists of dims below: a dim or an integer of which nothing is known. Never stored in a type.
#define QN_DIM_NONE UINT32_MAX

// A node whose results are being typed.
typedef struct qn_shape {
  qn_graph *graph;
  qn_node node;
  qn_status disagreement; // what a contradiction is: QN_INVALID, or QN_BUG in the verifier
  bool check;             // compare with the declared types and leave them as they are
} qn_shape;

// The rules, by the file they are in. Each sets every result that the node has and that it knows.
typedef qn_status (*qn_shape_rule)(qn_shape *shape);
// shape_math.c
qn_status qn_shape_broadcast(qn_shape *shape);
qn_status qn_shape_compare(qn_shape *shape);
qn_status qn_shape_first(qn_shape *shape);
qn_status qn_shape_test(qn_shape *shape);
qn_status qn_shape_pow(qn_shape *shape);
qn_status qn_shape_where(qn_shape *shape);
qn_status qn_shape_cast(qn_shape *shape);
qn_status qn_shape_reduce(qn_shape *shape);
qn_status qn_shape_softmax(qn_shape *shape);
qn_status qn_shape_layer_norm(qn_shape *shape);
qn_status qn_shape_rms_norm(qn_shape *shape);
// shape_quantize.c
qn_status qn_shape_quantize(qn_shape *shape);
qn_status qn_shape_dequantize(qn_shape *shape);
// shape_product.c
qn_status qn_shape_matmul(qn_shape *shape);
qn_status qn_shape_gemm(qn_shape *shape);
qn_status qn_shape_conv(qn_shape *shape);
// shape_attention.c
qn_status qn_shape_attention(qn_shape *shape);
// shape_view.c
qn_status qn_shape_reshape(qn_shape *shape);
qn_status qn_shape_flatten(qn_shape *shape);
qn_status qn_shape_bitcast(qn_shape *shape);
qn_status qn_shape_squeeze(qn_shape *shape);
qn_status qn_shape_unsqueeze(qn_shape *shape);
qn_status qn_shape_transpose(qn_shape *shape);
qn_status qn_shape_expand(qn_shape *shape);
qn_status qn_shape_shape(qn_shape *shape);
qn_status qn_shape_size(qn_shape *shape);
qn_status qn_shape_fill(qn_shape *shape);
qn_status qn_shape_range(qn_shape *shape);
// shape_move.c
qn_status qn_shape_concat(qn_shape *shape);
qn_status qn_shape_split(qn_shape *shape);
qn_status qn_shape_slice(qn_shape *shape);
qn_status qn_shape_gather(qn_shape *shape);
qn_status qn_shape_gather_elements(qn_shape *shape);
qn_status qn_shape_gather_nd(qn_shape *shape);
qn_status qn_shape_tile(qn_shape *shape);
qn_status qn_shape_pad(qn_shape *shape);
qn_status qn_shape_repeat(qn_shape *shape);

// --- what rules are made of (shape.c) --------------------------------------------------------------------

// The type of an operand; nothing known if it is absent.
qn_type_info qn_shape_operand(const qn_shape *shape, uint32_t index);
// Says a result; QN_DIM_NONE dims stay as declared, or become fresh. Nothing happens if the node lacks it.
// Fails if the node declares another type.
qn_status qn_shape_result(qn_shape *shape, uint32_t index, qn_dtype dtype, int32_t rank, const qn_dim *dims);
// Says that a result has the very type of an operand.
qn_status qn_shape_result_like(qn_shape *shape, uint32_t index, uint32_t operand);
// Says what quantizing a tensor of these dims gives: results 0 codes, 1 scale, 2 zero point (shape_quantize.c).
qn_status qn_shape_quantized(qn_shape *shape, const qn_scheme *scheme, int32_t rank, const qn_dim *dims);
// A contradiction: "node 'x' (matmul)", and the message.
qn_status qn_shape_fail(qn_shape *shape, const char *format, ...) QN_PRINTF(2, 3);
// "a is f32[2,3], b is f32[4,5]: <message>" for operands 0 and 1, the usual form of a contradiction of two.
qn_status qn_shape_fail_pair(qn_shape *shape, const char *format, ...) QN_PRINTF(2, 3);
// The axis in 0..rank-1, or a failure.
qn_status qn_shape_axis(qn_shape *shape, int64_t axis, int32_t rank, int32_t *out_axis);

// Arithmetic in which QN_DIM_NONE makes QN_DIM_NONE.
qn_dim qn_shape_add(qn_graph *graph, qn_dim a, qn_dim b);
qn_dim qn_shape_sub(qn_graph *graph, qn_dim a, qn_dim b);
qn_dim qn_shape_mul(qn_graph *graph, qn_dim a, qn_dim b);
qn_dim qn_shape_divide(qn_graph *graph, qn_dim a, qn_dim b); // exact, else NONE
qn_dim qn_shape_ceil_div(qn_graph *graph, qn_dim a, qn_dim b);
bool qn_shape_is_const(const qn_graph *graph, qn_dim dim, int64_t *out_value);
// Whether the dims cannot be equal: two different constants.
bool qn_shape_differ(const qn_graph *graph, qn_dim a, qn_dim b);
// The more precise of two dims that are equal: a constant, then the first that is known.
qn_dim qn_shape_same(const qn_graph *graph, qn_dim a, qn_dim b);
// The dim of two broadcast dims; false if they are known not to broadcast.
bool qn_shape_broadcast_dim(const qn_graph *graph, qn_dim a, qn_dim b, qn_dim *out_dim);
// Broadcasts the dims of `from` into `dims` of `rank`, both of known rank.
bool qn_shape_broadcast_into(const qn_graph *graph, qn_dim dims[QN_RANK_MAX], int32_t *rank, qn_type_info from);
// How many elements a strided range takes of `length`, with `*start` moved to the first; negative bounds count
// from the end, then both are clamped as ONNX does. -1 if step is 0.
int64_t qn_slice_length(int64_t length, int64_t *start, int64_t end, int64_t step);

// --- values (shape_values.c) -----------------------------------------------------------------------------

enum { QN_SHAPE_VALUES_MAX = 32 };
// The elements of a small integer tensor of rank 0 or 1 as far as they follow from constants and from shapes:
// symbolic dims, constants (also negative), or QN_DIM_NONE. False if not even their number is known, or if it
// is above QN_SHAPE_VALUES_MAX.
bool qn_shape_get_int_values(qn_graph *graph, qn_value value, qn_dim out_values[QN_SHAPE_VALUES_MAX],
                             uint32_t *out_count);
// The same where every element is a constant.
bool qn_shape_get_int_consts(qn_graph *graph, qn_value value, int64_t out_values[QN_SHAPE_VALUES_MAX],
                             uint32_t *out_count);

#endif
