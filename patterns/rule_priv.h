// Rules: the form of their tables, and the engine that matches and applies them. The language and its laws are
// in docs/rules.md; this header is what the families (patterns/*.c) and the passes (passes/*.c) stand on.
//
//   qn_rule      static text: one entry of a family's table
//   qn_rule_set  some families, parsed and indexed by the operation at the root
//   qn_matcher   a rule set at work on one graph after another: buffers, statistics, the last match and miss
//   qn_match     what one successful attempt bound; guards, attribute functions and the rewriter read it
//   qn_miss      how far a failed attempt came, as numbers; put into words only when somebody reads it
#ifndef QUENCH_PATTERNS_RULE_PRIV_H
#define QUENCH_PATTERNS_RULE_PRIV_H

#include <quench/pipeline.h>

#include "ir/reason_priv.h"

// --- tables ----------------------------------------------------------------------------------------------

enum { QN_GUARDS_MAX = 10, QN_GUARD_ARGS_MAX = 3 };

// `{ "target_fuses", "o", "sc" }`: a predicate's name and its arguments, each the name of a value or of a bound
// attribute of the match side, or an integer. An array and not a struct, so that a table may leave the tail
// out.
typedef const char *qn_guard[1 + QN_GUARD_ARGS_MAX];

typedef struct qn_rule {
  const char *name;
  const char *doc;   // one sentence
  const char *match; // statements, then `=> outputs`; the first output is the anchor
  qn_guard where[QN_GUARDS_MAX];
  const char *build;  // makes a new value for every output
  const char *sample; // types and values of the holes, for the generated tests
  int gain;           // rules of higher gain are tried first; then those with more operations; then table order
} qn_rule;

typedef struct qn_match qn_match;

// An argument of a predicate or of an attribute function.
typedef struct qn_arg {
  const char *name; // as written; NULL after the last argument
  qn_value value;   // of a value; QN_NONE if the operand is absent or its arm was not taken
  qn_node node;     // the node that defines the value, or that has the attribute; QN_NONE if there is none
  const qn_attr_info *attr; // of a bound attribute: read it from `node` under attr->name; else NULL
  int64_t number;           // of an integer
} qn_arg;

// A guard, or the kind of a hole (`c:kind`, with the value as its only argument). True, or false and the
// reason: use qn_refuse. A `why` left at QN_WHY_none becomes QN_WHY_predicate. Must not change the graph
// (interning dims and types through qn_match_get_graph is allowed).
typedef bool (*qn_predicate_fn)(const qn_match *match, const qn_arg *args, qn_reason *out_reason);

// Computes an attribute of a build: `[scale=@folded_scale(a, b)]`. `out_attr->name` is set; fill in the member
// of the attribute's kind. What it points to comes from qn_match_alloc. Runs before anything is changed; a
// status other than QN_OK ends the run (what can fail on a well-formed graph belongs in a guard).
typedef qn_status (*qn_attr_fn)(const qn_match *match, const qn_arg *args, qn_attr *out_attr);

typedef struct qn_predicate {
  const char *name; // NULL ends a table
  qn_predicate_fn fn;
} qn_predicate;
typedef struct qn_function {
  const char *name; // NULL ends a table
  qn_attr_fn fn;
} qn_function;

// One file of patterns/ defines one, as `const qn_family qn_family_<name>`, with a row in
// patterns/families.def.
typedef struct qn_family {
  const char *name;
  const char *doc;
  const qn_rule *rules;
  uint32_t rule_count;
  const qn_predicate *predicates; // looked up before the common ones of predicates.c; may be NULL
  const qn_function *functions;   // likewise
} qn_family;

#define FAMILY(name) extern const qn_family qn_family_##name;
#include "patterns/families.def"
#undef FAMILY

// The families in the order of families.def; NULL if there is no such one.
uint32_t qn_family_get_count(void);
const qn_family *qn_family_get(uint32_t index);
const qn_family *qn_family_find(const char *name, size_t length);

