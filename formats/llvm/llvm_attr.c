// Attributes as operand bundles, which LLVM's passes keep, and the embedder's marks as metadata, which they may
// drop: attributes decide what a node computes, marks do not.
#include "formats/llvm/llvm_priv.h"

#include <stdlib.h>
#include <string.h>

static LLVMValueRef constant_int(llvm_module *m, unsigned bits, int64_t value) {
  return LLVMConstInt(LLVMIntTypeInContext(m->context, bits), (uint64_t)value, true);
}

static LLVMValueRef constant_text(llvm_module *m, const char *text, size_t length) {
  return LLVMConstStringInContext(m->context, text, (unsigned)length, true);
}

// Integers and booleans are LLVM's own. Everything else is text as docs/text.md has it, since LLVM prints
// floats as hex and has no FP8.
static LLVMOperandBundleRef make_bundle(llvm_module *m, const qn_graph *graph, qn_node node,
                                        const qn_attr_info *attr) {
  LLVMValueRef single, *values = &single, *many = NULL;
  unsigned count = 1;
  switch (attr->kind) {
  case QN_ATTR_INT: single = constant_int(m, 64, qn_node_get_int(graph, node, attr->name)); break;
  case QN_ATTR_BOOL: single = constant_int(m, 1, qn_node_get_int(graph, node, attr->name)); break;
  case QN_ATTR_INTS: {
    const int64_t *ints;
    count = qn_node_get_ints(graph, node, attr->name, &ints);
    values = many = malloc((count + 1) * sizeof *many);
    if (!many) {
      m->scratch.failed = true;
      return NULL;
    }
    for (unsigned i = 0; i < count; i++) many[i] = constant_int(m, 64, ints[i]);
    break;
  }
  case QN_ATTR_STRING: {
    qn_str text = qn_node_get_string(graph, node, attr->name);
    single = constant_text(m, text.text, text.length);
    break;
  }
  default: {
    m->scratch.length = 0;
    qn_writer writer = llvm_text_writer(&m->scratch);
    qn_node_write_attr(graph, node, attr->name, &writer);
    single = constant_text(m, m->scratch.text, m->scratch.length);
  }
  }
  LLVMOperandBundleRef bundle = LLVMCreateOperandBundle(attr->name, strlen(attr->name), values, count);
  free(many);
  return bundle;
}

unsigned llvm_attr_bundles(llvm_module *m, const qn_graph *graph, qn_node node,
                           LLVMOperandBundleRef out_bundles[LLVM_BUNDLES_MAX]) {
  unsigned count = 0;
  for (const qn_attr_info *attr = qn_op_get_info(qn_node_get_op(graph, node))->attrs; attr->name; attr++) {
    if (!qn_node_has_attr(graph, node, attr->name)) continue;
    LLVMOperandBundleRef bundle = make_bundle(m, graph, node, attr);
    if (bundle) out_bundles[count++] = bundle;
  }
  return count;
}

static void set_mark(llvm_module *m, LLVMValueRef call, const char *key, LLVMMetadataRef what) {
  unsigned kind = LLVMGetMDKindIDInContext(m->context, key, (unsigned)strlen(key));
  LLVMSetMetadata(call, kind, LLVMMetadataAsValue(m->context, LLVMMDNodeInContext2(m->context, &what, 1)));
}

void llvm_attr_marks(llvm_module *m, const qn_graph *graph, qn_node node, LLVMValueRef call) {
  const struct {
    const char *key;
    qn_str text;
  } marks[] = { { "name", qn_node_get_name(graph, node) },
                { "layer", qn_node_get_layer(graph, node) },
                { "location", qn_node_get_location(graph, node) } };
  uint64_t id = qn_node_get_id(graph, node);
  if (id) set_mark(m, call, "id", LLVMValueAsMetadata(constant_int(m, 64, (int64_t)id)));
  for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if (marks[i].text.length)
      set_mark(m, call, marks[i].key,
               LLVMMDStringInContext2(m->context, marks[i].text.text, marks[i].text.length));
}
