// Layout chains as moves of factors. See view_priv.h.
#include "passes/view_priv.h"

bool qn_view_knows(qn_op op) {
  return op == QN_OP_reshape || op == QN_OP_transpose || op == QN_OP_unsqueeze || op == QN_OP_squeeze ||
         op == QN_OP_expand || op == QN_OP_flatten || op == QN_OP_identity || op == QN_OP_repeat;
}

static bool add_factor(qn_view *view, qn_dim size, bool broadcast, uint8_t *out_index) {
  if (view->factor_count == QN_VIEW_FACTORS) return false;
  *out_index = view->factor_count;
  view->factors[view->factor_count++] = (qn_factor){ .size = size, .broadcast = broadcast };
  return true;
}

static void append(qn_factor_list *list, uint8_t factor) {
  list->at[list->count++] = factor;
}

static void insert_after(qn_factor_list *lists, int8_t rank, uint8_t factor, uint8_t added) {
  for (int8_t d = 0; d < rank; d++)
    for (uint8_t i = 0; i < lists[d].count; i++)
      if (lists[d].at[i] == factor) {
        memmove(&lists[d].at[i + 2], &lists[d].at[i + 1], (size_t)(lists[d].count - i - 1));
        lists[d].at[i + 1] = added;
        lists[d].count++;
        return;
      }
}

bool qn_view_init(const qn_graph *graph, qn_type type, qn_view *view) {
  qn_type_info info = qn_type_get_info(graph, type);
  if (info.rank == QN_RANK_UNKNOWN) return false;
  *view = (qn_view){ .start_rank = (int8_t)info.rank, .rank = (int8_t)info.rank };
  for (int32_t i = 0; i < info.rank; i++) {
    if (info.dims[i] == 0) return false; // nothing to lay out, and every quotient is undefined
    uint8_t factor;
    if (!add_factor(view, info.dims[i], false, &factor)) return false;
    append(&view->start[i], factor);
  }
  memcpy(view->dims, view->start, sizeof view->dims);
  return true;
}

// Splits a factor of `seq` at position `i` into `major` and the rest, in the start's lists and in `seq` alike.
static bool split(qn_view *view, qn_factor_list *seq, uint8_t i, qn_dim major, qn_dim minor) {
  uint8_t factor = seq->at[i], added;
  if (!add_factor(view, minor, view->factors[factor].broadcast, &added)) return false;
  view->factors[factor].size = major;
  if (!view->factors[factor].broadcast) insert_after(view->start, view->start_rank, factor, added);
  if (seq->count == QN_VIEW_FACTORS) return false;
  memmove(&seq->at[i + 2], &seq->at[i + 1], (size_t)(seq->count - i - 1));
  seq->at[i + 1] = added;
  seq->count++;
  return true;
}

// A dim of size 1 that nothing stood for: a factor of size 1, in the start wherever its neighbour in `seq` is.
static bool add_one(qn_view *view, qn_factor_list *seq, uint8_t at) {
  uint8_t added;
  if (view->start_rank == 0 || seq->count == QN_VIEW_FACTORS || !add_factor(view, 1, false, &added))
    return false;
  int before = at - 1;
  while (before >= 0 && view->factors[seq->at[before]].broadcast) before--;
  if (before >= 0) {
    insert_after(view->start, view->start_rank, seq->at[before], added);
  } else {
    memmove(&view->start[0].at[1], &view->start[0].at[0], view->start[0].count++);
    view->start[0].at[0] = added;
  }
  memmove(&seq->at[at + 1], &seq->at[at], (size_t)(seq->count++ - at));
  seq->at[at] = added;
  return true;
}

