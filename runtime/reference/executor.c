// The executor: values, their lifetimes, inputs against declared types, node after node.
#include "runtime/reference/reference_priv.h"

#include <stdio.h>

typedef struct {
  qn_str name; // lives as long as the graph
  int64_t value;
} symbol;

typedef struct {
  qn_ref ref;
  const qn_reference_params *params;
  qn_ref_tensor *tensors; // by value
  uint32_t *uses;         // by value: operand slots and graph outputs still to be served
  uint32_t value_limit;
  symbol *symbols;
  uint32_t symbol_count, symbol_capacity;
  uint32_t next_input;
} execution;

// --- tensors -----------------------------------------------------------------------------------------------

static void drop(qn_context *context, qn_ref_tensor *tensor) {
  qn_ref_buffer *buffer = tensor->buffer;
  if (buffer && --buffer->owners == 0) qn_free(context, buffer, buffer->size);
  *tensor = (qn_ref_tensor){ 0 };
}

// A tensor from outside as result 0: borrowed, or unpacked or widened into bytes of its own.
static qn_status take_tensor(qn_ref *ref, const qn_tensor *tensor) {
  uint64_t count;
  uint8_t *to;
  if (tensor->rank < 0 || tensor->rank > QN_RANK_MAX)
    return qn_ref_fail(ref, QN_INVALID, "a tensor of rank %d", (int)tensor->rank);
  QN_TRY(qn_ref_count(ref, tensor->rank, tensor->dims, &count));
  if (qn_element_size(tensor->dtype) == 0)
    return qn_ref_fail(ref, QN_UNSUPPORTED, "elements of type %s", qn_dtype_name(tensor->dtype));
  if (!tensor->data && count > 0) return qn_ref_fail(ref, QN_INVALID, "the tensor comes without its bytes");
  if (tensor->bytes < qn_dtype_bytes(tensor->dtype, count))
    return qn_ref_fail(ref, QN_INVALID, "%llu bytes for %llu elements of type %s",
                       (unsigned long long)tensor->bytes, (unsigned long long)count,
                       qn_dtype_name(tensor->dtype));
  qn_dtype held = qn_ref_held(ref, tensor->dtype);
  if (held != tensor->dtype) {
    double *values = qn_ref_doubles(ref, count);
    if (!values) return QN_MEMORY;
    qn_elements_load(tensor->dtype, tensor->data, count, values);
    return qn_ref_store(ref, 0, held, tensor->rank, tensor->dims, values);
  }
  if (qn_dtype_bits(held) == 4) {
    QN_TRY(qn_ref_new(ref, 0, held, tensor->rank, tensor->dims, &to));
    qn_elements_unpack(held, tensor->data, count, to);
    return QN_OK;
  }
  qn_ref_tensor *result = &ref->results[0];
  *result = (qn_ref_tensor){
    .dtype = held, .rank = tensor->rank, .count = count, .data = tensor->data, .alive = true
  };
  for (int32_t d = 0; d < tensor->rank; d++) result->dims[d] = tensor->dims[d];
  return QN_OK;
}

// The tensor as the outside knows it, over its own bytes; those of 4-bit types are not packed.
static qn_tensor described(const qn_ref_tensor *tensor) {
  qn_tensor out = { .dtype = tensor->dtype,
                    .rank = tensor->rank,
                    .data = tensor->data,
                    .bytes = qn_dtype_bytes(tensor->dtype, tensor->count) };
  for (int32_t d = 0; d < tensor->rank; d++) out.dims[d] = tensor->dims[d];
  return out;
}

// The same for the time of the node, packed where it must be.
static qn_status pack(qn_ref *ref, const qn_ref_tensor *tensor, qn_tensor *out_tensor) {
  *out_tensor = described(tensor);
  if (qn_dtype_bits(tensor->dtype) != 4) return QN_OK;
  void *data = qn_arena_alloc(&ref->arena, (size_t)QN_MAX(out_tensor->bytes, 1));
  if (!data) return qn_fail_memory(ref->context);
  qn_elements_pack(tensor->dtype, tensor->data, tensor->count, data);
  out_tensor->data = data;
  return QN_OK;
}

// --- declared types ----------------------------------------------------------------------------------------

static bool find_symbol(void *user, const char *name, int64_t *out_value) {
  const execution *run = user;
  for (uint32_t i = 0; i < run->symbol_count; i++)
    if (strcmp(run->symbols[i].name.text, name) == 0) {
      *out_value = run->symbols[i].value;
      return true;
    }
  return false;
}

