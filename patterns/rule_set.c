// Rule sets: families parsed, ordered, and indexed by the operation at the root.
#include "patterns/program_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define FAMILY(name) &qn_family_##name,
static const qn_family *const families[] = {
#include "patterns/families.def"
  NULL,
};
#undef FAMILY

uint32_t qn_family_get_count(void) {
  return QN_COUNT(families) - 1;
}
const qn_family *qn_family_get(uint32_t index) {
  return families[index];
}
const qn_family *qn_family_find(const char *name, size_t length) {
  for (uint32_t i = 0; i < qn_family_get_count(); i++)
    if (strlen(families[i]->name) == length && !memcmp(families[i]->name, name, length)) return families[i];
  return NULL;
}

// --- what the matcher wants to know about a rule ---------------------------------------------------------

// Which operations may stand at each term, as a mask. Terms refer only to earlier ones.
static void find_masks(const qn_rule_reader *reader, uint64_t masks[QN_TERMS_MAX]) {
  for (uint16_t t = 0; t < reader->program->term_count; t++) {
    const qn_term *term = &reader->terms[t];
    uint64_t mask = 0;
    if (term->kind == QN_TERM_OP) {
      for (uint16_t i = 0; i < term->op_count; i++) mask |= qn_op_bit((qn_op)reader->ops[term->op_first + i]);
    } else if (term->kind == QN_TERM_ALT) {
      for (uint16_t i = 0; i < term->count; i++) mask |= masks[reader->kids[term->first + i]];
    } else if (term->kind == QN_TERM_NUMBER) {
      mask = qn_op_bit(QN_OP_const);
    } else if (term->kind == QN_TERM_SLOT && !term->optional) {
      const qn_slot *slot = &reader->slots[term->slot];
      if (slot->stmt != QN_NO_INDEX)
        mask = masks[reader->stmts[slot->stmt].term];
      else if (slot->kind == QN_HOLE_CONST || slot->kind == QN_HOLE_SCALAR)
        mask = qn_op_bit(QN_OP_const);
    }
    masks[t] = mask ? mask : UINT64_MAX;
  }
}

static int popcount(uint64_t mask) {
  return __builtin_popcountll(mask);
}

// Keeps the narrowest masks. A root with alternatives has no filter: its arms have different operands.
static void find_needs(const qn_rule_reader *reader, qn_program *program) {
  for (size_t i = 0; i < QN_COUNT(program->need); i++) program->need[i] = UINT64_MAX;
  const qn_slot *anchor = &reader->slots[program->outputs[0]];
  const qn_term *root = &reader->terms[reader->stmts[anchor->stmt].term];
  if (root->kind != QN_TERM_OP) return;
  uint64_t masks[QN_TERMS_MAX];
  find_masks(reader, masks);
  for (uint16_t i = 0; i < root->count; i++) {
    uint64_t mask = masks[reader->kids[root->first + i]];
    for (size_t n = 0; n < QN_COUNT(program->need); n++) {
      if (popcount(mask) >= popcount(program->need[n])) continue;
      uint64_t wider = program->need[n];
      program->need[n] = mask;
      mask = wider;
    }
  }
}

