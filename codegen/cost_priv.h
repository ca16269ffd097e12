// When fusing pays: a rule on what is known before the run.
#ifndef QUENCH_CODEGEN_COST_PRIV_H
#define QUENCH_CODEGEN_COST_PRIV_H

#include <quench/kernel.h>

// Whether a kernel that quantizes under spec->output is expected to take no longer than the same kernel without
// an output scheme and a quantizer of its own. `tokens` of the launch and `q_len` of the longest sequence; 0
// where they are not known, which counts as enough. Only schemes that are quantized when all heads of a token
// are finished can be slower; docs/tokens.md derives the rule. `out_reason` gets QN_WHY_slower.
bool qn_cost_check(const qn_kernel_spec *spec, uint64_t tokens, uint64_t q_len, qn_reason *out_reason);
// The same for the attention node that the spec was read from.
bool qn_cost_check_node(const qn_graph *graph, qn_node attention, const qn_kernel_spec *spec,
                        qn_reason *out_reason);

#endif
