// Predicates and attribute functions that any family may use.
#include "patterns/rule_priv.h"

// (value): its element type, for an attribute of kind T.
static qn_status dtype_of(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  const qn_graph *graph = qn_match_get_graph(match);
  out_attr->i = qn_type_get_info(graph, qn_value_get_type(graph, args[0].value)).dtype;
  return QN_OK;
}

// (a, b): two values of one element type.
static bool same_dtype(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_dtype a = qn_type_get_info(graph, qn_value_get_type(graph, args[0].value)).dtype;
  qn_dtype b = qn_type_get_info(graph, qn_value_get_type(graph, args[1].value)).dtype;
  return a == b || qn_refuse(out_reason, QN_WHY_predicate, qn_dtype_name(a), "%s", qn_dtype_name(b));
}

// (a, b): two values of one type, dims included.
static bool same_type(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  if (qn_value_get_type(graph, args[0].value) == qn_value_get_type(graph, args[1].value)) return true;
  return qn_refuse(out_reason, QN_WHY_predicate, "one type for both", "%s and %s differ", args[0].name,
                   args[1].name);
}

// The target of a reshape: 0 copies a dim that stands at its place, -1 is inferred. False if more than one
// would have to be.
static bool find_target(const qn_graph *graph, qn_value to_value, qn_value from_value, int64_t out[QN_RANK_MAX],
                        int32_t *out_rank) {
  qn_type_info to = qn_type_get_info(graph, qn_value_get_type(graph, to_value));
  qn_type_info from = qn_type_get_info(graph, qn_value_get_type(graph, from_value));
  int inferred = 0;
  *out_rank = to.rank;
  for (int32_t d = 0; d < to.rank; d++) {
    if (qn_dim_is_const(graph, to.dims[d], &out[d]) && out[d] > 0) continue;
    bool stays = d < from.rank && from.dims[d] == to.dims[d];
    out[d] = stays ? 0 : -1;
    inferred += !stays;
  }
  return to.rank > 0 && inferred <= 1;
}

bool qn_match_reshapes(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  int64_t target[QN_RANK_MAX];
  int32_t rank;
  return find_target(qn_match_get_graph(match), args[0].value, args[1].value, target, &rank) ||
         qn_refuse(out_reason, QN_WHY_predicate, "dims of which at most one is unknown", "more");
}

static qn_status dims_of(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  int32_t rank;
  int64_t *target = qn_match_alloc(match, QN_RANK_MAX * sizeof *target);
  qn_tensor *tensor = qn_match_alloc(match, sizeof *tensor);
  if (!target || !tensor) return QN_MEMORY;
  find_target(qn_match_get_graph(match), args[0].value, args[1].value, target, &rank);
  *tensor =
      (qn_tensor){ .dtype = QN_S64, .rank = 1, .dims = { rank }, .data = target, .bytes = (uint64_t)rank * 8 };
  out_attr->tensor = tensor;
  return QN_OK;
}

const qn_predicate qn_common_predicates[] = {
  { "same_dtype", same_dtype },
  { "same_type", same_type },
  { "reshapes", qn_match_reshapes },
  { 0 },
};

const qn_function qn_common_functions[] = {
  { "dtype_of", dtype_of },
  { "dims_of", dims_of },
  { 0 },
};
