// A graph as an LLVM function, in the form that docs/llvm.md describes.
#include "formats/llvm/llvm_priv.h"

#include <stdlib.h>
#include <string.h>

enum { INLINE_LIMIT = 64 }; // elements of a constant that is printed; larger ones are parameters

typedef struct function_writer {
  llvm_module *m;
  const qn_graph *graph;
  LLVMValueRef *values;   // by value index
  LLVMValueRef *operands; // room for the operands of any node, the parameters or the outputs
  LLVMTypeRef *types;     // the same for their types
} function_writer;

// --- names and types -------------------------------------------------------------------------------------

// LLVM's names may hold any byte but zero.
static void set_name(llvm_module *m, LLVMValueRef value, qn_str name) {
  if (!memchr(name.text, 0, name.length)) {
    LLVMSetValueName2(value, name.text, name.length);
    return;
  }
  m->scratch.length = 0;
  qn_writer writer = llvm_text_writer(&m->scratch);
  for (size_t i = 0; i < name.length; i++)
    writer.write(writer.user, name.text[i] ? &name.text[i] : "\\0", name.text[i] ? 1 : 2);
  LLVMSetValueName2(value, m->scratch.text, m->scratch.length);
}

// `%"f16[B,8,64]" = type { i64 }`. The field is there so that LLVM cannot fold values of the type away.
static LLVMTypeRef named_type(llvm_module *m, const char *name, bool has_field) {
  LLVMTypeRef type = LLVMGetTypeByName2(m->context, name);
  if (type) return type;
  type = LLVMStructCreateNamed(m->context, name);
  LLVMTypeRef field = LLVMInt64TypeInContext(m->context);
  LLVMStructSetBody(type, &field, has_field ? 1 : 0, false);
  return type;
}

static LLVMTypeRef type_of(function_writer *w, qn_value value) {
  w->m->scratch.length = 0;
  qn_writer writer = llvm_text_writer(&w->m->scratch);
  qn_type_write(w->graph, qn_value_get_type(w->graph, value), &writer);
  return named_type(w->m, w->m->scratch.failed ? "?" : w->m->scratch.text, true);
}

// One type alone, several as a literal struct, none as void.
static LLVMTypeRef join_types(llvm_module *m, LLVMTypeRef *types, uint32_t count) {
  if (count == 0) return LLVMVoidTypeInContext(m->context);
  return count == 1 ? types[0] : LLVMStructTypeInContext(m->context, types, count, false);
}

// --- nodes -----------------------------------------------------------------------------------------------

static bool is_parameter(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  if (op != QN_OP_const) return op == QN_OP_input;
  const qn_tensor *tensor = qn_node_get_tensor(graph, node, "value");
  uint64_t count = 1;
  for (int32_t i = 0; tensor && i < tensor->rank; i++) {
    if (tensor->dims[i] > INLINE_LIMIT) return true;
    count *= (uint64_t)tensor->dims[i];
    if (count > INLINE_LIMIT) return true;
  }
  return tensor && !tensor->data && count > 0;
}

// All calls of one op go to one declaration, `void (...)`, under the type of the call: with opaque pointers
// LLVM reads, verifies and optimizes this, and a reader searches for one name.
static LLVMValueRef declare(llvm_module *m, qn_op op) {
  if (m->declared[op]) return m->declared[op];
  char name[64] = "quench.";
  strncat(name, qn_op_get_info(op)->name, sizeof name - strlen(name) - 1);
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(m->context), NULL, 0, true);
  return m->declared[op] = LLVMAddFunction(m->module, name, type);
}

static void write_node(function_writer *w, qn_node node) {
  llvm_module *m = w->m;
  const qn_graph *graph = w->graph;
  uint32_t operand_count = qn_node_get_operand_count(graph, node),
           result_count = qn_node_get_result_count(graph, node);
  for (uint32_t i = 0; i < result_count; i++) w->types[i] = type_of(w, qn_node_get_result(graph, node, i));
  LLVMTypeRef result = join_types(m, w->types, result_count);
  for (uint32_t i = 0; i < operand_count; i++) {
    qn_value operand = qn_node_get_operand(graph, node, i);
    w->operands[i] = operand != QN_NONE ? w->values[operand] : LLVMGetPoison(named_type(m, "none", false));
    w->types[i] = LLVMTypeOf(w->operands[i]);
  }
  LLVMOperandBundleRef bundles[LLVM_BUNDLES_MAX];
  unsigned bundle_count = llvm_attr_bundles(m, graph, node, bundles);
  LLVMTypeRef type = LLVMFunctionType(result, w->types, operand_count, false);
  LLVMValueRef call = LLVMBuildCallWithOperandBundles(m->builder, type, declare(m, qn_node_get_op(graph, node)),
                                                      w->operands, operand_count, bundles, bundle_count, "");
  for (unsigned i = 0; i < bundle_count; i++) LLVMDisposeOperandBundle(bundles[i]);
  llvm_attr_marks(m, graph, node, call);
  for (uint32_t i = 0; i < result_count; i++) {
    qn_value value = qn_node_get_result(graph, node, i);
    w->values[value] = result_count == 1 ? call : LLVMBuildExtractValue(m->builder, call, i, "");
    set_name(m, w->values[value], qn_value_get_name(graph, value));
  }
}

// --- the function ----------------------------------------------------------------------------------------

