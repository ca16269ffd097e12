// What the tests of the executor share: running a graph from its text.
#ifndef QUENCH_TESTS_REFERENCE_TEST_H
#define QUENCH_TESTS_REFERENCE_TEST_H

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>
#include <stdlib.h>

typedef struct {
  qn_context *context;
  qn_graph *graph;
  qn_results *results;
  qn_status status;
} outcome;

static inline outcome run_text(const char *text, qn_reference_mode mode, const qn_tensor *inputs,
                               uint32_t input_count) {
  outcome out = { 0 };
  cr_assert_eq(qn_context_create(NULL, &out.context), QN_OK);
  out.status = qn_graph_read_text(out.context, "test", text, strlen(text), &out.graph);
  cr_assert_eq(out.status, QN_OK, "%s: %s\n%s", qn_context_get_error(out.context)->place,
               qn_context_get_error(out.context)->message, text);
  out.status = qn_reference_run(
      out.graph, qn_reference_params(.inputs = inputs, .input_count = input_count, .mode = mode), &out.results);
  return out;
}

static inline void end(outcome *out) {
  qn_results_destroy(out->results);
  qn_graph_destroy(out->graph);
  qn_context_destroy(out->context);
}

// Runs a graph whose outputs come in pairs, found and wanted, and demands the same type, shape and bytes.
static inline void check_pairs(const char *text) {
  outcome out = run_text(text, QN_REFERENCE_DECLARED, NULL, 0);
  cr_assert_eq(out.status, QN_OK, "%s: %s\n%s", qn_context_get_error(out.context)->place,
               qn_context_get_error(out.context)->message, text);
  cr_assert_eq(qn_results_get_count(out.results) % 2, 0);
  for (uint32_t i = 0; i < qn_results_get_count(out.results); i += 2) {
    const qn_tensor *found = qn_results_get(out.results, i), *wanted = qn_results_get(out.results, i + 1);
    qn_difference difference;
    cr_assert_eq(found->dtype, wanted->dtype, "type %s, not %s\n%s", qn_dtype_name(found->dtype),
                 qn_dtype_name(wanted->dtype), text);
    cr_assert_eq(qn_tensor_compare(out.context, found, wanted, &difference), QN_OK, "shapes\n%s", text);
    cr_assert(difference.different == 0, "%llu of %llu differ, the first at %llu, by at most %g\n%s",
              (unsigned long long)difference.different, (unsigned long long)difference.count,
              (unsigned long long)difference.first, difference.max_abs, text);
  }
  end(&out);
}

// Runs a graph that must fail at the place with a message that holds `message`.
static inline void check_failure_with(const char *text, const qn_tensor *inputs, uint32_t input_count,
                                      qn_status status, const char *place, const char *message) {
  outcome out = run_text(text, QN_REFERENCE_DECLARED, inputs, input_count);
  const qn_error *error = qn_context_get_error(out.context);
  cr_assert_eq(out.status, status, "status %s: %s", qn_status_name(out.status), error->message);
  cr_assert(strstr(error->place, place), "the place is '%s'", error->place);
  cr_assert(strstr(error->message, message), "the message is '%s'", error->message);
  end(&out);
}
static inline void check_failure(const char *text, qn_status status, const char *place, const char *message) {
  check_failure_with(text, NULL, 0, status, place, message);
}

#define GRAPH(body) "graph () {\n" body "}\n"
// A test named after what it shows: a graph without inputs whose outputs are pairs of found and wanted.
#define PAIRS(suite, name, body)                                                                               \
  Test(suite, name) {                                                                                          \
    check_pairs(GRAPH(body));                                                                                  \
  }
#define FAILS(suite, name, status, place, message, body)                                                       \
  Test(suite, name) {                                                                                          \
    check_failure(GRAPH(body), status, place, message);                                                        \
  }

#endif
