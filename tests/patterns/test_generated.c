// Law 12 and 11: every rule against graphs made from itself.
#include "generated.h"
#include "patterns_test.h"

#include <quench/reference.h>
#include <stdio.h>

enum { ORDERED_FORMS = 200, DRAWN_FORMS = 200 };

typedef struct session {
  qn_context *context;
  qn_rule_set *set;
  qn_matcher *matcher;
  uint32_t rule;
  sample sample;
  uint32_t matched;
  uint64_t covered[QN_STMTS_MAX]; // arms taken by some match, by statement
} session;

static void session_begin(session *s, const qn_family *family, const char *rule) {
  *s = (session){ 0 };
  cr_assert_eq(qn_context_create(NULL, &s->context), QN_OK);
  qn_status status = qn_rule_set_create_from(s->context, &family, 1, &s->set);
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(s->context)->message);
  cr_assert_eq(qn_matcher_create(s->context, s->set, NULL, &s->matcher), QN_OK);
  int64_t index = qn_rule_set_find(s->set, rule);
  cr_assert_geq(index, 0);
  s->rule = (uint32_t)index;
}

static void session_end(session *s) {
  qn_matcher_destroy(s->matcher);
  qn_rule_set_destroy(s->set);
  qn_context_destroy(s->context);
}

typedef void (*form_fn)(session *s, const generated *g, uint64_t seed);

// Calls `fn` for the forms in order, then for drawn ones. Forms whose shapes do not fit each other are left
// out.
static void for_each_form_of(session *s, bool prefix, form_fn fn) {
  form f = { 0 };
  bool more = true;
  uint32_t forms = 0;
  for (uint32_t i = 0; i < ORDERED_FORMS + DRAWN_FORMS && more; i++) {
    generated g;
    if (i == ORDERED_FORMS) f = (form){ 0 };
    if (i >= ORDERED_FORMS) f.random = i, f.asked = 0;
    if (generate(s->context, s->set, s->rule, &s->sample, &f, prefix, &g) == QN_OK) {
      forms++;
      fn(s, &g, i + 1);
      qn_graph_destroy(g.graph);
    }
    if (i < ORDERED_FORMS) more = form_step(&f);
  }
  cr_assert_gt(forms, 0, "%s: no form of the sample is a valid graph: %s",
               qn_rule_set_get_rule(s->set, s->rule)->name, qn_context_get_error(s->context)->message);
}

static void for_each_form(session *s, bool prefix, form_fn fn) {
  const qn_rule *rule = qn_rule_set_get_rule(s->set, s->rule);
  for (const char *text = rule->sample; *text;) {
    const char *next = sample_read(text, &s->sample);
    cr_assert_not_null(next, "%s: a malformed sample: %s", rule->name, text);
    for_each_form_of(s, prefix, fn);
    text = next;
  }
}

static const char *text_of(const qn_graph *graph, qn_buf *buf) {
  *buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(buf);
  cr_assert_eq(qn_graph_write_text(graph, NULL, &writer), QN_OK);
  return buf->text;
}

static const char *name_of(const session *s) {
  return qn_rule_set_get_rule(s->set, s->rule)->name;
}

static void expect_ok(const session *s, qn_status status, const qn_graph *graph, const char *what) {
  if (status == QN_OK) return;
  const qn_error *error = qn_context_get_error(s->context);
  qn_buf buf;
  cr_assert_fail("%s, %s: %s: %s\n%s", name_of(s), what, error->place, error->message, text_of(graph, &buf));
}

// --- both sides compute the same -------------------------------------------------------------------------

static void note_arms(session *s, const qn_match *match) {
  const qn_program *program = &s->set->programs[s->rule];
  for (uint16_t i = 0; i < program->stmt_count; i++) {
    int arm = qn_match_get_arm(match, program->slots[program->stmts[i].first_slot].name);
    if (arm >= 0) s->covered[i] |= UINT64_C(1) << arm;
  }
}

// Law 13: verified, cloned, printed and read back.
static void check_graph(const session *s, const qn_graph *graph) {
  qn_graph *clone, *again;
  qn_buf text, other;
  expect_ok(s, qn_graph_verify(graph), graph, "verify");
  cr_assert_eq(qn_graph_clone(graph, &clone), QN_OK);
  cr_assert_str_eq(text_of(graph, &text), text_of(clone, &other));
  qn_buf_free(&other);
  qn_graph_destroy(clone);
  expect_ok(s, qn_graph_read_text(s->context, "t.qn", text.text, text.length, &again), graph, "reading back");
  cr_assert_str_eq(text.text, text_of(again, &other));
  qn_buf_free(&other);
  qn_buf_free(&text);
  qn_graph_destroy(again);
}

