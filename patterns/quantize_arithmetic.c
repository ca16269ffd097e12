// Quantization spelled as arithmetic: divide or multiply, clip, round, cast. Only behind an attention:
// elsewhere a graph stays as it was.
//
// A rule matches where a scheme has exactly the arithmetic that stands there: which of x / s, x * (1 / s) and x
// * s it is, what the quotient is rounded to, whether zero points are added before or after rounding. Powers of
// two by ceil(log2 x) are left alone: in f32 they are one too low just above a power of two, and no scheme is.
#include "patterns/program_priv.h"
#include "patterns/rule_priv.h"

enum { UPWARD_MAX = 16 };

// The way a quotient is made: the arms of statement d, and for s0 those of a scale from amax.
enum { ARM_DIVIDE, ARM_RECIPROCAL, ARM_MULTIPLY };
// The last arm of c in the rules for FP8, where a cast saturates by itself.
enum { ARM_NO_CLIP = 3 };

// --- reading a match -------------------------------------------------------------------------------------

static qn_type_info type_of(const qn_match *match, qn_value value) {
  const qn_graph *graph = qn_match_get_graph(match);
  return qn_type_get_info(graph, qn_value_get_type(graph, value));
}

static qn_dtype dtype_of(const qn_match *match, const char *name) {
  return type_of(match, qn_match_get_value(match, name)).dtype;
}

static bool read_number(const qn_match *match, qn_value value, double *out_number) {
  const qn_tensor *tensor = value ? qn_value_get_const(qn_match_get_graph(match), value) : NULL;
  return tensor && tensor->data && qn_number_read(tensor, out_number);
}

// The range of codes; false for a type that no rule makes.
static bool range_of(qn_dtype codes, double *out_least, double *out_greatest) {
  switch (codes) {
  case QN_E4M3: *out_least = -448, *out_greatest = 448; return true;
  case QN_E5M2: *out_least = -57344, *out_greatest = 57344; return true;
  case QN_S8: *out_least = -128, *out_greatest = 127; return true;
  case QN_U8: *out_least = 0, *out_greatest = 255; return true;
  default: return false;
  }
}

static bool widens(qn_dtype from, qn_dtype to) {
  return from == to || (to == QN_F32 && (from == QN_F16 || from == QN_BF16));
}

static bool same_dims(const qn_type_info *a, const qn_type_info *b) {
  if (a->rank < 0 || a->rank != b->rank) return false;
  for (int32_t d = 0; d < a->rank; d++)
    if (a->dims[d] != b->dims[d]) return false;
  return true;
}

// One number for the tensor (`*out_channels` false), or one for each index of the last axis of x.
static bool is_vector(const qn_match *match, qn_value vector, qn_value x, bool *out_channels) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_type_info v = type_of(match, vector), to = type_of(match, x);
  int64_t dim;
  *out_channels = false;
  if (v.rank < 0 || to.rank < v.rank) return false;
  for (int32_t d = 0; d < v.rank; d++) {
    if (qn_dim_is_const(graph, v.dims[d], &dim) && dim == 1) continue;
    if (d + 1 < v.rank || v.dims[d] != to.dims[to.rank - 1]) return false;
    *out_channels = true;
  }
  return true;
}

// --- guards ----------------------------------------------------------------------------------------------

// The operand of a node on the way from attention: the one that is not a constant or an input.
static qn_value main_operand(const qn_graph *graph, qn_node node) {
  qn_value first = qn_node_get_operand(graph, node, 0);
  qn_op op = first ? qn_node_get_op(graph, qn_value_get_node(graph, first)) : QN_OP_NONE;
  return op == QN_OP_const || op == QN_OP_input ? qn_node_get_operand(graph, node, 1) : first;
}

// (value, 1 or 0): an attention's output, through layout, casts, slices, and products if the number says so.
static bool from_attention(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  qn_value value = args[0].value;
  for (int i = 0; value && i < UPWARD_MAX; i++) {
    qn_node node = qn_value_get_node(graph, value);
    qn_op op = qn_node_get_op(graph, node);
    bool product = args[1].number && (op == QN_OP_mul || op == QN_OP_div);
    if (op == QN_OP_attention) return true;
    if (op != QN_OP_cast && op != QN_OP_slice && !product &&
        !(qn_op_get_info(op)->facts & (QN_FACT_VIEW | QN_FACT_LAYOUT)))
      break;
    value = product ? main_operand(graph, node) : qn_node_get_operand(graph, node, 0);
  }
  return qn_refuse(out_reason, QN_WHY_predicate, "a value that comes from attention", "another one");
}

