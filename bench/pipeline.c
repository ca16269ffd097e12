// The whole pipeline over generated decoders: nanoseconds a node and a pass, rewrites, memory.
//
//   bench_pipeline [LAYERS...]     default: 16 126 1000 15000
#include "decoder.h"

#include <quench/quench.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { PASSES_MAX = 16, RUNS = 5 };

typedef struct timing {
  double start, last;
  double pass[PASSES_MAX];
  const char *name[PASSES_MAX];
  uint32_t count;
} timing;

// Time of this thread alone, so that a busy machine disturbs less.
static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static qn_status on_pass(void *user, const qn_graph *graph, uint32_t index, const char *pass, bool changed) {
  (void)graph, (void)changed;
  timing *t = user;
  double now = now_ns();
  if (index > 0 && index < PASSES_MAX) {
    t->pass[index] = now - t->last;
    t->name[index] = pass;
    t->count = index + 1;
  }
  t->last = now_ns();
  return QN_OK;
}

static void fail(qn_context *context) {
  const qn_error *error = qn_context_get_error(context);
  fprintf(stderr, "pipeline: %s: %s\n", error->place, error->message);
  exit(1);
}

// Peak resident memory of the process so far, MiB.
static double peak_mib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024;
}

static void measure(uint32_t layers) {
  timing best = { .start = 1e300 };
  uint32_t nodes = 0, left = 0, rewrites = 0, fused = 0;
  uint64_t tried = 0, steps = 0;
  for (int run = 0; run < RUNS; run++) {
    qn_context *context;
    qn_graph *graph;
    qn_pipeline *pipeline;
    if (qn_context_create(NULL, &context) != QN_OK) exit(1);
    if (decoder_create(context, &(decoder_params){ .layers = layers }, &graph) != QN_OK) fail(context);
    nodes = qn_graph_count_nodes(graph);
    timing t = { 0 };
    double start = now_ns();
    t.last = start;
    if (qn_pipeline_run(graph, qn_pipeline_params(.on_pass = on_pass, .user = &t), &pipeline) != QN_OK)
      fail(context);
    t.start = now_ns() - start;
    if (t.start < best.start) best = t;
    left = qn_graph_count_nodes(graph);
    rewrites = qn_pipeline_get_rewrite_count(pipeline);
    fused = 0, tried = 0, steps = 0;
    for (uint32_t i = 0; i < qn_pipeline_get_remark_count(pipeline); i++) {
      qn_remark remark;
      if (qn_pipeline_get_remark(pipeline, i, &remark) != QN_OK) fail(context);
      fused += remark.fused && remark.op[0] == 'a';
    }
    for (uint32_t i = 0; i < qn_pipeline_get_rule_stats_count(pipeline); i++) {
      qn_rule_stats stats;
      if (qn_pipeline_get_rule_stats(pipeline, i, &stats) != QN_OK) fail(context);
      tried += stats.tried;
      steps += stats.steps;
    }
    qn_pipeline_destroy(pipeline);
    qn_graph_destroy(graph);
    qn_context_destroy(context);
  }
  printf("%u layers, %u nodes to %u, %u of %u fused, %u rewrites, %.2f tries and %.1f steps a node\n", layers,
         nodes, left, fused, layers, rewrites, (double)tried / nodes, (double)steps / nodes);
  printf("  whole pipeline %.3f ms, %.0f ns a node; peak memory so far %.0f MiB, %.0f bytes a node\n",
         best.start / 1e6, best.start / nodes, peak_mib(), peak_mib() * 1048576 / nodes);
  double passes = 0;
  for (uint32_t i = 1; i < best.count; i++) {
    printf("  %-22s %8.1f ns a node\n", best.name[i], best.pass[i] / nodes);
    passes += best.pass[i];
  }
  printf("  %-22s %8.1f ns a node\n", "remarks", (best.start - passes) / nodes);
}

int main(int argc, char **argv) {
  static const uint32_t sizes[] = { 16, 126, 1000, 15000 };
  if (argc > 1)
    for (int i = 1; i < argc; i++) measure((uint32_t)strtoul(argv[i], NULL, 10));
  else
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) measure(sizes[i]);
  return 0;
}
