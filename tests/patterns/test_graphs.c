// Both sides of every rule as graphs: what `quench rules` prints.
#include "patterns_test.h"

static qn_buf text_of(const qn_graph *graph) {
  qn_buf buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_graph_write_text(graph, NULL, &writer), QN_OK);
  return buf;
}

static uint32_t find_rule(const char *name) {
  for (uint32_t i = 0; i < qn_rule_get_count(); i++)
    if (!strcmp(qn_rule_get_info(i).name, name)) return i;
  cr_assert_fail("no rule '%s'", name);
  return 0;
}

Test(graphs, every_rule_has_both_and_they_read_back) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  for (uint32_t i = 0; i < qn_rule_get_count(); i++) {
    qn_graph *sides[2];
    qn_status status = qn_rule_get_graphs(context, i, &sides[0], &sides[1]);
    cr_assert_eq(status, QN_OK, "%s: %s", qn_rule_get_info(i).name, qn_context_get_error(context)->message);
    for (int s = 0; s < 2; s++) {
      qn_graph *again;
      qn_buf text = text_of(sides[s]);
      status = qn_graph_read_text(context, "rule", text.text, text.length, &again);
      cr_assert_eq(status, QN_OK, "%s: %s\n%s", qn_rule_get_info(i).name,
                   qn_context_get_error(context)->message, text.text);
      qn_buf second = text_of(again);
      cr_assert_str_eq(second.text, text.text);
      qn_buf_free(&second);
      qn_buf_free(&text);
      qn_graph_destroy(again);
      qn_graph_destroy(sides[s]);
    }
  }
  qn_context_destroy(context);
}

Test(graphs, a_rule_in_its_longest_form) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_graph *match, *build;
  cr_assert_eq(qn_rule_get_graphs(context, find_rule("attention_fp8_static"), &match, &build), QN_OK);
  qn_buf text = text_of(match);
  cr_assert_str_eq(text.text,
                   "graph \"attention_fp8_static\" (q: ?, k: ?, v: ?, mask: ?, s: ?, zero: ?, pre: ?, "
                   "bound: ?) {\n"
                   "  o: ?[?1,?2,?3,?4] = attention(q, k, v, mask)\n"
                   "  c: ?[?1,?2,?3,?4] = cast(o)\n"
                   "  y: e4m3[?1,?2,?3,?4] = quantize(c, s, zero, pre, bound)[scheme=fp8_static]\n"
                   "  return y\n"
                   "}\n");
  qn_buf_free(&text);
  text = text_of(build);
  cr_assert_str_eq(
      text.text,
      "graph \"attention_fp8_static\" (q: ?, k: ?, v: ?, mask: ?, s: ?, zero: ?, pre: ?, bound: ?) {\n"
      "  y: e4m3[?1,?2,?3,?4] = attention(q, k, v, mask, _, _, _, s, _, _, _, _, zero, pre, "
      "bound)[output=fp8_static]\n"
      "  return y\n"
      "}\n");
  qn_buf_free(&text);
  qn_graph_destroy(match);
  qn_graph_destroy(build);
  qn_context_destroy(context);
}

Test(graphs, an_index_out_of_range) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_graph *match, *build;
  cr_assert_eq(qn_rule_get_graphs(context, 100000, &match, &build), QN_NOT_FOUND);
  cr_assert_null(match);
  cr_assert_null(qn_rule_get_info(100000).name);
  qn_context_destroy(context);
}
