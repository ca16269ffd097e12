// The public table of rules: their texts, and both sides as graphs whose inputs are the holes.
#include "patterns/instance_priv.h"

// A scheme has no default, so the plainest stands for one that depends on the match.
enum { PLAIN = QN_SCHEME_fp8_static };

// --- the table -------------------------------------------------------------------------------------------

static const qn_rule *rule_at(uint32_t index, const qn_family **out_family) {
  for (uint32_t f = 0; f < qn_family_get_count(); f++) {
    *out_family = qn_family_get(f);
    if (index < (*out_family)->rule_count) return &(*out_family)->rules[index];
    index -= (*out_family)->rule_count;
  }
  return NULL;
}

uint32_t qn_rule_get_count(void) {
  uint32_t count = 0;
  for (uint32_t f = 0; f < qn_family_get_count(); f++) count += qn_family_get(f)->rule_count;
  return count;
}

qn_rule_info qn_rule_get_info(uint32_t index) {
  const qn_family *family;
  const qn_rule *rule = rule_at(index, &family);
  if (!rule) return (qn_rule_info){ 0 };
  return (qn_rule_info){ .name = rule->name,
                         .family = family->name,
                         .doc = rule->doc,
                         .match = rule->match,
                         .build = rule->build,
                         .sample = rule->sample,
                         .gain = rule->gain };
}

// --- the match side --------------------------------------------------------------------------------------

// Nothing is known of a hole but its name.
static qn_status add_hole(void *user, qn_graph *graph, const qn_slot *slot, qn_value *out_value) {
  (void)user;
  return qn_graph_add_input(graph, slot->name, 0, out_value);
}
// A variable stands for any value; its default is printed.
static bool get_attr(void *user, const char *variable, const qn_attr_info *attr, qn_attr *out_attr) {
  (void)variable;
  if (attr->kind != QN_ATTR_SCHEME) return false;
  out_attr->scheme = user;
  return true;
}
static bool take_optional(void *user, const char *name) {
  (void)user, (void)name;
  return true;
}
static uint32_t get_open_attrs(void *user, const char *stmt, qn_op op, qn_attr *out_attrs) {
  (void)user, (void)stmt, (void)op, (void)out_attrs;
  return 0;
}
static uint32_t choose_longest(void *user, uint32_t count) {
  (void)user, (void)count;
  return 0;
}

// --- the build side --------------------------------------------------------------------------------------

// A value of the match side, as an input of that name.
static qn_status get_slot(const qn_program *program, qn_graph *graph, uint16_t slot, qn_value *values,
                          qn_value *out_value) {
  if (values[slot] == QN_NONE) QN_TRY(qn_graph_add_input(graph, program->slots[slot].name, 0, &values[slot]));
  *out_value = values[slot];
  return QN_OK;
}

// The literal that the match side demands of a variable, if it does.
static const qn_literal *find_literal(const qn_program *program, uint16_t attr_slot) {
  for (uint16_t t = 0; t < program->test_count; t++)
    if (program->tests[t].attr_slot == attr_slot && program->tests[t].has_literal)
      return &program->tests[t].literal;
  return NULL;
}

static qn_status add_build_node(const qn_program *program, qn_graph *graph, uint16_t index, qn_arena *arena,
                                qn_value *slots, qn_value (*built)[QN_OP_RESULTS_MAX]) {
  const qn_build_node *node = &program->build_nodes[index];
  const qn_scheme plain_scheme = qn_scheme_of((qn_scheme_family)PLAIN);
  qn_value operands[QN_KIDS_MAX] = { 0 };
  qn_attr attrs[QN_OP_ATTRS_MAX];
  const char *names[QN_OP_RESULTS_MAX] = { NULL };
  uint32_t operand_count = 0, attr_count = 0;
  // A constant that a function computes from the match is as unknown here as a hole.
  if (node->op == QN_OP_const && program->build_attrs[node->attr_first].call != QN_NO_INDEX)
    return qn_graph_add_input(graph, "computed", 0, built[index]);
  for (uint16_t i = 0; i < node->count; i++) {
    const qn_build_ref *ref = &program->build_args[node->first + i];
    if (ref->source == QN_SOURCE_BUILT) operands[i] = built[ref->index][ref->result];
    if (ref->source == QN_SOURCE_SLOT) QN_TRY(get_slot(program, graph, ref->index, slots, &operands[i]));
    if (operands[i] != QN_NONE) operand_count = i + 1u; // what is taken over is unknown here
  }
  for (uint16_t i = 0; i < node->attr_count; i++) { // what is copied or computed depends on the match
    const qn_build_attr *attr = &program->build_attrs[node->attr_first + i];
    const qn_literal *literal = &attr->literal;
    if (attr->attr_slot != QN_NO_INDEX) literal = find_literal(program, attr->attr_slot);
    if (attr->attr->kind == QN_ATTR_SCHEME && (attr->call != QN_NO_INDEX || !literal)) {
      attrs[attr_count++] = (qn_attr){ .name = attr->attr->name, .scheme = &plain_scheme };
      continue;
    }
    if (attr->call != QN_NO_INDEX || !literal) continue;
    if (!qn_literal_to_attr(attr->attr, literal, arena, &attrs[attr_count++]))
      return qn_fail_memory(arena->context);
  }
  for (uint16_t i = 0; i < program->output_count; i++)
    if (program->build_outputs[i].source == QN_SOURCE_BUILT && program->build_outputs[i].index == index)
      names[program->build_outputs[i].result] = program->slots[program->outputs[i]].name;
  return qn_graph_add(graph,
                      &(qn_node_params){ .op = node->op,
                                         .operands = operands,
                                         .operand_count = operand_count,
                                         .attrs = attrs,
                                         .attr_count = attr_count,
                                         .result_count = node->result_count,
                                         .names = names },
                      built[index]);
}

