// From the tensors of a node that kernels run, attention or quantize, to the arguments of a launch.
#ifndef QUENCH_RUNTIME_BIND_PRIV_H
#define QUENCH_RUNTIME_BIND_PRIV_H

#include "ir/base_priv.h"
#include <quench/runtime.h>

// An operand that a kernel reads: where it stands in the node, and its address among the arguments.
typedef struct qn_bound_operand {
  uint32_t index;
  size_t address; // offset in qn_attention_args
} qn_bound_operand;

// A result that a kernel writes, whether the node has it or not.
typedef struct qn_bound_result {
  uint32_t index;
  size_t address;
  qn_tensor shape; // dtype, rank, dims; no bytes
} qn_bound_result;

enum { QN_BOUND_OPERANDS_MAX = 16, QN_BOUND_RESULTS_MAX = 4 };

typedef struct qn_binding {
  qn_attention_args args; // sizes and strides; the addresses are 0
  qn_bound_operand operands[QN_BOUND_OPERANDS_MAX];
  qn_bound_result results[QN_BOUND_RESULTS_MAX]; // `out` first
  uint32_t operand_count, result_count;
} qn_binding;

// False with the reason for tensors that a kernel of this spec cannot take. The layouts are the node's.
bool qn_bind_node(const qn_kernel_spec *spec, const qn_graph *graph, qn_node node,
                  const qn_tensor *const *operands, uint32_t operand_count, qn_binding *out_binding,
                  qn_reason *out_reason);

// Uploads, launches, waits, downloads. `out_data` takes the bytes of each bound result; NULL where nobody wants
// them.
qn_status qn_run_binding(const qn_loaded_kernel *loaded, const qn_binding *binding,
                         const qn_tensor *const *operands, void *const *out_data);

// --- inside ----------------------------------------------------------------------------------------------

// The kernel of a quantize node has the arguments of an attention whose rows are finished, so all operands are
// spoken of by their index in an attention.
typedef struct qn_bind {
  const qn_kernel_spec *spec;
  const qn_graph *graph;
  qn_node node;
  qn_op op;
  qn_layout out_layout; // quantize has tokens, whatever the rank of x
  const qn_tensor *const *operands;
  uint32_t operand_count;
  qn_binding *binding;
  qn_reason *reason;
  int64_t tokens; // of q, of all sequences
  char name[32];  // of the operand that is spoken of
} qn_bind;

// NULL where absent, and where the operation has no such operand.
const qn_tensor *qn_bind_operand(const qn_bind *b, uint32_t index);
// The operand's name, without the mark of ops.def; until the next call.
const char *qn_bind_name(qn_bind *b, uint32_t index);
int64_t qn_bind_count(const qn_tensor *tensor);
// Refuses the shape that an operand has.
bool qn_bind_refuse_shape(qn_bind *b, uint32_t index);

// q, k and v, their sequences and pages: sizes and strides (bind_sides.c).
bool qn_bind_sides(qn_bind *b);
// In their place the tokens of quantize, as many as there are rows along the last axis of x (bind_sides.c).
bool qn_bind_tokens(qn_bind *b);
// What the kernel writes (bind_results.c).
bool qn_bind_results(qn_bind *b);

#endif
