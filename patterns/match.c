// The matcher: a search with backtracking over one rule's terms, without recursion and without allocation.
//
// State is a list of goals (this term has to match this value), a stack of choices (commutative operands,
// alternatives, users to look among) and a trail of what was bound since. A goal that fails takes the newest
// choice back, undoes the trail to its height and goes on with the next alternative. All buffers are as large
// as the largest rule of the set can ever fill: a term is visited at most once between two backtracks.
#include "ir/graph_priv.h"
#include "patterns/match_priv.h"

qn_miss *qn_match_further(qn_matcher *matcher, uint32_t stage, qn_why why, uint32_t place) {
  uint32_t progress = matcher->match.node_count * 16 + stage + 1;
  if (progress <= matcher->progress) return NULL;
  matcher->progress = progress;
  qn_miss *miss = &matcher->miss;
  miss->depth = matcher->match.node_count;
  miss->why = why;
  miss->place = place;
  miss->guard = -1;
  miss->node = miss->value = QN_NONE;
  miss->operand = UINT32_MAX;
  miss->term = QN_NO_INDEX;
  miss->expected = miss->found = 0;
  miss->reason.why = QN_WHY_none;
  return miss;
}

static qn_miss *further_at(qn_matcher *matcher, qn_why why, const qn_term *term, qn_value value,
                           uint16_t operand) {
  qn_miss *miss = qn_match_further(matcher, QN_PROGRESS_STRUCTURE, why, term->place);
  if (!miss) return NULL;
  miss->term = (uint32_t)(term - matcher->match.program->terms);
  miss->value = value;
  if (value != QN_NONE) miss->node = qn_value_get_node(matcher->match.graph, value);
  if (operand != QN_NO_INDEX) miss->operand = operand;
  return miss;
}

static bool fail_term(qn_matcher *matcher, qn_why why, const qn_term *term, qn_value value, uint16_t operand,
                      int64_t expected, int64_t found) {
  qn_miss *miss = further_at(matcher, why, term, value, operand);
  if (miss) {
    miss->expected = expected;
    miss->found = found;
  }
  return false;
}

// --- goals, choices, trail -------------------------------------------------------------------------------

static void push_goal(qn_matcher *matcher, uint16_t term, qn_value value, uint16_t operand) {
  uint32_t cell = matcher->goal_height++;
  matcher->goal_cells[cell] = (qn_goal){ matcher->goals, value, term, operand };
  matcher->goals = cell;
}

// Remembers the state before the first alternative; `goals` is what is left to do after the choice.
static void push_choice(qn_matcher *matcher, uint16_t term, qn_value value, uint16_t operand, uint32_t next) {
  matcher->choices[matcher->choice_count++] = (qn_choice){
    .goals = matcher->goals,
    .goal_height = matcher->goal_height,
    .trail_height = matcher->trail_height,
    .node_count = matcher->match.node_count,
    .next = next,
    .value = value,
    .term = term,
    .operand = operand,
  };
}

static void remember(qn_matcher *matcher, uint32_t what, uint16_t index) {
  matcher->trail[matcher->trail_height++] = what | index;
}

static void undo(qn_matcher *matcher, const qn_choice *choice) {
  qn_match *match = &matcher->match;
  while (matcher->trail_height > choice->trail_height) {
    uint32_t entry = matcher->trail[--matcher->trail_height], index = entry & 0xffff;
    switch (entry & ~0xffffu) {
    case QN_TRAIL_SLOT: match->values[index] = QN_UNBOUND; break;
    case QN_TRAIL_ATTR: match->attrs[index].node = QN_NONE; break;
    case QN_TRAIL_STMT: match->stmt_nodes[index] = QN_NONE; break;
    default: match->arms[index] = -1; break;
    }
  }
  match->node_count = choice->node_count;
  matcher->goals = choice->goals;
  matcher->goal_height = choice->goal_height;
}

static void bind_slot(qn_matcher *matcher, uint16_t slot, qn_value value) {
  matcher->match.values[slot] = value;
  remember(matcher, QN_TRAIL_SLOT, slot);
}

static void take_arm(qn_matcher *matcher, uint16_t stmt, uint32_t arm) {
  if (stmt == QN_NO_INDEX) return;
  matcher->match.arms[stmt] = (int16_t)arm;
  remember(matcher, QN_TRAIL_ARM, stmt);
}

