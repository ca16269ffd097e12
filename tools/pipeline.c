// Runs the pipeline as the options say, writing the numbered dumps of --dump-dir on the way.
#include "tool.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool tool_set_target(tool *t) {
  const tool_list *list = &t->options.target;
  if (t->has_target) return true;
  t->target = list->count ? qn_target_find(list->items[0]) : QN_TARGET_sm_90a;
  t->has_target = t->target != QN_TARGET_COUNT;
  if (t->has_target) return true;
  char message[96];
  snprintf(message, sizeof message, "unknown target '%.32s'", list->items[0]);
  tool_error(t->command->name, message, "such as sm_90a; quench compile --target all names each");
  return false;
}

static const struct {
  const char *name;
  uint32_t bit;
} check_names[] = { { "verify", QN_CHECK_VERIFY },
                    { "clone", QN_CHECK_CLONE },
                    { "round-trip", QN_CHECK_ROUND_TRIP } };

static bool parse_checks(const tool *t, uint32_t *out_checks) {
  *out_checks = 0;
  for (const char *at = t->options.check; at && *at;) {
    size_t length = strcspn(at, ",");
    uint32_t bit = 0;
    for (size_t i = 0; i < sizeof check_names / sizeof check_names[0]; i++)
      if (strlen(check_names[i].name) == length && memcmp(check_names[i].name, at, length) == 0)
        bit = check_names[i].bit;
    if (!bit) {
      tool_error(t->command->name, "unknown word for --check", "it takes verify, clone and round-trip");
      return false;
    }
    *out_checks |= bit;
    at += length + (at[length] == ',');
  }
  return true;
}

// One file: NN-pass.qn in --dump-dir. The state before a pass is the file with the number before its own.
static qn_status dump_pass(void *user, const qn_graph *graph, uint32_t index, const char *pass, bool changed) {
  tool *t = user;
  (void)changed; // unchanged ones are written too: the numbers are those of the passes
  char path[4096];
  snprintf(path, sizeof path, "%s/%02u-%s.qn", t->options.dump_dir, index, pass);
  tool_output output;
  if (!tool_output_open(&output, path)) return QN_IO;
  qn_writer writer = tool_output_writer(&output);
  qn_status status = qn_graph_write_text(graph, NULL, &writer);
  if (!tool_output_close(&output, status == QN_OK)) return QN_IO;
  return status;
}

bool tool_run_pipeline(tool *t, qn_graph *graph, const char *passes, qn_pipeline **out_pipeline) {
  const tool_options *o = &t->options;
  uint32_t checks;
  *out_pipeline = NULL;
  if (!tool_set_target(t) || !parse_checks(t, &checks)) return false;
  if (o->dump_dir && mkdir(o->dump_dir, 0777) != 0 && errno != EEXIST) {
    tool_error(o->dump_dir, strerror(errno), "--dump-dir names a folder, whose parent exists");
    return false;
  }
  if (!passes && o->passes && strcmp(o->passes, "all") != 0) passes = o->passes;
  qn_status status = qn_pipeline_run(
      graph,
      qn_pipeline_params(.legality = qn_legality_of_target(&t->target), .passes = passes, .fuel = o->fuel,
                         .checks = checks, .on_pass = o->dump_dir ? dump_pass : NULL, .user = t,
                         .numerics = o->numerics && strcmp(o->numerics, "direct") == 0),
      out_pipeline);
  // A dump that could not be written has said so itself.
  if (status != QN_OK && !(status == QN_IO && o->dump_dir)) tool_fail(t);
  return status == QN_OK;
}

void tool_print_stats(qn_pipeline *pipeline) {
  fprintf(stderr, "%-36s %10s %8s %10s  missed because of\n", "rule", "tried", "matched", "steps");
  for (uint32_t i = 0; i < qn_pipeline_get_rule_stats_count(pipeline); i++) {
    qn_rule_stats stats;
    if (qn_pipeline_get_rule_stats(pipeline, i, &stats) != QN_OK) return;
    if (stats.tried == 0) continue;
    fprintf(stderr, "%-36s %10llu %8llu %10llu ", stats.rule, (unsigned long long)stats.tried,
            (unsigned long long)stats.matched, (unsigned long long)stats.steps);
    for (int why = 0; why < QN_WHY_COUNT; why++)
      if (stats.missed[why])
        fprintf(stderr, " %s %llu", qn_why_name((qn_why)why), (unsigned long long)stats.missed[why]);
    fputc('\n', stderr);
  }
}
