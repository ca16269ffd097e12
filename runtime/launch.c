// Launching attention: one launch on the caller's stream.
#include "runtime/device_priv.h"

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
