// The decoder of decoder.h, layer by layer.
#include "decoder.h"

#include <stdio.h>
#include <string.h>

enum { HIDDEN = 512, HEADS = 8, KV_HEADS = 2, HEAD_DIM = 64, INNER = 1024 };

// Weights of all layers share these bytes, so that a million nodes measure nodes and not memory.
static const unsigned char zeros[HIDDEN * INNER * 2];

typedef struct decoder {
  qn_graph *graph;
  qn_status status; // of the first call that failed
  uint64_t id;
  char layer[64];
  // What all layers read.
  qn_value mask, cos, sin;
  qn_value scale, half, end, start, last_axis, axis_2, heads_shape, kv_shape, expand_shape, repeat_shape,
      merge_shape;
} decoder;

static qn_value add(decoder *d, qn_op op, const qn_attr *attrs, uint32_t attr_count, uint32_t count, qn_value a,
                    qn_value b, qn_value c, qn_value e) {
  qn_value operands[] = { a, b, c, e }, result = QN_NONE;
  if (d->status != QN_OK) return QN_NONE;
  d->status =
      qn_graph_add(d->graph,
                   qn_node_params(.op = op, .operands = operands, .operand_count = count, .attrs = attrs,
                                  .attr_count = attr_count, .id = ++d->id, .layer = d->layer),
                   &result);
  return result;
}

static qn_value one(decoder *d, qn_op op, qn_value a) {
  return add(d, op, NULL, 0, 1, a, 0, 0, 0);
}
static qn_value two(decoder *d, qn_op op, qn_value a, qn_value b) {
  return add(d, op, NULL, 0, 2, a, b, 0, 0);
}

static qn_value constant(decoder *d, qn_dtype dtype, int32_t rank, const int64_t *dims, const void *data,
                         uint64_t bytes) {
  qn_tensor tensor = { .dtype = dtype, .rank = rank, .data = data, .bytes = bytes };
  if (rank) memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
  return add(d, QN_OP_const, &(qn_attr){ .name = "value", .tensor = &tensor, .borrow = data == zeros }, 1, 0, 0,
             0, 0, 0);
}
static qn_value weight(decoder *d, int64_t rows, int64_t columns) {
  return constant(d, QN_F16, 2, (int64_t[]){ rows, columns }, zeros, (uint64_t)(rows * columns * 2));
}
static qn_value gain(decoder *d) {
  return constant(d, QN_F16, 1, (int64_t[]){ HIDDEN }, zeros, HIDDEN * 2);
}
static qn_value ints(decoder *d, const int64_t *values, int64_t count) {
  return constant(d, QN_S64, 1, &count, values, (uint64_t)count * 8);
}
#define INTS(d, ...) ints(d, (const int64_t[]){ __VA_ARGS__ }, sizeof((const int64_t[]){ __VA_ARGS__ }) / 8)

static qn_value transpose(decoder *d, qn_value x, const int64_t perm[4]) {
  return add(d, QN_OP_transpose, &(qn_attr){ .name = "perm", .ints = perm, .length = 4 }, 1, 1, x, 0, 0, 0);
}
static const int64_t swap_heads[4] = { 0, 2, 1, 3 }, swap_last[4] = { 0, 1, 3, 2 };

static qn_value slice(decoder *d, qn_value x, qn_value from, qn_value to) {
  return add(d, QN_OP_slice, NULL, 0, 4, x, from, to, d->last_axis);
}

// x * cos + rotate_half(x) * sin
static qn_value rotate(decoder *d, qn_value x) {
  qn_value low = slice(d, x, d->start, d->half), high = slice(d, x, d->half, d->end);
  qn_value turned =
      add(d, QN_OP_concat, &(qn_attr){ .name = "axis", .i = -1 }, 1, 2, one(d, QN_OP_neg, high), low, 0, 0);
  return two(d, QN_OP_add, two(d, QN_OP_mul, x, d->cos), two(d, QN_OP_mul, turned, d->sin));
}

static qn_value repeat_heads(decoder *d, qn_value x) {
  qn_value wide = two(d, QN_OP_expand, two(d, QN_OP_unsqueeze, x, d->axis_2), d->expand_shape);
  return two(d, QN_OP_reshape, wide, d->repeat_shape);
}

static qn_value attention(decoder *d, bool fused, qn_value q, qn_value k, qn_value v) {
  if (fused) return add(d, QN_OP_attention, NULL, 0, 4, q, k, v, d->mask);
  k = repeat_heads(d, k);
  v = repeat_heads(d, v);
  qn_value scores = two(d, QN_OP_mul, two(d, QN_OP_matmul, q, transpose(d, k, swap_last)), d->scale);
  qn_value p = one(d, QN_OP_softmax, two(d, QN_OP_add, scores, d->mask));
  return two(d, QN_OP_matmul, p, v);
}