// Notes the one symbol that a dim is made of.
typedef struct {
  const char *name;
  int64_t value;
  bool several;
} dim_probe;

static bool find_probe(void *user, const char *name, int64_t *out_value) {
  dim_probe *probe = user;
  if (probe->name && strcmp(probe->name, name) != 0) probe->several = true;
  probe->name = name;
  *out_value = probe->value;
  return true;
}

// The symbol that a dim consists of alone; NULL if it is anything else. A dim is a symbol if it takes the
// symbol's value: two distant values tell, since dims are sums of products and of ceil_div.
static const char *symbol_of(const qn_graph *graph, qn_dim dim) {
  const char *name = NULL;
  for (int64_t value = 7; value <= 1000003; value += 999996) {
    dim_probe probe = { .value = value };
    int64_t found;
    if (!qn_dim_evaluate(graph, dim, find_probe, &probe, &found)) return NULL;
    if (probe.several || found != value) return NULL;
    name = probe.name;
  }
  return name;
}

// Result `index` of the node against what the graph declares. `bind`: a symbol without a value takes this one.
static qn_status check_declared(execution *run, uint32_t index, bool bind) {
  qn_ref *ref = &run->ref;
  const qn_ref_tensor *found = &ref->results[index];
  qn_value value = qn_node_get_result(ref->graph, ref->node, index);
  qn_type_info declared = qn_type_get_info(ref->graph, qn_value_get_type(ref->graph, value));
  if (declared.dtype != QN_ANY && qn_ref_held(ref, declared.dtype) != found->dtype)
    return qn_ref_fail(ref, QN_INVALID, "result %u is declared %s, found %s", index,
                       qn_dtype_name(declared.dtype), qn_dtype_name(found->dtype));
  if (declared.rank == QN_RANK_UNKNOWN) return QN_OK;
  if (declared.rank != found->rank)
    return qn_ref_fail(ref, QN_INVALID, "result %u is declared with rank %d, found %d", index,
                       (int)declared.rank, (int)found->rank);
  for (int32_t d = 0; d < found->rank; d++) {
    int64_t expected;
    if (qn_dim_evaluate(ref->graph, declared.dims[d], find_symbol, run, &expected)) {
      if (expected != found->dims[d])
        return qn_ref_fail(ref, QN_INVALID, "dim %d of result %u is declared as %lld here, found %lld", (int)d,
                           index, (long long)expected, (long long)found->dims[d]);
      continue;
    }
    const char *name = bind ? symbol_of(ref->graph, declared.dims[d]) : NULL;
    if (!name) continue;
    QN_TRY(QN_RESERVE(ref->context, run->symbols, run->symbol_capacity, (uint64_t)run->symbol_count + 1));
    run->symbols[run->symbol_count++] = (symbol){ { name, strlen(name) }, found->dims[d] };
  }
  return QN_OK;
}

// --- nodes -------------------------------------------------------------------------------------------------

static qn_status run_input(execution *run) {
  if (run->next_input >= run->params->input_count)
    return qn_ref_fail(&run->ref, QN_INVALID, "no tensor is given for this input; %u are given",
                       run->params->input_count);
  QN_TRY(take_tensor(&run->ref, &run->params->inputs[run->next_input++]));
  return check_declared(run, 0, true);
}

static qn_status run_operation(qn_ref *ref, qn_op op) {
  const qn_op_info *info = qn_op_get_info(op);
  qn_ref_fn function = qn_ref_find(op);
  if (op == QN_OP_extern) {
    qn_str name = qn_node_get_string(ref->graph, ref->node, "name");
    return qn_ref_fail(ref, QN_UNSUPPORTED, "the operation %.*s, which Quench does not read",
                       (int)QN_MIN(name.length, 120), name.text);
  }
  if (!function) return qn_ref_fail(ref, QN_UNSUPPORTED, "no reference function");
  for (uint32_t i = 0; i < info->operand_min; i++)
    if (!qn_ref_operand(ref, i)) return qn_ref_fail(ref, QN_INVALID, "operand %s is absent", info->operands[i]);
  return function(ref);
}