// Operations that a match binds at least, and the longest way down; the predicate of a hole reads the operation
// that defines its value. Terms refer only to earlier ones.
static void weigh(const qn_rule_reader *reader, qn_program *program) {
  uint16_t weight[QN_TERMS_MAX], height[QN_TERMS_MAX];
  for (uint16_t t = 0; t < program->term_count; t++) {
    const qn_term *term = &reader->terms[t];
    bool op = term->kind == QN_TERM_OP, alt = term->kind == QN_TERM_ALT;
    uint16_t least = alt ? UINT16_MAX : 0, sum = 0, highest = 0;
    for (uint16_t i = 0; (op || alt) && i < term->count; i++) {
      uint16_t kid = reader->kids[term->first + i];
      sum = (uint16_t)QN_MIN(sum + weight[kid], UINT16_MAX);
      least = QN_MIN(least, weight[kid]);
      highest = QN_MAX(highest, height[kid]);
    }
    if (term->kind == QN_TERM_SLOT && reader->slots[term->slot].stmt != QN_NO_INDEX)
      highest = height[reader->stmts[reader->slots[term->slot].stmt].term];
    else if (term->kind == QN_TERM_SLOT && reader->slots[term->slot].kind == QN_HOLE_PREDICATE)
      highest = 1;
    weight[t] = alt ? least : (uint16_t)QN_MIN(sum + op, UINT16_MAX);
    height[t] = (uint16_t)(highest + op);
  }
  uint32_t total = 0;
  for (uint16_t s = 0; s < program->stmt_count; s++) {
    total += weight[reader->stmts[s].term];
    program->height = QN_MAX(program->height, height[reader->stmts[s].term]);
  }
  program->operations = (uint16_t)QN_MIN(total, UINT16_MAX);
}

// Marks the statements that a term leads to.
static void reach(const qn_rule_reader *reader, uint16_t root, bool reached[QN_STMTS_MAX]) {
  uint16_t stack[QN_TERMS_MAX + QN_KIDS_MAX], depth = 0;
  bool seen[QN_TERMS_MAX] = { false };
  stack[depth++] = root;
  while (depth) {
    uint16_t index = stack[--depth];
    if (seen[index]) continue;
    seen[index] = true;
    const qn_term *term = &reader->terms[index];
    if (term->kind == QN_TERM_SLOT) {
      uint16_t stmt = reader->slots[term->slot].stmt;
      if (stmt == QN_NO_INDEX) continue;
      reached[stmt] = true;
      stack[depth++] = reader->stmts[stmt].term;
    } else if (term->kind == QN_TERM_OP || term->kind == QN_TERM_ALT) {
      for (uint16_t i = 0; i < term->count; i++) stack[depth++] = reader->kids[term->first + i];
    }
  }
}

// The slots that a reached part of the rule binds: holes by occurrence, names of statements.
static void bind_slots(const qn_rule_reader *reader, const bool reached[QN_STMTS_MAX],
                       bool bound[QN_SLOTS_MAX]) {
  const qn_program *program = reader->program;
  uint16_t stack[QN_TERMS_MAX + QN_KIDS_MAX], depth = 0;
  for (uint16_t s = 0; s < program->slot_count; s++)
    bound[s] = reader->slots[s].stmt != QN_NO_INDEX && reached[reader->slots[s].stmt];
  for (uint16_t s = 0; s < program->stmt_count; s++)
    if (reached[s]) stack[depth++] = reader->stmts[s].term;
  bool seen[QN_TERMS_MAX] = { false };
  while (depth) {
    uint16_t index = stack[--depth];
    if (seen[index]) continue;
    seen[index] = true;
    const qn_term *term = &reader->terms[index];
    if (term->kind == QN_TERM_SLOT) bound[term->slot] = true;
    if (term->kind != QN_TERM_OP && term->kind != QN_TERM_ALT) continue;
    for (uint16_t i = 0; i < term->count; i++) stack[depth++] = reader->kids[term->first + i];
  }
}

// Statements outside the anchor's cone are found among the users of what is bound before them, in text order.
static qn_status find_others(qn_rule_reader *reader, qn_program *program) {
  bool reached[QN_STMTS_MAX] = { false }, bound[QN_SLOTS_MAX];
  reach(reader, program->anchor, reached);
  for (bool progress = true; progress;) {
    progress = false;
    bind_slots(reader, reached, bound);
    for (uint16_t s = 0; s < program->stmt_count && !progress; s++) {
      const qn_term *term = &reader->terms[reader->stmts[s].term];
      if (reached[s] || term->kind != QN_TERM_OP) continue;
      for (uint16_t i = 0; i < term->count && !progress; i++) {
        const qn_term *operand = &reader->terms[reader->kids[term->first + i]];
        if (operand->kind != QN_TERM_SLOT || operand->optional || !bound[operand->slot]) continue;
        reader->finds[program->find_count++] = (qn_find){ .stmt = s, .operand = i, .slot = operand->slot };
        reach(reader, reader->stmts[s].term, reached);
        reached[s] = progress = true;
      }
    }
  }
  for (uint16_t s = 0; s < program->stmt_count; s++)
    if (!reached[s])
      return qn_fail(reader->context, QN_INVALID, reader->place, "nothing leads from the first output to '%s'",
                     reader->slots[reader->stmts[s].first_slot].name);
  return QN_OK;
}

