// Parts of reading a spec from a node. Each returns false with the reason where a spec cannot say
// what the node says.
#ifndef QUENCH_CODEGEN_SPEC_READ_PRIV_H
#define QUENCH_CODEGEN_SPEC_READ_PRIV_H

#include "codegen/spec_priv.h"

bool qn_spec_is_used(const qn_graph *graph, qn_node node, uint32_t result);
// Scheme, numerics and their operands, and which results are written. Heads and v_head_dim are read before.
bool qn_spec_read_output(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason);
// Checks that an operand, where it is given, has so many numbers of a type.
bool qn_spec_read_numbers(const qn_graph *graph, qn_node node, uint32_t index, qn_dtype dtype, int64_t count,
                          qn_reason *reason);
// The same of the zero point of spec->output. A static one that is not given is 0: the scheme is then one
// without it.
bool qn_spec_read_zero_point(const qn_graph *graph, qn_node node, uint32_t index, int64_t count,
                             qn_kernel_spec *spec, qn_reason *reason);
// Pages and scales of k and v. kv_heads is read before.
bool qn_spec_read_cache(const qn_graph *graph, qn_node node, qn_kernel_spec *spec, qn_reason *reason);
// Chooses `schedule` and `pack_heads` by the lengths that the graph says; all else of the spec is read.
void qn_spec_choose_schedule(const qn_graph *graph, qn_node node, qn_kernel_spec *spec);

#endif
