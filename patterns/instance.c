// Makes a graph of a rule's match side.
#include "patterns/instance_priv.h"

#include "ir/element_priv.h"

typedef struct maker {
  const qn_program *program;
  const qn_instance *instance;
  qn_graph *graph;
  qn_arena arena;
  qn_value *values; // by slot
  bool *known;      // by slot
} maker;

static qn_status make_term(maker *m, uint16_t index, qn_value *out_value);

static qn_dtype dtype_of(const maker *m, qn_value value) {
  return value == QN_NONE ? QN_ANY : qn_type_get_info(m->graph, qn_value_get_type(m->graph, value)).dtype;
}

// A number takes the element type of the operand beside it.
static qn_status make_number(maker *m, const qn_term *term, qn_dtype dtype, qn_value *out_value) {
  uint64_t bits;
  unsigned char data[8] = { 0 };
  if (!qn_number_encode(dtype, term->number, &bits)) {
    dtype = QN_F32;
    qn_number_encode(dtype, term->number, &bits);
  }
  qn_element_store(dtype, data, 0, bits);
  qn_tensor tensor = { .dtype = dtype, .data = data, .bytes = qn_dtype_bytes(dtype, 1) };
  return qn_graph_add_const(m->graph, NULL, &tensor, false, out_value);
}

static bool refine(maker *m, const qn_attr_test *test, qn_attr *out_attr) {
  if (test->attr_slot == QN_NO_INDEX) return false;
  *out_attr = (qn_attr){ .name = test->attr->name };
  return m->instance->get_attr(m->instance->user, m->program->attr_slots[test->attr_slot].name, test->attr,
                               out_attr);
}

static qn_status make_attrs(maker *m, const qn_term *term, qn_op op, qn_attr *attrs, uint32_t *count) {
  for (uint16_t i = 0; i < term->test_count; i++) {
    const qn_attr_test *test = &m->program->tests[term->test_first + i];
    const qn_literal *literal = test->has_literal ? &test->literal : NULL;
    // A variable may get its literal where it occurs elsewhere.
    for (uint16_t t = 0; !literal && test->attr_slot != QN_NO_INDEX && t < m->program->test_count; t++)
      if (m->program->tests[t].attr_slot == test->attr_slot && m->program->tests[t].has_literal)
        literal = &m->program->tests[t].literal;
    bool family = literal && test->attr->kind == QN_ATTR_SCHEME && !literal->exact_scheme;
    if (family && m->instance->refines && refine(m, test, &attrs[*count])) {
      // the sample says which scheme of the family
    } else if (literal) {
      if (!qn_literal_to_attr(test->attr, literal, &m->arena, &attrs[*count]))
        return qn_fail_memory(m->arena.context);
    } else {
      const char *variable =
          test->attr_slot == QN_NO_INDEX ? test->attr->name : m->program->attr_slots[test->attr_slot].name;
      attrs[*count] = (qn_attr){ .name = test->attr->name };
      if (!m->instance->get_attr(m->instance->user, variable, test->attr, &attrs[*count])) continue;
    }
    ++*count;
  }
  if (term->any_attrs && term->stmt != QN_NO_INDEX) {
    const qn_slot *slot = &m->program->slots[m->program->stmts[term->stmt].first_slot];
    *count += m->instance->get_open_attrs(m->instance->user, slot->name, op, attrs + *count);
  }
  return QN_OK;
}

static qn_status make_operands(maker *m, const qn_term *term, qn_op op, qn_value *operands) {
  const uint16_t *kids = m->program->kids + term->first;
  for (uint16_t i = 0; i < term->count; i++)
    if (m->program->terms[kids[i]].kind != QN_TERM_NUMBER) QN_TRY(make_term(m, kids[i], &operands[i]));
  for (uint16_t i = 0; i < term->count; i++) {
    if (m->program->terms[kids[i]].kind != QN_TERM_NUMBER) continue;
    qn_value beside = QN_NONE;
    for (uint16_t o = 0; beside == QN_NONE && o < term->count; o++)
      if (m->program->terms[kids[o]].kind != QN_TERM_NUMBER) beside = operands[o];
    QN_TRY(make_number(m, &m->program->terms[kids[i]], dtype_of(m, beside), &operands[i]));
  }
  bool commutes = term->count >= 2 && (qn_op_get_info(op)->facts & QN_FACT_COMMUTATIVE);
  if (commutes && m->instance->choose(m->instance->user, 2) == 1) {
    qn_value first = operands[0];
    operands[0] = operands[1];
    operands[1] = first;
  }
  return QN_OK;
}

