// The one table from ONNX operations to Quench's, and the search in it. What a row says is in onnx_priv.h.
#include "formats/onnx/onnx_priv.h"

// The newest published operator set whose unchanged operations are read.
enum { LAST = 28 };

#define S(name) qn_onnx_special_##name

// clang-format off
// Sorted by name (by bytes), then by version. Every row needs its sample in tests/onnx.
static const qn_onnx_op rows[] = {
  { "Abs",                   6, LAST, QN_OP_abs,              "",                                                        NULL },
  { "Add",                   7, LAST, QN_OP_add,              "",                                                        NULL },
  { "And",                   7, LAST, QN_OP_and,              "",                                                        NULL },
  { "Attention",            23, LAST, QN_OP_attention,        "-scale -is_causal -softmax_precision softcap q_num_heads=heads kv_num_heads=kv_heads qk_matmul_output_mode=scores_mode left_window_size=window_left right_window_size=window_right", S(attention) },
  { "Cast",                  9, 27,   QN_OP_cast,             "-to saturate -round_mode",                                S(cast) },
  { "CastLike",             15, 27,   QN_OP_cast,             "saturate -round_mode",                                    S(cast_like) },
  { "Ceil",                  6, LAST, QN_OP_ceil,             "",                                                        NULL },
  { "Clip",                  6, 10,   QN_OP_clip,             "min@1 max@2",                                             NULL },
  { "Clip",                 11, LAST, QN_OP_clip,             "",                                                        NULL },
  { "Concat",                4, LAST, QN_OP_concat,           "axis",                                                    NULL },
  { "Constant",              1, LAST, QN_OP_const,            "-value -value_float -value_floats -value_int -value_ints", S(constant) },
  { "ConstantOfShape",       9, LAST, QN_OP_fill,             "-value",                                                  S(fill) },
  { "Conv",                  1, LAST, QN_OP_conv,             "auto_pad dilations group -kernel_shape pads strides",     NULL },
  { "Cos",                   7, LAST, QN_OP_cos,              "",                                                        NULL },
  { "CumSum",               11, LAST, QN_OP_cumsum,           "exclusive reverse",                                       NULL },
  { "DequantizeLinear",     10, 27,   QN_OP_dequantize,       "-axis -block_size -output_dtype",                         S(dequantize) },
  { "Div",                   7, LAST, QN_OP_div,              "",                                                        NULL },
  { "Dropout",               7, LAST, QN_OP_identity,         "-ratio -seed",                                            S(dropout) },
  { "DynamicQuantizeLinear", 11, LAST, QN_OP_quantize,        "",                                                        S(dynamic_quantize) },
  { "Equal",                 7, LAST, QN_OP_equal,            "",                                                        NULL },
  { "Erf",                   9, LAST, QN_OP_erf,              "",                                                        NULL },
  { "Exp",                   6, LAST, QN_OP_exp,              "",                                                        NULL },
  { "Expand",                8, LAST, QN_OP_expand,           "",                                                        NULL },
  { "Flatten",               1, LAST, QN_OP_flatten,          "axis",                                                    NULL },
  { "Floor",                 6, LAST, QN_OP_floor,            "",                                                        NULL },
  { "Gather",                1, LAST, QN_OP_gather,           "axis",                                                    NULL },
  { "GatherElements",       11, LAST, QN_OP_gather_elements,  "axis",                                                    NULL },
  { "GatherND",             11, LAST, QN_OP_gather_nd,        "batch_dims",                                              NULL },
  { "Gelu",                 20, LAST, QN_OP_gelu,             "approximate",                                             NULL },
  { "Gemm",                  7, LAST, QN_OP_gemm,             "alpha beta transA=trans_a transB=trans_b",                NULL },
  { "Greater",               7, LAST, QN_OP_greater,          "",                                                        NULL },
  { "GreaterOrEqual",       12, LAST, QN_OP_greater_equal,    "",                                                        NULL },
  { "Identity",              1, LAST, QN_OP_identity,         "",                                                        NULL },
  { "IsInf",                10, LAST, QN_OP_is_inf,           "detect_negative=negative detect_positive=positive",       NULL },
  { "IsNaN",                 9, LAST, QN_OP_is_nan,           "",                                                        NULL },
  { "LayerNormalization",   17, LAST, QN_OP_layer_norm,       "axis epsilon stash_type:1",                               NULL },
  { "Less",                  7, LAST, QN_OP_less,             "",                                                        NULL },
  { "LessOrEqual",          12, LAST, QN_OP_less_equal,       "",                                                        NULL },
  { "Log",                   6, LAST, QN_OP_log,              "",                                                        NULL },
  { "MatMul",                1, LAST, QN_OP_matmul,           "",                                                        NULL },
  { "Max",                   8, LAST, QN_OP_max,              "",                                                        S(variadic) },
  { "Min",                   8, LAST, QN_OP_min,              "",                                                        S(variadic) },
  { "Mod",                  10, 27,   QN_OP_mod,              "fmod",                                                    NULL },
  { "Mul",                   7, LAST, QN_OP_mul,              "",                                                        NULL },
  { "Neg",                   6, LAST, QN_OP_neg,              "",                                                        NULL },
  { "Not",                   1, LAST, QN_OP_not,              "",                                                        NULL },
  { "Or",                    7, LAST, QN_OP_or,               "",                                                        NULL },
  { "Pad",                   2, 10,   QN_OP_pad,              "mode pads@1 value@2",                                     NULL },
  { "Pad",                  11, LAST, QN_OP_pad,              "mode",                                                    NULL },
  { "Pow",                   7, LAST, QN_OP_pow,              "",                                                        NULL },
  { "QuantizeLinear",       10, 27,   QN_OP_quantize,         "-axis -block_size -output_dtype -precision -saturate",    S(quantize) },
  { "RMSNormalization",     23, LAST, QN_OP_rms_norm,         "axis epsilon stash_type:1",                               NULL },
  { "Range",                11, 26,   QN_OP_range,            "",                                                        NULL },
  { "Reciprocal",            6, LAST, QN_OP_reciprocal,       "",                                                        NULL },
  { "ReduceMax",             1, 17,   QN_OP_reduce_max,       "axes@1 keepdims",                                         NULL },
  { "ReduceMax",            18, LAST, QN_OP_reduce_max,       "keepdims noop_with_empty_axes=noop_if_empty",             NULL },
  { "ReduceMean",            1, 17,   QN_OP_reduce_mean,      "axes@1 keepdims",                                         NULL },
  { "ReduceMean",           18, LAST, QN_OP_reduce_mean,      "keepdims noop_with_empty_axes=noop_if_empty",             NULL },
  { "ReduceMin",             1, 17,   QN_OP_reduce_min,       "axes@1 keepdims",                                         NULL },
  { "ReduceMin",            18, LAST, QN_OP_reduce_min,       "keepdims noop_with_empty_axes=noop_if_empty",             NULL },
  { "ReduceSum",             1, 12,   QN_OP_reduce_sum,       "axes@1 keepdims",                                         NULL },
  { "ReduceSum",            13, LAST, QN_OP_reduce_sum,       "keepdims noop_with_empty_axes=noop_if_empty",             NULL },
  { "Relu",                  6, LAST, QN_OP_relu,             "",                                                        NULL },
  { "Reshape",               1, 4,    QN_OP_reshape,          "shape@1",                                                 NULL },
  { "Reshape",               5, LAST, QN_OP_reshape,          "allowzero",                                               NULL },
  { "RotaryEmbedding",      23, LAST, QN_OP_rotary_embedding, "interleaved num_heads=heads rotary_embedding_dim=rotary_dim", NULL },
  { "Round",                11, LAST, QN_OP_round,            "",                                                        NULL },
  { "ScatterND",            11, LAST, QN_OP_scatter_nd,       "reduction:none",                                          NULL },
  { "Shape",                 1, LAST, QN_OP_shape,            "start end",                                               NULL },
  { "Sigmoid",               6, LAST, QN_OP_sigmoid,          "",                                                        NULL },
  { "Sin",                   7, LAST, QN_OP_sin,              "",                                                        NULL },
  { "Size",                  1, LAST, QN_OP_size,             "",                                                        NULL },
  { "Slice",                 1, 9,    QN_OP_slice,            "starts@1 ends@2 axes@3",                                  NULL },
  { "Slice",                10, LAST, QN_OP_slice,            "",                                                        NULL },
  { "Softmax",               1, 12,   QN_OP_softmax,          "-axis",                                                   S(softmax_1) },
  { "Softmax",              13, LAST, QN_OP_softmax,          "axis",                                                    NULL },
  { "Split",                 2, 12,   QN_OP_split,            "axis split@1",                                            S(split) },
  { "Split",                13, LAST, QN_OP_split,            "axis -num_outputs",                                       S(split) },
  { "Sqrt",                  6, LAST, QN_OP_sqrt,             "",                                                        NULL },
  { "Squeeze",               1, 12,   QN_OP_squeeze,          "axes@1",                                                  NULL },
  { "Squeeze",              13, LAST, QN_OP_squeeze,          "",                                                        NULL },
  { "Sub",                   7, LAST, QN_OP_sub,              "",                                                        NULL },
  { "Sum",                   8, LAST, QN_OP_add,              "",                                                        S(variadic) },
  { "Swish",                24, LAST, QN_OP_swish,            "alpha",                                                   NULL },
  { "Tanh",                  6, LAST, QN_OP_tanh,             "",                                                        NULL },
  { "Tile",                  6, LAST, QN_OP_tile,             "",                                                        NULL },
  { "Transpose",             1, LAST, QN_OP_transpose,        "perm",                                                    NULL },
  { "Trilu",                14, LAST, QN_OP_trilu,            "upper",                                                   NULL },
  { "Unsqueeze",             1, 12,   QN_OP_unsqueeze,        "axes@1",                                                  NULL },
  { "Unsqueeze",            13, LAST, QN_OP_unsqueeze,        "",                                                        NULL },
  { "Where",                 9, LAST, QN_OP_where,            "",                                                        NULL },
  { "Xor",                   7, LAST, QN_OP_xor,              "",                                                        NULL },
};

