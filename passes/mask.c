// Causal masks, proven. A small abstract interpreter over the nodes that make a mask: every value is described
// as a function of row i and column j of the scores, or not at all.
//
//   NUMBER   the same number everywhere
//   INDEX    i + offset or j + offset
//   CHOICE   inside where j - i <= offset, outside elsewhere
#include "passes/mask_priv.h"

#include "ir/element_priv.h"
#include "ir/shape_priv.h"

#include <math.h>

// A mask takes a dozen nodes; shared ones are described once per use, so the visits are bounded and not the
// depth.
enum { VISITS_MAX = 256, CONST_MAX = 1 << 22 };
typedef enum kind { UNKNOWN, NUMBER, INDEX, CHOICE } kind;

typedef struct form {
  kind kind;
  int axis;               // of INDEX, counted from the last: 0 is j, 1 is i
  qn_dim offset;          // of INDEX and CHOICE
  double inside, outside; // of CHOICE; a NUMBER is `inside`
} form;

static form number(double value) {
  return (form){ .kind = NUMBER, .inside = value };
}
static qn_dim negative(qn_graph *graph, qn_dim dim) {
  return qn_dim_mul(graph, qn_dim_const(graph, -1), dim);
}
static qn_dim minus(qn_graph *graph, qn_dim a, qn_dim b) {
  return qn_dim_add(graph, a, negative(graph, b));
}
static qn_type_info type_of(const qn_graph *graph, qn_value value) {
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

// --- leaves ------------------------------------------------------------------------------------------------

static double element(const qn_tensor *tensor, uint64_t index) {
  double value;
  return qn_element_read(tensor->dtype, tensor->data, index, &value) ? value : NAN; // NaN equals nothing
}

// A constant of one number, or a constant that is a choice by diagonal in each of its matrices.
static form describe_const(qn_graph *graph, const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++) count *= (uint64_t)tensor->dims[i];
  if (!tensor->data || count == 0 || count > CONST_MAX || qn_dtype_bits(tensor->dtype) == 0) return (form){ 0 };
  double first = element(tensor, 0), other = first;
  uint64_t columns = tensor->rank ? (uint64_t)tensor->dims[tensor->rank - 1] : 1;
  uint64_t rows = tensor->rank > 1 ? (uint64_t)tensor->dims[tensor->rank - 2] : 1, edge = 0;
  while (edge < columns && element(tensor, edge) == first) edge++;
  for (uint64_t i = 1; i < count && other == first; i++) other = element(tensor, i);
  if (other == first) return number(first);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t row = i / columns % rows, column = i % columns;
    if (element(tensor, i) != (column < edge + row ? first : other)) return (form){ 0 };
  }
  return (form){
    .kind = CHOICE, .offset = qn_dim_const(graph, (int64_t)edge - 1), .inside = first, .outside = other
  };
}