// The common predicates and functions (predicates.c).
extern const qn_predicate qn_common_predicates[];
extern const qn_function qn_common_functions[];
// (to, from): a reshape with constant dims makes the dims of `to` of those of `from`; `dims_of` gives them.
bool qn_match_reshapes(const qn_match *match, const qn_arg *args, qn_reason *out_reason);

// --- what a match says -----------------------------------------------------------------------------------

// Names are those of the match side. Asserts that the rule has the name, so a guard that serves several rules
// takes arguments instead.
qn_graph *qn_match_get_graph(const qn_match *match);
const qn_legality *qn_match_get_legality(const qn_match *match); // never NULL; `fuses` may be
// The value of a hole or of a statement; QN_NONE if the operand is absent or the arm was not taken.
qn_value qn_match_get_value(const qn_match *match, const char *name);
// The node that a statement matched, QN_NONE if it matched none: an absent `op(x)?`, an arm that is a hole.
qn_node qn_match_get_node(const qn_match *match, const char *name);
// Which arm of the statement `name = a | b | c` was taken, from 0; of `name = op(x)?`: 0 present, 1 absent.
// -1 if the statement was not reached.
int qn_match_get_arm(const qn_match *match, const char *name);
// The anchor comes first. Valid as long as the match.
const qn_node *qn_match_get_nodes(const qn_match *match, uint32_t *out_count);
const qn_rule *qn_match_get_rule(const qn_match *match);
// Memory that lives as long as the match; NULL on failure.
void *qn_match_alloc(const qn_match *match, size_t size);

// --- rule sets -------------------------------------------------------------------------------------------

// Immutable once made; any number of matchers may share one.
typedef struct qn_rule_set qn_rule_set;

// The named families, "attention_quant,layout" or NULL for all. Parsing is a few microseconds a rule.
// Errors: QN_NOT_FOUND for a family, QN_INVALID with "rule NAME:line:column" for a rule.
qn_status qn_rule_set_create(qn_context *context, const char *families, qn_rule_set **out_set);
// The same from tables that need not be registered: tests, fuzzing, rules of an embedder.
qn_status qn_rule_set_create_from(qn_context *context, const qn_family *const *families, uint32_t family_count,
                                  qn_rule_set **out_set);
void qn_rule_set_destroy(qn_rule_set *set);
// In the order in which they are tried: gain, operations, registration.
uint32_t qn_rule_set_get_count(const qn_rule_set *set);
const qn_rule *qn_rule_set_get_rule(const qn_rule_set *set, uint32_t index);
int64_t qn_rule_set_find(const qn_rule_set *set, const char *name); // -1 if there is none

// --- misses ----------------------------------------------------------------------------------------------

// How far one rule came at one root: the failure with the most operations matched before it, the first of
// equals.
typedef struct qn_miss {
  uint32_t rule; // index in the set
  qn_node root;
  uint32_t depth; // operations matched before the failure
  qn_why why;
  uint32_t place;          // byte of the rule's match text; a guard has `guard` instead
  int32_t guard;           // index in `where`, or -1
  qn_node node;            // at fault, or QN_NONE
  qn_value value;          // at fault, or QN_NONE
  uint32_t operand;        // position of `value` among the operands of what matched above it, or UINT32_MAX
  uint32_t term;           // in the parsed rule
  int64_t expected, found; // their meaning follows from `why`: rule_miss.c
  qn_reason reason;        // of a predicate that refused; else `why` is none
} qn_miss;

// The words of expected and found; `why` is miss->why, its stage qn_why_get_stage. Reads the graph as it is
// now: what was removed since is "gone".
void qn_miss_get_reason(const qn_rule_set *set, const qn_graph *graph, const qn_miss *miss,
                        qn_reason *out_reason);
// The name of the value or node at fault; "" if there is none or it is gone. `buffer` serves values without a
// name.
const char *qn_miss_get_at(const qn_graph *graph, const qn_miss *miss, char buffer[16]);
// "y = quantize(cast(o)?, s)[scheme=sc:fp8_static]", or "where target_fuses(o, sc)"
qn_status qn_miss_write_row(const qn_rule_set *set, const qn_miss *miss, const qn_writer *writer);
// Three lines with a caret; docs/rules.md has an example.
qn_status qn_miss_write(const qn_rule_set *set, const qn_graph *graph, const qn_miss *miss,
                        const qn_writer *writer);