// The standard operations of the same name under another address: onnxruntime's and TensorRT's.
static const char *const alias_domains[] = { "com.microsoft", "trt" };
static const qn_onnx_op alias_rows[] = {
  { "DequantizeLinear",      1, 1,    QN_OP_dequantize,       "-axis -block_size -output_dtype",                         S(dequantize) },
  { "QuantizeLinear",        1, 1,    QN_OP_quantize,         "-axis -block_size -output_dtype -precision -saturate",    S(quantize) },
};

// TensorRT's own, which come without a domain too.
static const qn_onnx_op trt_rows[] = {
  { "TRT_FP4DynamicQuantize",   1, LAST, QN_OP_quantize,      "-axis -block_size -scale_type",                           S(trt_fp4_quantize) },
  { "TRT_FP8DequantizeLinear",  1, LAST, QN_OP_dequantize,    "",                                                        S(trt_fp8_dequantize) },
  { "TRT_FP8QuantizeLinear",    1, LAST, QN_OP_quantize,      "",                                                        S(trt_fp8_quantize) },
  { "TRT_MXFP8DequantizeLinear", 1, LAST, QN_OP_dequantize,   "-axis -block_size -output_dtype",                         S(trt_mxfp8_dequantize) },
  { "TRT_MXFP8DynamicQuantize", 1, LAST, QN_OP_quantize,      "-axis -block_size -output_dtype",                         S(trt_mxfp8_quantize) },
};