// --- one term against one value --------------------------------------------------------------------------

bool qn_values_same(const qn_graph *graph, qn_value a, qn_value b) {
  if (a == b) return true;
  if (a == QN_NONE || b == QN_NONE) return false;
  const qn_tensor *left = qn_value_get_const(graph, a);
  return left && qn_tensor_same(left, qn_value_get_const(graph, b));
}

static uint64_t element_count(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; d++) count *= (uint64_t)tensor->dims[d];
  return count;
}

static bool match_hole_kind(qn_matcher *matcher, const qn_term *term, const qn_slot *slot, qn_value value,
                            uint16_t operand) {
  if (slot->kind == QN_HOLE_ANY) return true;
  if (slot->kind == QN_HOLE_PREDICATE) {
    qn_graph *graph = matcher->match.graph;
    qn_arg args[2] = { { .name = slot->name, .value = value, .node = qn_value_get_node(graph, value) } };
    qn_reason reason = { .why = QN_WHY_none };
    if (slot->predicate(&matcher->match, args, &reason)) return true;
    if (reason.why == QN_WHY_none) reason.why = QN_WHY_predicate;
    qn_miss *miss = further_at(matcher, reason.why, term, value, operand);
    if (miss) miss->reason = reason;
    return false;
  }
  const qn_tensor *tensor = qn_value_get_const(matcher->match.graph, value);
  if (!tensor) return fail_term(matcher, QN_WHY_not_const, term, value, operand, 0, 0);
  if (slot->kind == QN_HOLE_CONST || element_count(tensor) == 1) return true;
  return fail_term(matcher, QN_WHY_not_scalar, term, value, operand, 1, (int64_t)element_count(tensor));
}

// A name: compared if it is bound, else bound; the name of a statement leads on to its right side.
static bool match_slot(qn_matcher *matcher, const qn_term *term, qn_value value, uint16_t operand) {
  qn_match *match = &matcher->match;
  const qn_program *program = match->program;
  const qn_slot *slot = &program->slots[term->slot];
  qn_value bound = match->values[term->slot];
  if (bound != QN_UNBOUND) {
    if (qn_values_same(match->graph, bound, value)) return true;
    return fail_term(matcher, QN_WHY_different_value, term, value, operand, bound, value);
  }
  if (value == QN_NONE) {
    if (!term->optional) return fail_term(matcher, QN_WHY_operand_count, term, value, operand, 1, 0);
    bind_slot(matcher, term->slot, value);
    return true;
  }
  if (slot->stmt == QN_NO_INDEX) {
    if (!match_hole_kind(matcher, term, slot, value, operand)) return false;
    bind_slot(matcher, term->slot, value);
    return true;
  }
  const qn_stmt *stmt = &program->stmts[slot->stmt];
  if (stmt->slot_count == 1) {
    bind_slot(matcher, term->slot, value);
  } else {
    // All results of one operation at once, so that they cannot come from two.
    uint32_t result = qn_value_get_result_index(match->graph, value);
    if (result != slot->result)
      return fail_term(matcher, QN_WHY_op, term, value, operand, slot->result, result);
    qn_node node = qn_value_get_node(match->graph, value);
    for (uint16_t i = 0; i < stmt->slot_count; i++)
      bind_slot(matcher, (uint16_t)(stmt->first_slot + i), qn_node_get_result(match->graph, node, i));
  }
  push_goal(matcher, stmt->term, value, operand);
  return true;
}

