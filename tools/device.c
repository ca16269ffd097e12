// Opening a device: the one that was asked for, or the first that works.
#include "device.h"

#include <string.h>

static bool is_asked(const tool *t, const char *name) {
  return t->options.device && strcmp(t->options.device, name) == 0;
}

// A device runs the kernels of its own target; the user may only agree.
static bool agree(tool *t, const qn_device *device) {
  qn_target target;
  if (qn_device_get_target(device, &target) != QN_OK) return tool_fail(t), false;
  if (t->options.target.count == 0) {
    t->target = target;
    t->has_target = true;
  }
  if (!tool_set_target(t)) return false;
  if (t->target == target) return true;
  char message[96];
  snprintf(message, sizeof message, "it runs kernels for %s, not %s", qn_target_name(target),
           qn_target_name(t->target));
  tool_error(qn_device_get_name(device), message, "leave out --target, or take --device emulator");
  return false;
}

// Without --device, CUDA is taken where all of it is there and it is what --target asks for.
static bool open_cuda(tool *t, tool_device *out) {
  qn_target target;
  if (qn_device_create_cuda(t->context, 0, &out->device) != QN_OK)
    return is_asked(t, "cuda") ? tool_fail(t), false : true;
  if (is_asked(t, "cuda")) return agree(t, out->device);
  bool fits = qn_device_get_target(out->device, &target) == QN_OK &&
              (t->options.target.count == 0 || qn_target_find(t->options.target.items[0]) == target);
  if (fits) return agree(t, out->device);
  qn_device_destroy(out->device);
  out->device = NULL;
  return true;
}

static bool open_emulator(tool *t, tool_device *out) {
  if (!tool_set_target(t)) return false;
  if (qn_device_create_emulator(t->context, qn_emulator_params(.target = t->target), &out->device) == QN_OK)
    return true;
  return tool_fail(t), false;
}

// The compiler first: without NVRTC there is nothing to run on any device. Where no device was asked for, that
// is no failure.
static bool open_compiler(tool *t, tool_device *out) {
  const tool_options *o = &t->options;
  const char *path;
  int major, minor;
  if (qn_compiler_create(t->context, qn_compiler_params(.nvrtc_path = o->nvrtc, .cache_dir = o->cache_dir),
                         &out->compiler) != QN_OK)
    return tool_fail(t), false;
  qn_status status = qn_compiler_get_nvrtc(out->compiler, &path, &major, &minor);
  if (status == QN_OK) return true;
  if (status != QN_UNAVAILABLE || o->device || o->nvrtc) return tool_fail(t), false;
  snprintf(out->absent, sizeof out->absent, "%s", qn_context_get_error(t->context)->message);
  qn_compiler_destroy(out->compiler);
  out->compiler = NULL;
  return true;
}

bool tool_device_open(tool *t, tool_device *out_device) {
  *out_device = (tool_device){ 0 };
  if (is_asked(t, "reference")) return tool_set_target(t);
  bool good = open_compiler(t, out_device);
  if (good && !out_device->compiler) return tool_set_target(t);
  if (good && !is_asked(t, "emulator")) good = open_cuda(t, out_device);
  if (good && !out_device->device) good = open_emulator(t, out_device);
  if (!good) tool_device_close(out_device);
  return good;
}

void tool_device_close(tool_device *device) {
  if (device->device) qn_device_destroy(device->device);
  qn_compiler_destroy(device->compiler);
  device->device = NULL;
  device->compiler = NULL;
}