static bool refuse(qn_reason *out_reason, const char *what) {
  return qn_refuse(out_reason, QN_WHY_predicate, what, "something else");
}

// The bounds of the codes, from -448 or -128 on; `narrow` where an integer has no least code.
static bool read_clip(const qn_match *match, qn_dtype codes, qn_scheme *scheme, qn_reason *out_reason) {
  double least, greatest, low, high;
  if (!range_of(codes, &least, &greatest)) return refuse(out_reason, "e4m3, e5m2, s8 or u8");
  scheme->target = (uint8_t)codes;
  if (qn_dtype_is_float(codes) && qn_match_get_arm(match, "c") == ARM_NO_CLIP) {
    scheme->saturate =
        qn_node_get_int(qn_match_get_graph(match), qn_match_get_node(match, "y"), "saturate") != 0;
    return true;
  }
  if (!read_number(match, qn_match_get_value(match, "lo"), &low) ||
      !read_number(match, qn_match_get_value(match, "hi"), &high))
    return refuse(out_reason, "constant bounds");
  scheme->narrow = codes == QN_S8 && low == -127;
  return (high == greatest && (low == least || scheme->narrow)) ||
         refuse(out_reason, "the bounds of the codes");
}

// From the value to the quotient; `scheme->arithmetic` and what it is rounded to.
static bool read_quotient(const qn_match *match, qn_scheme *scheme, qn_reason *out_reason) {
  static const uint8_t ARITHMETIC[] = {
    [ARM_DIVIDE] = QN_DIVIDE, [ARM_RECIPROCAL] = QN_RECIPROCAL, [ARM_MULTIPLY] = QN_MULTIPLY
  };
  qn_type_info w = type_of(match, qn_match_get_value(match, "w")),
               d = type_of(match, qn_match_get_value(match, "d"));
  int arm = qn_match_get_arm(match, "d");
  if (!widens(dtype_of(match, "x"), w.dtype)) return refuse(out_reason, "a cast that keeps every value");
  if (!same_dims(&w, &d)) return refuse(out_reason, "a scale that broadcasts to x");
  scheme->arithmetic = ARITHMETIC[arm];
  scheme->compute = scheme->scale_dtype = (uint8_t)w.dtype;
  // A reciprocal is rounded to its own type, which only f32 has in common with the scheme.
  return w.dtype == QN_F32 || ((w.dtype == QN_F16 || w.dtype == QN_BF16) && arm != ARM_RECIPROCAL) ||
         refuse(out_reason, "arithmetic in f32");
}

// --- schemes ---------------------------------------------------------------------------------------------

// What a rule is about, as the argument of `is_scheme` and `scheme`.
enum { STATIC_FP8, STATIC_INTEGER, STATIC_ZERO_POINT, DYNAMIC_FP8, DYNAMIC_INTEGER, DYNAMIC_ZERO_POINT };

static bool read_static(const qn_match *match, int64_t kind, qn_scheme *scheme, qn_reason *out_reason) {
  bool channels;
  if (!is_vector(match, qn_match_get_value(match, "s"), qn_match_get_value(match, "x"), &channels))
    return refuse(out_reason, "one scale, or one for each channel");
  if (kind == STATIC_FP8)
    *scheme = qn_scheme_of(channels ? QN_SCHEME_fp8_channel : QN_SCHEME_fp8_static);
  else
    *scheme = qn_scheme_of(channels ? QN_SCHEME_int8_channel : QN_SCHEME_int8_static);
  if (!read_quotient(match, scheme, out_reason)) return false;
  if (kind != STATIC_ZERO_POINT) return true;
  scheme->zero_point = qn_match_get_arm(match, "a") == 0 ? QN_ZERO_POINT_AFTER : QN_ZERO_POINT_BEFORE;
  return scheme->compute == QN_F32 || refuse(out_reason, "a zero point added in f32");
}

static bool same_f32(double a, double b) {
  return (float)a == (float)b;
}

