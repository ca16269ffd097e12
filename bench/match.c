// What matching costs: all rules tried at every node of decoders of 1k to 1M nodes, and the time to read the
// rules.
//
//   bench_match [repetitions]
#include "patterns/rule_priv.h"

#include "decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Time of this thread alone, so that a busy machine disturbs less.
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int fail(const qn_context *context, const char *what) {
  const qn_error *error = qn_context_get_error(context);
  fprintf(stderr, "bench_match: %s: %s %s\n", what, error->place, error->message);
  return 1;
}

static qn_status measure_reading(qn_context *context, int repetitions) {
  double best = 1e30;
  uint32_t rules = 1;
  for (int i = 0; i < repetitions * 10; i++) {
    qn_rule_set *set;
    double start = now();
    QN_TRY(qn_rule_set_create(context, NULL, &set));
    double time = now() - start;
    rules = qn_rule_set_get_count(set);
    best = QN_MIN(best, time);
    qn_rule_set_destroy(set);
  }
  printf("%u rules read in %.1f us, %.2f us a rule\n\n", rules, best / 1e3, best / 1e3 / rules);
  return QN_OK;
}

typedef struct counts {
  uint64_t tried, steps;
} counts;

static counts count(const qn_matcher *matcher, uint32_t rules) {
  counts c = { 0 };
  for (uint32_t r = 0; r < rules; r++) {
    c.tried += qn_matcher_get_stats(matcher, r)->tried;
    c.steps += qn_matcher_get_stats(matcher, r)->steps;
  }
  return c;
}

static qn_status measure_matching(qn_context *context, const decoder_params *params, int repetitions) {
  qn_rule_set *set;
  qn_matcher *matcher;
  qn_graph *graph;
  QN_TRY(qn_rule_set_create(context, NULL, &set));
  QN_TRY(qn_matcher_create(context, set, NULL, &matcher));
  QN_TRY(decoder_create(context, params, &graph));
  uint32_t nodes = qn_graph_count_nodes(graph), rules = qn_rule_set_get_count(set), matched = 0;
  double best = 1e30;
  counts c = { 0 };
  for (int i = 0; i < repetitions; i++) {
    counts before = count(matcher, rules);
    matched = 0;
    double start = now();
    for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
      matched += qn_match_any(matcher, graph, node) != NULL;
    best = QN_MIN(best, now() - start);
    counts after = count(matcher, rules);
    c = (counts){ after.tried - before.tried, after.steps - before.steps };
  }
  printf("%9u  %-9s %8.1f  %8.3f  %8.3f  %8u\n", nodes, params->fused_attention ? "attention" : "in parts",
         best / nodes, (double)c.tried / nodes, (double)c.steps / nodes, matched);
  qn_graph_destroy(graph);
  qn_matcher_destroy(matcher);
  qn_rule_set_destroy(set);
  return QN_OK;
}

int main(int argc, char **argv) {
  int repetitions = argc > 1 ? atoi(argv[1]) : 5;
  qn_context *context;
  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  if (measure_reading(context, repetitions) != QN_OK) return fail(context, "reading the rules");
  printf("%9s  %-9s %8s  %8s  %8s  %8s\n", "nodes", "form", "ns/node", "tries", "steps", "matched");
  static const uint32_t layers[] = { 15, 150, 1500, 15000 };
  for (int fused = 0; fused < 2; fused++)
    for (size_t i = 0; i < QN_COUNT(layers); i++)
      if (measure_matching(context, &(decoder_params){ layers[i], fused }, repetitions) != QN_OK)
        return fail(context, "matching");
  qn_context_destroy(context);
  return 0;
}
