// From a module to text and back: every module is verified and read back before anybody sees it.
#include "formats/llvm/llvm_priv.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/IRReader.h>
#include <stdlib.h>
#include <string.h>

// The first line of a module's text names it; a graph's own name might hold a line end, so it is not that.
static const char module_name[] = "quench";

static qn_status append(void *user, const char *text, size_t length) {
  llvm_text *to = user;
  if (to->capacity - to->length < length + 1) {
    size_t capacity = 2 * (to->length + length) + 256;
    char *grown = realloc(to->text, capacity);
    if (!grown) {
      to->failed = true;
      return QN_MEMORY;
    }
    to->text = grown;
    to->capacity = capacity;
  }
  memcpy(to->text + to->length, text, length);
  to->length += length;
  to->text[to->length] = '\0';
  return QN_OK;
}

qn_writer llvm_text_writer(llvm_text *text) {
  return (qn_writer){ .write = append, .user = text };
}

// LLVM's message, which is freed here, as the context's error.
static qn_status fail_with(qn_context *owner, qn_status status, const char *place, char *message) {
  qn_context_set_error(owner, status, place, message && *message ? message : "LLVM gives no reason");
  if (message) LLVMDisposeMessage(message);
  return status;
}

static qn_status verify(qn_context *owner, qn_status status, const char *place, LLVMModuleRef module) {
  char *message = NULL;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
    return fail_with(owner, status, place, message);
  LLVMDisposeMessage(message);
  return QN_OK;
}

// Reads, verifies and prints a text in a context of its own: in one that is in use, its types would be renamed.
static qn_status read_back(qn_context *owner, qn_status on_error, const char *place, const char *text,
                           size_t length, char **out_printed) {
  LLVMContextRef context = LLVMContextCreate();
  LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, length, place);
  LLVMModuleRef module = NULL;
  char *message = NULL;
  qn_status status = QN_OK;
  *out_printed = NULL;
  if (LLVMParseIRInContext(context, buffer, &module, &message)) { // takes the buffer, also when it fails
    status = fail_with(owner, on_error, place, message);
  } else {
    LLVMSetModuleIdentifier(module, module_name, strlen(module_name));
    status = verify(owner, on_error, place, module);
    if (status == QN_OK) *out_printed = LLVMPrintModuleToString(module);
    LLVMDisposeModule(module);
  }
  LLVMContextDispose(context);
  return status;
}

qn_status llvm_module_write(llvm_module *m, const qn_writer *writer) {
  LLVMSetModuleIdentifier(m->module, module_name, strlen(module_name));
  QN_TRY(verify(m->owner, QN_BUG, "LLVM IR", m->module));
  char *text = LLVMPrintModuleToString(m->module), *again = NULL;
  size_t length = strlen(text);
  qn_status status = read_back(m->owner, QN_BUG, "LLVM IR", text, length, &again);
  if (status == QN_OK && strcmp(text, again) != 0)
    status =
        qn_context_set_error(m->owner, QN_BUG, "LLVM IR", "the text that was read back prints differently");
  if (status == QN_OK) status = writer->write(writer->user, text, length);
  LLVMDisposeMessage(text);
  if (again) LLVMDisposeMessage(again);
  return status;
}

qn_status qn_llvm_normalize(qn_context *context, const char *place, const char *text, size_t length,
                            const qn_writer *writer) {
  char *printed;
  QN_TRY(read_back(context, QN_INVALID, place, text, length, &printed));
  qn_status status = writer->write(writer->user, printed, strlen(printed));
  LLVMDisposeMessage(printed);
  return status;
}