// The floor that the arm 2 of `stmt` lacks; `number` is its bound.
static bool read_floor(const qn_match *match, const char *stmt, const char *number, bool of_amax,
                       qn_scheme *scheme, qn_reason *out_reason) {
  static const struct {
    bool of_amax;
    double value;
  } FLOORS[] = {
#define X(name, text, of_amax, value, doc) { of_amax, value },
    QN_SCALE_FLOOR_MAP(X)
#undef X
  };
  double found;
  if (qn_match_get_arm(match, stmt) == 2) return true;
  if (scheme->floor != QN_FLOOR_NONE) return refuse(out_reason, "one floor, of amax or of the scale");
  if (!read_number(match, qn_match_get_value(match, number), &found))
    return refuse(out_reason, "a constant floor");
  for (uint8_t i = 1; i < QN_COUNT(FLOORS); i++)
    if (FLOORS[i].of_amax == of_amax && same_f32(FLOORS[i].value, found)) scheme->floor = i;
  return scheme->floor != QN_FLOOR_NONE || refuse(out_reason, "a floor that schemes have");
}

// From amax to the scale.
static bool read_scale(const qn_match *match, qn_scheme *scheme, qn_reason *out_reason) {
  static const uint8_t RULES[] = {
    [ARM_DIVIDE] = QN_RULE_DIVIDE, [ARM_RECIPROCAL] = QN_RULE_RECIPROCAL, [ARM_MULTIPLY] = QN_RULE_MULTIPLIER
  };
  int arm = qn_match_get_arm(match, "s0");
  double least, greatest, number;
  range_of((qn_dtype)scheme->target, &least, &greatest);
  if (!read_number(match, qn_match_get_value(match, "range"), &number))
    return refuse(out_reason, "a constant range");
  scheme->rule = RULES[arm];
  scheme->range = same_f32(number, arm == ARM_RECIPROCAL ? 1 / 127.5 : 127.5) ? QN_RANGE_HALF : QN_RANGE_FULL;
  if (scheme->range == QN_RANGE_HALF) greatest = scheme->target == QN_S8 ? 127.5 : 0;
  if (!same_f32(number, arm == ARM_RECIPROCAL ? 1 / greatest : greatest))
    return refuse(out_reason, "the largest code");
  return (arm == ARM_MULTIPLY) == (scheme->arithmetic == QN_MULTIPLY) ||
         refuse(out_reason, "a stored scale that is divided by, or a multiplier");
}

static bool is_last_axis(const qn_match *match, qn_value axes, int32_t rank) {
  double axis;
  return rank > 0 && read_number(match, axes, &axis) && (axis == -1 || axis == rank - 1);
}

// From the least and the greatest to scale and zero point.
static bool read_asymmetric(const qn_match *match, qn_scheme *scheme, qn_reason *out_reason) {
  const qn_graph *graph = qn_match_get_graph(match);
  double least, greatest, from, range;
  bool with_zero = qn_match_get_arm(match, "mn") == 0, clipped = qn_match_get_arm(match, "zc") != ARM_NO_CLIP;
  qn_dtype zero_point = (qn_dtype)qn_node_get_int(graph, qn_match_get_node(match, "z"), "to");
  range_of((qn_dtype)scheme->target, &least, &greatest);
  if (!read_number(match, qn_match_get_value(match, "least"), &from) || from != least || scheme->narrow)
    return refuse(out_reason, "the least code");
  if (!read_number(match, qn_match_get_value(match, "range"), &range) || range != greatest - least)
    return refuse(out_reason, "the distance of the codes");
  if (with_zero != (qn_match_get_arm(match, "mx") == 0) || with_zero != clipped)
    return refuse(out_reason, "a range with 0 and zero points that are codes, or neither");
  if (zero_point != QN_S32 && (zero_point != scheme->target || !with_zero))
    return refuse(out_reason, "zero points in s32, or in the type of the codes where they are codes");
  scheme->range = with_zero ? QN_RANGE_WITH_ZERO : QN_RANGE_FULL;
  scheme->zero_point_dtype = (uint8_t)(zero_point == scheme->target ? QN_ANY : zero_point);
  scheme->zero_point_rule =
      qn_match_get_arm(match, "z0") == 0 ? QN_ZERO_POINT_RULE_OUTER : QN_ZERO_POINT_RULE_INNER;
  scheme->zero_point = qn_match_get_arm(match, "a") == 0 ? QN_ZERO_POINT_AFTER : QN_ZERO_POINT_BEFORE;
  return true;
}

