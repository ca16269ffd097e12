// What the benchmarks of kernels share: random operands, and which of the buffers a spec's kernel is given.
#include "attention.h"
#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <stdlib.h>

// --- memory ------------------------------------------------------------------------------------------------

static qn_status upload_new(const bench_buffers *b, const void *data, uint64_t bytes, qn_device_ptr *out_ptr) {
  QN_TRY(qn_device_allocate(b->device, (size_t)bytes, out_ptr));
  return qn_device_upload(b->device, *out_ptr, data, (size_t)bytes);
}

// Sums of four uniform numbers, of deviation 1: a device draws less power, and runs faster, on zeros.
static qn_status upload_random(const bench_buffers *b, uint64_t count, qn_device_ptr *out_ptr) {
  uint32_t size = qn_element_size(b->sizes.dtype);
  double *values = malloc(count * sizeof *values);
  void *bytes = malloc(count * size);
  uint64_t random = 1 + count;
  qn_status status = values && bytes ? QN_OK : qn_fail_memory(b->context);
  for (uint64_t i = 0; status == QN_OK && i < count; i++) {
    double sum = -2;
    for (int k = 0; k < 4; k++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      sum += (double)(random >> 11) * 0x1p-53;
    }
    values[i] = sum * 1.73;
  }
  if (status == QN_OK) {
    qn_elements_store(b->sizes.dtype, values, count, true, bytes);
    status = upload_new(b, bytes, count * size, out_ptr);
  }
  free(values);
  free(bytes);
  return status;
}

static qn_status upload_factors(const bench_buffers *b, qn_device_ptr *out_ptr) {
  float *factors = malloc(b->sizes.channels * sizeof *factors);
  if (!factors) return qn_fail_memory(b->context);
  for (uint64_t i = 0; i < b->sizes.channels; i++) factors[i] = 0.0173f + (float)i / 8192;
  qn_status status = upload_new(b, factors, b->sizes.channels * sizeof *factors, out_ptr);
  free(factors);
  return status;
}

static qn_status upload_zeros(const bench_buffers *b, uint64_t bytes, qn_device_ptr *out_ptr) {
  void *zeros = calloc(1, (size_t)bytes);
  if (!zeros) return qn_fail_memory(b->context);
  qn_status status = upload_new(b, zeros, bytes, out_ptr);
  free(zeros);
  return status;
}

qn_status bench_buffers_create(qn_context *context, qn_device *device, const bench_sizes *sizes,
                               bench_buffers *b) {
  *b = (bench_buffers){ .context = context, .device = device, .sizes = *sizes };
  QN_TRY(upload_random(b, sizes->q, &b->q));
  QN_TRY(upload_random(b, sizes->kv, &b->k));
  QN_TRY(upload_random(b, sizes->kv, &b->v));
  QN_TRY(upload_random(b, sizes->out, &b->values));
  QN_TRY(upload_factors(b, &b->factors));
  QN_TRY(upload_zeros(b, sizes->channels * 4, &b->zeros));
  QN_TRY(upload_zeros(b, sizes->out * qn_element_size(sizes->dtype), &b->out));
  // A scale of four bytes for eight elements is more than any scheme has; padding adds up to 128 rows.
  QN_TRY(upload_zeros(b, (sizes->out + 128 * sizes->channels) / 2, &b->scales));
  QN_TRY(upload_zeros(b, sizes->out * 4, &b->zero_points));
  return upload_zeros(b, sizes->workspace, &b->workspace);
}

void bench_buffers_destroy(bench_buffers *b) {
  const qn_device_ptr all[] = { b->q,     b->k,   b->v,      b->values,      b->factors,
                                b->zeros, b->out, b->scales, b->zero_points, b->workspace };
  for (size_t i = 0; b->device && i < QN_COUNT(all); i++) (void)qn_device_free(b->device, all[i]);
}

// --- launches ----------------------------------------------------------------------------------------------

qn_kernel_spec bench_spec(uint32_t heads, uint32_t kv_heads, uint32_t head_dim, qn_schedule schedule,
                          const qn_scheme *output) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .schedule = schedule,
                           .dtype = QN_BF16,
                           .out_dtype = QN_BF16,
                           .head_dim = head_dim,
                           .v_head_dim = head_dim,
                           .heads = heads,
                           .kv_heads = kv_heads,
                           .window_left = -1,
                           .window_right = -1,
                           .output = *output };
}

qn_status bench_set_arguments(const bench_buffers *b, const qn_kernel_spec *spec, uint32_t batch,
                              uint32_t q_len, uint32_t kv_len, qn_attention_args *args) {
  const qn_scheme *output = &spec->output;
  bool attends = spec->schedule != QN_SCHEDULE_quantize;
  *args = (qn_attention_args){ .batch = batch,
                               .q_len = q_len,
                               .kv_len = attends ? kv_len : 0,
                               .q = attends ? b->q : b->values,
                               .k = attends ? b->k : 0,
                               .v = attends ? b->v : 0,
                               .out = output->family == QN_SCHEME_none ? b->values : b->out };
  qn_attention_args_set_dense(spec, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSM, args);
  if (qn_scheme_get_read_scale(output) != QN_ANY) args->output_scale = b->factors;
  if (output->granularity == QN_PER_CHANNEL) args->output_scale_head = spec->v_head_dim;
  if (output->zero_point && !output->dynamic) args->output_zero_point = b->zeros;
  if (output->zero_point && output->dynamic) args->zero_points = b->zero_points;
  if (output->dynamic && qn_scheme_has_scale(output)) {
    args->block_scale = b->scales;
    qn_attention_args_set_dense_scales(spec, QN_LAYOUT_BSM, (uint64_t)batch * q_len, args);
  }
  uint64_t needed = qn_kernel_get_workspace_bytes(spec, args);
  if (needed > 0) args->workspace = b->workspace;
  return needed <= b->sizes.workspace
             ? QN_OK
             : qn_fail(b->context, QN_LIMIT, "workspace", "%llu bytes", (unsigned long long)needed);
}
