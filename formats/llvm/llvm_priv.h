// What the files of libquench-llvm share. The library stands beside libquench and sees its public headers
// alone. Memory is the C library's: libLLVM, which holds nearly all of it, takes no allocator.
#ifndef QUENCH_FORMATS_LLVM_PRIV_H
#define QUENCH_FORMATS_LLVM_PRIV_H

#include <llvm-c/Core.h>
#include <quench/llvm.h>

// Text that grows; `failed` once memory ran out. Used again and again for names and attributes.
typedef struct llvm_text {
  char *text;
  size_t length, capacity;
  bool failed;
} llvm_text;

// A writer that appends to the text.
qn_writer llvm_text_writer(llvm_text *text);

// One module on the way. `context` is LLVM's; errors go to `owner`.
typedef struct llvm_module {
  qn_context *owner;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef builder;
  LLVMValueRef declared[QN_OP_COUNT]; // @quench.<op>, where one was called
  llvm_text scratch;
} llvm_module;

enum { LLVM_BUNDLES_MAX = QN_OP_ATTRS_MAX };

// The attributes that a node says, as operand bundles. Returns their count; the caller disposes of them.
unsigned llvm_attr_bundles(llvm_module *m, const qn_graph *graph, qn_node node,
                           LLVMOperandBundleRef out_bundles[LLVM_BUNDLES_MAX]);
// id, name, layer and location as metadata of the call.
void llvm_attr_marks(llvm_module *m, const qn_graph *graph, qn_node node, LLVMValueRef call);

// Verifies the module, prints it, reads the text back, prints it again, compares, and writes it.
qn_status llvm_module_write(llvm_module *m, const qn_writer *writer);

#endif