static bool read_dynamic(const qn_match *match, int64_t kind, qn_scheme *scheme, qn_reason *out_reason) {
  static const qn_scheme_family FAMILIES[] = { [DYNAMIC_FP8] = QN_SCHEME_fp8_token,
                                               [DYNAMIC_INTEGER] = QN_SCHEME_int8_token,
                                               [DYNAMIC_ZERO_POINT] = QN_SCHEME_int8_token_zp };
  *scheme = qn_scheme_of(FAMILIES[kind]);
  scheme->floor = QN_FLOOR_NONE;
  if (!is_last_axis(match, qn_match_get_value(match, "ax"),
                    type_of(match, qn_match_get_value(match, "w")).rank))
    return refuse(out_reason, "the last axis");
  if (!read_quotient(match, scheme, out_reason)) return false;
  return scheme->compute == QN_F32 || refuse(out_reason, "arithmetic in f32");
}

static qn_dtype codes_of(const qn_match *match) {
  return (qn_dtype)qn_node_get_int(qn_match_get_graph(match), qn_match_get_node(match, "y"), "to");
}

static bool read_scheme(const qn_match *match, int64_t kind, qn_scheme *scheme, qn_reason *out_reason) {
  bool dynamic = kind >= DYNAMIC_FP8, fp8 = kind == STATIC_FP8 || kind == DYNAMIC_FP8;
  qn_dtype codes = codes_of(match);
  if (qn_dtype_is_float(codes) != fp8) return refuse(out_reason, fp8 ? "FP8" : "integers");
  if (!(dynamic ? read_dynamic : read_static)(match, kind, scheme, out_reason)) return false;
  if (!read_clip(match, codes, scheme, out_reason)) return false;
  if (!dynamic) return true;
  if (!read_floor(match, "s", "low", false, scheme, out_reason)) return false;
  if (kind == DYNAMIC_ZERO_POINT) return read_asymmetric(match, scheme, out_reason);
  return read_scale(match, scheme, out_reason) && read_floor(match, "m", "eps", true, scheme, out_reason);
}

// (what the rule is about)
static bool is_scheme(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme;
  return read_scheme(match, args[0].number, &scheme, out_reason);
}

static qn_status give_scheme(const qn_match *match, const qn_scheme *scheme, qn_attr *out_attr) {
  qn_scheme *copy = qn_match_alloc(match, sizeof *copy);
  if (!copy) return QN_MEMORY;
  *copy = *scheme;
  out_attr->scheme = copy;
  return QN_OK;
}

static qn_status scheme(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_scheme scheme;
  qn_reason unused;
  read_scheme(match, args[0].number, &scheme, &unused);
  return give_scheme(match, &scheme, out_attr);
}

// (quotient): in a type that a quotient in f32 is rounded to.
static bool is_rounded(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_dtype dtype = type_of(match, args[0].value).dtype;
  return dtype == QN_F16 || dtype == QN_BF16 || refuse(out_reason, "a quotient that is rounded to f16 or bf16");
}

static qn_status rounded_scheme(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_scheme scheme;
  qn_reason unused;
  read_scheme(match, STATIC_FP8, &scheme, &unused);
  scheme.compute = (uint8_t)type_of(match, args[0].value).dtype;
  return give_scheme(match, &scheme, out_attr);
}

// A cast to FP8.
static bool is_cast(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme;
  qn_dtype codes = codes_of(match);
  (void)args;
  return qn_dtype_is_float(codes) ? read_clip(match, codes, &scheme, out_reason) : refuse(out_reason, "FP8");
}

static qn_status cast_scheme(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_cast);
  qn_reason unused;
  (void)args;
  read_clip(match, codes_of(match), &scheme, &unused);
  return give_scheme(match, &scheme, out_attr);
}

// --- zero points -----------------------------------------------------------------------------------------

static bool has_known_dims(const qn_match *match, qn_value value) {
  qn_type_info type = type_of(match, value);
  int64_t dim;
  for (int32_t d = 0; d < type.rank; d++)
    if (!qn_dim_is_const(qn_match_get_graph(match), type.dims[d], &dim) || dim > UINT16_MAX) return false;
  return type.rank >= 0;
}

// (number, scale): an integer that the codes can be, as the float that is added to quotients, beside scales of
// known number.
static bool is_code(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  double number, least, greatest;
  qn_dtype codes = codes_of(match);
  return (read_number(match, args[0].value, &number) && range_of(codes, &least, &greatest) && number >= least &&
          number <= greatest && number == (double)(int)number && has_known_dims(match, args[1].value)) ||
         refuse(out_reason, "a constant that is a code");
}