static bool match_tests(qn_matcher *matcher, const qn_term *term, qn_node node, qn_value value,
                        uint16_t operand) {
  qn_match *match = &matcher->match;
  const qn_graph *graph = match->graph;
  const qn_program *program = match->program;
  for (uint16_t i = 0; i < term->test_count; i++) {
    uint16_t index = (uint16_t)(term->test_first + i);
    const qn_attr_test *test = &program->tests[index];
    if (!test->has_literal && test->attr_slot == QN_NO_INDEX) continue;
    qn_literal found = qn_attr_get(graph, node, test->attr);
    bool agrees = !test->has_literal || qn_literal_equal(test->attr->kind, &found, &test->literal);
    if (agrees && test->attr_slot != QN_NO_INDEX) {
      qn_bound_attr *bound = &match->attrs[test->attr_slot];
      if (bound->node == QN_NONE) {
        *bound = (qn_bound_attr){ node, test->attr };
        remember(matcher, QN_TRAIL_ATTR, test->attr_slot);
      } else {
        qn_literal other = qn_attr_get(graph, bound->node, bound->attr);
        agrees = qn_literal_equal(test->attr->kind, &found, &other);
      }
    }
    if (!agrees) {
      qn_miss *miss = further_at(matcher, QN_WHY_attribute, term, value, operand);
      if (miss) {
        miss->place = test->place;
        miss->expected = index;
      }
      return false;
    }
  }
  if (term->any_attrs) return true;
  const qn_attr_info *attrs = qn_op_get_info(qn_node_get_op(graph, node))->attrs;
  for (int a = 0; attrs[a].name; a++) {
    if (!qn_node_find_attr(graph, node, a)) continue; // the default
    bool mentioned = false;
    for (uint16_t i = 0; i < term->test_count && !mentioned; i++)
      mentioned = !strcmp(program->tests[term->test_first + i].attr->name, attrs[a].name);
    if (!mentioned) return fail_term(matcher, QN_WHY_attribute, term, value, operand, -1, a);
  }
  return true;
}

static bool has_op(const qn_program *program, const qn_term *term, qn_op op) {
  for (uint16_t i = 0; i < term->op_count; i++)
    if (program->ops[term->op_first + i] == op) return true;
  return false;
}

// Goals for the operands, the first one on top. `swapped`: operands 0 and 1 change places.
static void push_operands(qn_matcher *matcher, const qn_term *term, qn_node node, bool swapped) {
  const qn_program *program = matcher->match.program;
  for (uint16_t i = term->count; i-- > 0;) {
    uint16_t position = swapped && i < 2 ? (uint16_t)(1 - i) : i;
    push_goal(matcher, program->kids[term->first + i],
              qn_node_get_operand(matcher->match.graph, node, position), position);
  }
}

static bool match_op(qn_matcher *matcher, uint16_t index, qn_value value, uint16_t operand) {
  qn_match *match = &matcher->match;
  const qn_graph *graph = match->graph;
  const qn_program *program = match->program;
  const qn_term *term = &program->terms[index];
  if (value == QN_NONE) return fail_term(matcher, QN_WHY_operand_count, term, value, operand, 1, 0);
  qn_node node = qn_value_get_node(graph, value);
  qn_op op = qn_node_get_op(graph, node);
  if (!has_op(program, term, op)) return fail_term(matcher, QN_WHY_op, term, value, operand, -1, op);
  uint32_t result = qn_value_get_result_index(graph, value);
  if (result && !term->many) return fail_term(matcher, QN_WHY_op, term, value, operand, 0, result);
  if (qn_match_has_node(match, node)) return fail_term(matcher, QN_WHY_node_taken, term, value, operand, 0, 0);
  uint32_t count = qn_node_get_operand_count(graph, node);
  for (uint32_t i = term->count; !term->rest && i < count; i++)
    if (qn_node_get_operand(graph, node, i) != QN_NONE)
      return fail_term(matcher, QN_WHY_operand_count, term, value, operand, term->count, i + 1);
  if (!match_tests(matcher, term, node, value, operand)) return false;
  match->nodes[match->node_count++] = node;
  if (term->stmt != QN_NO_INDEX) {
    match->stmt_nodes[term->stmt] = node;
    remember(matcher, QN_TRAIL_STMT, term->stmt);
  }
  bool commutes = term->count >= 2 && (qn_op_get_info(op)->facts & QN_FACT_COMMUTATIVE) &&
                  qn_node_get_operand(graph, node, 0) != qn_node_get_operand(graph, node, 1);
  if (commutes) push_choice(matcher, index, value, operand, 0);
  push_operands(matcher, term, node, false);
  return true;
}

static bool match_number(qn_matcher *matcher, const qn_term *term, qn_value value, uint16_t operand) {
  if (value == QN_NONE) return fail_term(matcher, QN_WHY_operand_count, term, value, operand, 1, 0);
  const qn_tensor *tensor = qn_value_get_const(matcher->match.graph, value);
  double number;
  if (!tensor) return fail_term(matcher, QN_WHY_not_const, term, value, operand, 0, 0);
  if (qn_number_read(tensor, &number) &&
      (number == term->number || (number != number && term->number != term->number)))
    return true;
  return fail_term(matcher, QN_WHY_const_value, term, value, operand, 0, 0);
}

