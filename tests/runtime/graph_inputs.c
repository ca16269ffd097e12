// The texts, and values that depend on the name and the type of an input.
#include "tests/runtime/graph_inputs.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

qn_graph *graph_of_text(qn_context *context, const char *text) {
  qn_graph *graph = NULL;
  qn_status status = qn_graph_read_text(context, "test", text, strlen(text), &graph);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, QN_OK, "%s: %s\n%s", error->place, error->message, text);
  return graph;
}

// B 2, T 5, N 7, M 3.
static bool find_dim(void *user, const char *symbol, int64_t *out_value) {
  static const char names[] = "BTNM";
  static const int64_t sizes[] = { 2, 5, 7, 3 };
  (void)user;
  const char *at = strchr(names, symbol[0]);
  if (at) *out_value = sizes[at - names];
  return at != NULL;
}

// Inputs of these names are lengths: of keys for each of B sequences, or where three sequences start among the
// T tokens of q and the N of k and v. The second has no query.
static bool fill_lengths(const char *name, const qn_tensor *x, void *data) {
  static const struct {
    const char *name;
    int64_t values[4];
    uint64_t count;
  } lengths[] = { { "n", { 7, 3 }, 2 }, { "cq", { 0, 2, 2, 5 }, 4 }, { "ck", { 0, 3, 4, 7 }, 4 } };
  for (size_t i = 0; i < QN_COUNT(lengths); i++) {
    if (strcmp(name, lengths[i].name) != 0) continue;
    qn_elements_store_ints(x->dtype, lengths[i].values, lengths[i].count, data);
    return true;
  }
  return false;
}

// A number that quantizes: `g` is a global scale, `u` an upper bound of amax.
static double scalar(const char *name, qn_dtype dtype) {
  if (qn_dtype_is_integer(dtype)) return 3;
  return *name == 'g' ? 300 : *name == 'u' ? 1.5 : 0.01;
}

// Random, from -2 to 2; factors are above 0.
static double element(uint32_t state, qn_dtype dtype, bool is_factor) {
  if (dtype == QN_BOOL) return state >> 30 != 0;
  if (is_factor) return 0.01 + (state >> 24) / 4096.;
  return ((double)(state >> 24) - 128) / 64;
}

graph_inputs graph_inputs_make(const qn_graph *graph) {
  graph_inputs inputs = { .count = 0 };
  uint32_t state = 1;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_input) continue;
    qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, node, 0)));
    qn_tensor *x = &inputs.tensors[inputs.count++];
    uint64_t count = 1;
    *x = (qn_tensor){ .dtype = type.dtype, .rank = type.rank };
    for (int32_t d = 0; d < type.rank; d++) {
      cr_assert(qn_dim_evaluate(graph, type.dims[d], find_dim, NULL, &x->dims[d]));
      count *= (uint64_t)x->dims[d];
    }
    x->bytes = qn_dtype_bytes(type.dtype, count);
    char *data = malloc(x->bytes + 1);
    x->data = data;
    const char *name = qn_value_get_name(graph, qn_node_get_result(graph, node, 0)).text;
    if (fill_lengths(name, x, data)) continue;
    for (uint64_t i = 0; i < count; i++) {
      state = state * 1664525u + 1013904223u;
      bool is_factor = type.rank == 1 && (*name == 's' || *name == 'p');
      double value = type.rank == 0 ? scalar(name, type.dtype) : element(state, type.dtype, is_factor);
      qn_elements_store(type.dtype, &value, 1, true, data + i * qn_element_size(type.dtype));
    }
  }
  return inputs;
}

void graph_inputs_free(graph_inputs *inputs) {
  for (uint32_t i = 0; i < inputs->count; i++) free((void *)inputs->tensors[i].data);
  inputs->count = 0;
}
