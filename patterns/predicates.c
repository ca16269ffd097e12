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

const qn_predicate qn_common_predicates[] = {
  { "same_dtype", same_dtype },
  { "same_type", same_type },
  { 0 },
};

const qn_function qn_common_functions[] = {
  { "dtype_of", dtype_of },
  { 0 },
};