// --- choices ---------------------------------------------------------------------------------------------

// Goes on with the uses of a bound value from `use`, which are where a statement outside the anchor's cone may
// stand.
static bool try_uses(qn_matcher *matcher, uint16_t index, qn_use use) {
  qn_match *match = &matcher->match;
  const qn_graph *graph = match->graph;
  const qn_program *program = match->program;
  const qn_find *find = &program->finds[index];
  const qn_stmt *stmt = &program->stmts[find->stmt];
  const qn_term *term = &program->terms[stmt->term];
  for (; use != QN_NONE && matcher->steps < QN_MATCH_STEPS_MAX; use = qn_use_get_next(graph, use)) {
    matcher->steps++;
    qn_node user = qn_use_get_user(graph, use);
    qn_op op = qn_node_get_op(graph, user);
    uint32_t position = qn_use_get_operand_index(graph, use);
    bool commutes = qn_op_get_info(op)->facts & QN_FACT_COMMUTATIVE;
    bool here = position == find->operand || (commutes && position < 2 && find->operand < 2);
    if (!here || !has_op(program, term, op) || qn_match_has_node(match, user)) continue;
    qn_use next = qn_use_get_next(graph, use);
    if (next != QN_NONE) push_choice(matcher, (uint16_t)(index | QN_GOAL_FIND), QN_NONE, QN_NO_INDEX, next);
    for (uint16_t i = 0; i < stmt->slot_count; i++)
      bind_slot(matcher, (uint16_t)(stmt->first_slot + i), qn_node_get_result(graph, user, i));
    push_goal(matcher, stmt->term, qn_node_get_result(graph, user, 0), QN_NO_INDEX);
    return true;
  }
  return fail_term(matcher, QN_WHY_op, term, match->values[find->slot], QN_NO_INDEX, -1, QN_OP_NONE);
}

// Takes the newest choice that has an alternative left; false if there is none.
static bool backtrack(qn_matcher *matcher) {
  const qn_program *program = matcher->match.program;
  while (matcher->choice_count) {
    qn_choice choice = matcher->choices[--matcher->choice_count];
    undo(matcher, &choice);
    if (choice.term & QN_GOAL_FIND) {
      if (try_uses(matcher, choice.term & ~QN_GOAL_FIND, choice.next)) return true;
      continue;
    }
    const qn_term *term = &program->terms[choice.term];
    if (term->kind == QN_TERM_OP) {
      push_operands(matcher, term, qn_value_get_node(matcher->match.graph, choice.value), true);
      return true;
    }
    uint32_t arm = choice.next;
    if (arm + 1u < term->count) push_choice(matcher, choice.term, choice.value, choice.operand, arm + 1);
    take_arm(matcher, term->stmt, arm);
    push_goal(matcher, program->kids[term->first + arm], choice.value, choice.operand);
    return true;
  }
  return false;
}

static bool match_goal(qn_matcher *matcher, const qn_goal *goal) {
  const qn_program *program = matcher->match.program;
  if (goal->term & QN_GOAL_FIND) {
    uint16_t index = goal->term & ~QN_GOAL_FIND;
    qn_value value = matcher->match.values[program->finds[index].slot];
    return try_uses(matcher, index, qn_value_get_first_use(matcher->match.graph, value));
  }
  const qn_term *term = &program->terms[goal->term];
  switch ((qn_term_kind)term->kind) {
  case QN_TERM_OP: return match_op(matcher, goal->term, goal->value, goal->operand);
  case QN_TERM_SLOT: return match_slot(matcher, term, goal->value, goal->operand);
  case QN_TERM_NUMBER: return match_number(matcher, term, goal->value, goal->operand);
  case QN_TERM_ANY:
    return goal->value != QN_NONE || term->optional ||
           fail_term(matcher, QN_WHY_operand_count, term, goal->value, goal->operand, 1, 0);
  case QN_TERM_ALT:
    push_choice(matcher, goal->term, goal->value, goal->operand, 1);
    take_arm(matcher, term->stmt, 0);
    push_goal(matcher, program->kids[term->first], goal->value, goal->operand);
    return true;
  }
  return false;
}

