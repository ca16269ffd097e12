// The operands of an extern as the arguments that its row of the table asks for.
#include "formats/torch/torch_priv.h"
#include "ir/element_priv.h"
#include "ir/shape_priv.h"

#include <math.h>

// --- values ------------------------------------------------------------------------------------------------

// c10::ScalarType, by number. The types between are complex, quantized, or of other widths.
static const struct {
  uint8_t number, dtype;
} scalar_types[] = {
  { 0, QN_U8 },        { 1, QN_S8 },        { 2, QN_S16 },   { 3, QN_S32 },   { 4, QN_S64 },   { 5, QN_F16 },
  { 6, QN_F32 },       { 7, QN_F64 },       { 11, QN_BOOL }, { 15, QN_BF16 }, { 23, QN_E5M2 }, { 24, QN_E4M3 },
  { 25, QN_E5M2FNUZ }, { 26, QN_E4M3FNUZ }, { 27, QN_U16 },  { 28, QN_U32 },  { 29, QN_U64 },  { 44, QN_E8M0 },
};

qn_dtype qn_torch_scalar_type(int64_t number) {
  for (size_t i = 0; i < QN_COUNT(scalar_types); i++)
    if (scalar_types[i].number == number) return (qn_dtype)scalar_types[i].dtype;
  return QN_ANY;
}

qn_type_info qn_torch_type(const qn_torch_reader *r, qn_value value) {
  if (value == QN_NONE) return (qn_type_info){ .dtype = QN_ANY, .rank = QN_RANK_UNKNOWN };
  return qn_type_get_info(r->graph, qn_value_get_type(r->graph, value));
}

static uint64_t count_elements(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++)
    if (__builtin_mul_overflow(count, (uint64_t)tensor->dims[i], &count)) return UINT64_MAX;
  return count;
}

bool qn_torch_constant(const qn_graph *graph, qn_value value, double *out_number) {
  const qn_tensor *tensor = value ? qn_value_get_const(graph, value) : NULL;
  return tensor && tensor->data && count_elements(tensor) == 1 &&
         qn_element_read(tensor->dtype, tensor->data, 0, out_number);
}

bool qn_torch_is_zero(const qn_graph *graph, qn_value value) {
  const qn_tensor *tensor = value ? qn_value_get_const(graph, value) : NULL;
  if (!tensor || !tensor->data) return false;
  uint64_t count = count_elements(tensor);
  for (uint64_t i = 0; i < count; i++) {
    double element;
    if (!qn_element_read(tensor->dtype, tensor->data, i, &element) || element != 0) return false;
  }
  return true;
}

bool qn_torch_is_single(const qn_torch_reader *r, qn_value value) {
  qn_type_info type = qn_torch_type(r, value);
  for (int32_t i = 0; i < type.rank; i++)
    if (type.dims[i] != 1) return false;
  return type.rank >= 0;
}

// --- reading -----------------------------------------------------------------------------------------------

static void read_constant(qn_torch_reader *r, qn_torch_arg *arg) {
  const qn_tensor *tensor = qn_value_get_const(r->graph, arg->value);
  int length = (int)arg->name_length;
  double number;
  if (!qn_torch_constant(r->graph, arg->value, &number)) {
    qn_torch_refuse(r, "the argument %.*s is no constant of one element", length, arg->name);
    return;
  }
  bool integer = qn_dtype_is_integer(tensor->dtype);
  bool fits = arg->kind == 'F'   ? integer || qn_dtype_is_float(tensor->dtype)
              : arg->kind == 'B' ? tensor->dtype == QN_BOOL
                                 : integer;
  if (!fits) {
    qn_torch_refuse(r, "the argument %.*s is a %s", length, arg->name, qn_dtype_name(tensor->dtype));
    return;
  }
  arg->f = number;
  if (arg->kind == 'F') return;
  arg->i = (int64_t)number;
  if (arg->kind != 'D') return;
  arg->i = qn_torch_scalar_type((int64_t)number);
  if (arg->i == QN_ANY)
    qn_torch_refuse(r, "the argument %.*s is ScalarType %lld, which is no type of Quench", length, arg->name,
                    (long long)number);
}