// --- matching --------------------------------------------------------------------------------------------

enum { QN_MATCH_STEPS_MAX = 4096 }; // of one attempt; reaching it is the miss `step_limit`

// Thread-safety: unsafe. Makes no allocation while it matches.
typedef struct qn_matcher qn_matcher;

// `set` must outlive it. `legality` may be NULL (everything is allowed); it is copied.
qn_status qn_matcher_create(qn_context *context, const qn_rule_set *set, const qn_legality *legality,
                            qn_matcher **out_matcher);
void qn_matcher_destroy(qn_matcher *matcher);

// Tries one rule at one root, whatever its operation. The match, or NULL; it lives until the next attempt.
// The graph is not changed (dims and types may be interned).
const qn_match *qn_match_at(qn_matcher *matcher, qn_graph *graph, uint32_t rule, qn_node root);
// Tries all rules that the index and the operand filter let through, in order; the first match, or NULL.
const qn_match *qn_match_any(qn_matcher *matcher, qn_graph *graph, qn_node root);
// Of the last qn_match_at, if it returned NULL. Of the last qn_match_any: the furthest of all its attempts;
// `why` is QN_WHY_none if there was none. Lives until the next attempt.
const qn_miss *qn_matcher_get_miss(const qn_matcher *matcher);

// Counts since the matcher was made; index as in the rule set.
const qn_rule_stats *qn_matcher_get_stats(const qn_matcher *matcher, uint32_t rule);

// --- rewriting -------------------------------------------------------------------------------------------

typedef struct qn_rewrite_event {
  const qn_rule *rule;
  const qn_match *match; // what the guards saw
  const qn_node
      *matched; // every operation of the match, the anchor first; still in the graph, some about to go
  uint32_t matched_count;
  const qn_node *created; // in the order in which they were made
  uint32_t created_count;
} qn_rewrite_event;
// Called when the outputs are replaced and before dead nodes are removed. A status other than QN_OK ends the
// run (the graph is then valid, with the dead nodes still in it).
typedef qn_status (*qn_rewrite_log_fn)(void *user, qn_graph *graph, const qn_rewrite_event *event);
// Called for each attempt that failed; `miss` lives for the call.
typedef void (*qn_miss_fn)(void *user, const qn_graph *graph, const qn_miss *miss);

// Builds the right side in front of the root, puts it in the place of the outputs (which hand their names over)
// and removes what is dead then, except operations with effects. New nodes take name, layer and location of the
// node whose attributes they copy (`x..`), else layer and location of the anchor; never its id, which the log
// hands on. `match` is dead afterwards. Errors: QN_BUG where the right side does not fit the graph (the rule is
// wrong: it builds an invalid node or another type than the output had) or where nothing was changed.
qn_status qn_rewrite_apply(qn_matcher *matcher, const qn_match *match, qn_rewrite_log_fn on_rewrite,
                           void *user);

typedef enum qn_walk {
  QN_WALK_WORKLIST, // forward over all nodes, then again over what a rewrite may have made matchable, to the
                    // fixpoint
  QN_WALK_ONCE // forward over the nodes that were there at the start; for rules whose output cannot match again
} qn_walk;

typedef struct qn_rules_params {
  qn_walk walk;
  uint64_t *fuel;               // NULL: no bound; else one is taken per rewrite, and 0 ends the run
  qn_rewrite_log_fn on_rewrite; // NULL: none
  qn_miss_fn on_miss;           // NULL: none
  void *user;
} qn_rules_params;
#define qn_rules_params(...) (&(const qn_rules_params){ __VA_ARGS__ })

// Applies the matcher's rules to the graph and counts the rewrites in `out_rewrites` (may be NULL).
// Errors: those of qn_rewrite_apply and of the log; QN_BUG if the rules do not come to an end.
qn_status qn_rules_run(qn_matcher *matcher, qn_graph *graph, const qn_rules_params *params,
                       uint64_t *out_rewrites);

#endif
