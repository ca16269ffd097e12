// Quantizations that give the same codes.
#ifndef QUENCH_PASSES_EQUAL_PRIV_H
#define QUENCH_PASSES_EQUAL_PRIV_H

#include "passes/pass_priv.h"

// Replaces a quantize by an earlier one of the same value with equal parameters, if there is one; the node is
// gone then.
qn_status qn_merge_equal_quantize(qn_pipeline *pipeline, qn_node node);

#endif
