// Launching attention: dense strides, and one launch on the caller's stream.
#include "runtime/device_priv.h"

// Strides of a dense tensor [batch, length, heads, dim] in one of the layouts. In `bsm` and `tm` heads are
// merged into the last axis and, for `tm` and `thd`, batch and position into one, which leaves the strides of
// `bshd`.
static qn_strides dense(qn_layout layout, int64_t heads, int64_t length, int64_t dim) {
  bool heads_outside = layout == QN_LAYOUT_BHSD;
  return (qn_strides){ .batch = heads * length * dim,
                       .head = heads_outside ? length * dim : dim,
                       .position = heads_outside ? dim : heads * dim };
}

void qn_attention_args_set_dense(const qn_kernel_spec *spec, qn_layout q_layout, qn_layout k_layout,
                                 qn_layout v_layout, qn_layout out_layout, qn_attention_args *args) {
  args->q_stride = dense(q_layout, spec->heads, args->q_len, spec->head_dim);
  args->k_stride = dense(k_layout, spec->kv_heads, args->kv_len, spec->head_dim);
  args->v_stride = dense(v_layout, spec->kv_heads, args->kv_len, spec->v_head_dim);
  args->out_stride = dense(out_layout, spec->heads, args->q_len, spec->v_head_dim);
}

static qn_status launch(const qn_loaded_kernel *loaded, const qn_attention_args *args, void *stream) {
  qn_launch launch;
  QN_TRY(qn_launch_prepare(loaded->device->context, &loaded->spec, args, &launch));
  if (launch.grid == 0) return QN_OK;
  const qn_grid grid = { .blocks = { launch.grid, 1, 1 },
                         .threads = { launch.block, 1, 1 },
                         .shared_bytes = launch.shared_bytes,
                         .params = &launch.params,
                         .params_bytes = sizeof(launch.params) };
  return loaded->device->ops->launch(loaded, &grid, stream);
}

qn_status qn_launch_attention(const qn_loaded_kernel *loaded, const qn_attention_args *args, void *stream) {
  qn_device *device = loaded->device;
  pthread_mutex_lock(&device->lock);
  qn_status status = launch(loaded, args, stream);
  pthread_mutex_unlock(&device->lock);
  return status;
}
