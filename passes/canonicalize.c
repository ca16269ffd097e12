// One spelling for what models write in many. The rest of the pipeline matches only what this leaves.
//
// * layout chains become at most reshape, transpose, repeat, reshape
// * what does nothing goes: identity, casts to the same type or there and back, reshapes to the same shape
// * softmax counts its axis from the end
// * equal quantizes of one value become one (passes/equal.c)
#include "ir/element_priv.h"
#include "passes/equal_priv.h"
#include "passes/view_priv.h"

// --- layout chains -----------------------------------------------------------------------------------------

// A value with more uses than this is looked at no further, so that the cost grows with the graph alone.
enum { CHAIN_MAX = 16, USES_MAX = 64 };

// Maximal runs of the start's factors that stay together and in order to the end: what a transpose moves.
typedef struct unit {
  uint8_t first, count; // in the order of the start
  qn_dim size;
} unit;

// A chain in its canonical parts.
typedef struct plan {
  qn_type_info split; // after the first reshape; rank -1: none
  qn_dim split_dims[QN_RANK_MAX];
  int64_t perm[QN_RANK_MAX];
  bool transposes;
  uint8_t unit_count;
  qn_dim moved_dims[QN_RANK_MAX]; // after the transpose
  int repeat_axis;                // -1: none
  int64_t repeat_count;
  qn_dim repeated_dims[QN_RANK_MAX];
  bool merges; // a last reshape is needed
  uint32_t steps;
} plan;

static void flatten_lists(const qn_factor_list *lists, int8_t rank, qn_factor_list *out) {
  for (int8_t d = 0; d < rank; d++)
    for (uint8_t i = 0; i < lists[d].count; i++) out->at[out->count++] = lists[d].at[i];
}

// Whether list `d` begins a dim at flat position `at`.
static bool begins_dim(const qn_factor_list *lists, int8_t rank, uint8_t at) {
  uint8_t position = 0;
  for (int8_t d = 0; d < rank; d++) {
    if (position == at && lists[d].count) return true;
    position = (uint8_t)(position + lists[d].count);
  }
  return false;
}

static bool make_plan(qn_graph *graph, const qn_view *view, const qn_type_info *start, const qn_type_info *end,
                      plan *out) {
  *out = (plan){ .repeat_axis = -1, .split = { .rank = QN_RANK_UNKNOWN } };
  qn_factor_list from = { 0 }, all = { 0 }, to = { 0 };
  flatten_lists(view->start, view->start_rank, &from);
  flatten_lists(view->dims, view->rank, &all);

  // A repeat is one broadcast factor of constant size at the minor end of a dim that has others.
  uint8_t repeated_before = 0; // the real factor that the repeat follows
  for (uint8_t i = 0; i < all.count; i++) {
    const qn_factor *factor = &view->factors[all.at[i]];
    if (!factor->broadcast) {
      to.at[to.count++] = all.at[i];
      continue;
    }
    int64_t count;
    bool minor = i > 0 && !begins_dim(view->dims, view->rank, i) &&
                 (i + 1 == all.count || begins_dim(view->dims, view->rank, (uint8_t)(i + 1)));
    if (out->repeat_count || !minor || !qn_dim_is_const(graph, factor->size, &count)) return false;
    out->repeat_count = count;
    repeated_before = all.at[i - 1];
  }
  if (from.count != to.count || from.count == 0) return false;

  // Units: a new one begins where the end does not go on as the start did, and after the repeated factor.
  uint8_t unit_of[QN_VIEW_FACTORS], place_in_end[QN_VIEW_FACTORS];
  bool begins_end_dim[QN_VIEW_FACTORS] = { false };
  for (uint8_t i = 0; i < to.count; i++) place_in_end[to.at[i]] = i;
  for (uint8_t i = 0; i < all.count; i++) begins_end_dim[all.at[i]] = begins_dim(view->dims, view->rank, i);
  unit units[QN_VIEW_FACTORS];
  uint8_t count = 0;
  for (uint8_t i = 0; i < from.count; i++) {
    bool joins = i > 0 && place_in_end[from.at[i]] == place_in_end[from.at[i - 1]] + 1;
    // What is a dim of its own at either end stays apart, so that one spelling is left: split, move, merge.
    if (joins && (begins_dim(view->start, view->start_rank, i) || begins_end_dim[from.at[i]])) joins = false;
    if (joins && out->repeat_count && from.at[i - 1] == repeated_before) joins = false;
    if (!joins) units[count++] = (unit){ .first = i, .size = 1 };
    units[count - 1].count++;
    units[count - 1].size = qn_dim_mul(graph, units[count - 1].size, view->factors[from.at[i]].size);
    unit_of[from.at[i]] = (uint8_t)(count - 1);
  }
  if (count > QN_RANK_MAX) return false;
  out->unit_count = count;

  // The start split into units.
  bool same = start->rank == count;
  for (uint8_t u = 0; u < count; u++) {
    out->split_dims[u] = units[u].size;
    same = same && start->dims[u] == units[u].size;
  }
  if (!same) out->split = (qn_type_info){ .dtype = start->dtype, .rank = count, .dims = out->split_dims };

  // The order of units at the end.
  uint8_t moved = 0;
  for (uint8_t i = 0; i < to.count; i++) {
    uint8_t u = unit_of[to.at[i]];
    if (moved && out->perm[moved - 1] == u) continue;
    out->transposes |= moved != u;
    out->perm[moved] = u;
    out->moved_dims[moved++] = units[u].size;
  }
  if (moved != count) return false;
  memcpy(out->repeated_dims, out->moved_dims, sizeof out->moved_dims);
  if (out->repeat_count) {
    for (uint8_t m = 0; m < count; m++)
      if (out->perm[m] == unit_of[repeated_before]) out->repeat_axis = m;
    out->repeated_dims[out->repeat_axis] =
        qn_dim_mul(graph, out->moved_dims[out->repeat_axis], (qn_dim)out->repeat_count);
  }
  out->merges = end->rank != count || memcmp(end->dims, out->repeated_dims, count * sizeof *end->dims) != 0;
  out->steps = (out->split.rank != QN_RANK_UNKNOWN) + out->transposes + (out->repeat_axis >= 0) + out->merges;
  return true;
}

