// The device that --device chooses, and the compiler for its kernels.
#ifndef QUENCH_TOOLS_DEVICE_H
#define QUENCH_TOOLS_DEVICE_H

#include "tool.h"

typedef struct tool_device {
  qn_device *device;     // NULL: the reference executor
  qn_compiler *compiler; // NULL without a device
  char absent[512];      // why there is no device, where none was asked for by name; else ""
} tool_device;

// As --device, --target, --nvrtc and --cache-dir say; settles `t->target`. Without --device: cuda if it opens,
// else the emulator; and where there is no NVRTC the reference executor, with `absent` saying so. False after a
// message.
bool tool_device_open(tool *t, tool_device *out_device);
void tool_device_close(tool_device *device);

#endif
