// Misses in words: what was expected and found, and the row of the rule with a caret. Nothing here runs while
// matching.
#include "ir/element_priv.h"
#include "ir/graph_priv.h"
#include "patterns/program_priv.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

enum { LABEL_MAX = 16 };

// --- words -----------------------------------------------------------------------------------------------

static bool is_gone(const qn_graph *graph, qn_node node) {
  return node >= qn_graph_get_node_limit(graph) || qn_node_get_op(graph, node) == QN_OP_NONE;
}

static const char *label_of(const qn_graph *graph, qn_value value, char buffer[LABEL_MAX]) {
  if (value == QN_NONE) return "none";
  return is_gone(graph, qn_value_get_node(graph, value)) ? "gone" : qn_value_label(graph, value, buffer);
}

#define EXPECTED(...) snprintf(out->expected, sizeof out->expected, __VA_ARGS__)
#define FOUND(...)    snprintf(out->found, sizeof out->found, __VA_ARGS__)

// expected -1: one of the term's operations, found: another one, or QN_OP_NONE where users were looked through.
// expected 0..: that result, found: another one.
static void say_op(const qn_program *program, const qn_miss *miss, qn_reason *out) {
  if (miss->expected >= 0) {
    EXPECTED("result %" PRId64, miss->expected);
    FOUND("result %" PRId64, miss->found);
    return;
  }
  const qn_term *term = &program->terms[miss->term];
  size_t at = 0;
  for (uint16_t i = 0; i < term->op_count && at < sizeof out->expected; i++)
    at += (size_t)snprintf(out->expected + at, sizeof out->expected - at, "%s%s", i ? " or " : "",
                           qn_op_get_info((qn_op)program->ops[term->op_first + i])->name);
  FOUND("%s", miss->found == QN_OP_NONE ? "no such user" : qn_op_get_info((qn_op)miss->found)->name);
}

// expected 0..: an attribute test of the rule; -1: attribute `found` of the row should have had its default.
static void say_attribute(const qn_program *program, const qn_graph *graph, const qn_miss *miss,
                          qn_reason *out) {
  char wanted[80], value[80];
  bool gone = is_gone(graph, miss->node);
  if (miss->expected >= 0) {
    const qn_attr_test *test = &program->tests[miss->expected];
    if (test->has_literal)
      qn_literal_write(test->attr, &test->literal, wanted, sizeof wanted);
    else
      snprintf(wanted, sizeof wanted, "the value that '%s' has elsewhere",
               program->attr_slots[test->attr_slot].name);
    EXPECTED("%s=%s", test->attr->name, wanted);
    if (gone) {
      FOUND("gone");
      return;
    }
    qn_literal found = qn_attr_get(graph, miss->node, test->attr);
    qn_literal_write(test->attr, &found, value, sizeof value);
    FOUND("%s", value);
    return;
  }
  if (gone) {
    EXPECTED("a default");
    FOUND("gone");
    return;
  }
  const qn_attr_info *attr = &qn_op_get_info(qn_node_get_op(graph, miss->node))->attrs[miss->found];
  qn_literal usual = { .i = attr->i, .f = attr->f, .scheme = qn_scheme_of(QN_SCHEME_none) };
  qn_literal found = qn_attr_get(graph, miss->node, attr);
  qn_literal_write(attr, &usual, wanted, sizeof wanted);
  qn_literal_write(attr, &found, value, sizeof value);
  EXPECTED("%s=%s", attr->name, wanted);
  FOUND("%s", value);
}

static void say_operand_count(const qn_miss *miss, qn_reason *out) {
  if (miss->value == QN_NONE) {
    EXPECTED("an operand");
    FOUND("none");
  } else {
    EXPECTED("at most %" PRId64 " operands", miss->expected);
    FOUND("%" PRId64, miss->found);
  }
}

static void say_const(const qn_program *program, const qn_graph *graph, const qn_miss *miss, qn_reason *out) {
  const qn_tensor *tensor = is_gone(graph, miss->node) ? NULL : qn_value_get_const(graph, miss->value);
  EXPECTED("the constant %.9g", program->terms[miss->term].number);
  if (tensor && tensor->data && tensor->bytes && tensor->rank == 0 && qn_dtype_bits(tensor->dtype)) {
    char text[QN_ELEMENT_TEXT_MAX];
    qn_element_format(tensor->dtype, qn_element_load(tensor->dtype, tensor->data, 0), text);
    FOUND("%s", text);
  } else {
    FOUND("another constant");
  }
}

// found: the user, or QN_NONE for a graph output; expected: the result's index.
static void say_escape(const qn_graph *graph, const qn_miss *miss, qn_reason *out) {
  char buffer[LABEL_MAX];
  qn_node user = (qn_node)miss->found;
  if (miss->why == QN_WHY_extra_result)
    EXPECTED("no user of result %" PRId64, miss->expected);
  else
    EXPECTED("no user outside the match");
  if (user == QN_NONE)
    FOUND("a graph output");
  else if (is_gone(graph, user))
    FOUND("a user that is gone");
  else if (user == miss->node)
    FOUND("an operation with an effect");
  else
    FOUND("%.40s = %s", qn_node_label(graph, user, buffer), qn_op_get_info(qn_node_get_op(graph, user))->name);
}

