// Devices and loaded kernels as the user sees them: checks that hold for every device, then its own function.
#include "runtime/device_priv.h"

#include "runtime/kernel_priv.h"

void qn_device_destroy(qn_device *device) {
  if (!device) return;
  pthread_mutex_destroy(&device->lock);
  device->ops->destroy(device);
}

const char *qn_device_get_name(const qn_device *device) {
  return device->name;
}

static const struct {
  int sm;
  const char *arch;
} targets[] = {
#define X(name, arch, sm, doc) { sm, arch },
  QN_TARGET_MAP(X)
#undef X
};

// Code for sm_86 runs on 8.9 too, while code for sm_90a runs on 9.0 alone: an `a` target serves its own chip, a
// plain one every later chip of its major number as code and every later chip at all as PTX.
qn_status qn_device_get_target(const qn_device *device, qn_target *out_target) {
  int best = -1;
  for (int i = 0; i < (int)QN_COUNT(targets); i++) {
    bool own_chip_only = targets[i].arch[strlen(targets[i].arch) - 1] == 'a';
    bool runs = own_chip_only ? targets[i].sm == device->sm : targets[i].sm <= device->sm;
    if (runs && (best < 0 || targets[i].sm >= targets[best].sm)) best = i;
  }
  if (best < 0)
    return qn_fail(device->context, QN_UNSUPPORTED, device->name,
                   "the chip has compute capability %d.%d; kernels need 8.0 or newer", device->sm / 10,
                   device->sm % 10);
  *out_target = (qn_target)best;
  return QN_OK;
}

qn_binary qn_device_get_binary(const qn_device *device, qn_target target) {
  return !device->ops->ptx_only && targets[target].sm / 10 == device->sm / 10 ? QN_CUBIN : QN_PTX;
}

qn_status qn_device_allocate(qn_device *device, size_t bytes, qn_device_ptr *out_ptr) {
  return device->ops->allocate(device, bytes, out_ptr);
}

qn_status qn_device_free(qn_device *device, qn_device_ptr ptr) {
  return ptr ? device->ops->free(device, ptr) : QN_OK;
}

qn_status qn_device_upload(qn_device *device, qn_device_ptr to, const void *from, size_t bytes) {
  return bytes ? device->ops->upload(device, to, from, bytes) : QN_OK;
}

qn_status qn_device_download(qn_device *device, void *to, qn_device_ptr from, size_t bytes) {
  return bytes ? device->ops->download(device, to, from, bytes) : QN_OK;
}

qn_status qn_device_wait(qn_device *device) {
  return device->ops->wait(device);
}

qn_status qn_device_load(qn_device *device, const qn_kernel *kernel, qn_loaded_kernel **out_loaded) {
  qn_loaded_kernel *loaded = qn_alloc_zero(device->context, sizeof(*loaded));
  if (!loaded) return qn_fail_memory(device->context);
  loaded->device = device;
  loaded->spec = kernel->spec;
  qn_status status = device->ops->load(device, &kernel->info, loaded);
  if (status != QN_OK) {
    qn_free(device->context, loaded, sizeof(*loaded));
    return status;
  }
  *out_loaded = loaded;
  return QN_OK;
}

void qn_loaded_kernel_destroy(qn_loaded_kernel *loaded) {
  if (!loaded) return;
  qn_device *device = loaded->device;
  device->ops->unload(loaded);
  qn_free(device->context, loaded, sizeof(*loaded));
}

qn_status qn_device_get_counters(const qn_device *device, qn_counters *out_counters) {
  if (!device->ops->get_counters)
    return qn_fail(device->context, QN_UNSUPPORTED, device->name, "the device does not count what it executes");
  *out_counters = *device->ops->get_counters((qn_device *)device);
  return QN_OK;
}

void qn_device_reset_counters(qn_device *device) {
  if (device->ops->get_counters) *device->ops->get_counters(device) = (qn_counters){ 0 };
}
