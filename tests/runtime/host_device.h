// A device of the tests: its memory is the host's, its kernel is a few loops of C over the arguments of a
// launch. It shows that arguments are right where neither a GPU nor NVRTC is.
#ifndef TESTS_RUNTIME_HOST_DEVICE_H
#define TESTS_RUNTIME_HOST_DEVICE_H

#include "runtime/device_priv.h"

typedef struct host_device {
  qn_device base;
  int blocks;           // allocated and not freed
  int loaded, launches; // kernels on the device; launches so far
  const char *fail;     // "allocate", "upload", "launch", "download", "load", "free": the next one fails
  qn_counters counters; // only `blocks` is counted
} host_device;

// Belongs to the caller; lives on the stack. `sm` as in qn_device.
void host_device_open(host_device *device, qn_context *context, int sm);
// In the place of qn_device_destroy.
void host_device_close(host_device *device);

#endif
