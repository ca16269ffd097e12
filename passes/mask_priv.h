// What can be proven of a mask from the operations and constants that make it.
#ifndef QUENCH_PASSES_MASK_PRIV_H
#define QUENCH_PASSES_MASK_PRIV_H

#include "ir/graph_priv.h"

#include <quench/kernel.h>

// The causal alignment that a mask is known to be for scores of q_len rows and kv_len columns; QN_CAUSAL_NONE
// where that cannot be proven. Never a guess: a mask that merely could be causal is kept as it is.
qn_causal qn_mask_prove_causal(qn_graph *graph, qn_value mask, qn_dim q_len, qn_dim kv_len);

#endif