static qn_status make_build(const qn_program *program, qn_graph *graph, qn_arena *arena) {
  qn_value slots[QN_SLOTS_MAX] = { 0 }, built[QN_BUILD_NODES_MAX][QN_OP_RESULTS_MAX] = { { 0 } };
  for (uint16_t n = 0; n < program->build_node_count; n++)
    QN_TRY(add_build_node(program, graph, n, arena, slots, built));
  for (uint16_t i = 0; i < program->output_count; i++) {
    const qn_build_ref *ref = &program->build_outputs[i];
    qn_value value = ref->source == QN_SOURCE_BUILT ? built[ref->index][ref->result] : QN_NONE;
    if (ref->source == QN_SOURCE_SLOT) QN_TRY(get_slot(program, graph, ref->index, slots, &value));
    QN_TRY(qn_graph_add_output(graph, value, program->slots[program->outputs[i]].name));
  }
  return QN_OK;
}

// --- both ------------------------------------------------------------------------------------------------

static qn_status make_match(const qn_rule_set *set, uint32_t index, qn_graph *graph) {
  qn_scheme scheme = qn_scheme_of((qn_scheme_family)PLAIN);
  qn_instance longest = { .user = &scheme,
                          .add_hole = add_hole,
                          .get_attr = get_attr,
                          .get_open_attrs = get_open_attrs,
                          .take_optional = take_optional,
                          .choose = choose_longest };
  const qn_program *program = &set->programs[index];
  qn_value values[QN_SLOTS_MAX];
  QN_TRY(qn_rule_instantiate(set, index, &longest, graph, values));
  for (uint16_t i = 0; i < program->output_count; i++)
    QN_TRY(qn_graph_add_output(graph, values[program->outputs[i]], NULL));
  return QN_OK;
}

static qn_status make_graphs(const qn_rule_set *set, uint32_t index, qn_graph *match, qn_graph *build) {
  qn_arena arena = QN_ARENA(set->context);
  qn_status status = make_match(set, index, match);
  if (status == QN_OK) status = make_build(&set->programs[index], build, &arena);
  qn_arena_free(&arena);
  return status;
}

qn_status qn_rule_get_graphs(qn_context *context, uint32_t index, qn_graph **out_match, qn_graph **out_build) {
  const qn_family *family;
  const qn_rule *rule = rule_at(index, &family);
  *out_match = *out_build = NULL;
  if (!rule) return qn_fail(context, QN_NOT_FOUND, NULL, "there is no rule %u", index);
  qn_rule_set *set;
  qn_graph *match = NULL, *build = NULL;
  QN_TRY(qn_rule_set_create_from(context, &family, 1, &set));
  qn_status status = qn_graph_create(context, rule->name, &match);
  if (status == QN_OK) status = qn_graph_create(context, rule->name, &build);
  if (status == QN_OK) status = make_graphs(set, (uint32_t)qn_rule_set_find(set, rule->name), match, build);
  qn_rule_set_destroy(set);
  if (status != QN_OK) {
    qn_graph_destroy(match);
    qn_graph_destroy(build);
    return status;
  }
  *out_match = match;
  *out_build = build;
  return QN_OK;
}