// A reshape's target as constants: a dim that stays at its place is 0, one that is not a constant -1.
static bool reshape_target(const qn_graph *graph, const qn_dim *from, int32_t from_rank, const qn_dim *to,
                           int32_t rank, int64_t *out) {
  bool inferred = false;
  for (int32_t i = 0; i < rank; i++) {
    if (qn_dim_is_const(graph, to[i], &out[i]) && out[i] > 0) continue;
    if (i < from_rank && from[i] == to[i]) {
      out[i] = 0;
    } else {
      if (inferred) return false;
      inferred = true;
      out[i] = -1;
    }
  }
  return true;
}

typedef struct maker {
  qn_pipeline *pipeline;
  qn_node before;
  qn_value value; // so far
  qn_node created[8];
  uint32_t created_count;
} maker;

static qn_status make(maker *m, qn_op op, qn_value second, const qn_attr *attrs, uint32_t attr_count,
                      const qn_dim *dims, int32_t rank) {
  qn_graph *graph = m->pipeline->graph;
  qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, m->value));
  qn_type result = qn_type_get(graph, type.dtype, rank, dims);
  qn_value operands[2] = { m->value, second };
  QN_TRY(qn_graph_add(graph,
                      qn_node_params(.op = op, .operands = operands, .operand_count = second ? 2 : 1,
                                     .attrs = attrs, .attr_count = attr_count, .types = &result,
                                     .before = m->before),
                      &m->value));
  m->created[m->created_count++] = qn_value_get_node(graph, m->value);
  return QN_OK;
}

static qn_status make_reshape(maker *m, const int64_t *target, int32_t rank, const qn_dim *dims) {
  qn_graph *graph = m->pipeline->graph;
  qn_tensor shape = {
    .dtype = QN_S64, .rank = 1, .dims = { rank }, .data = target, .bytes = (uint64_t)rank * 8
  };
  qn_attr value = { .name = "value", .tensor = &shape };
  qn_value target_value;
  QN_TRY(qn_graph_add(graph,
                      qn_node_params(.op = QN_OP_const, .attrs = &value, .attr_count = 1, .before = m->before),
                      &target_value));
  m->created[m->created_count++] = qn_value_get_node(graph, target_value);
  return make(m, QN_OP_reshape, target_value, NULL, 0, dims, rank);
}