static void compare_sides(session *s, const generated *g, uint64_t seed) {
  qn_graph *after;
  cr_assert_eq(qn_graph_clone(g->graph, &after), QN_OK);
  const qn_match *match = qn_match_at(s->matcher, after, s->rule, qn_value_get_node(after, g->anchor));
  if (!match) { // a guard may refuse a form; the structure may not
    const qn_miss *miss = qn_matcher_get_miss(s->matcher);
    qn_buf buf = QN_BUF(s->context);
    qn_writer writer = qn_buf_writer(&buf);
    qn_miss_write(s->set, after, miss, &writer);
    cr_assert_geq(miss->guard, 0, "%s", buf.text);
    qn_buf_free(&buf);
    qn_graph_destroy(after);
    return;
  }
  s->matched++;
  note_arms(s, match);
  expect_ok(s, qn_rewrite_apply(s->matcher, match, NULL, NULL), g->graph, "rewrite");
  check_graph(s, after);

  qn_tensor *inputs;
  uint32_t count = inputs_create(g->graph, seed, &inputs);
  qn_reference_params params = { .inputs = inputs, .input_count = count };
  qn_results *left, *right;
  expect_ok(s, qn_reference_run(g->graph, &params, &left), g->graph, "running the match side");
  expect_ok(s, qn_reference_run(after, &params, &right), after, "running the build side");
  cr_assert_eq(qn_results_get_count(left), qn_results_get_count(right));
  for (uint32_t i = 0; i < qn_results_get_count(left); i++) {
    qn_difference d;
    cr_assert_eq(qn_tensor_compare(s->context, qn_results_get(left, i), qn_results_get(right, i), &d), QN_OK);
    bool same = s->sample.within > 0 ? d.max_rel <= s->sample.within : d.different == 0;
    qn_buf before_text, after_text;
    cr_assert(same, "%s: %llu of %llu elements differ, by %g of the largest\n%s%s", name_of(s),
              (unsigned long long)d.different, (unsigned long long)d.count, d.max_rel,
              text_of(g->graph, &before_text), text_of(after, &after_text));
  }
  qn_results_destroy(left);
  qn_results_destroy(right);
  inputs_free(inputs, count);
  qn_graph_destroy(after);
}

static void run_sample(const qn_family *family, const qn_rule *rule) {
  session s;
  session_begin(&s, family, rule->name);
  for_each_form(&s, false, compare_sides);
  cr_assert_gt(s.matched, 0, "%s: no form of the sample matches; the last one refused: %s", rule->name,
               qn_why_name(qn_matcher_get_miss(s.matcher)->why));
  const qn_program *program = &s.set->programs[s.rule];
  for (uint16_t i = 0; i < program->stmt_count; i++) {
    const qn_term *term = &program->terms[program->stmts[i].term];
    uint64_t all = (UINT64_C(1) << (term->kind == QN_TERM_ALT ? term->count : 1)) - 1;
    cr_assert_eq(s.covered[i], all, "%s: the sample never takes some arm of '%s' (%llx of %llx)", rule->name,
                 program->slots[program->stmts[i].first_slot].name, (unsigned long long)s.covered[i],
                 (unsigned long long)all);
  }
  session_end(&s);
}

// --- planted in a graph ----------------------------------------------------------------------------------

static bool is_output(const session *s, const generated *g, qn_value value) {
  const qn_program *program = &s->set->programs[s->rule];
  for (uint16_t i = 0; i < program->output_count; i++)
    if (g->values[program->outputs[i]] == value) return true;
  return false;
}

static qn_status add_user(qn_graph *graph, qn_value value) {
  qn_value shape;
  QN_TRY(
      qn_graph_add(graph, qn_node_params(.op = QN_OP_shape, .operands = &value, .operand_count = 1), &shape));
  return qn_graph_add_output(graph, shape, NULL);
}

// An interior value with a user outside must not be part of a match; a hole may have as many as it likes.
static void plant(session *s, const generated *g, uint64_t seed) {
  qn_node root = qn_value_get_node(g->graph, g->anchor);
  const qn_match *match = qn_match_at(s->matcher, g->graph, s->rule, root);
  if (!match) return;
  s->matched++;
  qn_node nodes[QN_TERMS_MAX];
  uint32_t count;
  const qn_node *matched = qn_match_get_nodes(match, &count);
  memcpy(nodes, matched, count * sizeof *nodes);
  qn_node victim = nodes[draw(&seed) % count];
  qn_value value = qn_node_get_result(g->graph, victim, 0);

  // Users of what the match only reads change nothing.
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t o = 0; o < qn_node_get_operand_count(g->graph, nodes[i]); o++) {
      qn_value operand = qn_node_get_operand(g->graph, nodes[i], o);
      bool own = operand == QN_NONE;
      for (uint32_t n = 0; n < count && !own; n++) own = qn_value_get_node(g->graph, operand) == nodes[n];
      if (!own) cr_assert_eq(add_user(g->graph, operand), QN_OK);
    }
  cr_assert(qn_match_at(s->matcher, g->graph, s->rule, root) != NULL, "%s: a user of a hole is in the way",
            name_of(s));

  if (is_output(s, g, value)) return;
  cr_assert_eq(add_user(g->graph, value), QN_OK);
  match = qn_match_at(s->matcher, g->graph, s->rule, root);
  const qn_miss *miss = qn_matcher_get_miss(s->matcher);
  if (match) {
    matched = qn_match_get_nodes(match, &count);
    for (uint32_t i = 0; i < count; i++)
      cr_assert_neq(matched[i], victim, "%s: an escaping value is interior", name_of(s));
  } else {
    cr_assert(miss->why == QN_WHY_escapes || miss->guard >= 0, "%s: %s", name_of(s), qn_why_name(miss->why));
  }
}

