// Compiled kernels: the object, what it tells of itself, its bytes in the cache.
#include "runtime/kernel_priv.h"

#include "runtime/cubin_priv.h"

qn_status qn_kernel_create(qn_context *context, const qn_kernel_spec *spec, qn_binary binary,
                           qn_kernel **out_kernel) {
  qn_kernel *kernel = qn_alloc_zero(context, sizeof(*kernel));
  if (!kernel) return qn_fail_memory(context);
  kernel->context = context;
  kernel->spec = *spec;
  kernel->binary = QN_BUF(context);
  kernel->log = QN_BUF(context);
  qn_kernel_format_name(spec, kernel->name);
  kernel->info.name = kernel->name;
  kernel->info.binary = binary;
  kernel->info.log = "";
  kernel->info.threads = qn_kernel_get_threads(spec);
  kernel->info.dynamic_shared_bytes = qn_kernel_get_shared_bytes(spec);
  qn_launch_step merge = qn_kernel_get_merge(spec);
  if (merge.block > 0) {
    qn_kernel_format_merge_name(spec, kernel->merge_name);
    kernel->info.merge = (qn_kernel_entry){ .name = kernel->merge_name,
                                            .dynamic_shared_bytes = merge.shared_bytes,
                                            .threads = merge.block };
  }
  *out_kernel = kernel;
  return QN_OK;
}

void qn_kernel_destroy(qn_kernel *kernel) {
  if (!kernel) return;
  qn_buf_free(&kernel->binary);
  qn_buf_free(&kernel->log);
  qn_free(kernel->context, kernel, sizeof(*kernel));
}

const qn_kernel_info *qn_kernel_get_info(const qn_kernel *kernel) {
  return &kernel->info;
}

const qn_kernel_spec *qn_kernel_get_spec(const qn_kernel *kernel) {
  return &kernel->spec;
}

static bool has_ptx_entry(const qn_kernel *kernel, const char *name) {
  qn_buf entry = QN_BUF(kernel->context);
  qn_buf_printf(&entry, ".entry %s(", name);
  bool found = entry.status == QN_OK && strstr(kernel->binary.text, entry.text) != NULL;
  qn_buf_free(&entry);
  return found;
}

// Of both kernels the larger numbers.
static bool read_entry(qn_kernel *kernel, const char *name) {
  qn_kernel_info *info = &kernel->info;
  qn_cubin_info cubin;
  qn_ptxas_info report;
  if (info->binary == QN_PTX) return has_ptx_entry(kernel, name);
  if (!qn_cubin_read(info->data, info->length, name, &cubin)) return false;
  // Spilled registers live in the frame: without a report, all of it is taken for spills.
  bool reported = qn_ptxas_read(info->log, name, &report);
  uint32_t spilled = reported ? report.spill_bytes : cubin.frame_bytes;
  info->registers = QN_MAX(info->registers, cubin.registers);
  info->local_bytes = QN_MAX(info->local_bytes, cubin.frame_bytes);
  info->spill_bytes = QN_MAX(info->spill_bytes, spilled);
  if (reported) info->static_shared_bytes = QN_MAX(info->static_shared_bytes, report.shared_bytes);
  return true;
}

bool qn_kernel_read_info(qn_kernel *kernel) {
  qn_kernel_info *info = &kernel->info;
  info->data = kernel->binary.text;
  info->length = kernel->binary.length;
  info->log = kernel->log.length > 0 ? kernel->log.text : "";
  info->registers = info->local_bytes = info->spill_bytes = info->static_shared_bytes = 0;
  if (info->length == 0) return false;
  return read_entry(kernel, kernel->name) && (!info->merge.name || read_entry(kernel, info->merge.name));
}

void qn_kernel_pack(const qn_kernel *kernel, qn_buf *out) {
  uint64_t log_length = kernel->log.length;
  qn_buf_append(out, (const char *)&log_length, sizeof(log_length));
  qn_buf_append(out, kernel->log.text, kernel->log.length);
  qn_buf_append(out, kernel->binary.text, kernel->binary.length);
}

bool qn_kernel_unpack(qn_kernel *kernel, const char *bytes, size_t length) {
  uint64_t log_length;
  if (length < sizeof(log_length)) return false;
  memcpy(&log_length, bytes, sizeof(log_length));
  bytes += sizeof(log_length);
  length -= sizeof(log_length);
  if (log_length > length) return false;
  kernel->log.length = kernel->binary.length = 0;
  qn_buf_append(&kernel->log, bytes, (size_t)log_length);
  qn_buf_append(&kernel->binary, bytes + log_length, length - (size_t)log_length);
  return kernel->log.status == QN_OK && kernel->binary.status == QN_OK && qn_kernel_read_info(kernel);
}
