// The op table as data: ir/ops.def expanded once, with the counts that follow from the marks ? and *.
#include "ir/base_priv.h"

#include <quench/graph.h>

// clang-format off

// M(f, a, b, ...) is f(a) f(b) ..., for up to twenty.
#define M1(f, a)       f(a)
#define M2(f, a, ...)  f(a) M1(f, __VA_ARGS__)
#define M3(f, a, ...)  f(a) M2(f, __VA_ARGS__)
#define M4(f, a, ...)  f(a) M3(f, __VA_ARGS__)
#define M5(f, a, ...)  f(a) M4(f, __VA_ARGS__)
#define M6(f, a, ...)  f(a) M5(f, __VA_ARGS__)
#define M7(f, a, ...)  f(a) M6(f, __VA_ARGS__)
#define M8(f, a, ...)  f(a) M7(f, __VA_ARGS__)
#define M9(f, a, ...)  f(a) M8(f, __VA_ARGS__)
#define M10(f, a, ...) f(a) M9(f, __VA_ARGS__)
#define M11(f, a, ...) f(a) M10(f, __VA_ARGS__)
#define M12(f, a, ...) f(a) M11(f, __VA_ARGS__)
#define M13(f, a, ...) f(a) M12(f, __VA_ARGS__)
#define M14(f, a, ...) f(a) M13(f, __VA_ARGS__)
#define M15(f, a, ...) f(a) M14(f, __VA_ARGS__)
#define M16(f, a, ...) f(a) M15(f, __VA_ARGS__)
#define M17(f, a, ...) f(a) M16(f, __VA_ARGS__)
#define M18(f, a, ...) f(a) M17(f, __VA_ARGS__)
#define M19(f, a, ...) f(a) M18(f, __VA_ARGS__)
#define M20(f, a, ...) f(a) M19(f, __VA_ARGS__)
#define MN(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, n, ...) n
#define M(f, ...) MN(__VA_ARGS__, M20, M19, M18, M17, M16, M15, M14, M13, M12, M11, M10, M9, M8, M7, M6, M5, M4, M3, M2, M1, )(f, __VA_ARGS__)

#define MARK(text)       (text)[sizeof(text) - 2]
#define ONE(text)        +1
#define REQUIRED(text)   +(MARK(text) != '?' && MARK(text) != '*')
#define REPEATED(text)   || MARK(text) == '*'

#define NONE
#define IN(...)                                                                                      \
  .operands = { __VA_ARGS__ }, .operand_count = M(ONE, __VA_ARGS__), .operand_min = M(REQUIRED, __VA_ARGS__), \
  .operands_repeat = false M(REPEATED, __VA_ARGS__),
#define OUT(...)                                                                                     \
  .results = { __VA_ARGS__ }, .result_count = M(ONE, __VA_ARGS__), .result_min = M(REQUIRED, __VA_ARGS__), \
  .results_repeat = false M(REPEATED, __VA_ARGS__),
#define AT(...)       .attrs = { __VA_ARGS__ },
#define I(key, value) { .name = #key, .kind = QN_ATTR_INT, .i = value }
#define F(key, value) { .name = #key, .kind = QN_ATTR_FLOAT, .f = value }
#define B(key, value) { .name = #key, .kind = QN_ATTR_BOOL, .i = value }
#define E(key, list)  { .name = #key, .kind = QN_ATTR_ENUM, .choices = list }
#define T(key)        { .name = #key, .kind = QN_ATTR_DTYPE }
#define L(key)        { .name = #key, .kind = QN_ATTR_INTS }
#define C(key)        { .name = #key, .kind = QN_ATTR_TENSOR }
#define S(key)        { .name = #key, .kind = QN_ATTR_STRING }
#define Q(key)        { .name = #key, .kind = QN_ATTR_SCHEME }
#define OP(op, in, out, at, facts_, doc_) [QN_OP_##op] = { .name = #op, in out at .facts = (facts_), .doc = doc_ },

// clang-format on

enum {
  COMMUTATIVE = QN_FACT_COMMUTATIVE,
  ELEMENTWISE = QN_FACT_ELEMENTWISE,
  VIEW = QN_FACT_VIEW,
  LAYOUT = QN_FACT_LAYOUT,
  EFFECT = QN_FACT_EFFECT,
  LEAF = QN_FACT_LEAF
};

static const qn_op_info ops[QN_OP_COUNT] = {
  [QN_OP_NONE] = { .name = "none", .doc = "" },
#include "ir/ops.def"
};

const qn_op_info *qn_op_get_info(qn_op op) {
  return &ops[(unsigned)op < QN_OP_COUNT ? op : QN_OP_NONE];
}

// Most comparisons end at the first letter.
static bool same_text(const char *whole, const char *name, size_t length) {
  return length && whole[0] == name[0] && strncmp(whole, name, length) == 0 && whole[length] == 0;
}

qn_op qn_op_find(const char *name, size_t length) {
  for (int op = QN_OP_NONE + 1; op < QN_OP_COUNT; op++)
    if (same_text(ops[op].name, name, length)) return (qn_op)op;
  return QN_OP_NONE;
}

int qn_op_find_attr(qn_op op, const char *name, size_t length) {
  const qn_attr_info *attrs = qn_op_get_info(op)->attrs;
  for (int i = 0; i < QN_OP_ATTRS_MAX && attrs[i].name; i++)
    if (same_text(attrs[i].name, name, length)) return i;
  return -1;
}

// Sets [*start, *end) to the choice that begins at `*start`; false at the end of the list.
static bool next_choice(const char **start, const char **end) {
  if (**start == 0) return false;
  *end = *start + strcspn(*start, "|");
  return true;
}

int qn_attr_find_choice(const qn_attr_info *attr, const char *name, size_t length) {
  int index = 0;
  for (const char *start = attr->choices, *end; start && next_choice(&start, &end); index++) {
    if ((size_t)(end - start) == length && memcmp(start, name, length) == 0) return index;
    start = *end ? end + 1 : end;
  }
  return -1;
}

void qn_attr_format_choice(const qn_attr_info *attr, int64_t index, char out_text[32]) {
  out_text[0] = 0;
  for (const char *start = attr->choices, *end; start && next_choice(&start, &end); index--) {
    size_t length = QN_MIN((size_t)(end - start), (size_t)31);
    if (index == 0) {
      memcpy(out_text, start, length);
      out_text[length] = 0;
      return;
    }
    start = *end ? end + 1 : end;
  }
}
