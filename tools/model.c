// Reads a model: ONNX, .qn or a dump of oneDNN Graph, told apart by content, from a file or from standard
// input.
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SNIFF_MAX = 512, INPUT_MAX = 1 << 30 };

// A protobuf begins with a field tag, which for every field of a model is a control character; text has none.
static bool is_text(const char *data, size_t length) {
  for (size_t i = 0; i < length && i < SNIFF_MAX; i++) {
    unsigned char c = (unsigned char)data[i];
    if (c < 0x20 && c != '\n' && c != '\t' && c != '\r') return false;
  }
  return true;
}

// The only JSON that is read is a dump of oneDNN Graph.
static bool is_json(const char *data, size_t length) {
  size_t i = 0;
  while (i < length && strchr(" \t\r\n", data[i]) && data[i]) i++;
  return i < length && data[i] == '{';
}

static bool read_fail(const char *place) {
  char message[160];
  snprintf(message, sizeof message, "cannot read: %s", strerror(errno));
  tool_error(place, message, errno == ENOENT ? qn_status_advice(QN_NOT_FOUND) : NULL);
  return false;
}

// Reads up to `limit` bytes into `*data`, which the caller frees. False with errno on a failure.
static bool read_bytes(FILE *file, size_t limit, char **out_data, size_t *out_length) {
  size_t capacity = 0, length = 0;
  char *data = NULL;
  while (length < limit) {
    if (length == capacity) {
      capacity = capacity ? capacity * 2 : 1 << 16;
      if (capacity > limit) capacity = limit;
      char *grown = realloc(data, capacity);
      if (!grown) break;
      data = grown;
    }
    size_t n = fread(data + length, 1, capacity - length, file);
    if (n == 0) break;
    length += n;
  }
  *out_data = data;
  *out_length = length;
  return !ferror(file) && data;
}

static bool read_graph(tool *t, const char *path, size_t length, tool_model *model) {
  bool text = is_text(model->data, length);
  qn_status status;
  if (text && is_json(model->data, length)) {
    status = qn_onednn_read(t->context, model->place, model->data, length, &model->graph);
  } else if (text) {
    status = qn_graph_read_text(t->context, model->place, model->data, length, &model->graph);
  } else {
    status = path ? qn_onnx_read_file(t->context, path, &model->onnx)
                  : qn_onnx_read_memory(t->context, model->place, model->data, length, NULL, &model->onnx);
    if (status == QN_OK) model->graph = qn_onnx_model_get_graph(model->onnx);
  }
  if (status != QN_OK) tool_fail(t);
  return status == QN_OK;
}

bool tool_model_read(tool *t, const char *path, tool_model *out_model) {
  bool standard_input = strcmp(path, "-") == 0;
  *out_model = (tool_model){ .place = standard_input ? "<stdin>" : path };
  FILE *file = standard_input ? stdin : fopen(path, "rb");
  if (!file) return read_fail(path);
  // Of a file only the head is needed to tell ONNX, which the library reads by itself.
  size_t length = 0;
  bool good = read_bytes(file, standard_input ? INPUT_MAX : SNIFF_MAX, &out_model->data, &length);
  if (good && !standard_input && is_text(out_model->data, length)) {
    free(out_model->data);
    rewind(file);
    good = read_bytes(file, INPUT_MAX, &out_model->data, &length);
  }
  if (!good) read_fail(out_model->place);
  if (!standard_input) fclose(file);
  if (good) good = read_graph(t, standard_input ? NULL : path, length, out_model);
  if (!good) tool_model_destroy(out_model);
  return good;
}

void tool_model_destroy(tool_model *model) {
  if (model->onnx)
    qn_onnx_model_destroy(model->onnx);
  else
    qn_graph_destroy(model->graph);
  free(model->data);
  *model = (tool_model){ 0 };
}