// The user of a value that is not only interested in its shape, if there is just one such use.
static qn_node only_data_user(const qn_graph *graph, qn_value value) {
  qn_node user = QN_NONE;
  int seen = 0;
  if (qn_value_is_output(graph, value)) return QN_NONE;
  for (qn_use use = qn_value_get_first_use(graph, value); use; use = qn_use_get_next(graph, use)) {
    if (++seen > USES_MAX) return QN_NONE;
    if (qn_node_get_op(graph, qn_use_get_user(graph, use)) == QN_OP_shape) continue;
    if (user) return QN_NONE;
    user = qn_use_get_user(graph, use);
  }
  return user;
}

static bool feeds_layout(const qn_graph *graph, qn_value value) {
  qn_node user = only_data_user(graph, value);
  return user && qn_view_knows(qn_node_get_op(graph, user)) && qn_node_get_operand(graph, user, 0) == value;
}

// The chain that ends at `end`, nearest first. Goes up while a node serves only the one below it.
static uint32_t find_chain(const qn_graph *graph, qn_node end, qn_node *chain) {
  uint32_t count = 0;
  for (qn_node node = end; count < CHAIN_MAX;) {
    chain[count++] = node;
    qn_value above = qn_node_get_operand(graph, node, 0);
    if (!above || only_data_user(graph, above) != node) break;
    node = qn_value_get_node(graph, above);
    if (!qn_view_knows(qn_node_get_op(graph, node))) break;
  }
  return count;
}

static qn_status shorten_chain(qn_pipeline *pipeline, qn_node end, bool *out_done) {
  qn_graph *graph = pipeline->graph;
  qn_node chain[CHAIN_MAX];
  *out_done = false;
  if (feeds_layout(graph, qn_node_get_result(graph, end, 0))) return QN_OK; // a longer chain ends below
  uint32_t length = find_chain(graph, end, chain);
  if (length < 2) return QN_OK;
  qn_value start = qn_node_get_operand(graph, chain[length - 1], 0);
  qn_view view;
  if (!qn_view_init(graph, qn_value_get_type(graph, start), &view)) return QN_OK;
  for (uint32_t i = length; i-- > 0;)
    if (!qn_view_apply(graph, &view, chain[i])) return QN_OK;
  qn_type_info from = qn_type_get_info(graph, qn_value_get_type(graph, start));
  qn_type_info to = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, end, 0)));
  plan p;
  if (!make_plan(graph, &view, &from, &to, &p) || p.steps >= length) return QN_OK;
  int64_t split[QN_RANK_MAX], merge[QN_RANK_MAX];
  bool splits = p.split.rank != QN_RANK_UNKNOWN;
  if (splits && !reshape_target(graph, from.dims, from.rank, p.split_dims, p.unit_count, split)) return QN_OK;
  if (p.merges && !reshape_target(graph, p.repeated_dims, p.unit_count, to.dims, to.rank, merge)) return QN_OK;
  if (!qn_pass_spend(pipeline)) return QN_OK;

  qn_dim to_dims[QN_RANK_MAX];
  if (to.rank) memcpy(to_dims, to.dims, (size_t)to.rank * sizeof *to_dims);
  int32_t to_rank = to.rank;
  maker m = { .pipeline = pipeline, .before = end, .value = start };
  if (splits) QN_TRY(make_reshape(&m, split, p.unit_count, p.split_dims));
  if (p.transposes) {
    qn_attr perm = { .name = "perm", .ints = p.perm, .length = p.unit_count };
    QN_TRY(make(&m, QN_OP_transpose, QN_NONE, &perm, 1, p.moved_dims, p.unit_count));
  }
  if (p.repeat_axis >= 0) {
    qn_attr attrs[2] = { { .name = "axis", .i = p.repeat_axis }, { .name = "count", .i = p.repeat_count } };
    QN_TRY(make(&m, QN_OP_repeat, QN_NONE, attrs, 2, p.repeated_dims, p.unit_count));
  }
  if (p.merges) QN_TRY(make_reshape(&m, merge, to_rank, to_dims));
  if (m.created_count) {
    qn_node last = m.created[m.created_count - 1];
    qn_node_set_layer(graph, last, qn_node_get_layer(graph, end));
    qn_node_set_name(graph, last, qn_node_get_name(graph, end));
    qn_node_set_location(graph, last, qn_node_get_location(graph, end));
  }
  QN_TRY(qn_pass_log(pipeline, "layout", chain, length, m.created, m.created_count));
  QN_TRY(qn_value_replace(graph, qn_node_get_result(graph, end, 0), m.value, m.created_count > 0));
  qn_node_remove(graph, end);
  *out_done = true;
  return QN_OK;
}

