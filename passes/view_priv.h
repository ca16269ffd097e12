// A chain of layout operations as one thing: where each factor of each dim of its start ends up.
//
// Dims are split into factors until every dim of the start and of the end is a list of whole factors. Reshape,
// Transpose, Unsqueeze, Squeeze and Expand then only move, merge and add factors, whatever the spelling, and
// two chains do the same exactly if their factors do. `[B,S,H*D]` to `[B,H,S,D]`:
//
//     start:  B | S | H D          end:  B | H | S | D
#ifndef QUENCH_PASSES_VIEW_PRIV_H
#define QUENCH_PASSES_VIEW_PRIV_H

#include "ir/graph_priv.h"

enum { QN_VIEW_FACTORS = 20 };

typedef struct qn_factor {
  qn_dim size;
  bool broadcast; // not of the start: repeated by Expand
} qn_factor;

// A list of factor indices, major first.
typedef struct qn_factor_list {
  uint8_t count;
  uint8_t at[QN_VIEW_FACTORS];
} qn_factor_list;

typedef struct qn_view {
  qn_factor factors[QN_VIEW_FACTORS];
  uint8_t factor_count;
  int8_t start_rank, rank;
  qn_factor_list start[QN_RANK_MAX]; // the start's dims
  qn_factor_list dims[QN_RANK_MAX];  // the end's
} qn_view;

// The view that leaves a value of this type as it is. False if the rank is unknown.
bool qn_view_init(const qn_graph *graph, qn_type type, qn_view *view);
// Applies a layout node to the view; `result` is the type it makes. False where the node is none, or where its
// factors cannot be told (a reshape that cuts across unknown dims).
bool qn_view_apply(qn_graph *graph, qn_view *view, qn_node node);
// Whether qn_view_apply may know the operation.
bool qn_view_knows(qn_op op);

#endif
