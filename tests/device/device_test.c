// Makes the PTX of a kernel around its body and runs it on the device that QN_TEST_DEVICE names.
#include "tests/device/device_test.h"

#include "runtime/device_priv.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct buffers {
  qn_device_ptr in, out;
} buffers;

static char message[1024];

const char *device_message(void) {
  return message;
}

static const char *device_name(void) {
  const char *name = getenv("QN_TEST_DEVICE");
  return name && *name ? name : "emulator";
}

bool device_is_emulator(void) {
  return strcmp(device_name(), "emulator") == 0;
}

uint32_t device_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 32);
}

// --- the text -------------------------------------------------------------------------------------------

static const char *target_of(const device_kernel *kernel) {
  return kernel->target ? kernel->target : "sm_80";
}

static int sm_of(const device_kernel *kernel) {
  return atoi(target_of(kernel) + strlen("sm_"));
}

static void write_text(const device_kernel *kernel, qn_buf *text) {
  const char *version = kernel->version ? kernel->version : sm_of(kernel) >= 90 ? "8.6" : "8.0";
  qn_buf_printf(text, ".version %s\n.target %s\n.address_size 64\n%s\n", version, target_of(kernel),
                kernel->module ? kernel->module : "");
  qn_buf_printf(text,
                ".visible .entry test(.param .align 8 .b8 params[16])\n%s\n{\n"
                "  .reg .b64 %%in, %%out, %%src, %%dst;\n"
                "  .reg .b32 %%thread;\n"
                "  ld.param.u64 %%in, [params];\n"
                "  ld.param.u64 %%out, [params+8];\n"
                "  mov.u32 %%thread, %%tid.x;\n"
                "  mad.wide.u32 %%src, %%thread, %u, %%in;\n"
                "  mad.wide.u32 %%dst, %%thread, %u, %%out;\n",
                kernel->directives ? kernel->directives : "", kernel->in_stride ? kernel->in_stride : 4,
                kernel->out_stride ? kernel->out_stride : 4);
  qn_buf_printf(text, "%s\n  ret;\n}\n", kernel->body);
}

// --- the device -----------------------------------------------------------------------------------------

// The emulator takes the target that the kernel is written for, so that it runs every one.
static qn_status open_device(qn_context *context, const device_kernel *kernel, qn_device **out_device) {
  if (!device_is_emulator()) return qn_device_create_cuda(context, 0, out_device);
  qn_target target = qn_target_find(target_of(kernel));
  cr_assert_neq(target, QN_TARGET_COUNT, "no target %s", target_of(kernel));
  return qn_device_create_emulator(context, qn_emulator_params(.target = target), out_device);
}

static qn_status run_loaded(qn_device *device, const device_kernel *kernel, const qn_loaded_kernel *loaded,
                            const buffers *b) {
  const uint64_t params[] = { b->in, b->out };
  const qn_grid grid = { .blocks = { kernel->blocks ? kernel->blocks : 1, 1, 1 },
                         .threads = { kernel->threads ? kernel->threads : 32, 1, 1 },
                         .shared_bytes = kernel->shared_bytes,
                         .params = params,
                         .params_bytes = sizeof(params) };
  QN_TRY(device->ops->launch(loaded, &grid, NULL));
  return qn_device_wait(device);
}

static qn_status run_text(qn_device *device, const device_kernel *kernel, const qn_buf *text,
                          const buffers *b) {
  const qn_kernel_info info = { .name = "test",
                                .binary = QN_PTX,
                                .data = text->text,
                                .length = text->length,
                                .dynamic_shared_bytes = kernel->shared_bytes,
                                .threads = kernel->threads ? kernel->threads : 32,
                                .log = "" };
  qn_loaded_kernel loaded = { .device = device };
  QN_TRY(device->ops->load(device, &info, &loaded));
  qn_status status = run_loaded(device, kernel, &loaded, b);
  device->ops->unload(&loaded);
  return status;
}

static qn_status run_on(qn_device *device, const device_kernel *kernel, const void *in, size_t in_bytes,
                        void *out, size_t out_bytes) {
  buffers b = { 0 };
  qn_buf text = QN_BUF(device->context);
  write_text(kernel, &text);
  memset(out, 0xEE, out_bytes);
  qn_status status = text.status;
  if (status == QN_OK) status = qn_device_allocate(device, in_bytes, &b.in);
  if (status == QN_OK) status = qn_device_allocate(device, out_bytes, &b.out);
  if (status == QN_OK) status = qn_device_upload(device, b.in, in, in_bytes);
  if (status == QN_OK) status = qn_device_upload(device, b.out, out, out_bytes);
  if (status == QN_OK) status = run_text(device, kernel, &text, &b);
  if (status == QN_OK) status = qn_device_download(device, out, b.out, out_bytes);
  const qn_error *error = qn_context_get_error(device->context);
  if (status != QN_OK) snprintf(message, sizeof message, "%s: %s", error->place, error->message);
  (void)qn_device_free(device, b.in);
  (void)qn_device_free(device, b.out);
  qn_buf_free(&text);
  return status;
}

qn_status device_try(const device_kernel *kernel, const void *in, size_t in_bytes, void *out,
                     size_t out_bytes) {
  qn_context *context = NULL;
  qn_device *device = NULL;
  message[0] = 0;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_status status = open_device(context, kernel, &device);
  if (status == QN_UNAVAILABLE) cr_skip_test("there is no device %s", device_name());
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(context)->message);
  if (!device_is_emulator() && device->sm < sm_of(kernel))
    cr_skip_test("the device is older than %s", target_of(kernel));
  status = run_on(device, kernel, in, in_bytes, out, out_bytes);
  qn_device_destroy(device);
  qn_context_destroy(context);
  return status;
}

void device_run(const device_kernel *kernel, const void *in, size_t in_bytes, void *out, size_t out_bytes) {
  qn_status status = device_try(kernel, in, in_bytes, out, out_bytes);
  cr_assert_eq(status, QN_OK, "%s\n%s", message, kernel->body);
}
