// Runs the rules of a matcher over a graph: once over every node, or over a worklist to the fixpoint.
#include "patterns/match_priv.h"

// A first-in first-out queue of nodes, each in it at most once.
typedef struct worklist {
  qn_context *context;
  qn_node *ring;
  uint32_t capacity, head, count;
  uint8_t *queued; // by node
  uint32_t queued_capacity;
} worklist;

typedef struct run {
  qn_matcher *matcher;
  qn_graph *graph;
  const qn_rules_params *params;
  worklist list;
  qn_node *front, *seeds; // of spread(), and what a rewrite touches
  uint32_t front_capacity, seed_capacity, seed_count;
  uint64_t rewrites, limit;
} run;

// --- the worklist ----------------------------------------------------------------------------------------

static qn_status grow_queued(worklist *list, qn_node node) {
  uint32_t old = list->queued_capacity;
  if (node < old) return QN_OK;
  QN_TRY(QN_RESERVE(list->context, list->queued, list->queued_capacity, (uint64_t)node + 1));
  memset(list->queued + old, 0, list->queued_capacity - old);
  return QN_OK;
}

static qn_status push(worklist *list, qn_node node) {
  QN_TRY(grow_queued(list, node));
  if (list->queued[node]) return QN_OK;
  if (list->count == list->capacity) {
    uint32_t old = list->capacity;
    QN_TRY(QN_RESERVE(list->context, list->ring, list->capacity, (uint64_t)old + 1));
    // The part behind the head moves to the new end, so that the ring stays one piece.
    uint32_t tail = old - list->head;
    memmove(list->ring + list->capacity - tail, list->ring + list->head, tail * sizeof *list->ring);
    if (old) list->head = list->capacity - tail;
  }
  uint64_t at = (uint64_t)list->head + list->count++;
  list->ring[at % list->capacity] = node;
  list->queued[node] = 1;
  return QN_OK;
}

// The next node; the list is not empty.
static qn_node pop(worklist *list) {
  qn_node node = list->ring[list->head];
  list->head = (list->head + 1) % list->capacity;
  list->count--;
  list->queued[node] = 0;
  return node;
}

// Queues a node if some rule may have its root there.
static qn_status enqueue(run *r, qn_node node) {
  return r->matcher->set->by_op[qn_node_get_op(r->graph, node)] ? push(&r->list, node) : QN_OK;
}

// --- what a rewrite may have made matchable --------------------------------------------------------------

static qn_status seed(run *r, qn_node node) {
  QN_TRY(QN_RESERVE(r->matcher->context, r->seeds, r->seed_capacity, r->seed_count + 1u));
  r->seeds[r->seed_count++] = node;
  return QN_OK;
}

// A node can only be interior if all its users fit into a match.
static bool has_few_users(const qn_graph *graph, qn_node node) {
  uint32_t left = QN_STMTS_MAX, results = qn_node_get_result_count(graph, node);
  for (uint32_t i = 0; i < results; i++)
    for (qn_use use = qn_value_get_first_use(graph, qn_node_get_result(graph, node, i)); use != QN_NONE;
         use = qn_use_get_next(graph, use))
      if (!left--) return false;
  return true;
}

// Called when the outputs are replaced and nothing is removed yet. Touched are the new nodes, and those that
// define the operands of old ones: they lose users, so what stands above them may be interior now.
static qn_status note_touched(void *user, qn_graph *graph, const qn_rewrite_event *event) {
  run *r = user;
  if (r->params->on_rewrite) QN_TRY(r->params->on_rewrite(r->params->user, graph, event));
  if (r->params->walk == QN_WALK_ONCE) return QN_OK;
  for (uint32_t i = 0; i < event->created_count; i++) QN_TRY(seed(r, event->created[i]));
  const qn_program *program = event->match->program;
  for (uint16_t i = 0; i < program->output_count; i++) // an output may be an old value: its users are new to it
    if (program->build_outputs[i].source == QN_SOURCE_SLOT) {
      qn_value value = event->match->values[program->build_outputs[i].index];
      QN_TRY(seed(r, qn_value_get_node(graph, value)));
    }
  for (uint32_t i = 0; i < event->matched_count; i++) {
    uint32_t operands = qn_node_get_operand_count(graph, event->matched[i]);
    for (uint32_t o = 0; o < operands; o++) {
      qn_value value = qn_node_get_operand(graph, event->matched[i], o);
      qn_node source = value == QN_NONE ? QN_NONE : qn_value_get_node(graph, value);
      if (source == QN_NONE || qn_match_has_node(event->match, source)) continue;
      if (qn_op_get_info(qn_node_get_op(graph, source))->facts & QN_FACT_LEAF) continue;
      if (has_few_users(graph, source)) QN_TRY(seed(r, source));
    }
  }
  return QN_OK;
}

