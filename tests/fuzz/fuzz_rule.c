// Bytes as a rule: "match \0 build". Whatever is accepted has both sides as graphs that read back, and matches
// on the first of them without a crash.
#include "patterns/instance_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool yes(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)match, (void)args, (void)out_reason;
  return true;
}
static const qn_predicate predicates[] = { { "yes", yes }, { 0 } };

typedef struct source {
  const uint8_t *data;
  size_t size;
} source;

static qn_status add_hole(void *user, qn_graph *graph, const qn_slot *slot, qn_value *out_value) {
  (void)user;
  return qn_graph_add_input(graph, slot->name, 0, out_value);
}
static bool get_attr(void *user, const char *variable, const qn_attr_info *attr, qn_attr *out_attr) {
  (void)user, (void)variable, (void)attr, (void)out_attr;
  return false;
}
static uint32_t get_open_attrs(void *user, const char *stmt, qn_op op, qn_attr *out_attrs) {
  (void)user, (void)stmt, (void)op, (void)out_attrs;
  return 0;
}
static uint32_t choose(void *user, uint32_t count) {
  source *s = user;
  return s->size ? s->data[--s->size] % count : 0;
}
static bool take_optional(void *user, const char *name) {
  (void)name;
  return choose(user, 2) == 0;
}

// The rule on a graph of its own match side; what it rewrites there is its own affair, but the graph has to
// stay sound.
static void try_rule(qn_context *context, const qn_rule_set *set, source s) {
  qn_instance instance = { .user = &s,
                           .add_hole = add_hole,
                           .get_attr = get_attr,
                           .get_open_attrs = get_open_attrs,
                           .take_optional = take_optional,
                           .choose = choose };
  qn_value values[QN_SLOTS_MAX];
  qn_graph *graph;
  qn_matcher *matcher = NULL;
  if (qn_graph_create(context, "fuzz", &graph) != QN_OK) return;
  if (qn_rule_instantiate(set, 0, &instance, graph, values) == QN_OK &&
      qn_matcher_create(context, set, NULL, &matcher) == QN_OK) {
    for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
      qn_buf buf = QN_BUF(context);
      qn_writer writer = qn_buf_writer(&buf);
      if (qn_match_at(matcher, graph, 0, node) == NULL)
        qn_miss_write(set, graph, qn_matcher_get_miss(matcher), &writer);
      qn_buf_free(&buf);
    }
    uint64_t fuel = 100;
    (void)qn_rules_run(matcher, graph, qn_rules_params(.fuel = &fuel), NULL);
    if (qn_graph_verify(graph) != QN_OK) abort();
  }
  qn_matcher_destroy(matcher);
  qn_graph_destroy(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  qn_context *context;
  qn_rule_set *set;
  if (qn_context_create(NULL, &context) != QN_OK) return 0;
  char *text = calloc(1, size + 2);
  memcpy(text, data, size);
  qn_rule rule = { .name = "fuzz", .doc = "", .match = text, .build = text + strlen(text) + 1, .sample = "" };
  qn_family family = { .name = "fuzz", .rules = &rule, .rule_count = 1, .predicates = predicates };
  const qn_family *families[] = { &family };
  if (qn_rule_set_create_from(context, families, 1, &set) == QN_OK)
    try_rule(context, set, (source){ data, size });
  qn_rule_set_destroy(set);
  free(text);
  qn_context_destroy(context);
  return 0;
}