// --- one rule --------------------------------------------------------------------------------------------

static void *take(qn_rule_reader *reader, const void *array, size_t count, size_t size, bool *ok) {
  void *copy = qn_arena_alloc(reader->arena, QN_MAX(count, 1) * size);
  if (!copy)
    *ok = false;
  else if (count)
    memcpy(copy, array, count * size);
  return copy;
}

static qn_status read_rule(qn_rule_reader *reader, const qn_family *family, const qn_rule *rule, uint32_t order,
                           qn_program *program) {
  *program = (qn_program){ .rule = rule, .family = family, .order = order };
  reader->program = program;
  reader->nest = 0;
  reader->built_count = 0;
  snprintf(reader->place, sizeof reader->place, "rule %s", rule->name);
  QN_TRY(qn_read_match(reader));
  QN_TRY(qn_read_guards(reader));
  QN_TRY(qn_read_build(reader));
  QN_TRY(find_others(reader, program));
  find_needs(reader, program);
  weigh(reader, program);
  bool ok = true;
#define TAKE(array, count)                                                                                     \
  program->array = take(reader, reader->array, program->count, sizeof *reader->array, &ok)
  TAKE(terms, term_count);
  TAKE(kids, kid_count);
  TAKE(ops, op_count);
  TAKE(tests, test_count);
  TAKE(slots, slot_count);
  TAKE(attr_slots, attr_slot_count);
  TAKE(stmts, stmt_count);
  TAKE(finds, find_count);
  TAKE(build_nodes, build_node_count);
  TAKE(build_args, build_arg_count);
  TAKE(build_attrs, build_attr_count);
  TAKE(build_calls, build_call_count);
#undef TAKE
  return ok ? QN_OK : qn_fail_memory(reader->context);
}

// --- the set ---------------------------------------------------------------------------------------------

static int compare_programs(const void *left, const void *right) {
  const qn_program *a = left, *b = right;
  if (a->rule->gain != b->rule->gain) return a->rule->gain > b->rule->gain ? -1 : 1;
  if (a->operations != b->operations) return a->operations > b->operations ? -1 : 1;
  return a->order < b->order ? -1 : 1;
}

static bool root_may_be(const qn_program *program, qn_op op) {
  const qn_slot *anchor = &program->slots[program->outputs[0]];
  const qn_term *root = &program->terms[program->stmts[anchor->stmt].term];
  uint16_t arms = root->kind == QN_TERM_ALT ? root->count : 1;
  for (uint16_t a = 0; a < arms; a++) {
    const qn_term *term = root->kind == QN_TERM_ALT ? &program->terms[program->kids[root->first + a]] : root;
    for (uint16_t i = 0; i < term->op_count; i++)
      if (program->ops[term->op_first + i] == op) return true;
  }
  return false;
}

static qn_status index_by_op(qn_rule_set *set) {
  for (int op = 0; op < QN_OP_COUNT; op++) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++) count += root_may_be(&set->programs[i], (qn_op)op);
    if (!count) continue;
    uint32_t *list = qn_arena_alloc(&set->arena, (count + 1) * sizeof *list);
    if (!list) return qn_fail_memory(set->context);
    set->by_op[op] = list;
    for (uint32_t i = 0; i < set->count; i++)
      if (root_may_be(&set->programs[i], (qn_op)op)) *list++ = i;
    *list = UINT32_MAX;
  }
  return QN_OK;
}

