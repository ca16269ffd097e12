// A model that is written to another folder takes its external data along.
#define _XOPEN_SOURCE 700 // realpath
#include "formats/onnx/export_priv.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct copier {
  qn_onnx_model *model;
  qn_onnx_memory *memory;
  const char *folder; // where to
  qn_onnx_names done; // locations
} copier;

static qn_status fail_io(copier *c, const char *path, const char *what) {
  return qn_fail(c->model->context, QN_IO, path, "cannot %s: %s", what, strerror(errno));
}

static qn_status copy_bytes(copier *c, FILE *from, FILE *to, const char *path) {
  char block[1 << 16];
  for (size_t length; (length = fread(block, 1, sizeof block, from)) > 0;) {
    if (fwrite(block, 1, length, to) != length) return fail_io(c, path, "write the external data");
  }
  if (ferror(from)) return fail_io(c, path, "read the external data");
  return fflush(to) == 0 ? QN_OK : fail_io(c, path, "write the external data");
}

static qn_status make_folders(copier *c, char *path) {
  for (char *slash = path + strlen(c->folder) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = 0;
    bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
    if (!made) return fail_io(c, path, "make the folder");
    *slash = '/';
  }
  return QN_OK;
}

static qn_status copy_file(copier *c, const char *from_path, char *to_path) {
  struct stat from_info, to_info;
  if (stat(from_path, &from_info) == 0 && stat(to_path, &to_info) == 0 && from_info.st_dev == to_info.st_dev &&
      from_info.st_ino == to_info.st_ino)
    return QN_OK;
  QN_TRY(make_folders(c, to_path));
  char *temporary = qn_onnx_printf(c->memory, "%s.%ld.tmp", to_path, (long)getpid());
  if (!temporary) return qn_fail_memory(c->model->context);
  FILE *from = fopen(from_path, "rb");
  if (!from) return fail_io(c, from_path, "open the external data");
  FILE *to = fopen(temporary, "wbx");
  qn_status status = to ? copy_bytes(c, from, to, to_path) : fail_io(c, to_path, "create the external data");
  fclose(from);
  if (!to) return status;
  if (fclose(to) != 0 && status == QN_OK) status = fail_io(c, to_path, "write the external data");
  if (status == QN_OK && rename(temporary, to_path) != 0)
    status = fail_io(c, to_path, "rename the external data");
  if (status != QN_OK) unlink(temporary);
  return status;
}

static qn_status copy_location(copier *c, const pb_tensor *tensor) {
  const uint8_t *data = NULL;
  uint64_t length = 0;
  QN_TRY(qn_onnx_external_get(c->model, tensor, &data,
                              &length)); // checks the path, and finds tensors of subgraphs too
  const char *location = NULL;
  for (size_t i = 0; i < tensor->n_external_data; i++) {
    if (qn_onnx_same(tensor->external_data[i]->key, "location")) location = tensor->external_data[i]->value;
  }
  if (qn_onnx_names_find(&c->done, location, strlen(location))) return QN_OK;
  if (!qn_onnx_names_get(&c->done, c->model->context, location, strlen(location)))
    return qn_fail_memory(c->model->context);
  const qn_onnx_mapping *mapping = c->model->mappings;
  while (strcmp(mapping->location, location) != 0) mapping = mapping->next;
  char *to = qn_onnx_printf(c->memory, "%s/%s", c->folder, location);
  return to ? copy_file(c, mapping->path, to) : qn_fail_memory(c->model->context);
}

// Every tensor of the file, wherever it hangs: the schema knows where messages can be.
static qn_status visit(copier *c, const ProtobufCMessage *message) {
  const ProtobufCMessageDescriptor *descriptor = message->descriptor;
  if (descriptor == &onnx__tensor_proto__descriptor) {
    const pb_tensor *tensor = (const pb_tensor *)message;
    return tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL ? copy_location(c, tensor)
                                                                                : QN_OK;
  }
  for (unsigned i = 0; i < descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
    const char *base = (const char *)message;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
      continue; // types
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
      size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
      ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)(const void *)(base + field->offset);
      for (size_t m = 0; m < count; m++) QN_TRY(visit(c, list[m]));
    } else {
      const ProtobufCMessage *one = *(const ProtobufCMessage *const *)(const void *)(base + field->offset);
      if (one) QN_TRY(visit(c, one));
    }
  }
  return QN_OK;
}

qn_status qn_onnx_copy_external(qn_onnx_model *model, qn_onnx_memory *memory, const char *path) {
  if (!model->folder) return QN_OK; // read from memory without a folder: there is no external data
  const char *slash = strrchr(path, '/');
  char *folder = slash ? qn_onnx_printf(memory, "%.*s", (int)(slash - path) + (slash == path), path)
                       : qn_onnx_printf(memory, ".");
  if (!folder) return qn_fail_memory(model->context);
  char from[PATH_MAX], to[PATH_MAX];
  if (!realpath(folder, to))
    return qn_fail(model->context, QN_IO, path, "cannot open the folder: %s", strerror(errno));
  if (realpath(model->folder, from) && strcmp(from, to) == 0) return QN_OK;
  copier c = { .model = model, .memory = memory, .folder = folder };
  QN_TRY(qn_onnx_names_init(&c.done, model->context, 16));
  qn_status status = visit(&c, &model->proto->base);
  qn_onnx_names_free(&c.done, model->context);
  return status;
}
