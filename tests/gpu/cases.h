// The cases of the GPU suite: few of them, in which every two choices of different factors meet.
#ifndef TESTS_GPU_CASES_H
#define TESTS_GPU_CASES_H

#include <quench/runtime.h>

typedef struct gpu_case {
  qn_dtype dtype;
  uint32_t head_dim, heads, kv_heads;
  uint32_t batch, q_len, kv_len;
  qn_causal causal;
  qn_mask_kind mask;
  qn_dtype mask_dtype;
  bool mask_per_batch, mask_per_head, mask_per_query; // else broadcast along that axis
  qn_layout q_layout, k_layout, v_layout, out_layout;
  qn_scheme scheme;
  qn_numerics numerics;
  float scale; // of q k^T; 0: the default
} gpu_case;

enum { GPU_CASES_MAX = 128 };

// Fills `out_cases` and returns their number; always the same.
uint32_t gpu_cases_list(gpu_case out_cases[GPU_CASES_MAX]);
// "f16 d64 h8/2 b3 q100 kv70 causal=top_left mask=boolean ..."
void gpu_case_format(const gpu_case *c, char out_text[512]);

#endif