// --- no-ops ------------------------------------------------------------------------------------------------

// Whether every value of `narrow` is one of `wide`.
static bool holds_all(qn_dtype wide, qn_dtype narrow) {
  if (wide == narrow) return true;
  if (wide == QN_F64) return narrow == QN_F32 || narrow == QN_F16 || narrow == QN_BF16;
  return wide == QN_F32 && (narrow == QN_F16 || narrow == QN_BF16);
}

// What a node that does nothing hands through, or QN_NONE.
static qn_value find_pass_through(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  qn_value x = qn_node_get_operand(graph, node, 0), y = qn_node_get_result(graph, node, 0);
  qn_type type = qn_value_get_type(graph, y);
  switch (op) {
  case QN_OP_identity: return x;
  case QN_OP_reshape:
  case QN_OP_expand:
  case QN_OP_flatten:
  case QN_OP_squeeze:
  case QN_OP_unsqueeze:
    return type && type == qn_value_get_type(graph, x) && qn_type_get_info(graph, type).rank != QN_RANK_UNKNOWN
               ? x
               : QN_NONE;
  case QN_OP_transpose: {
    const int64_t *perm;
    uint32_t count = qn_node_get_ints(graph, node, "perm", &perm);
    for (uint32_t i = 0; i < count; i++)
      if (perm[i] != (int64_t)i) return QN_NONE;
    return count ? x : QN_NONE;
  }
  case QN_OP_cast: {
    qn_dtype to = (qn_dtype)qn_node_get_int(graph, node, "to");
    qn_node above = qn_value_get_node(graph, x);
    if (qn_type_get_info(graph, qn_value_get_type(graph, x)).dtype == to) return x;
    if (qn_node_get_op(graph, above) != QN_OP_cast) return QN_NONE;
    // f16 -> f32 -> f16: the way there was exact.
    qn_value origin = qn_node_get_operand(graph, above, 0);
    qn_dtype narrow = qn_type_get_info(graph, qn_value_get_type(graph, origin)).dtype;
    return narrow == to && holds_all((qn_dtype)qn_node_get_int(graph, above, "to"), narrow) ? origin : QN_NONE;
  }
  default: return QN_NONE;
  }
}

// --- axes --------------------------------------------------------------------------------------------------

static qn_status count_axis_from_end(qn_pipeline *pipeline, qn_node node) {
  qn_graph *graph = pipeline->graph;
  int64_t axis = qn_node_get_int(graph, node, "axis");
  int32_t rank = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, node, 0))).rank;
  if (axis < 0 || rank == QN_RANK_UNKNOWN || axis >= rank || !qn_pass_spend(pipeline)) return QN_OK;
  QN_TRY(qn_pass_log(pipeline, "axis", &node, 1, NULL, 0));
  return qn_node_set_attr(graph, node, &(qn_attr){ .name = "axis", .i = axis - rank });
}

// --- the pass ----------------------------------------------------------------------------------------------

static qn_status canonicalize_node(qn_pipeline *pipeline, qn_node node) {
  qn_graph *graph = pipeline->graph;
  qn_op op = qn_node_get_op(graph, node);
  qn_value same = find_pass_through(graph, node);
  if (same) {
    if (!qn_pass_spend(pipeline)) return QN_OK;
    return qn_pass_replace(pipeline, "no-op", node, same, NULL, 0);
  }
  if (op == QN_OP_softmax) return count_axis_from_end(pipeline, node);
  if (op == QN_OP_quantize) return qn_merge_equal_quantize(pipeline, node);
  bool done;
  return qn_view_knows(op) ? shorten_chain(pipeline, node, &done) : QN_OK;
}

qn_status qn_pass_canonicalize(qn_pipeline *pipeline) {
  qn_graph *graph = pipeline->graph;
  for (qn_node node = qn_graph_get_first(graph), next; node && pipeline->fuel; node = next) {
    next = qn_node_get_next(graph, node);
    QN_TRY(canonicalize_node(pipeline, node));
  }
  qn_remove_all_dead(graph);
  return QN_OK;
}