// Puts a node in front of those that spread() goes up from, once.
static qn_status reach(run *r, qn_node node, uint32_t *end) {
  if (qn_node_get_op(r->graph, node) == QN_OP_NONE || r->matcher->marks[node] == r->matcher->mark) return QN_OK;
  r->matcher->marks[node] = r->matcher->mark;
  QN_TRY(QN_RESERVE(r->matcher->context, r->front, r->front_capacity, *end + 1u));
  r->front[(*end)++] = node;
  return enqueue(r, node);
}

// Queues the seeds and what stands above them, as high as a rule reaches.
static qn_status spread(run *r) {
  uint32_t begin = 0, end = 0;
  QN_TRY(qn_matcher_clear_marks(r->matcher, r->graph));
  for (uint32_t i = 0; i < r->seed_count; i++) QN_TRY(reach(r, r->seeds[i], &end));
  r->seed_count = 0;
  for (uint16_t level = 1; level < r->matcher->set->height_max; level++) {
    uint32_t level_end = end;
    for (; begin < level_end; begin++) {
      qn_node node = r->front[begin];
      uint32_t results = qn_node_get_result_count(r->graph, node);
      for (uint32_t i = 0; i < results; i++)
        for (qn_use use = qn_value_get_first_use(r->graph, qn_node_get_result(r->graph, node, i));
             use != QN_NONE; use = qn_use_get_next(r->graph, use))
          QN_TRY(reach(r, qn_use_get_user(r->graph, use), &end));
    }
  }
  return QN_OK;
}

// --- the walk --------------------------------------------------------------------------------------------

static qn_status fail_endless(run *r, const char *rule) {
  return qn_fail(r->matcher->context, QN_BUG, NULL,
                 "the rules do not come to an end: %llu rewrites, the last by rule %s",
                 (unsigned long long)r->rewrites, rule);
}

// Tries the rules at a node. `out_done`: the fuel is spent.
static qn_status visit(run *r, qn_node node, bool *out_done) {
  if (r->params->fuel && !*r->params->fuel) {
    *out_done = true;
    return QN_OK;
  }
  const qn_match *match = qn_match_any(r->matcher, r->graph, node);
  if (!match) return r->matcher->status;
  const char *rule = qn_match_get_rule(match)->name;
  uint64_t version = qn_graph_get_version(r->graph);
  QN_TRY(qn_rewrite_apply(r->matcher, match, note_touched, r));
  if (qn_graph_get_version(r->graph) == version)
    return qn_fail(r->matcher->context, QN_BUG, NULL, "rule %s matched and changed nothing", rule);
  if (r->params->fuel) --*r->params->fuel;
  if (++r->rewrites > r->limit) return fail_endless(r, rule);
  return r->params->walk == QN_WALK_WORKLIST ? spread(r) : QN_OK;
}

static qn_status walk(run *r) {
  bool done = false;
  for (qn_node node = qn_graph_get_first(r->graph); node != QN_NONE; node = qn_node_get_next(r->graph, node))
    QN_TRY(enqueue(r, node));
  while (r->list.count && !done) {
    qn_node node = pop(&r->list);
    if (qn_node_get_op(r->graph, node) != QN_OP_NONE) QN_TRY(visit(r, node, &done));
  }
  return QN_OK;
}

qn_status qn_rules_run(qn_matcher *matcher, qn_graph *graph, const qn_rules_params *params,
                       uint64_t *out_rewrites) {
  run r = { .matcher = matcher,
            .graph = graph,
            .params = params,
            .list = { .context = matcher->context },
            .limit = 64 * (uint64_t)qn_graph_count_nodes(graph) + 1024 };
  matcher->on_miss = params->on_miss;
  matcher->on_miss_user = params->user;
  qn_status status = walk(&r);
  matcher->on_miss = NULL;
  qn_context *context = matcher->context;
  qn_free(context, r.list.ring, r.list.capacity * sizeof *r.list.ring);
  qn_free(context, r.list.queued, r.list.queued_capacity);
  qn_free(context, r.front, r.front_capacity * sizeof *r.front);
  qn_free(context, r.seeds, r.seed_capacity * sizeof *r.seeds);
  if (out_rewrites) *out_rewrites = r.rewrites;
  return status;
}