// (number, scale): the number as a code, once for each scale.
static qn_status code_of(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_type_info scale = type_of(match, args[1].value);
  double number = 0;
  int64_t count = 1, dim;
  for (int32_t d = 0; d < scale.rank; d++)
    if (qn_dim_is_const(qn_match_get_graph(match), scale.dims[d], &dim)) count *= dim;
  unsigned char *codes = qn_match_alloc(match, (size_t)count);
  qn_tensor *tensor = qn_match_alloc(match, sizeof *tensor);
  if (!codes || !tensor) return QN_MEMORY;
  read_number(match, args[0].value, &number);
  memset(codes, (int)number, (size_t)count);
  *tensor = (qn_tensor){ .dtype = codes_of(match), .data = codes, .bytes = (uint64_t)count };
  if (count > 1) tensor->rank = 1, tensor->dims[0] = count;
  out_attr->tensor = tensor;
  return QN_OK;
}

// (zero point, codes)
static bool is_of_codes(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return type_of(match, args[0].value).dtype == type_of(match, args[1].value).dtype ||
         refuse(out_reason, "a zero point of the type of the codes");
}

// A constant of zero bits: 0 of the integers, +0 of FP8.
static bool is_zero(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  const qn_tensor *zero = qn_value_get_const(qn_match_get_graph(match), args[0].value);
  if (!zero || !zero->data)
    return qn_refuse(out_reason, QN_WHY_not_const, "zeros", "a value computed at run time");
  for (uint64_t i = 0; i < zero->bytes; i++)
    if (((const unsigned char *)zero->data)[i])
      return qn_refuse(out_reason, QN_WHY_const_value, "zeros", "others");
  return true;
}

// --- factors ---------------------------------------------------------------------------------------------

// (factor, product, x, scheme): one for each channel of x, before a quantize that has none yet.
static bool is_pre_scale(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  bool channels;
  qn_type_info p = type_of(match, args[1].value), x = type_of(match, args[2].value);
  return (same_dims(&p, &x) && is_vector(match, args[0].value, args[2].value, &channels) && channels) ||
         refuse(out_reason, "a factor for each channel");
}

// (pre_scale, scheme): nothing is multiplied or rounded yet.
static bool is_plain(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_scheme scheme = qn_node_get_scheme(qn_match_get_graph(match), args[1].node, args[1].attr->name);
  return (args[0].value == QN_NONE && scheme.round_input == QN_ANY) || refuse(out_reason, "one factor");
}

// (scheme, product): the same, which rounds the product to its type.
static qn_status rounding_to(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_scheme scheme = qn_node_get_scheme(qn_match_get_graph(match), args[0].node, args[0].attr->name);
  scheme.round_input = (uint8_t)type_of(match, args[1].value).dtype;
  return give_scheme(match, &scheme, out_attr);
}

// (x, cast of it or itself)
static bool is_widened(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  return widens(type_of(match, args[0].value).dtype, type_of(match, args[1].value).dtype) ||
         refuse(out_reason, "a cast that keeps every value");
}

// --- groups ----------------------------------------------------------------------------------------------

// (groups, rows, scheme): tokens of [.., G, g] that are groups of the rows [.., G * g].
static bool is_grouped(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  qn_graph *graph = qn_match_get_graph(match);
  qn_type_info groups = type_of(match, args[0].value), rows = type_of(match, args[1].value);
  int64_t group;
  if (rows.rank < 1 || groups.rank != rows.rank + 1) return refuse(out_reason, "the last axis in groups");
  for (int32_t d = 0; d + 1 < rows.rank; d++)
    if (groups.dims[d] != rows.dims[d]) return refuse(out_reason, "the last axis in groups");
  if (!qn_dim_is_const(graph, groups.dims[groups.rank - 1], &group) || group < 2 || group > UINT16_MAX)
    return refuse(out_reason, "groups of known size");
  return qn_dim_mul(graph, groups.dims[groups.rank - 2], (qn_dim)group) == rows.dims[rows.rank - 1] ||
         refuse(out_reason, "the last axis in groups");
}