// All factors in row-major order, dealt out again to dims of the new sizes.
static bool regroup(qn_graph *graph, qn_view *view, const qn_type_info *to) {
  qn_factor_list seq = { 0 };
  for (int8_t d = 0; d < view->rank; d++)
    for (uint8_t i = 0; i < view->dims[d].count; i++) append(&seq, view->dims[d].at[i]);
  qn_factor_list dims[QN_RANK_MAX] = { 0 };
  uint8_t next = 0;
  for (int32_t d = 0; d < to->rank; d++) {
    qn_dim need = to->dims[d], quotient;
    // A factor of size 1 goes wherever the order leaves it; a dim of size 1 takes one if it is next.
    if (need == 1) {
      bool stands = next < seq.count && view->factors[seq.at[next]].size == 1;
      if (!stands && !add_one(view, &seq, next)) return false;
      append(&dims[d], seq.at[next++]);
    }
    while (need != 1) {
      if (next == seq.count) return false;
      qn_dim size = view->factors[seq.at[next]].size;
      if (size == need) {
        need = 1;
      } else if (qn_dim_divide(graph, need, size, &quotient)) {
        need = quotient;
      } else if (qn_dim_divide(graph, size, need, &quotient)) {
        if (!split(view, &seq, next, need, quotient)) return false;
        need = 1;
      } else {
        return false;
      }
      append(&dims[d], seq.at[next++]);
    }
  }
  for (; next < seq.count; next++) {
    if (view->factors[seq.at[next]].size != 1 || to->rank == 0) return false;
    append(&dims[to->rank - 1], seq.at[next]);
  }
  memcpy(view->dims, dims, sizeof dims);
  view->rank = (int8_t)to->rank;
  return true;
}

static bool permute(qn_view *view, const int64_t *perm, uint32_t count) {
  if (count && count != (uint32_t)view->rank) return false;
  qn_factor_list dims[QN_RANK_MAX] = { 0 };
  for (int8_t d = 0; d < view->rank; d++) {
    int64_t from = count ? perm[d] : view->rank - 1 - d;
    if (from < 0 || from >= view->rank) return false;
    dims[d] = view->dims[from];
  }
  memcpy(view->dims, dims, sizeof dims);
  return true;
}

static bool expand(qn_view *view, const qn_type_info *from, const qn_type_info *to) {
  int32_t lead = to->rank - from->rank;
  if (lead < 0) return false;
  qn_factor_list dims[QN_RANK_MAX] = { 0 };
  for (int32_t d = 0; d < to->rank; d++) {
    qn_dim old = d < lead ? 1 : from->dims[d - lead];
    if (d >= lead) dims[d] = view->dims[d - lead];
    if (old == to->dims[d]) continue;
    uint8_t factor;
    if (old != 1 || !add_factor(view, to->dims[d], true, &factor)) return false;
    append(&dims[d], factor);
  }
  memcpy(view->dims, dims, sizeof dims);
  view->rank = (int8_t)to->rank;
  return true;
}

static bool repeat(const qn_graph *graph, qn_view *view, qn_node node) {
  int64_t axis = qn_node_get_int(graph, node, "axis"), count = qn_node_get_int(graph, node, "count");
  uint8_t factor;
  if (axis < 0) axis += view->rank;
  if (axis < 0 || axis >= view->rank || count < 1 || count >= (int64_t)QN_DIM_CONST_LIMIT) return false;
  if (count == 1) return true;
  if (!add_factor(view, (qn_dim)count, true, &factor) || view->dims[axis].count == QN_VIEW_FACTORS)
    return false;
  append(&view->dims[axis], factor);
  return true;
}

bool qn_view_apply(qn_graph *graph, qn_view *view, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  qn_type_info from = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, node, 0)));
  qn_type_info to = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, node, 0)));
  if (from.rank == QN_RANK_UNKNOWN || to.rank == QN_RANK_UNKNOWN || from.rank != view->rank) return false;
  for (int32_t i = 0; i < to.rank; i++)
    if (to.dims[i] == 0) return false;
  const int64_t *perm;
  switch (op) {
  case QN_OP_identity: return true;
  case QN_OP_reshape:
  case QN_OP_flatten:
  case QN_OP_squeeze:
  case QN_OP_unsqueeze: return regroup(graph, view, &to);
  case QN_OP_transpose: {
    uint32_t count = qn_node_get_ints(graph, node, "perm", &perm);
    return permute(view, perm, count);
  }
  case QN_OP_expand: return expand(view, &from, &to);
  case QN_OP_repeat: return repeat(graph, view, node);
  default: return false;
  }
}
