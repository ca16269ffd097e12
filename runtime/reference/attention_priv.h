// What the attention operation computes with: its operands in one shape, whatever their layouts were.
#ifndef QUENCH_RUNTIME_REFERENCE_ATTENTION_PRIV_H
#define QUENCH_RUNTIME_REFERENCE_ATTENTION_PRIV_H

#include "runtime/reference/reference_priv.h"

#include <quench/kernel.h>

// An operand as [B, heads, length, dim], whatever its layout was. Where sequences lie end to end, B is 1 and
// length counts the tokens of all.
typedef struct {
  int64_t batch, heads, length, dim;
  double *values;
} qn_ref_side;

typedef struct {
  qn_ref_side q, k, v; // k and v with the past in front
  int64_t past;
  const double *mask; // NULL: none
  bool mask_boolean;
  int64_t mask_strides[3];   // of batch, head and query
  int64_t mask_length;       // kv elements from here on are masked
  const int64_t *kv_lengths; // NULL: all
  uint64_t kv_length_count;
  const int64_t *starts_q, *starts_kv; // cumulative lengths, one more than sequences; NULL: every batch is one
  int64_t sequences;
  const double *sinks, *slopes; // one a head; NULL: none
  int64_t causal, window_left, window_right;
  double scale, softcap;
  bool softmax_wide;
  qn_dtype softmax_round; // ANY: none
} qn_ref_attended;

// The operands and attributes of the node; k and v as they are stored. Errors: QN_INVALID for what does not fit
// together.
qn_status qn_ref_load_attention(qn_ref *ref, qn_ref_attended *out_attended);
// k and v as what they stand for: times k_scale and v_scale.
qn_status qn_ref_scale_cache(qn_ref *ref, qn_ref_attended *attended);

#endif
