// Shared by the tests of patterns/: one-rule families, graphs from text, matching and rewriting them.
#ifndef QUENCH_TESTS_PATTERNS_TEST_H
#define QUENCH_TESTS_PATTERNS_TEST_H

#include "patterns/rule_priv.h"

#include <criterion/criterion.h>
#include <quench/graph.h>

typedef struct bench {
  qn_context *context;
  qn_family family;
  qn_rule_set *set;
  qn_matcher *matcher;
  qn_graph *graph;
} bench;

static inline bench *bench_create_of(const qn_family *family) {
  static bench b;
  b = (bench){ .family = *family };
  cr_assert_eq(qn_context_create(NULL, &b.context), QN_OK);
  const qn_family *families[] = { &b.family };
  qn_status status = qn_rule_set_create_from(b.context, families, 1, &b.set);
  const qn_error *error = qn_context_get_error(b.context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  cr_assert_eq(qn_matcher_create(b.context, b.set, NULL, &b.matcher), QN_OK);
  return &b;
}

static inline bench *bench_create(const qn_rule *rules, uint32_t count) {
  qn_family family = { .name = "test", .doc = "", .rules = rules, .rule_count = count };
  return bench_create_of(&family);
}

// The graph from text; it must be well formed.
static inline void bench_read(bench *b, const char *text) {
  qn_graph_destroy(b->graph);
  qn_status status = qn_graph_read_text(b->context, "t.qn", text, strlen(text), &b->graph);
  const qn_error *error = qn_context_get_error(b->context);
  cr_assert_eq(status, QN_OK, "%s: %s\n%s", error->place, error->message, text);
}

static inline void bench_destroy(bench *b) {
  qn_graph_destroy(b->graph);
  qn_matcher_destroy(b->matcher);
  qn_rule_set_destroy(b->set);
  qn_context_destroy(b->context);
}

static inline qn_node bench_node(const bench *b, const char *name) {
  qn_value value = qn_graph_find_value(b->graph, name, strlen(name));
  cr_assert_neq(value, QN_NONE, "no value '%s'", name);
  return qn_value_get_node(b->graph, value);
}

static inline const qn_match *bench_match(bench *b, const char *rule, const char *root) {
  int64_t index = qn_rule_set_find(b->set, rule);
  cr_assert_geq(index, 0, "no rule '%s'", rule);
  return qn_match_at(b->matcher, b->graph, (uint32_t)index, bench_node(b, root));
}

static inline bool bench_matches(bench *b, const char *rule, const char *root) {
  return bench_match(b, rule, root) != NULL;
}

// The name of what a match bound to `name`.
static inline const char *bench_bound(const bench *b, const qn_match *match, const char *name) {
  qn_value value = qn_match_get_value(match, name);
  return value == QN_NONE ? "" : qn_value_get_name(b->graph, value).text;
}

static inline qn_buf bench_text(const bench *b) {
  qn_buf buf = QN_BUF(b->context);
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_graph_write_text(b->graph, NULL, &writer), QN_OK);
  return buf;
}

static inline void bench_assert_text(const bench *b, const char *expected) {
  qn_buf text = bench_text(b);
  cr_assert_str_eq(text.text, expected);
  qn_buf_free(&text);
}

// Runs the rules, which must succeed.
static inline uint64_t bench_run(bench *b, qn_walk walk) {
  uint64_t rewrites;
  qn_status status = qn_rules_run(b->matcher, b->graph, qn_rules_params(.walk = walk), &rewrites);
  const qn_error *error = qn_context_get_error(b->context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
  return rewrites;
}

#endif