// The graph's outputs; their names as metadata where they are not those of the values.
static void write_return(function_writer *w) {
  llvm_module *m = w->m;
  uint32_t count = qn_graph_get_output_count(w->graph);
  if (count == 0) {
    LLVMBuildRetVoid(m->builder);
    return;
  }
  bool renamed = false;
  LLVMMetadataRef *names = calloc(count, sizeof(LLVMMetadataRef));
  if (!names) m->scratch.failed = true;
  LLVMValueRef all = NULL;
  if (count > 1) {
    for (uint32_t i = 0; i < count; i++) w->types[i] = LLVMTypeOf(w->values[qn_graph_get_output(w->graph, i)]);
    all = LLVMGetPoison(join_types(m, w->types, count));
  }
  for (uint32_t i = 0; i < count; i++) {
    qn_value value = qn_graph_get_output(w->graph, i);
    all = count == 1 ? w->values[value] : LLVMBuildInsertValue(m->builder, all, w->values[value], i, "");
    qn_str name = qn_graph_get_output_name(w->graph, i), own = qn_value_get_name(w->graph, value);
    if (!name.length) name = own;
    renamed |= name.length != own.length || memcmp(name.text, own.text, own.length) != 0;
    if (names) names[i] = LLVMMDStringInContext2(m->context, name.text, name.length);
  }
  LLVMValueRef ret = LLVMBuildRet(m->builder, all);
  if (renamed && names)
    LLVMSetMetadata(ret, LLVMGetMDKindIDInContext(m->context, "outputs", 7),
                    LLVMMetadataAsValue(m->context, LLVMMDNodeInContext2(m->context, names, count)));
  free(names);
}

// Inputs first, then the constants that are too large to print.
static uint32_t collect_parameters(function_writer *w, qn_value *out_values) {
  uint32_t count = 0;
  for (int constants = 0; constants < 2; constants++)
    for (qn_node node = qn_graph_get_first(w->graph); node != QN_NONE; node = qn_node_get_next(w->graph, node))
      if (is_parameter(w->graph, node) && (qn_node_get_op(w->graph, node) == QN_OP_const) == constants)
        out_values[count++] = qn_node_get_result(w->graph, node, 0);
  return count;
}

static void write_body(function_writer *w, qn_value *parameters) {
  llvm_module *m = w->m;
  uint32_t parameter_count = collect_parameters(w, parameters),
           output_count = qn_graph_get_output_count(w->graph);
  for (uint32_t i = 0; i < output_count; i++) w->types[i] = type_of(w, qn_graph_get_output(w->graph, i));
  LLVMTypeRef result = join_types(m, w->types, output_count);
  for (uint32_t i = 0; i < parameter_count; i++) w->types[i] = type_of(w, parameters[i]);

  qn_str name = qn_graph_get_name(w->graph);
  LLVMValueRef function =
      LLVMAddFunction(m->module, "graph", LLVMFunctionType(result, w->types, parameter_count, false));
  // Names that begin with `llvm.` are LLVM's.
  if (name.length && strncmp(name.text, "llvm.", 5) != 0) set_name(m, function, name);
  for (uint32_t i = 0; i < parameter_count; i++) {
    w->values[parameters[i]] = LLVMGetParam(function, i);
    set_name(m, w->values[parameters[i]], qn_value_get_name(w->graph, parameters[i]));
  }
  LLVMPositionBuilderAtEnd(m->builder, LLVMAppendBasicBlockInContext(m->context, function, ""));
  for (qn_node node = qn_graph_get_first(w->graph); node != QN_NONE; node = qn_node_get_next(w->graph, node))
    if (!is_parameter(w->graph, node)) write_node(w, node);
  write_return(w);
}

static void write_function(llvm_module *m, const qn_graph *graph) {
  // Enough for the longest list of operands, results, parameters or outputs.
  size_t room = qn_graph_get_output_count(graph) + qn_graph_count_nodes(graph) + 1;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_operand_count(graph, node) > room) room = qn_node_get_operand_count(graph, node);
    if (qn_node_get_result_count(graph, node) > room) room = qn_node_get_result_count(graph, node);
  }
  function_writer w = { .m = m,
                        .graph = graph,
                        .values = calloc(qn_graph_get_value_limit(graph) + 1, sizeof(LLVMValueRef)),
                        .operands = calloc(room, sizeof(LLVMValueRef)),
                        .types = calloc(room, sizeof(LLVMTypeRef)) };
  qn_value *parameters = calloc(room, sizeof(qn_value));
  if (w.values && w.operands && w.types && parameters)
    write_body(&w, parameters);
  else
    m->scratch.failed = true;
  free(w.values);
  free(w.operands);
  free(w.types);
  free(parameters);
}

qn_status qn_graphs_write_llvm(const qn_graph *const *graphs, uint32_t count, const qn_writer *writer) {
  if (count == 0) return QN_OK;
  llvm_module m = { .owner = qn_graph_get_context(graphs[0]), .context = LLVMContextCreate() };
  qn_str name = qn_graph_get_name(graphs[0]);
  m.module = LLVMModuleCreateWithNameInContext("", m.context);
  m.builder = LLVMCreateBuilderInContext(m.context);
  if (!name.length)
    name = (qn_str){ .text = "graph", .length = 5 }; // without one LLVM takes the file's when it reads
  LLVMSetSourceFileName(m.module, name.text, name.length);
  for (uint32_t i = 0; i < count && !m.scratch.failed; i++) write_function(&m, graphs[i]);
  qn_status status = m.scratch.failed ? qn_context_set_error(m.owner, QN_MEMORY, "LLVM IR", "out of memory")
                                      : llvm_module_write(&m, writer);
  free(m.scratch.text);
  LLVMDisposeBuilder(m.builder);
  LLVMDisposeModule(m.module);
  LLVMContextDispose(m.context);
  return status;
}

qn_status qn_graph_write_llvm(const qn_graph *graph, const qn_writer *writer) {
  return qn_graphs_write_llvm(&graph, 1, writer);
}