// Operations of the standard domains that are not a function of their operands.
static const char *const impure[] = { "Bernoulli", "If", "Loop", "Multinomial", "RandomNormal", "RandomNormalLike",
                                      "RandomUniform", "RandomUniformLike", "Scan" };
// clang-format on

const qn_onnx_op *qn_onnx_op_get(uint32_t index) {
  return index < QN_COUNT(rows) ? &rows[index] : NULL;
}

static const qn_onnx_op *find_row(const qn_onnx_op *table, size_t count, const char *name, int64_t version) {
  size_t low = 0, high = count;
  while (low < high) { // the first row of that name
    size_t middle = (low + high) / 2;
    if (strcmp(table[middle].name, name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < count && strcmp(table[low].name, name) == 0; low++) {
    if (version >= table[low].from && version <= table[low].until) return &table[low];
  }
  return NULL;
}

bool qn_onnx_op_is_trt(const qn_onnx_op *row) {
  return row >= trt_rows && row < trt_rows + QN_COUNT(trt_rows);
}

const qn_onnx_op *qn_onnx_op_find(const char *domain, const char *name, int64_t version) {
  const qn_onnx_op *row = NULL;
  bool own = !*domain, trt = strcmp(domain, "trt") == 0, alias = false;
  for (size_t i = 0; i < QN_COUNT(alias_domains); i++) alias = alias || strcmp(domain, alias_domains[i]) == 0;
  if (own) row = find_row(rows, QN_COUNT(rows), name, version);
  if (alias) row = find_row(alias_rows, QN_COUNT(alias_rows), name, version);
  if (!row && (own || trt)) row = find_row(trt_rows, QN_COUNT(trt_rows), name, version);
  return row;
}

bool qn_onnx_op_is_pure(const pb_node *node) {
  const char *domain = qn_onnx_domain(node->domain);
  if (*domain && strcmp(domain, "ai.onnx.ml") != 0) return false;
  for (size_t i = 0; i < QN_COUNT(impure); i++) {
    if (qn_onnx_same(node->op_type, impure[i])) return false;
  }
  // Dropout reaches here only where it may be training.
  return !qn_onnx_same(node->op_type, "Dropout");
}
