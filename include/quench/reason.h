// Why something did not happen: stable reason codes, and the legality question that a fusion asks.
#ifndef QUENCH_REASON_H
#define QUENCH_REASON_H

#include <quench/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- reasons ---------------------------------------------------------------------------------------------

// clang-format off
// Why something did not happen. The codes are stable: tests, statistics and users key on them. `expected` and
// `found` of a remark follow the wording here.
//   code               stage        sentence                                                     hint
#define QN_WHY_MAP(X)                                                                                                                   \
  X(none,               NONE,        "",                                                          "")                                   \
  X(unread,             IMPORT,      "an operation of PyTorch whose arguments say what Quench has no operation for", "docs/torch.md says what is read") \
  X(op,                 MATCH,       "another operation stands here",                             "")                                   \
  X(attribute,          MATCH,       "an attribute has another value",                            "")                                   \
  X(operand_count,      MATCH,       "an operand is missing or one too many",                     "")                                   \
  X(not_const,          MATCH,       "the value is not a constant",                               "make it an initializer or fold what computes it") \
  X(const_value,        MATCH,       "the constant has another value",                            "")                                   \
  X(not_scalar,         MATCH,       "the value has more than one element",                       "")                                   \
  X(different_value,    MATCH,       "the same name is bound to two values",                      "")                                   \
  X(node_taken,         MATCH,       "the node is already part of the match",                     "")                                   \
  X(escapes,            MATCH,       "an interior value is used outside the match",               "remove the other user, or let it use the quantized value") \
  X(predicate,          MATCH,       "a predicate of the rule refused",                           "")                                   \
  X(step_limit,         MATCH,       "the matcher's step limit was reached",                      "")                                   \
  X(not_quantized,      MATCH,       "nothing quantizes this attention's output",                 "")                                   \
  X(other_tensor,       MATCH,       "the quantize reads another tensor than attention's output", "quantize the attention output itself") \
  X(multiple_users,     LEGALITY,    "the unquantized output has another user",                   "remove it, or let it read the quantized value") \
  X(graph_output,       LEGALITY,    "the unquantized output is a result of the graph",           "drop that output")                   \
  X(mixed_consumers,    LEGALITY,    "two consumers quantize the output differently",             "use one scheme and one scale")       \
  X(layout_chain,       LEGALITY,    "the shape changes between attention and quantize are not a merge of heads", "")                  \
  X(arithmetic_between, LEGALITY,    "arithmetic stands between attention and quantize",          "fold it into the weights or the scale") \
  X(cast_chain,         LEGALITY,    "the casts between attention and quantize round twice",      "keep one element type")              \
  X(scores_quantized,   LEGALITY,    "the scores are quantized inside the attention",             "quantize q, k, v and the output only") \
  X(mask_shape,         LEGALITY,    "the mask's shape is not known to broadcast to the scores",  "export the mask with a static rank") \
  X(mask_type,          LEGALITY,    "the mask has an element type that attention cannot add",    "")                                   \
  X(granularity,        LEGALITY,    "the scale's granularity does not commute with the layout",  "")                                   \
  X(scale_length,       LEGALITY,    "the scale's length is not that of the axis",                "")                                   \
  X(scale_type,         LEGALITY,    "the scale has another element type than the kernel reads",  "")                                   \
  X(zero_point,         LEGALITY,    "a zero point that the codes do not take",                   "FP8 and FP4 take 0 alone, integers one of the type that the scheme says") \
  X(not_saturating,     LEGALITY,    "the quantize wraps or overflows instead of saturating",     "set saturate=1")                     \
  X(dynamic_scale,      LEGALITY,    "the scale depends on the whole tensor",                     "use a static scale, or one for each token or group") \
  X(block_axis,         LEGALITY,    "the blocks lie along another axis than the last",           "set the block axis to the last one: values of other tokens are not at hand") \
  X(block_size,         LEGALITY,    "the block does not divide the row",                         "choose a block that divides head_dim, or heads * head_dim where heads are merged") \
  X(group_slice,        LEGALITY,    "a slice between attention and quantize cuts a group",       "quantize first and slice the codes at an edge of a group") \
  X(slice,              LEGALITY,    "only a slice of attention's output is quantized",           "quantize first and slice the codes") \
  X(extra_result,       LEGALITY,    "a second result of attention is used",                      "")                                   \
  X(scheme,             TARGET,      "no kernel for this quantization scheme",                    "")                                   \
  X(dtype,              TARGET,      "no kernel for this element type on the target",             "")                                   \
  X(head_dim,           TARGET,      "no kernel for this head_dim",                               "")                                   \
  X(head_count,         TARGET,      "heads is not a multiple of kv_heads",                       "")                                   \
  X(causal,             TARGET,      "no kernel for this causal alignment",                       "")                                   \
  X(window,             TARGET,      "no kernel for this sliding window",                         "")                                   \
  X(softcap,            TARGET,      "no kernel for this softcap",                                "")                                   \
  X(sinks,              TARGET,      "no kernel for sinks of this element type",                  "")                                   \
  X(alibi,              TARGET,      "no kernel for slopes of this element type",                 "")                                   \
  X(variable_length,    TARGET,      "no kernel for sequence lengths of this kind",               "")                                   \
  X(mask,               TARGET,      "no kernel for this kind of mask",                           "")                                   \
  X(kv_cache,           TARGET,      "no kernel that reads or writes a KV cache",                 "")                                   \
  X(layout,             TARGET,      "no kernel for this operand or output layout",               "")                                   \
  X(softmax_type,       TARGET,      "the softmax is asked for in a type other than f32",         "")                                   \
  X(unknown_shape,      TARGET,      "a dimension that the kernel needs as a constant is unknown", "export with a static head_dim")     \
  X(slower,             TARGET,      "fusing would be slower than a kernel of its own",          "")                                   \
  X(target,             TARGET,      "the target is not one that kernels are generated for",      "see `quench compile --help`")
// clang-format on

typedef enum qn_why {
#define X(name, stage, sentence, hint) QN_WHY_##name,
  QN_WHY_MAP(X)
#undef X
      QN_WHY_COUNT
} qn_why;

typedef enum qn_stage {
  QN_STAGE_NONE,
  QN_STAGE_IMPORT,
  QN_STAGE_CANONICALIZE,
  QN_STAGE_MATCH,
  QN_STAGE_LEGALITY,
  QN_STAGE_TARGET
} qn_stage;

QN_API const char *qn_why_name(qn_why why); // "escapes"
QN_API const char *qn_why_sentence(qn_why why);
QN_API const char *qn_why_hint(qn_why why);
QN_API qn_stage qn_why_get_stage(qn_why why);
QN_API const char *qn_stage_name(qn_stage stage); // "match"

// A refusal with what was expected and found, in words. Filled by legality checks and qn_target_supports.
typedef struct qn_reason {
  qn_why why;
  char expected[96];
  char found[96];
} qn_reason;

// --- legality --------------------------------------------------------------------------------------------

// Asks whether one attention node may carry the output scheme. Called after the structure has matched and
// before anything changes. Returns true, or false and the reason. kernel.h has the one that asks a target.
typedef bool (*qn_legality_fn)(const void *user, const qn_graph *graph, qn_node attention,
                               const qn_scheme *output, qn_reason *out_reason);
typedef struct qn_legality {
  qn_legality_fn fuses; // NULL: every scheme is allowed
  const void *user;
} qn_legality;

#ifdef __cplusplus
}
#endif
#endif
