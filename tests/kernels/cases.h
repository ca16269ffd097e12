// The cases of the kernel suite.
#ifndef TESTS_KERNELS_CASES_H
#define TESTS_KERNELS_CASES_H

#include "tests/kernels/cover.h"
#include <quench/runtime.h>

// How q, k, v and out lie in the device's memory.
typedef enum kernel_storage {
  STORAGE_DENSE,     // as their layouts say
  STORAGE_PACKED,    // q, k and v beside each other in the rows of one buffer
  STORAGE_PADDED,    // unused elements behind each row; rows stay aligned
  STORAGE_UNALIGNED, // the same, and rows of the output that are aligned to their element alone
  STORAGE_COUNT
} kernel_storage;

typedef enum kernel_lengths {
  LENGTHS_FIXED,
  LENGTHS_KV,     // kv_lengths
  LENGTHS_VARLEN, // cumulative lengths of sequences of all kinds, empty ones too
} kernel_lengths;

// What a cell of cells.def is about beside its scheme.
enum { CELL_OVER_HEADS = 1, CELL_BOUND = 2, CELL_ROWS = 4, CELL_PRE_SCALE = 8 };
typedef struct kernel_cell {
  const char *name;
  unsigned what;
  const char *scheme;
} kernel_cell;

uint32_t kernel_cells_count(void);
const kernel_cell *kernel_cells_get(uint32_t index);

typedef struct kernel_case {
  const kernel_cell *cell; // NULL: of no table
  qn_target target;
  qn_dtype dtype;
  qn_f32_mode f32_mode;
  uint32_t head_dim, v_head_dim, heads, kv_heads;
  bool pack_heads;
  uint32_t batch, q_len, kv_len; // of the longest sequence
  qn_causal causal;
  int32_t window_left, window_right;
  qn_mask_kind mask;
  qn_dtype mask_dtype;
  bool mask_per_batch, mask_per_head, mask_per_query; // else broadcast along that axis
  bool alibi;
  float softcap;
  qn_dtype sinks; // ANY: none
  kernel_lengths lengths;
  qn_dtype lengths_dtype;
  qn_layout q_layout, k_layout, v_layout, out_layout;
  kernel_storage storage;
  qn_schedule schedule;
  qn_scheme scheme;      // of the fused kernel
  qn_dtype pre_scale;    // ANY: none
  bool pre_scale_shared; // by all heads
  bool scale_bound, unquantized;
  bool scale_rows; // scales go to some rows of a buffer that is larger
  qn_numerics numerics;
  float scale; // of q k^T; 0: the default
} kernel_case;

enum { KERNEL_CASES_MAX = 512 };

// The spec of the fused kernel, or of its twin without an output scheme, whose values the fused one quantizes:
// in direct numerics they are f32.
qn_kernel_spec kernel_case_spec(const kernel_case *c, bool fused);
qn_dtype kernel_case_twin_dtype(const kernel_case *c);
bool kernel_case_is_merged(const kernel_case *c); // heads and head_dim are one axis of the output
// "f16 d64 h8/2 b3 q100 kv70 causal=top_left mask=boolean ..."
void kernel_case_format(const kernel_case *c, char out_text[512]);

// Two cases a cell, and those in which every two choices of other factors meet, for all targets, or for one
// alone (else QN_TARGET_COUNT); then a large one for each family of schemes. Always the same.
uint32_t kernel_cases_cover(qn_target only, kernel_case out_cases[KERNEL_CASES_MAX], cover_totals *out_totals);
// How many combinations the full product of element type, head_dim, mask, layout and output has, and the case
// of one of them; all else is drawn from `seed`. False: kernels of this combination are refused.
uint32_t kernel_cases_count_product(void);
bool kernel_cases_get_product(qn_target only, uint32_t index, uint64_t seed, kernel_case *out_case);
#endif