static qn_status fill(qn_rule_set *set, const qn_family *const *chosen, uint32_t family_count) {
  uint32_t total = 0;
  for (uint32_t f = 0; f < family_count; f++) total += chosen[f]->rule_count;
  set->programs = qn_arena_alloc(&set->arena, QN_MAX(total, 1) * sizeof *set->programs);
  qn_rule_reader *reader = qn_alloc_zero(set->context, sizeof *reader);
  if (!set->programs || !reader) {
    qn_free(set->context, reader, sizeof *reader);
    return qn_fail_memory(set->context);
  }
  reader->context = set->context;
  reader->arena = &set->arena;
  qn_status status = QN_OK;
  for (uint32_t f = 0; status == QN_OK && f < family_count; f++)
    for (uint32_t r = 0; status == QN_OK && r < chosen[f]->rule_count; r++) {
      status = read_rule(reader, chosen[f], &chosen[f]->rules[r], set->count, &set->programs[set->count]);
      set->count++;
    }
  qn_free(set->context, reader, sizeof *reader);
  QN_TRY(status);
  if (set->count) qsort(set->programs, set->count, sizeof *set->programs, compare_programs);
  for (uint32_t i = 0; i < set->count; i++) {
    const qn_program *program = &set->programs[i];
    set->terms_max = QN_MAX(set->terms_max, program->term_count);
    set->slots_max = QN_MAX(set->slots_max, program->slot_count);
    set->attr_slots_max = QN_MAX(set->attr_slots_max, program->attr_slot_count);
    set->stmts_max = QN_MAX(set->stmts_max, program->stmt_count);
    set->build_nodes_max = QN_MAX(set->build_nodes_max, program->build_node_count);
    set->height_max = QN_MAX(set->height_max, program->height);
  }
  return index_by_op(set);
}

qn_status qn_rule_set_create_from(qn_context *context, const qn_family *const *chosen, uint32_t family_count,
                                  qn_rule_set **out_set) {
  *out_set = NULL;
  qn_rule_set *set = qn_alloc_zero(context, sizeof *set);
  if (!set) return qn_fail_memory(context);
  set->context = context;
  set->arena = QN_ARENA(context);
  qn_status status = fill(set, chosen, family_count);
  if (status != QN_OK) {
    qn_rule_set_destroy(set);
    return status;
  }
  *out_set = set;
  return QN_OK;
}

qn_status qn_rule_set_create(qn_context *context, const char *names, qn_rule_set **out_set) {
  if (!names) return qn_rule_set_create_from(context, families, qn_family_get_count(), out_set);
  const qn_family *chosen[QN_COUNT(families)];
  uint32_t count = 0;
  *out_set = NULL;
  for (const char *at = names;;) {
    size_t length = strcspn(at, ",");
    const qn_family *family = qn_family_find(at, length);
    if (!family)
      return qn_fail(context, QN_NOT_FOUND, NULL, "no family of rules is called '%.*s'",
                     (int)QN_MIN(length, 64), at);
    for (uint32_t i = 0; i < count; i++)
      if (chosen[i] == family)
        return qn_fail(context, QN_INVALID, NULL, "the family '%s' is named twice", family->name);
    chosen[count++] = family;
    if (!at[length]) break;
    at += length + 1;
  }
  return qn_rule_set_create_from(context, chosen, count, out_set);
}

void qn_rule_set_destroy(qn_rule_set *set) {
  if (!set) return;
  qn_arena_free(&set->arena);
  qn_free(set->context, set, sizeof *set);
}

uint32_t qn_rule_set_get_count(const qn_rule_set *set) {
  return set->count;
}
const qn_rule *qn_rule_set_get_rule(const qn_rule_set *set, uint32_t index) {
  return set->programs[index].rule;
}
int64_t qn_rule_set_find(const qn_rule_set *set, const char *name) {
  for (uint32_t i = 0; i < set->count; i++)
    if (!strcmp(set->programs[i].rule->name, name)) return i;
  return -1;
}
