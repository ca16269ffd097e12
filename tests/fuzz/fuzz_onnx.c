// Bytes as an ONNX file: whatever is read is sound, and survives a write of the same model.
#include <quench/quench.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth, qn_context *context, const char *what) {
  if (truth) return;
  const qn_error *error = qn_context_get_error(context);
  fprintf(stderr, "%s: %s: %s\n", what, error->place, error->message);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  qn_context *context = NULL;
  qn_onnx_model *model = NULL;
  if (qn_context_create(NULL, &context) != QN_OK) return 0;
  qn_status status = qn_onnx_read_memory(context, "fuzz.onnx", data, size, NULL, &model);
  if (status == QN_OK) {
    expect(qn_graph_verify(qn_onnx_model_get_graph(model)) == QN_OK, context, "verify");
    expect(qn_onnx_write_file(model, "/dev/null/none") == QN_IO, context, "a write to nowhere");
  } else {
    expect(qn_context_get_error(context)->message[0] != 0, context, "a refusal without words");
  }
  qn_onnx_model_destroy(model);
  qn_context_destroy(context);
  return 0;
}
