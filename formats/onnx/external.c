// External data: files beside the model, mapped once each, never outside of the model's folder.
#define _XOPEN_SOURCE 700 // realpath
#include "formats/onnx/onnx_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *find_entry(const pb_tensor *tensor, const char *key) {
  for (size_t i = 0; i < tensor->n_external_data; i++) {
    if (qn_onnx_same(tensor->external_data[i]->key, key)) return qn_onnx_text(tensor->external_data[i]->value);
  }
  return NULL;
}

// A relative path without `..`: what may name a file at all.
static bool stays_below(const char *location) {
  if (!*location || *location == '/') return false;
  for (const char *part = location; part; part = strchr(part, '/')) {
    part += *part == '/';
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0)) return false;
  }
  return true;
}

static qn_status map_file(qn_onnx_model *model, const pb_tensor *tensor, const char *location,
                          qn_onnx_mapping **out_mapping) {
  qn_context *context = model->context;
  const char *name = qn_onnx_text(tensor->name);
  if (!model->folder)
    return qn_fail(context, QN_NOT_FOUND, model->place,
                   "tensor '%s' lies in the file '%s', and there is no folder to look in", name, location);
  if (!stays_below(location))
    return qn_fail(context, QN_INVALID, model->place,
                   "tensor '%s': the path '%s' leads out of the model's folder", name, location);
  char root[PATH_MAX], path[PATH_MAX];
  char *joined = qn_onnx_printf(&model->memory, "%s/%s", model->folder, location);
  if (!joined) return qn_fail_memory(context);
  if (!realpath(model->folder, root) || !realpath(joined, path))
    return qn_fail(context, errno == ENOENT ? QN_NOT_FOUND : QN_IO, model->place,
                   "tensor '%s': cannot open '%s': %s", name, joined, strerror(errno));
  // A link may point elsewhere; what counts is where it leads.
  size_t root_length = strlen(root);
  if (strncmp(path, root, root_length) != 0 || (root_length > 1 && path[root_length] != '/'))
    return qn_fail(context, QN_INVALID, model->place,
                   "tensor '%s': '%s' is a link that leads out of the model's folder", name, location);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    int error = errno;
    if (fd >= 0) close(fd);
    return qn_fail(context, QN_IO, model->place, "tensor '%s': cannot open '%s': %s", name, joined,
                   strerror(error));
  }
  void *data = NULL;
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return qn_fail(context, QN_INVALID, model->place, "tensor '%s': '%s' is no regular file", name, location);
  }
  if (info.st_size) data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  int error = errno;
  close(fd);
  if (data == MAP_FAILED)
    return qn_fail(context, QN_IO, model->place, "tensor '%s': cannot map '%s': %s", name, joined,
                   strerror(error));
  qn_onnx_mapping *mapping = qn_onnx_alloc(&model->memory, sizeof *mapping);
  if (mapping)
    *mapping = (qn_onnx_mapping){ .location = location, .data = data, .length = (size_t)info.st_size };
  if (mapping) mapping->path = qn_onnx_printf(&model->memory, "%s", path);
  if (!mapping || !mapping->path) {
    if (data) munmap(data, (size_t)info.st_size);
    return qn_fail_memory(context);
  }
  mapping->next = model->mappings;
  model->mappings = mapping;
  *out_mapping = mapping;
  return QN_OK;
}

// A number of the `offset` or `length` entries: decimal digits only.
static bool read_number(const char *text, uint64_t *out_value) {
  uint64_t value = 0;
  if (!*text) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    if (__builtin_mul_overflow(value, 10u, &value) ||
        __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
      return false;
  }
  *out_value = value;
  return true;
}

qn_status qn_onnx_external_get(qn_onnx_model *model, const pb_tensor *tensor, const uint8_t **out_data,
                               uint64_t *out_length) {
  const char *name = qn_onnx_text(tensor->name);
  const char *location = find_entry(tensor, "location");
  if (!location)
    return qn_fail(model->context, QN_INVALID, model->place, "tensor '%s' is external and has no location",
                   name);
  qn_onnx_mapping *mapping = model->mappings;
  while (mapping && strcmp(mapping->location, location) != 0) mapping = mapping->next;
  if (!mapping) QN_TRY(map_file(model, tensor, location, &mapping));

  uint64_t offset = 0, length = 0;
  const char *offset_text = find_entry(tensor, "offset"), *length_text = find_entry(tensor, "length");
  if ((offset_text && !read_number(offset_text, &offset)) ||
      (length_text && !read_number(length_text, &length)))
    return qn_fail(model->context, QN_INVALID, model->place,
                   "tensor '%s': offset '%s' or length '%s' is no number", name, qn_onnx_text(offset_text),
                   qn_onnx_text(length_text));
  if (!length_text && offset <= mapping->length) length = mapping->length - offset;
  if (offset > mapping->length || length > mapping->length - offset)
    return qn_fail(model->context, QN_INVALID, model->place,
                   "tensor '%s' is %llu bytes at %llu of '%s', which has %zu", name, (unsigned long long)length,
                   (unsigned long long)offset, location, mapping->length);
  *out_data = mapping->data ? (const uint8_t *)mapping->data + offset : NULL;
  *out_length = length;
  return QN_OK;
}

void qn_onnx_external_free(qn_onnx_model *model) {
  for (qn_onnx_mapping *mapping = model->mappings; mapping; mapping = mapping->next) {
    if (mapping->data) munmap(mapping->data, mapping->length);
  }
  model->mappings = NULL;
}
