// Launching attention: one kernel or two on the caller's stream.
#include "runtime/device_priv.h"

static qn_status launch(const qn_loaded_kernel *loaded, const qn_attention_args *args, void *stream) {
  qn_launch launch;
  QN_TRY(qn_launch_prepare(loaded->device->context, &loaded->spec, args, &launch));
  const qn_launch_step steps[] = { launch.attention, launch.merge };
  for (size_t i = 0; i < QN_COUNT(steps); i++) {
    const qn_grid grid = { .merge = i == 1,
                           .blocks = { steps[i].grid, 1, 1 },
                           .threads = { steps[i].block, 1, 1 },
                           .shared_bytes = steps[i].shared_bytes,
                           .params = &launch.params,
                           .params_bytes = sizeof(launch.params) };
    if (steps[i].grid > 0) QN_TRY(loaded->device->ops->launch(loaded, &grid, stream));
  }
  return QN_OK;
}

qn_status qn_launch_attention(const qn_loaded_kernel *loaded, const qn_attention_args *args, void *stream) {
  qn_device *device = loaded->device;
  pthread_mutex_lock(&device->lock);
  qn_status status = launch(loaded, args, stream);
  pthread_mutex_unlock(&device->lock);
  return status;
}