// An operation; `values` gets its results, `names` may be NULL.
static qn_status make_op(maker *m, const qn_term *term, const char *const *names, uint32_t result_count,
                         qn_value *values) {
  qn_op op =
      (qn_op)m->program->ops[term->op_first +
                             (term->op_count > 1 ? m->instance->choose(m->instance->user, term->op_count) : 0)];
  qn_value operands[QN_KIDS_MAX];
  qn_attr attrs[2 * QN_OP_ATTRS_MAX];
  uint32_t count = 0, attr_count = 0;
  QN_TRY(make_operands(m, term, op, operands));
  for (uint16_t i = 0; i < term->count; i++)
    if (operands[i] != QN_NONE) count = i + 1u;
  QN_TRY(make_attrs(m, term, op, attrs, &attr_count));
  qn_value results[QN_OP_RESULTS_MAX];
  uint32_t made = QN_MAX(result_count, qn_op_get_info(op)->result_min);
  const char *all_names[QN_OP_RESULTS_MAX] = { NULL };
  for (uint32_t i = 0; names && i < result_count; i++) all_names[i] = names[i];
  QN_TRY(qn_graph_add(m->graph,
                      &(qn_node_params){ .op = op,
                                         .operands = operands,
                                         .operand_count = count,
                                         .attrs = attrs,
                                         .attr_count = attr_count,
                                         .result_count = made,
                                         .names = names ? all_names : NULL },
                      results));
  memcpy(values, results, result_count * sizeof *values);
  return QN_OK;
}

// The right side of a statement, with the statement's names on what it makes.
static qn_status make_stmt(maker *m, const qn_stmt *stmt) {
  const qn_term *term = &m->program->terms[stmt->term];
  const char *names[QN_OP_RESULTS_MAX];
  for (uint16_t i = 0; i < stmt->slot_count; i++) {
    names[i] = m->program->slots[stmt->first_slot + i].name;
    m->known[stmt->first_slot + i] = true;
  }
  while (term->kind == QN_TERM_ALT)
    term =
        &m->program->terms[m->program->kids[term->first + m->instance->choose(m->instance->user, term->count)]];
  if (term->kind == QN_TERM_OP) return make_op(m, term, names, stmt->slot_count, m->values + stmt->first_slot);
  return make_term(m, (uint16_t)(term - m->program->terms), &m->values[stmt->first_slot]);
}

static qn_status make_term(maker *m, uint16_t index, qn_value *out_value) {
  const qn_term *term = &m->program->terms[index];
  *out_value = QN_NONE;
  switch ((qn_term_kind)term->kind) {
  case QN_TERM_OP: return make_op(m, term, NULL, 1, out_value);
  case QN_TERM_ALT:
    return make_term(m, m->program->kids[term->first + m->instance->choose(m->instance->user, term->count)],
                     out_value);
  case QN_TERM_NUMBER: return make_number(m, term, QN_ANY, out_value);
  case QN_TERM_ANY: {
    static const qn_slot any = { .name = "_", .stmt = QN_NO_INDEX };
    if (term->optional && !m->instance->take_optional(m->instance->user, any.name)) return QN_OK;
    return m->instance->add_hole(m->instance->user, m->graph, &any, out_value);
  }
  case QN_TERM_SLOT: break;
  }
  const qn_slot *slot = &m->program->slots[term->slot];
  if (!m->known[term->slot] && (!term->optional || m->instance->take_optional(m->instance->user, slot->name))) {
    if (slot->stmt != QN_NO_INDEX)
      QN_TRY(make_stmt(m, &m->program->stmts[slot->stmt]));
    else
      QN_TRY(m->instance->add_hole(m->instance->user, m->graph, slot, &m->values[term->slot]));
  }
  m->known[term->slot] = true;
  *out_value = m->values[term->slot];
  return QN_OK;
}

qn_status qn_rule_instantiate(const qn_rule_set *set, uint32_t rule, const qn_instance *instance,
                              qn_graph *graph, qn_value *out_values) {
  const qn_program *program = &set->programs[rule];
  bool known[QN_SLOTS_MAX] = { false };
  maker m = { .program = program,
              .instance = instance,
              .graph = graph,
              .values = out_values,
              .known = known,
              .arena = QN_ARENA(qn_graph_get_context(graph)) };
  memset(out_values, 0, program->slot_count * sizeof *out_values);
  qn_status status = QN_OK;
  qn_value ignored;
  status = make_term(&m, program->anchor, &ignored);
  for (uint16_t f = 0; status == QN_OK && f < program->find_count; f++) {
    const qn_stmt *stmt = &program->stmts[program->finds[f].stmt];
    if (!known[stmt->first_slot]) status = make_stmt(&m, stmt);
  }
  qn_arena_free(&m.arena);
  return status;
}