// (groups, scheme): the scheme of a token as that of a group.
static qn_status group_scheme(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  qn_scheme scheme = qn_node_get_scheme(qn_match_get_graph(match), args[1].node, args[1].attr->name);
  qn_type_info groups = type_of(match, args[0].value);
  int64_t group = 0;
  qn_dim_is_const(qn_match_get_graph(match), groups.dims[groups.rank - 1], &group);
  scheme.family = QN_SCHEME_fp8_group;
  scheme.granularity = QN_PER_GROUP;
  scheme.group = (uint16_t)group;
  scheme.axis = -1;
  return give_scheme(match, &scheme, out_attr);
}

static qn_status last_axis(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  static const int64_t LAST = -1;
  static const qn_tensor AXES = {
    .dtype = QN_S64, .rank = 1, .dims = { 1 }, .data = &LAST, .bytes = sizeof LAST
  };
  (void)match, (void)args;
  out_attr->tensor = &AXES;
  return QN_OK;
}

static const qn_predicate predicates[] = {
  { "from_attention", from_attention },
  { "is_scheme", is_scheme },
  { "is_cast", is_cast },
  { "is_rounded", is_rounded },
  { "is_code", is_code },
  { "is_of_codes", is_of_codes },
  { "zeros", is_zero },
  { "is_pre_scale", is_pre_scale },
  { "is_plain", is_plain },
  { "is_widened", is_widened },
  { "is_grouped", is_grouped },
  { 0 },
};
static const qn_function functions[] = {
  { "scheme", scheme },
  { "rounded_scheme", rounded_scheme },
  { "cast_scheme", cast_scheme },
  { "code_of", code_of },
  { "rounding_to", rounding_to },
  { "group_scheme", group_scheme },
  { "last_axis", last_axis },
  { 0 },
};

// --- rules -----------------------------------------------------------------------------------------------

// clang-format off
#define WIDE     "w = cast(x)[to=_]?                                                            \n"
#define DIVIDED  "d = div(w, s) | mul(w, reciprocal(s) | div(1, s))"
#define QUOTIENT DIVIDED " | mul(w, s)\n"
#define CLIPS(x) "clip(" x ", lo, hi) | min(max(" x ", lo), hi) | max(min(" x ", hi), lo)"
#define CODES    "y = cast(c)[to=t, saturate=_]                                                 \n"
#define SCALE \
  "amax = reduce_max(abs(w), ax) | cast(reduce_max(abs(x), ax))[to=_]                           \n" \
  "m = clip(amax, eps) | max(amax, eps) | amax                                                  \n" \
  "s0 = div(m, range) | mul(m, range) | div(range, m)                                           \n" \
  "s = clip(s0, low) | max(s0, low) | s0                                                        \n"
#define X(type)  "x: " type "[1,2,5,16] attended; "
#define E4M3     "lo: f32[] = -448; hi: f32[] = 448; t = e4m3; to = f32; saturate = 1"
#define S8       "lo: f32[] = -128; hi: f32[] = 127; t = s8; to = f32"