void qn_miss_get_reason(const qn_rule_set *set, const qn_graph *graph, const qn_miss *miss, qn_reason *out) {
  const qn_program *program = &set->programs[miss->rule];
  char left[LABEL_MAX], right[LABEL_MAX];
  *out = (qn_reason){ .why = miss->why };
  if (miss->reason.why != QN_WHY_none) {
    *out = miss->reason;
    return;
  }
  switch (miss->why) {
  case QN_WHY_op: say_op(program, miss, out); break;
  case QN_WHY_attribute: say_attribute(program, graph, miss, out); break;
  case QN_WHY_operand_count: say_operand_count(miss, out); break;
  case QN_WHY_not_const:
    EXPECTED("a constant");
    FOUND("%s", is_gone(graph, miss->node) ? "gone" : qn_op_get_info(qn_node_get_op(graph, miss->node))->name);
    break;
  case QN_WHY_const_value: say_const(program, graph, miss, out); break;
  case QN_WHY_not_scalar:
    EXPECTED("one element");
    FOUND("%" PRId64, miss->found);
    break;
  case QN_WHY_different_value:
    EXPECTED("%.60s", label_of(graph, (qn_value)miss->expected, left));
    FOUND("%.60s", label_of(graph, (qn_value)miss->found, right));
    break;
  case QN_WHY_node_taken:
    EXPECTED("another operation");
    FOUND("%.60s once more", label_of(graph, miss->value, left));
    break;
  case QN_WHY_escapes:
  case QN_WHY_extra_result: say_escape(graph, miss, out); break;
  case QN_WHY_step_limit:
    EXPECTED("at most %d steps", QN_MATCH_STEPS_MAX);
    FOUND("more");
    break;
  default: break;
  }
}

const char *qn_miss_get_at(const qn_graph *graph, const qn_miss *miss, char buffer[16]) {
  if (is_gone(graph, miss->node)) return "";
  return miss->value == QN_NONE ? qn_node_label(graph, miss->node, buffer)
                                : qn_value_label(graph, miss->value, buffer);
}

// --- the row ---------------------------------------------------------------------------------------------

static qn_status write_guard(const qn_program *program, int32_t index, const qn_writer *writer) {
  const char *const *words = program->rule->where[index];
  QN_TRY(qn_writef(writer, "where %s(", words[0]));
  for (int i = 1; i <= QN_GUARD_ARGS_MAX && words[i]; i++)
    QN_TRY(qn_writef(writer, "%s%s", i > 1 ? ", " : "", words[i]));
  return qn_write(writer, ")");
}

// The statement's text with every run of space as one; `*out_column` is where `place` ends up.
static void squeeze(const qn_program *program, uint32_t place, qn_buf *buf, size_t *out_column) {
  const char *text = program->rule->match;
  *out_column = 0;
  for (uint16_t s = 0; s < program->stmt_count; s++) {
    const qn_stmt *stmt = &program->stmts[s];
    if (place < stmt->begin || place >= stmt->end) continue;
    for (uint32_t i = stmt->begin; i < stmt->end; i++) {
      if (i == place) *out_column = buf->length;
      bool space = isspace((unsigned char)text[i]);
      if (!space)
        qn_buf_append(buf, text + i, 1);
      else if (!isspace((unsigned char)text[i - 1]))
        qn_buf_append(buf, " ", 1);
    }
    return;
  }
}

qn_status qn_miss_write_row(const qn_rule_set *set, const qn_miss *miss, const qn_writer *writer) {
  const qn_program *program = &set->programs[miss->rule];
  if (miss->guard >= 0) return write_guard(program, miss->guard, writer);
  qn_buf buf = QN_BUF(set->context);
  size_t column;
  squeeze(program, miss->place, &buf, &column);
  qn_status status =
      buf.status == QN_OK ? qn_write(writer, buf.text ? buf.text : "") : qn_fail_memory(set->context);
  qn_buf_free(&buf);
  return status;
}

qn_status qn_miss_write(const qn_rule_set *set, const qn_graph *graph, const qn_miss *miss,
                        const qn_writer *writer) {
  const qn_program *program = &set->programs[miss->rule];
  char label[LABEL_MAX];
  bool gone = is_gone(graph, miss->root);
  QN_TRY(qn_writef(writer, "%s does not match at %s = %s (%u operation%s matched first)\n    ",
                   program->rule->name, gone ? "gone" : qn_node_label(graph, miss->root, label),
                   gone ? "gone" : qn_op_get_info(qn_node_get_op(graph, miss->root))->name, miss->depth,
                   miss->depth == 1 ? "" : "s"));
  QN_TRY(qn_miss_write_row(set, miss, writer));
  size_t column = 0;
  if (miss->guard < 0) {
    qn_buf buf = QN_BUF(set->context);
    squeeze(program, miss->place, &buf, &column);
    qn_buf_free(&buf);
  }
  qn_reason reason;
  qn_miss_get_reason(set, graph, miss, &reason);
  QN_TRY(qn_writef(writer, "\n    %*s^ ", (int)column, ""));
  const char *at = qn_miss_get_at(graph, miss, label);
  if (*at) QN_TRY(qn_writef(writer, "%s: ", at));
  QN_TRY(qn_write(writer, qn_why_sentence(reason.why)));
  if (reason.expected[0]) QN_TRY(qn_writef(writer, ": expected %s, found %s", reason.expected, reason.found));
  return qn_write(writer, "\n");
}