static void run_planted(const qn_family *family, const qn_rule *rule) {
  session s;
  session_begin(&s, family, rule->name);
  for_each_form(&s, true, plant);
  cr_assert_gt(s.matched, 0, "%s: no form of the sample matches; the last one refused: %s", rule->name,
               qn_why_name(qn_matcher_get_miss(s.matcher)->why));
  session_end(&s);
}

// --- overlap and shadow ----------------------------------------------------------------------------------

typedef struct clash {
  char overlap[64]; // another rule of equal gain that matches a form
  bool shadowed;    // every form that matches is taken by a rule of higher gain
} clash;
static clash found;
static bool some_form_is_free;

static void look_for_clash(session *s, const generated *g, uint64_t seed) {
  (void)seed;
  qn_node root = qn_value_get_node(g->graph, g->anchor);
  if (!qn_match_at(s->matcher, g->graph, s->rule, root)) return;
  s->matched++;
  bool is_free = true;
  for (uint32_t r = 0; r < qn_rule_set_get_count(s->set); r++) {
    if (r == s->rule || !qn_match_at(s->matcher, g->graph, r, root)) continue;
    int gain = qn_rule_set_get_rule(s->set, r)->gain, own = qn_rule_set_get_rule(s->set, s->rule)->gain;
    if (gain == own) snprintf(found.overlap, sizeof found.overlap, "%s", qn_rule_set_get_rule(s->set, r)->name);
    if (gain > own) is_free = false;
  }
  some_form_is_free |= is_free;
}

static clash find_clash(const qn_family *family, const char *rule) {
  session s;
  found = (clash){ 0 };
  some_form_is_free = false;
  session_begin(&s, family, rule);
  for_each_form(&s, false, look_for_clash);
  found.shadowed = s.matched && !some_form_is_free;
  session_end(&s);
  return found;
}

static void expect_no_clash(const qn_family *family, const qn_rule *rule) {
  clash c = find_clash(family, rule->name);
  cr_assert(!c.overlap[0], "rules %s and %s have equal gain and match the same root", rule->name, c.overlap);
  cr_assert_not(c.shadowed, "rule %s is hidden behind rules of higher gain", rule->name);
}

// --- a test for each rule --------------------------------------------------------------------------------

static void test_rule(const char *name) {
  uint32_t tested = 0;
  for (uint32_t f = 0; f < qn_family_get_count(); f++)
    for (uint32_t r = 0; r < qn_family_get(f)->rule_count; r++) {
      const qn_family *family = qn_family_get(f);
      const qn_rule *rule = &family->rules[r];
      if (strcmp(rule->name, name)) continue;
      run_sample(family, rule);
      run_planted(family, rule);
      expect_no_clash(family, rule);
      tested++;
    }
  cr_assert_eq(tested, 1, "rules.def: %u rules are called %s", tested, name);
}

#define RULE(name)                                                                                             \
  Test(rule, name, .timeout = 120) {                                                                           \
    test_rule(#name);                                                                                          \
  }
#include "rules.def"
#undef RULE

Test(generated, every_rule_has_a_test_of_its_own) {
  static const char *const names[] = {
#define RULE(name) #name,
#include "rules.def"
#undef RULE
  };
  uint32_t at = 0;
  for (uint32_t f = 0; f < qn_family_get_count(); f++)
    for (uint32_t r = 0; r < qn_family_get(f)->rule_count; r++, at++) {
      cr_assert_lt(at, QN_COUNT(names), "%s is not in rules.def", qn_family_get(f)->rules[r].name);
      cr_assert_str_eq(names[at], qn_family_get(f)->rules[r].name);
    }
  cr_assert_eq(at, QN_COUNT(names));
}

// --- the tests themselves --------------------------------------------------------------------------------

Test(generated, law_11_an_overlap_and_a_shadow_are_found) {
  static const qn_rule rules[] = {
    { .name = "one", .match = "y = neg(abs(x))\n=> y", .build = "y = x", .sample = "x: f32[2]", .gain = 1 },
    { .name = "same", .match = "y = neg(x)\n=> y", .build = "y = x", .sample = "x: f32[2]", .gain = 1 },
    { .name = "hidden", .match = "y = neg(relu(x))\n=> y", .build = "y = x", .sample = "x: f32[2]" },
    { .name = "apart", .match = "y = relu(x)\n=> y", .build = "y = x", .sample = "x: f32[2]" },
  };
  qn_family family = { .name = "t", .rules = rules, .rule_count = QN_COUNT(rules) };
  cr_assert_str_eq(find_clash(&family, "one").overlap, "same");
  cr_assert(find_clash(&family, "hidden").shadowed);
  cr_assert_not(find_clash(&family, "apart").shadowed);
  cr_assert_str_eq(find_clash(&family, "apart").overlap, "");
}