static const qn_rule rules[] = {
  { .name = "quantize_fp8",
    .doc = "x / s, x * (1 / s) or x * s, clipped or not, as FP8.",
    .match = WIDE QUOTIENT "c = " CLIPS("d") " | d\n" CODES "=> y",
    .where = { { "from_attention", "x", "1" }, { "is_scheme", "0" } },
    .build = "y = quantize(x, s)[scheme=@scheme(0)]",
    .sample = X("bf16") "s: f32[] = 0.0037;" E4M3 " |" X("f16") "s: f32[16] = {0.37, 0.004, 0.5, 3, 0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9, 0.11, 0.12, 0.13, 0.14, 0.15};"
              "lo: f32[] = -57344; hi: f32[] = 57344; t = e5m2; to = f32; saturate = 1 |"
              X("bf16") "s: bf16[] = 0.37; lo: bf16[] = -448; hi: bf16[] = 448; t = e4m3; to = bf16; saturate = 1",
    .gain = 20 },
  { .name = "quantize_fp8_rounded",
    .doc = "A quotient in f32 that is rounded to f16 or bf16, clipped or not, as FP8.",
    .match = WIDE QUOTIENT "n = cast(d)[to=u]\nc = " CLIPS("n") " | n\n" CODES "=> y",
    .where = { { "from_attention", "x", "1" }, { "is_rounded", "n" }, { "is_scheme", "0" } },
    .build = "y = quantize(x, s)[scheme=@rounded_scheme(n)]",
    .sample = X("bf16") "s: f32[] = 0.0037; lo: bf16[] = -448; hi: bf16[] = 448; t = e4m3; to = f32; u = bf16; saturate = 1 |"
              X("f32") "s: f32[] = 0.0037; lo: f16[] = -448; hi: f16[] = 448; t = e4m3; to = f32; u = f16; saturate = 1",
    .gain = 20 },
  { .name = "quantize_int8",
    .doc = "x / s, x * (1 / s) or x * s, rounded and clipped, as integers.",
    .match = WIDE QUOTIENT "a = round(d)\nc = " CLIPS("a") " | round(clip(d, lo, hi))\n" CODES "=> y",
    .where = { { "from_attention", "x", "1" }, { "is_scheme", "1" } },
    .build = "y = quantize(x, s)[scheme=@scheme(1)]",
    .sample = X("bf16") "s: f32[] = 0.0137;" S8 " |" X("f32") "s: f32[] = 0.0137; lo: f32[] = -127; hi: f32[] = 127; t = s8; to = f32",
    .gain = 20 },
  { .name = "quantize_int8_zero_point",
    .doc = "The same with a constant zero point, added before or after rounding.",
    .match = WIDE QUOTIENT "a = add(round(d), z) | round(add(d, z))\nc = " CLIPS("a") "\n" CODES "=> y",
    .where = { { "from_attention", "x", "1" }, { "is_code", "z", "s" }, { "is_scheme", "2" } },
    .build = "y = quantize(x, s, const()[value=@code_of(z, s)])[scheme=@scheme(2)]",
    .sample = X("bf16") "s: f32[] = 0.0137; z: f32[] = 3; lo: f32[] = 0; hi: f32[] = 255; t = u8; to = f32 |"
              X("f32") "s: f32[16] = 0.0137; z: f32[] = -3;" S8,
    .gain = 10 },
  { .name = "quantize_int8_zero_points",
    .doc = "The same with zero points of the type of the codes.",
    .match = WIDE QUOTIENT "a = add(round(d), cast(z)[to=_]) | round(add(d, cast(z)[to=_]))\nc = " CLIPS("a") "\n" CODES "=> y",
    .where = { { "from_attention", "x", "1" }, { "is_of_codes", "z", "y" }, { "is_scheme", "2" } },
    .build = "y = quantize(x, s, z)[scheme=@scheme(2)]",
    .sample = X("bf16") "s: f32[] = 0.0137; z: s8[] = 3;" S8 " |" X("f32") "s: f32[16] = 0.0137; z: s8[16] = -3;" S8,
    .gain = 20 },
  { .name = "quantize_fp8_token",
    .doc = "FP8 codes of x over the largest magnitude of its row, with that scale.",
    .match = WIDE SCALE QUOTIENT "c = " CLIPS("d") " | d\n" CODES "=> y, s",
    .where = { { "from_attention", "x", "1" }, { "is_scheme", "3" } },
    .build = "y, s = quantize(x)[scheme=@scheme(3)]",
    .sample = X("bf16") "ax: s64[1] = -1; range: f32[] = 448; eps: f32[] = 1e-10; low: f32[] = 4.359654017857143e-6;" E4M3 " |"
              X("f32") "ax: s64[1] = 3; range: f32[] = 0.002232142857142857; eps: f32[] = 1e-12; low: f32[] = 1e-10;" E4M3,
    .gain = 30 },
  { .name = "quantize_int8_token",
    .doc = "Integer codes of x over the largest magnitude of its row, with that scale.",
    .match = WIDE SCALE QUOTIENT "a = round(d)\nc = " CLIPS("a") "\n" CODES "=> y, s",
    .where = { { "from_attention", "x", "1" }, { "is_scheme", "4" } },
    .build = "y, s = quantize(x)[scheme=@scheme(4)]",
    .sample = X("bf16") "ax: s64[1] = -1; range: f32[] = 127; eps: f32[] = 1e-10; low: f32[] = 1.1920928955078125e-07;" S8 " |"
              X("f32") "ax: s64[1] = -1; range: f32[] = 127.5; eps: f32[] = 1e-10; low: f32[] = 1.1920928955078125e-07;" S8 " |"
              X("bf16") "ax: s64[1] = -1; range: f32[] = 0.007874015748031496; eps: f32[] = 1e-10; low: f32[] = 1.1920928955078125e-07;" S8,
    .gain = 30 },
  { .name = "quantize_int8_token_zero_point",
    .doc = "Integer codes of x between the least and the greatest of its row, with that scale and zero point.",
    .match = WIDE
             "mn = min(reduce_min(w, ax), 0) | reduce_min(w, ax)                                \n"
             "mx = max(reduce_max(w, ax), 0) | reduce_max(w, ax)                                \n"
             "s0 = div(sub(mx, mn), range)                                                      \n"
             "s = clip(s0, low) | max(s0, low) | s0                                             \n"
             "z0 = round(sub(least, div(mn, s))) | sub(least, round(div(mn, s)))                \n"
             "zc = " CLIPS("z0") " | z0                                                         \n"
             "z = cast(zc)[to=tz]                                                               \n"
             DIVIDED "\n"
             "a = add(round(d), cast(z)[to=_]) | round(add(d, cast(z)[to=_]))                   \n"
             "c = " CLIPS("a") "\n" CODES "=> y, s, z",
    .where = { { "from_attention", "x", "1" }, { "is_scheme", "5" } },
    .build = "y, s, z = quantize(x)[scheme=@scheme(5)]",
    .sample = X("bf16") "ax: s64[1] = -1; range: f32[] = 255; least: f32[] = -128; low: f32[] = 1.1920928955078125e-07; tz = s32;" S8 " |"
              X("f32") "ax: s64[1] = 3; range: f32[] = 255; least: f32[] = -128; low: f32[] = 1e-10; tz = s8;" S8,
    .gain = 30 },
  { .name = "quantize_groups",
    .doc = "Rows that are split into groups, each quantized as a token, and put together: groups of the rows.",
    .match = "r = reshape(x, split)[..]                                                         \n"
             "c, s = quantize(r)[scheme=sc:fp8_token]                                           \n"
             "y = reshape(c, join)[..]                                                          \n"
             "=> y, s",
    .where = { { "from_attention", "x", "1" }, { "is_grouped", "r", "y" }, { "reshapes", "y", "x" } },
    .build = "y, g = quantize(reshape(x, const()[value=@dims_of(y, x)]))[scheme=@group_scheme(r, sc)]\n"
             "s = unsqueeze(g, const()[value=@last_axis()])",
    .sample = "x: bf16[1,5,4,16] attended; split: s64[4] = {1, 5, 2, 32}; join: s64[3] = {0, 0, 64} |"
              "x: bf16[2,1,5,16] attended; split: s64[5] = {2, 1, 5, 2, 8}; join: s64[4] = {0, 0, 0, -1}",
    .gain = 20 },
  { .name = "quantize_cast",
    .doc = "A cast of attention's output to FP8 quantizes without a scale.",
    .match = "c = " CLIPS("x") " | x\n" CODES "=> y",
    .where = { { "from_attention", "x", "0" }, { "is_cast" } },
    .build = "y = quantize(x)[scheme=@cast_scheme()]",
    .sample = X("f32") E4M3 },
  { .name = "quantize_pre_scale",
    .doc = "A factor for each channel in front of quantize becomes its operand.",
    .match = "p = mul(x, f)                                                                     \n"
             "w = cast(p)[to=_]?                                                                \n"
             "y, s, z = quantize(w, g?, zero?, pre?, bound?)[scheme=sc]                         \n"
             "=> y, s, z",
    .where = { { "from_attention", "x", "0" }, { "is_pre_scale", "f", "p", "x" }, { "is_plain", "pre", "sc" },
               { "is_widened", "p", "w" } },
    .build = "y, s, z = quantize(x, g, zero, f, bound)[scheme=@rounding_to(sc, p)]",
    .sample = X("bf16") "f: bf16[16]; to = f32; sc = int8_token_zp |" X("f32") "f: f32[1,1,16]; to = f32; sc = int8_token_zp",
    .gain = 20 },
  { .name = "drop_zero_point",
    .doc = "A zero point of 0 is none.",
    .match = "y = quantize(x, s, z:zeros, ...)[scheme=sc]                                              \n"
             "=> y",
    .where = { { "from_attention", "x", "1" } },
    .build = "y = quantize(x, s, _, y..)[scheme=sc]",
    .sample = X("bf16") "s: f32[] = 0.37; z: e4m3[] = 0; sc = fp8_static" },
};
// clang-format on

const qn_family qn_family_quantize_arithmetic = {
  .name = "quantize_arithmetic",
  .doc = "the arithmetic of quantization behind attention",
  .rules = rules,
  .rule_count = QN_COUNT(rules),
  .predicates = predicates,
  .functions = functions,
};