static void read_arg(qn_torch_reader *r, qn_torch_arg *arg, bool optional) {
  int length = (int)arg->name_length;
  if (arg->kind == '_') return;
  if (arg->kind == 'S') {
    if (arg->value) qn_torch_refuse(r, "the argument %.*s is a string and stands in raw", length, arg->name);
    return;
  }
  if (!arg->value) {
    if (!optional) qn_torch_refuse(r, "the argument %.*s is missing", length, arg->name);
    return;
  }
  qn_type_info type = qn_torch_type(r, arg->value);
  if (arg->kind == 'L') {
    if (!qn_dtype_is_integer(type.dtype) || type.rank != 1)
      qn_torch_refuse(r, "the argument %.*s is no list of integers", length, arg->name);
  } else if (arg->kind != 'T') {
    read_constant(r, arg);
  }
}

void qn_torch_read_args(qn_torch_reader *r) {
  uint32_t operand_count = qn_node_get_operand_count(r->graph, r->node);
  for (const char *at = r->row->args; *at && r->status == QN_OK; at += strspn(at, " ")) {
    size_t length = strcspn(at, " "), name = QN_MIN(strcspn(at, ":?"), length);
    qn_torch_arg *arg = &r->args[r->arg_count];
    *arg = (qn_torch_arg){ .name = at,
                           .name_length = (uint32_t)name,
                           .kind = at[name] == ':' ? at[name + 1] : 'T' };
    arg->value = qn_node_get_operand(r->graph, r->node, r->arg_count++);
    read_arg(r, arg, at[length - 1] == '?');
    at += length;
  }
  if (r->status == QN_OK && operand_count > r->arg_count)
    qn_torch_refuse(r, "%u arguments, and the operation takes %u", operand_count, r->arg_count);
}

static const qn_torch_arg *find(const qn_torch_reader *r, const char *name) {
  for (uint32_t i = 0; i < r->arg_count; i++)
    if (strlen(name) == r->args[i].name_length && memcmp(name, r->args[i].name, r->args[i].name_length) == 0)
      return &r->args[i];
  return NULL;
}

const qn_torch_arg *qn_torch_get(const qn_torch_reader *r, const char *name) {
  static const qn_torch_arg none = { 0 }; // of a row of the same reader that lacks the argument
  const qn_torch_arg *arg = find(r, name);
  return arg ? arg : &none;
}

qn_value qn_torch_value(const qn_torch_reader *r, const char *name) {
  return qn_torch_get(r, name)->value;
}
bool qn_torch_has(const qn_torch_reader *r, const char *name) {
  return qn_torch_get(r, name)->value != QN_NONE;
}
int64_t qn_torch_int(const qn_torch_reader *r, const char *name, int64_t otherwise) {
  return qn_torch_has(r, name) ? qn_torch_get(r, name)->i : otherwise;
}
double qn_torch_float(const qn_torch_reader *r, const char *name, double otherwise) {
  return qn_torch_has(r, name) ? qn_torch_get(r, name)->f : otherwise;
}
qn_dtype qn_torch_dtype_arg(const qn_torch_reader *r, const char *name, qn_dtype otherwise) {
  return qn_torch_has(r, name) ? (qn_dtype)qn_torch_get(r, name)->i : otherwise;
}

qn_str qn_torch_text(const qn_torch_reader *r, const char *name) {
  qn_str raw = qn_node_get_string(r->graph, r->node, "raw");
  const char *at = raw.text, *end = raw.text + raw.length;
  size_t length = strlen(name);
  while (at < end) {
    const char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) line = end;
    if ((size_t)(line - at) > length && memcmp(at, name, length) == 0 && at[length] == '=')
      return (qn_str){ .text = at + length + 1, .length = (size_t)(line - at) - length - 1 };
    at = line + (line < end);
  }
  return (qn_str){ .text = "", .length = 0 };
}

bool qn_torch_dims(qn_torch_reader *r, const char *name, qn_dim out_dims[QN_TORCH_INTS_MAX],
                   uint32_t *out_count) {
  return qn_shape_get_int_values(r->graph, qn_torch_value(r, name), out_dims, out_count);
}

bool qn_torch_ints(qn_torch_reader *r, const char *name, int64_t out_ints[QN_TORCH_INTS_MAX],
                   uint32_t *out_count) {
  return qn_shape_get_int_consts(r->graph, qn_torch_value(r, name), out_ints, out_count);
}

int32_t qn_torch_axis(qn_torch_reader *r, int64_t axis, int32_t rank) {
  if (rank < 0) {
    qn_torch_refuse(r, "the rank is not known");
  } else if (axis < -rank || axis >= rank) {
    qn_torch_refuse(r, "dim %lld of a tensor of rank %d", (long long)axis, (int)rank);
  } else {
    return (int32_t)(axis < 0 ? axis + rank : axis);
  }
  return 0;
}
