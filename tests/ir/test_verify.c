// The verifier: a sound graph passes, and each rule, broken once, is named with its node.
#include "ir_test.h"

#include "ir/graph_priv.h"

static const char text[] = "graph \"g\" (q: f32[2,3], w: f32[3,4]) {\n"
                           "  a: f32[2,4] = matmul(q, w)\n"
                           "  c: f32[2] = const[value={1, 2}]\n"
                           "  b: f32[2,4] = softmax(a)[axis=1]\n"
                           "  g: f32[2,4] = gelu(b)[approximate=tanh]\n"
                           "  h: f16[2,4] = cast(g)[to=f16]\n"
                           "  r: f32[] = reduce_sum(a)[keepdims=false]\n"
                           "  return h, a\n"
                           "}\n";

static qn_value value_of(const qn_graph *graph, const char *name) {
  return qn_graph_find_value(graph, name, strlen(name));
}
static qn_node node_of(const qn_graph *graph, const char *name) {
  return qn_value_get_node(graph, value_of(graph, name));
}
static qn_node_attr *attr_of(qn_graph *graph, const char *name) {
  return &graph->attrs.at[graph->nodes.at[node_of(graph, name)].attrs];
}

static void break_nothing(qn_graph *graph) {
  (void)graph;
}
static void break_order(qn_graph *graph) {
  qn_node_move_before(graph, node_of(graph, "b"), node_of(graph, "a"));
}
static void break_previous(qn_graph *graph) {
  graph->nodes.at[node_of(graph, "b")].previous = 1;
}
static void break_last(qn_graph *graph) {
  graph->last = 1;
}
static void break_live(qn_graph *graph) {
  graph->live++;
}
static void break_cycle(qn_graph *graph) {
  graph->nodes.at[node_of(graph, "b")].next = node_of(graph, "a");
}
static void break_op(qn_graph *graph) {
  graph->nodes.at[node_of(graph, "b")].op = 9999;
}
static void break_operand_count(qn_graph *graph) {
  graph->nodes.at[node_of(graph, "a")].operand_count = 1;
}
static void break_result_count(qn_graph *graph) {
  graph->nodes.at[node_of(graph, "h")].result_count = 2;
}
static void break_required(qn_graph *graph) {
  graph->uses.at[graph->nodes.at[node_of(graph, "b")].uses].value = QN_NONE;
}
static void break_user(qn_graph *graph) {
  graph->uses.at[graph->nodes.at[node_of(graph, "b")].uses].user = 1;
}
static void break_use_list(qn_graph *graph) {
  graph->values.at[value_of(graph, "b")].first_use = QN_NONE;
}
static void break_use_link(qn_graph *graph) {
  graph->values.at[value_of(graph, "b")].first_use = graph->values.at[value_of(graph, "a")].first_use;
}
static void break_definition(qn_graph *graph) {
  graph->values.at[value_of(graph, "b")].node = node_of(graph, "a");
}
static void break_name(qn_graph *graph) {
  graph->values.at[value_of(graph, "b")].name = graph->values.at[value_of(graph, "a")].name;
}
static void break_output_count(qn_graph *graph) {
  graph->values.at[value_of(graph, "b")].output_count = 1;
}
static void break_output(qn_graph *graph) {
  graph->outputs.at[0].value = 999;
}
static void break_enum(qn_graph *graph) {
  attr_of(graph, "g")->i = 7;
}
static void break_kind(qn_graph *graph) {
  attr_of(graph, "g")->kind = QN_ATTR_INT;
}
static void break_attr_index(qn_graph *graph) {
  attr_of(graph, "g")->index = 3;
}
static void break_dtype(qn_graph *graph) {
  attr_of(graph, "h")->i = 200;
}
static void break_bool(qn_graph *graph) {
  attr_of(graph, "r")->i = 5;
}
static void break_tensor(qn_graph *graph) {
  ((qn_attr_tensor *)(void *)attr_of(graph, "c")->tensor)->tensor.bytes = 7;
}
static void break_axis(qn_graph *graph) {
  attr_of(graph, "b")->i = 5;
}
static void break_type(qn_graph *graph) {
  const qn_dim dims[] = { 2, 5 };
  qn_value_set_type(graph, value_of(graph, "b"), qn_type_get(graph, QN_F32, 2, dims));
}

// clang-format off
static const struct {
  void (*corrupt)(qn_graph *);
  const char *place, *message;
} cases[] = {
  { break_order,         "node 'b' (softmax)", "operand 'x': value 'a' is defined after this node" },
  { break_previous,      "node 'b' (softmax)", "expected the node in front to be 4, found 1" },
  { break_last,          "graph 'g'",          "expected the last node to be 8, found 1" },
  { break_live,          "graph 'g'",          "expected 9 nodes in the list, found 8" },
  { break_cycle,         "node 'a' (matmul)",  "the list of nodes comes here twice" },
  { break_op,            "node 'b' (none)",    "expected an operation of ops.def, found number 9999" },
  { break_operand_count, "node 'a' (matmul)",  "expected 2 to 2 operands, found 1" },
  { break_result_count,  "node 'h' (cast)",    "expected 1 to 1 results, found 2" },
  { break_required,      "node 'b' (softmax)", "operand 'x': expected a value, found none" },
  { break_user,          "node 'b' (softmax)", "operand 'x': its use names node 1 as the user" },
  { break_use_list,      "graph 'g'",          "expected 6 uses in the lists of values, found 5" },
  { break_use_link,      "node 'b' (softmax)", "the list of uses of value 'b' is broken at use 6" },
  { break_definition,    "node 'b' (softmax)", "result 0: expected it to name this node, found 3" },
  { break_name,          "node 'a' (softmax)", "result 0: another value has its name 'a'" },
  { break_output_count,  "node 'b' (softmax)", "value 'b': expected 0 uses as an output, found 1" },
  { break_output,        "graph 'g'",          "output 0: expected a value, found index 999" },
  { break_enum,          "node 'g' (gelu)",    "attribute 'approximate': expected one of none|tanh, found number 7" },
  { break_kind,          "node 'g' (gelu)",    "attribute 'approximate': expected kind 3, found 0" },
  { break_attr_index,    "node 'g' (gelu)",    "expected an attribute of gelu, found number 3" },
  { break_dtype,         "node 'h' (cast)",    "attribute 'to': expected an element type, found number 200" },
  { break_bool,          "node 'r' (reduce_sum)", "attribute 'keepdims': expected 0 or 1, found 5" },
  { break_tensor,        "node 'c' (const)",   "attribute 'value': expected 8 bytes, found 7" },
  { break_axis,          "node 'b' (softmax)", "expected an axis in -2..1, found 5" },
  { break_type,          "node 'b' (softmax)", "result 'b': expected f32[2,4], found f32[2,5]" },
};
// clang-format on

static void check(void (*corrupt)(qn_graph *), qn_status expected, const char *place, const char *message) {
  qn_context *context = make_context();
  qn_graph *graph = read_text(context, text);
  corrupt(graph);
  qn_status status = qn_graph_verify(graph);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, expected, "%s: %s", error->place, error->message);
  cr_assert_str_eq(error->place, place);
  cr_assert_str_eq(error->message, message);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}

Test(verify, a_sound_graph_passes) {
  check(break_nothing, QN_OK, "", "");
}

Test(verify, each_rule_once) {
  for (size_t i = 0; i < QN_COUNT(cases); i++)
    check(cases[i].corrupt, QN_BUG, cases[i].place, cases[i].message);
}
