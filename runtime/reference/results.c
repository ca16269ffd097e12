// The outputs of a run.
#include "runtime/reference/reference_priv.h"

static size_t size_of(uint32_t count) {
  return sizeof(qn_results) + count * sizeof(qn_tensor);
}

qn_status qn_results_create(qn_context *context, uint32_t count, qn_results **out_results) {
  qn_results *results = qn_alloc_zero(context, size_of(count));
  if (!results) return qn_fail_memory(context);
  results->context = context;
  results->count = count;
  *out_results = results;
  return QN_OK;
}

qn_status qn_results_add(qn_results *results, uint32_t index, const qn_tensor *shape, void **out_data) {
  uint64_t count = 1;
  for (int32_t d = 0; d < shape->rank; d++) count *= (uint64_t)shape->dims[d];
  uint64_t bytes = qn_dtype_bytes(shape->dtype, count);
  *out_data = qn_alloc_zero(results->context, (size_t)QN_MAX(bytes, 1));
  if (!*out_data) return qn_fail_memory(results->context);
  results->tensors[index] = *shape;
  results->tensors[index].data = *out_data;
  results->tensors[index].bytes = bytes;
  return QN_OK;
}

void qn_results_destroy(qn_results *results) {
  if (!results) return;
  for (uint32_t i = 0; i < results->count; i++)
    if (results->tensors[i].data)
      qn_free(results->context, (void *)results->tensors[i].data, (size_t)QN_MAX(results->tensors[i].bytes, 1));
  qn_free(results->context, results, size_of(results->count));
}

uint32_t qn_results_get_count(const qn_results *results) {
  return results->count;
}

const qn_tensor *qn_results_get(const qn_results *results, uint32_t index) {
  return &results->tensors[index];
}
