// The operands of a case, and its attention node.
#ifndef TESTS_KERNELS_DATA_H
#define TESTS_KERNELS_DATA_H

#include "quant/scale_buffer_priv.h"
#include "tests/kernels/cases.h"
#include <quench/reference.h>

typedef struct kernel_sequence {
  uint32_t first_q, q_len, first_kv, kv_len; // counted in tokens of all sequences
} kernel_sequence;

enum { KERNEL_SEQUENCES_MAX = 4 };

typedef struct kernel_data {
  kernel_case c;
  uint32_t batch; // of sequences
  kernel_sequence sequences[KERNEL_SEQUENCES_MAX];
  uint32_t q_tokens, kv_tokens;
  qn_tensor operands[QN_ATTENTION_OPERAND_COUNT]; // dense; data NULL: absent
  uint64_t out_count;                             // elements of the output
  uint32_t fill;                                  // codes that a padded scheme adds behind each token
  qn_scale_buffer scales; // of a dynamic scheme, where the launch's tokens are alone in it
} kernel_data;

// Makes all operands but those of the output scheme from `seed`. kernel_data_free frees them.
qn_status kernel_data_create(qn_context *context, const kernel_case *c, uint64_t seed, kernel_data *out_data);
void kernel_data_free(kernel_data *data);
// Gives the data the operands of its output scheme, for outputs like these (data_scheme.c).
bool kernel_data_set_scheme(kernel_data *data, const double *outputs, uint64_t seed);
// The dims of the output, or of its codes, which may be padded.
int32_t kernel_data_out_dims(const kernel_data *data, bool codes, int64_t out_dims[QN_RANK_MAX]);
// Gives a tensor its bytes from `values`, rounded to its type; frees `values`. False: there is no memory.
bool kernel_tensor_set(qn_tensor *tensor, double *values);
uint64_t kernel_tensor_count(const qn_tensor *tensor);
double kernel_uniform(uint64_t *state); // from 0 to 1

// The first element of row (sequence, head, position) of q, k, v or out in a dense layout: k and v by their
// tokens.
// Codes lie as the output does, but for what is added to a token.
typedef enum kernel_side { SIDE_Q, SIDE_K, SIDE_V, SIDE_OUT, SIDE_CODES, SIDES } kernel_side;
uint64_t kernel_data_row(const kernel_data *data, kernel_side side, uint32_t sequence, uint32_t head,
                         uint32_t position);
uint32_t kernel_data_heads(const kernel_data *data, kernel_side side);
uint32_t kernel_data_dim(const kernel_data *data, kernel_side side);
qn_layout kernel_data_layout(const kernel_data *data, kernel_side side);
uint32_t kernel_data_tokens(const kernel_data *data, kernel_side side, uint32_t sequence);

// What row (sequence, head, query) of an additive mask is like.
typedef enum kernel_mask_row {
  MASK_ROW_ORDINARY,
  MASK_ROW_NOTHING,
  MASK_ROW_LOWEST,
  MASK_ROW_ONE_KEY
} kernel_mask_row;
kernel_mask_row kernel_data_mask_row(const kernel_data *data, uint32_t query);
double kernel_lowest(qn_dtype dtype); // the least finite number

// The attention node of the case in a graph of its own, fused or its twin; an input for each operand that is
// there, in their order, and an output for each result that the case asks for. `v_head_dim` is that of the
// tensor that will stand for v.
qn_status kernel_data_build(qn_context *context, const kernel_data *data, bool fused, uint32_t v_head_dim,
                            qn_graph **out_graph, qn_node *out_node);
// Runs that graph on the CPU with `v` for the values.
qn_status kernel_data_run_reference(qn_context *context, const kernel_data *data, bool fused,
                                    qn_reference_mode mode, const qn_tensor *v, uint32_t v_head_dim,
                                    qn_results **out_results);
// Whether the fused kernel writes this result: QN_ATTENTION_OUT .. QN_ATTENTION_UNQUANTIZED.
bool kernel_data_has_result(const kernel_data *data, uint32_t result);

#endif