static bool run_out(qn_matcher *matcher) {
  const qn_program *program = matcher->match.program;
  matcher->progress = 0; // how far it came does not matter any more
  return fail_term(matcher, QN_WHY_step_limit, &program->terms[program->anchor], QN_NONE, QN_NO_INDEX,
                   QN_MATCH_STEPS_MAX, matcher->steps);
}

static bool search(qn_matcher *matcher) {
  for (;;) {
    bool ok = true;
    while (ok && matcher->goals) {
      if (matcher->steps >= QN_MATCH_STEPS_MAX) return run_out(matcher);
      matcher->steps++;
      qn_goal goal = matcher->goal_cells[matcher->goals];
      matcher->goals = goal.next;
      ok = match_goal(matcher, &goal);
    }
    if (ok && qn_match_check(matcher)) return true;
    if (!backtrack(matcher)) return matcher->steps >= QN_MATCH_STEPS_MAX ? run_out(matcher) : false;
  }
}

// --- attempts --------------------------------------------------------------------------------------------

static void begin(qn_matcher *matcher, qn_graph *graph, uint32_t rule, qn_node root) {
  const qn_program *program = &matcher->set->programs[rule];
  qn_match *match = &matcher->match;
  match->graph = graph;
  match->program = program;
  match->rule = rule;
  match->node_count = 0;
  for (uint16_t i = 0; i < program->slot_count; i++) match->values[i] = QN_UNBOUND;
  for (uint16_t i = 0; i < program->attr_slot_count; i++) match->attrs[i].node = QN_NONE;
  for (uint16_t i = 0; i < program->stmt_count; i++) match->stmt_nodes[i] = QN_NONE, match->arms[i] = -1;
  matcher->steps = 0;
  matcher->progress = 0;
  matcher->goals = 0;
  matcher->goal_height = 1;
  matcher->choice_count = matcher->trail_height = 0;
  matcher->miss.rule = rule;
  matcher->miss.root = root;
  matcher->miss.why = QN_WHY_none;
  if (matcher->arena.block) qn_arena_reset(&matcher->arena);
  for (uint16_t i = program->find_count; i-- > 0;)
    push_goal(matcher, (uint16_t)(i | QN_GOAL_FIND), QN_NONE, QN_NO_INDEX);
  const qn_slot *anchor = &program->slots[program->outputs[0]];
  push_goal(matcher, program->anchor, qn_node_get_result(graph, root, anchor->result), QN_NO_INDEX);
}

const qn_match *qn_match_at(qn_matcher *matcher, qn_graph *graph, uint32_t rule, qn_node root) {
  begin(matcher, graph, rule, root);
  bool found = search(matcher);
  qn_rule_stats *stats = &matcher->stats[rule];
  stats->tried++;
  stats->steps += matcher->steps;
  if (!found) stats->missed[matcher->miss.why]++;
  return found ? &matcher->match : NULL;
}

static uint64_t operand_mask(const qn_graph *graph, qn_node node) {
  uint64_t mask = 0;
  uint32_t count = qn_node_get_operand_count(graph, node);
  for (uint32_t i = 0; i < count; i++) {
    qn_value value = qn_node_get_operand(graph, node, i);
    if (value != QN_NONE) mask |= qn_op_bit(qn_node_get_op(graph, qn_value_get_node(graph, value)));
  }
  return mask;
}

const qn_match *qn_match_any(qn_matcher *matcher, qn_graph *graph, qn_node root) {
  const uint32_t *candidates = matcher->set->by_op[qn_node_get_op(graph, root)];
  uint32_t progress = 0;
  matcher->miss.root = root;
  matcher->miss.why = QN_WHY_none;
  if (!candidates) return NULL;
  uint64_t mask = operand_mask(graph, root);
  for (; *candidates != UINT32_MAX; candidates++) {
    const uint64_t *need = matcher->set->programs[*candidates].need;
    if (!(mask & need[0]) || !(mask & need[1]) || !(mask & need[2])) continue;
    const qn_match *match = qn_match_at(matcher, graph, *candidates, root);
    if (match) return match;
    if (matcher->on_miss) matcher->on_miss(matcher->on_miss_user, graph, &matcher->miss);
    if (matcher->progress > progress) {
      progress = matcher->progress;
      matcher->furthest = matcher->miss;
    }
  }
  if (progress) matcher->miss = matcher->furthest;
  return NULL;
}