// Lets the caller evaluate the node, if it wants to.
static qn_status run_outside(execution *run, bool *out_done) {
  qn_ref *ref = &run->ref;
  *out_done = false;
  if (!run->params->execute) return QN_OK;
  const qn_tensor **operands = qn_arena_alloc(&ref->arena, (ref->operand_count + 1) * sizeof(*operands));
  qn_tensor *tensors = qn_arena_alloc(&ref->arena, (ref->operand_count + 1) * sizeof(*tensors));
  void **packed = qn_arena_alloc(&ref->arena, (ref->result_count + 1) * sizeof(*packed));
  if (!operands || !tensors || !packed) return qn_fail_memory(ref->context);
  memset(packed, 0, (ref->result_count + 1) * sizeof(*packed));
  for (uint32_t i = 0; i < ref->operand_count; i++) {
    operands[i] = ref->operands[i] ? &tensors[i] : NULL;
    if (operands[i]) QN_TRY(pack(ref, ref->operands[i], &tensors[i]));
  }
  ref->packed = packed;
  qn_status status =
      run->params->execute(run->params->user, ref, ref->node, operands, ref->operand_count, out_done);
  ref->packed = NULL;
  QN_TRY(status);
  for (uint32_t i = 0; i < ref->result_count; i++) {
    qn_ref_tensor *result = &ref->results[i];
    if (!*out_done) drop(ref->context, result);
    if (*out_done && packed[i])
      qn_elements_unpack(result->dtype, packed[i], result->count, (uint8_t *)result->data);
  }
  return QN_OK;
}

qn_status qn_reference_call_new_result(qn_reference_call *call, uint32_t index, const qn_tensor *shape,
                                       void **out_data) {
  uint8_t *data;
  if (index >= call->result_count)
    return qn_ref_fail(call, QN_INVALID, "result %u of %u", index, call->result_count);
  QN_TRY(qn_ref_new(call, index, shape->dtype, shape->rank, shape->dims, &data));
  *out_data = data;
  if (qn_dtype_bits(shape->dtype) != 4) return QN_OK;
  uint64_t bytes = QN_MAX(qn_dtype_bytes(shape->dtype, call->results[index].count), 1);
  *out_data = call->packed[index] = qn_arena_alloc(&call->arena, (size_t)bytes);
  if (!*out_data) return qn_fail_memory(call->context);
  memset(*out_data, 0, (size_t)bytes);
  return QN_OK;
}

static qn_status report(execution *run) {
  qn_ref *ref = &run->ref;
  for (uint32_t i = 0; run->params->on_result && i < ref->result_count; i++) {
    qn_tensor tensor;
    if (!ref->results[i].alive) continue;
    QN_TRY(pack(ref, &ref->results[i], &tensor));
    QN_TRY(run->params->on_result(run->params->user, ref->node, i, &tensor));
  }
  return QN_OK;
}

// Evaluates the node into `results` and hands them to their values.
static qn_status run_node(execution *run, qn_ref_tensor *results) {
  qn_ref *ref = &run->ref;
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  ref->wide = ref->f64;
  for (uint32_t i = 0; i < ref->operand_count; i++)
    if (ref->operands[i]) ref->wide = ref->wide || ref->operands[i]->dtype == QN_F64;
  if (op == QN_OP_input) {
    QN_TRY(run_input(run));
  } else if (op == QN_OP_const) {
    const qn_tensor *value = qn_node_get_tensor(ref->graph, ref->node, "value");
    if (!value) return qn_ref_fail(ref, QN_INVALID, "a constant without a value");
    QN_TRY(take_tensor(ref, value));
    QN_TRY(check_declared(run, 0, false));
  } else {
    bool done;
    QN_TRY(run_outside(run, &done));
    if (!done) QN_TRY(run_operation(ref, op));
    for (uint32_t i = 0; i < ref->result_count; i++)
      if (results[i].alive) QN_TRY(check_declared(run, i, false));
  }
  QN_TRY(report(run));
  for (uint32_t i = 0; i < ref->result_count; i++) {
    qn_value value = qn_node_get_result(ref->graph, ref->node, i);
    if (run->uses[value] == 0) drop(ref->context, &results[i]);
    run->tensors[value] = results[i];
    results[i] = (qn_ref_tensor){ 0 };
  }
  for (uint32_t i = 0; i < ref->operand_count; i++) {
    qn_value value = qn_node_get_operand(ref->graph, ref->node, i);
    if (value != QN_NONE && --run->uses[value] == 0) drop(ref->context, &run->tensors[value]);
  }
  return QN_OK;
}