static qn_value add_layer(decoder *d, const decoder_params *params, qn_value x) {
  static const float step = 0.25f;
  qn_scheme fp8 = qn_scheme_of(QN_SCHEME_fp8_static);
  qn_attr quantize[] = { { .name = "scheme", .scheme = &fp8 } };
  qn_attr dequantize[] = { { .name = "scheme", .scheme = &fp8 }, { .name = "to", .i = QN_F16 } };
  qn_value h = two(d, QN_OP_rms_norm, x, gain(d));
  qn_value q = two(d, QN_OP_matmul, h, weight(d, HIDDEN, HEADS * HEAD_DIM));
  qn_value k = two(d, QN_OP_matmul, h, weight(d, HIDDEN, KV_HEADS * HEAD_DIM));
  qn_value v = two(d, QN_OP_matmul, h, weight(d, HIDDEN, KV_HEADS * HEAD_DIM));
  q = rotate(d, transpose(d, two(d, QN_OP_reshape, q, d->heads_shape), swap_heads));
  k = rotate(d, transpose(d, two(d, QN_OP_reshape, k, d->kv_shape), swap_heads));
  v = transpose(d, two(d, QN_OP_reshape, v, d->kv_shape), swap_heads);
  qn_value o = attention(d, params->fused_attention, q, k, v);
  o = two(d, QN_OP_reshape, transpose(d, o, swap_heads), d->merge_shape);
  // Quantizers give both ends a constant of their own.
  o = add(d, QN_OP_quantize, quantize, 1, 2, o, constant(d, QN_F32, 0, NULL, &step, 4), 0, 0);
  o = add(d, QN_OP_dequantize, dequantize, 2, 2, o, constant(d, QN_F32, 0, NULL, &step, 4), 0, 0);
  x = two(d, QN_OP_add, x, two(d, QN_OP_matmul, o, weight(d, HEADS * HEAD_DIM, HIDDEN)));
  h = two(d, QN_OP_rms_norm, x, gain(d));
  qn_value gate = two(d, QN_OP_matmul, h, weight(d, HIDDEN, INNER)),
           up = two(d, QN_OP_matmul, h, weight(d, HIDDEN, INNER));
  gate = two(d, QN_OP_mul, gate, one(d, QN_OP_sigmoid, gate));
  return two(d, QN_OP_add, x, two(d, QN_OP_matmul, two(d, QN_OP_mul, gate, up), weight(d, INNER, HIDDEN)));
}

static qn_value input(decoder *d, const char *name, int32_t rank, const qn_dim *dims) {
  qn_value value = QN_NONE;
  if (d->status == QN_OK)
    d->status = qn_graph_add_input(d->graph, name, qn_type_get(d->graph, QN_F16, rank, dims), &value);
  return value;
}

static qn_value add_shared(decoder *d) {
  static const uint16_t eighth = 0x3000; // f16 0.125
  qn_dim batch = qn_dim_symbol(d->graph, "B", 1), length = qn_dim_symbol(d->graph, "T", 1);
  d->mask = input(d, "mask", 4, (qn_dim[]){ batch, 1, length, length });
  d->cos = input(d, "cos", 4, (qn_dim[]){ batch, 1, length, HEAD_DIM });
  d->sin = input(d, "sin", 4, (qn_dim[]){ batch, 1, length, HEAD_DIM });
  d->scale = constant(d, QN_F16, 0, NULL, &eighth, 2);
  d->start = INTS(d, 0);
  d->half = INTS(d, HEAD_DIM / 2);
  d->end = INTS(d, INT64_MAX);
  d->last_axis = INTS(d, -1);
  d->axis_2 = INTS(d, 2);
  d->heads_shape = INTS(d, 0, 0, HEADS, HEAD_DIM);
  d->kv_shape = INTS(d, 0, 0, KV_HEADS, HEAD_DIM);
  d->expand_shape = INTS(d, 1, 1, HEADS / KV_HEADS, 1, 1);
  d->repeat_shape = INTS(d, 0, HEADS, -1, HEAD_DIM);
  d->merge_shape = INTS(d, 0, 0, HEADS * HEAD_DIM);
  return input(d, "x", 3, (qn_dim[]){ batch, length, HIDDEN });
}

qn_status decoder_create(qn_context *context, const decoder_params *params, qn_graph **out_graph) {
  decoder d = { .status = QN_OK };
  *out_graph = NULL;
  QN_TRY(qn_graph_create(context, "decoder", &d.graph));
  qn_value x = add_shared(&d);
  for (uint32_t i = 0; i < params->layers && d.status == QN_OK; i++) {
    snprintf(d.layer, sizeof d.layer, "model.layers.%u", i);
    x = add_layer(&d, params, x);
  }
  if (d.status == QN_OK) d.status = qn_graph_add_output(d.graph, x, "y");
  if (d.status != QN_OK) {
    qn_graph_destroy(d.graph);
    return d.status;
  }
  *out_graph = d.graph;
  return QN_OK;
}