// A scalar integer as a dim, if the shape rules know it.
static bool scalar_dim(qn_graph *graph, qn_value value, qn_dim *out) {
  qn_dim values[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (!value || !qn_shape_get_int_values(graph, value, values, &count) || count != 1 ||
      values[0] == QN_DIM_NONE)
    return false;
  *out = values[0];
  return true;
}

static form describe_range(qn_graph *graph, qn_node node) {
  qn_dim start, step;
  if (!scalar_dim(graph, qn_node_get_operand(graph, node, 0), &start)) return (form){ 0 };
  if (!scalar_dim(graph, qn_node_get_operand(graph, node, 2), &step) || step != 1) return (form){ 0 };
  return (form){ .kind = INDEX, .axis = 0, .offset = start };
}

static form describe_fill(const qn_graph *graph, qn_node node) {
  const qn_tensor *value = qn_node_get_tensor(graph, node, "value");
  return value && value->data ? number(element(value, 0)) : value ? (form){ 0 } : number(0);
}

// --- views -------------------------------------------------------------------------------------------------

// An index stays one where it keeps a single dim that is not 1; a choice where its last two dims stay.
static form describe_view(const qn_graph *graph, qn_node node, form x) {
  qn_type_info from = type_of(graph, qn_node_get_operand(graph, node, 0)),
               to = type_of(graph, qn_node_get_result(graph, node, 0));
  if (x.kind == NUMBER) return x;
  if (from.rank == QN_RANK_UNKNOWN || to.rank == QN_RANK_UNKNOWN) return (form){ 0 };
  bool expands = qn_node_get_op(graph, node) == QN_OP_expand;
  if (x.kind == INDEX && !expands) {
    int at = -1;
    for (int32_t d = 0; d < to.rank; d++) {
      if (to.dims[d] == 1) continue;
      if (at >= 0) return (form){ 0 };
      at = d;
    }
    x.axis = at < 0 ? 0 : to.rank - 1 - at;
    return at < 0 ? (form){ 0 } : x;
  }
  if (x.kind == INDEX) return x; // expanding other dims leaves the index where it is, counted from the last
  if (from.rank < 2 || to.rank < 2) return (form){ 0 };
  bool kept =
      from.dims[from.rank - 1] == to.dims[to.rank - 1] && from.dims[from.rank - 2] == to.dims[to.rank - 2];
  return kept ? x : (form){ 0 };
}

static form describe_transpose(const qn_graph *graph, qn_node node, form x) {
  const int64_t *perm;
  uint32_t rank = qn_node_get_ints(graph, node, "perm", &perm);
  if (x.kind == NUMBER) return x;
  if (x.kind != INDEX || rank == 0) return (form){ 0 };
  for (uint32_t d = 0; d < rank; d++)
    if (perm[d] == (int64_t)rank - 1 - x.axis) {
      x.axis = (int)(rank - 1 - d);
      return x;
    }
  return (form){ 0 };
}

// A prefix of a choice is the same choice.
static form describe_slice(qn_graph *graph, qn_node node, form x) {
  int64_t values[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (x.kind != CHOICE && x.kind != NUMBER) return (form){ 0 };
  if (!qn_shape_get_int_consts(graph, qn_node_get_operand(graph, node, 1), values, &count)) return (form){ 0 };
  for (uint32_t i = 0; i < count; i++)
    if (values[i] != 0 && x.kind != NUMBER) return (form){ 0 };
  qn_value steps = qn_node_get_operand(graph, node, 4);
  if (!steps || x.kind == NUMBER) return x;
  if (!qn_shape_get_int_consts(graph, steps, values, &count)) return (form){ 0 };
  for (uint32_t i = 0; i < count; i++)
    if (values[i] != 1) return (form){ 0 };
  return x;
}

// --- arithmetic --------------------------------------------------------------------------------------------

static bool compute(qn_op op, double a, double b, double *out) {
  switch (op) {
  case QN_OP_add: *out = a + b; return true;
  case QN_OP_sub: *out = a - b; return true;
  case QN_OP_mul: *out = a * b; return true;
  case QN_OP_equal: *out = a == b; return true;
  case QN_OP_and: *out = a != 0 && b != 0; return true;
  case QN_OP_or: *out = a != 0 || b != 0; return true;
  case QN_OP_less: *out = a < b; return true;
  case QN_OP_greater: *out = a > b; return true;
  default: return false;
  }
}

// Two numbers, a number and a choice, or two choices along one diagonal.
static form combine(qn_op op, form a, form b) {
  form out = a.kind == CHOICE ? a : b;
  bool numbers = a.kind == NUMBER && b.kind == NUMBER;
  if (a.kind == NUMBER) a.outside = a.inside;
  if (b.kind == NUMBER) b.outside = b.inside;
  if (!numbers && !(a.kind == CHOICE && (b.kind == NUMBER || (b.kind == CHOICE && a.offset == b.offset))) &&
      !(a.kind == NUMBER && b.kind == CHOICE))
    return (form){ 0 };
  if (!compute(op, a.inside, b.inside, &out.inside) || !compute(op, a.outside, b.outside, &out.outside))
    return (form){ 0 };
  return numbers ? number(out.inside) : out;
}

// a <= b - strict, for an index of columns and one of rows.
static form compare(qn_graph *graph, form a, form b, bool strict) {
  if (a.kind != INDEX || b.kind != INDEX || a.axis + b.axis != 1) return (form){ 0 };
  qn_dim one = qn_dim_const(graph, 1);
  if (a.axis == 0) { // j + a <= i + b - strict
    qn_dim offset = minus(graph, b.offset, a.offset);
    return (form){ .kind = CHOICE, .offset = strict ? minus(graph, offset, one) : offset, .inside = 1 };
  }
  // i + a <= j + b - strict is not (j - i <= a - b + strict - 1)
  qn_dim offset = minus(graph, a.offset, b.offset);
  return (form){ .kind = CHOICE, .offset = strict ? offset : minus(graph, offset, one), .outside = 1 };
}

static form shift_index(qn_graph *graph, qn_node node, form a, form b) {
  bool subtracts = qn_node_get_op(graph, node) == QN_OP_sub;
  qn_dim amount;
  if (a.kind == INDEX && scalar_dim(graph, qn_node_get_operand(graph, node, 1), &amount)) {
    a.offset = subtracts ? minus(graph, a.offset, amount) : qn_dim_add(graph, a.offset, amount);
    return a;
  }
  if (!subtracts && b.kind == INDEX && scalar_dim(graph, qn_node_get_operand(graph, node, 0), &amount)) {
    b.offset = qn_dim_add(graph, b.offset, amount);
    return b;
  }
  return (form){ 0 };
}

static form describe_where(form condition, form a, form b) {
  if (condition.kind == NUMBER) return condition.inside != 0 ? a : b;
  if (condition.kind != CHOICE || a.kind != NUMBER || b.kind != NUMBER) return (form){ 0 };
  double inside = condition.inside != 0 ? a.inside : b.inside,
         outside = condition.outside != 0 ? a.inside : b.inside;
  return (form){ .kind = CHOICE, .offset = condition.offset, .inside = inside, .outside = outside };
}

static form describe_trilu(qn_graph *graph, qn_node node, form x) {
  qn_dim k = 0;
  qn_value operand = qn_node_get_operand(graph, node, 1);
  if (x.kind != NUMBER || (operand && !scalar_dim(graph, operand, &k))) return (form){ 0 };
  if (!qn_node_get_int(graph, node, "upper")) return (form){ .kind = CHOICE, .offset = k, .inside = x.inside };
  return (form){ .kind = CHOICE, .offset = minus(graph, k, qn_dim_const(graph, 1)), .outside = x.inside };
}

static form describe(qn_graph *graph, qn_value value, int *visits) {
  const qn_tensor *tensor = qn_value_get_const(graph, value);
  if (tensor) return describe_const(graph, tensor);
  if (!value || ++*visits > VISITS_MAX) return (form){ 0 };
  qn_node node = qn_value_get_node(graph, value);
  qn_op op = qn_node_get_op(graph, node);
  if (op == QN_OP_range) return describe_range(graph, node);
  if (op == QN_OP_fill) return describe_fill(graph, node);
  const qn_op_info *info = qn_op_get_info(op);
  if (info->facts & (QN_FACT_LEAF | QN_FACT_EFFECT)) return (form){ 0 };
  form a = describe(graph, qn_node_get_operand(graph, node, 0), visits), b = { 0 };
  if (info->facts & QN_FACT_ELEMENTWISE && qn_node_get_operand(graph, node, 1))
    b = describe(graph, qn_node_get_operand(graph, node, 1), visits);
  switch (op) {
  case QN_OP_identity:
  case QN_OP_cast: return a;
  case QN_OP_reshape:
  case QN_OP_unsqueeze:
  case QN_OP_squeeze:
  case QN_OP_expand: return describe_view(graph, node, a);
  case QN_OP_transpose: return describe_transpose(graph, node, a);
  case QN_OP_slice: return describe_slice(graph, node, a);
  case QN_OP_trilu: return describe_trilu(graph, node, a);
  case QN_OP_less_equal: return compare(graph, a, b, false);
  case QN_OP_greater_equal: return compare(graph, b, a, false);
  case QN_OP_less: return a.kind == INDEX ? compare(graph, a, b, true) : combine(op, a, b);
  case QN_OP_greater: return a.kind == INDEX ? compare(graph, b, a, true) : combine(op, a, b);
  case QN_OP_not: return combine(QN_OP_equal, a, number(0));
  case QN_OP_where: return describe_where(a, b, describe(graph, qn_node_get_operand(graph, node, 2), visits));
  case QN_OP_add:
  case QN_OP_sub:
    return a.kind == INDEX || b.kind == INDEX ? shift_index(graph, node, a, b) : combine(op, a, b);
  default: return combine(op, a, b);
  }
}

// --- the proof ---------------------------------------------------------------------------------------------

// The most negative finite number of a type: what exporters write for -inf. Added to any score of the row's
// softmax, which also holds an unmasked one, it gives a weight of exactly 0.
static double lowest(qn_dtype dtype) {
  switch (dtype) {
  case QN_F16: return -65504;
  case QN_BF16: return -0x1.fep127;
  case QN_F32: return -0x1.fffffep127;
  default: return -INFINITY;
  }
}

qn_causal qn_mask_prove_causal(qn_graph *graph, qn_value mask, qn_dim q_len, qn_dim kv_len) {
  qn_type_info type = type_of(graph, mask);
  if (type.rank < 2 || type.dims[type.rank - 2] != q_len || type.dims[type.rank - 1] != kv_len)
    return QN_CAUSAL_NONE;
  int visits = 0;
  form m = describe(graph, mask, &visits);
  if (m.kind != CHOICE) return QN_CAUSAL_NONE;
  bool boolean = type.dtype == QN_BOOL;
  bool hides = boolean ? m.inside == 1 && m.outside == 0 : m.inside == 0 && m.outside <= lowest(type.dtype);
  if (!hides) return QN_CAUSAL_NONE;
  if (m.offset == 0) return QN_CAUSAL_TOP_LEFT;
  // With more rows than columns some rows are masked whole, and a finite mask then gives the mean of v.
  bool exact = boolean || m.outside == -INFINITY;
  return exact && m.offset == minus(graph, kv_len, q_len) ? QN_CAUSAL_BOTTOM_RIGHT : QN_CAUSAL_NONE;
}