static qn_status run_nodes(execution *run) {
  qn_ref *ref = &run->ref;
  for (qn_node node = qn_graph_get_first(ref->graph); node != QN_NONE;
       node = qn_node_get_next(ref->graph, node)) {
    qn_arena_reset(&ref->arena);
    ref->node = node;
    ref->operand_count = qn_node_get_operand_count(ref->graph, node);
    ref->result_count = qn_node_get_result_count(ref->graph, node);
    const qn_ref_tensor **operands =
        qn_arena_alloc(&ref->arena, QN_MAX(ref->operand_count, 1u) * sizeof(const qn_ref_tensor *));
    qn_ref_tensor *results = qn_arena_alloc(&ref->arena, QN_MAX(ref->result_count, 1u) * sizeof(*results));
    if (!operands || !results) return qn_fail_memory(ref->context);
    memset(results, 0, ref->result_count * sizeof(*results));
    for (uint32_t i = 0; i < ref->operand_count; i++) {
      qn_value value = qn_node_get_operand(ref->graph, node, i);
      operands[i] = value == QN_NONE ? NULL : &run->tensors[value];
      if (operands[i] && !operands[i]->alive)
        return qn_ref_fail(ref, QN_INVALID, "operand %u is a result that its node does not give", i);
    }
    ref->operands = operands;
    ref->results = results;
    qn_status status = run_node(run, results);
    if (status != QN_OK) {
      for (uint32_t i = 0; i < ref->result_count; i++) drop(ref->context, &results[i]);
      return status;
    }
  }
  if (run->next_input == run->params->input_count) return QN_OK;
  return qn_fail(ref->context, QN_INVALID, NULL, "%u tensors are given for %u inputs", run->params->input_count,
                 run->next_input);
}

// --- the run -----------------------------------------------------------------------------------------------

static qn_status collect(execution *run, qn_results *results) {
  const qn_graph *graph = run->ref.graph;
  for (uint32_t i = 0; i < results->count; i++) {
    const qn_ref_tensor *tensor = &run->tensors[qn_graph_get_output(graph, i)];
    if (!tensor->alive)
      return qn_fail(run->ref.context, QN_INVALID, NULL,
                     "output %u of the graph is a result that its node does not give", i);
    qn_tensor shape = described(tensor);
    void *data;
    QN_TRY(qn_results_add(results, i, &shape, &data));
    qn_elements_pack(tensor->dtype, tensor->data, tensor->count, data);
  }
  return QN_OK;
}

static qn_status prepare(execution *run) {
  const qn_graph *graph = run->ref.graph;
  run->value_limit = qn_graph_get_value_limit(graph);
  run->tensors = qn_alloc_zero(run->ref.context, (run->value_limit + 1) * sizeof(*run->tensors));
  run->uses = qn_alloc_zero(run->ref.context, (run->value_limit + 1) * sizeof(*run->uses));
  if (!run->tensors || !run->uses) return qn_fail_memory(run->ref.context);
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
    for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++)
      run->uses[qn_node_get_operand(graph, node, i)]++;
  for (uint32_t i = 0; i < qn_graph_get_output_count(graph); i++) run->uses[qn_graph_get_output(graph, i)]++;
  return QN_OK;
}

static void clean_up(execution *run) {
  qn_context *context = run->ref.context;
  for (uint32_t i = 0; run->tensors && i < run->value_limit; i++) drop(context, &run->tensors[i]);
  if (run->tensors) qn_free(context, run->tensors, (run->value_limit + 1) * sizeof(*run->tensors));
  if (run->uses) qn_free(context, run->uses, (run->value_limit + 1) * sizeof(*run->uses));
  if (run->symbols) qn_free(context, run->symbols, run->symbol_capacity * sizeof(*run->symbols));
  qn_arena_free(&run->ref.arena);
}

qn_status qn_reference_run(const qn_graph *graph, const qn_reference_params *params, qn_results **out_results) {
  qn_context *context = qn_graph_get_context(graph);
  qn_results *results;
  execution run = { .ref = { .context = context,
                             .graph = graph,
                             .f64 = params->mode == QN_REFERENCE_F64,
                             .arena = QN_ARENA(context) },
                    .params = params };
  QN_TRY(qn_results_create(context, qn_graph_get_output_count(graph), &results));
  qn_status status = prepare(&run);
  if (status == QN_OK) status = run_nodes(&run);
  if (status == QN_OK) status = collect(&run, results);
  clean_up(&run);
  if (status != QN_OK)
    qn_results_destroy(results);
  else
    *out_results = results;
  return status;
}
