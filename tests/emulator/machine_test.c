// Runs the kernels of the machine's tests.
#include "tests/emulator/machine_test.h"

#include <stdio.h>

void machine_open(machine *m, const qn_emulator_params *params) {
  static uint32_t in[MACHINE_WORDS], out[MACHINE_WORDS];
  for (uint32_t i = 0; i < MACHINE_WORDS; i++) in[i] = i;
  cr_assert_eq(qn_context_create(NULL, &m->context), QN_OK);
  cr_assert_eq(qn_device_create_emulator(m->context, params, &m->device), QN_OK);
  cr_assert_eq(qn_device_allocate(m->device, sizeof in, &m->in), QN_OK);
  cr_assert_eq(qn_device_allocate(m->device, sizeof out, &m->out), QN_OK);
  cr_assert_eq(qn_device_upload(m->device, m->in, in, sizeof in), QN_OK);
  cr_assert_eq(qn_device_upload(m->device, m->out, out, sizeof out), QN_OK);
}

void machine_close(machine *m) {
  qn_device_destroy(m->device);
  qn_context_destroy(m->context);
}

qn_status machine_launch(machine *m, const char *text, const qn_grid *grid) {
  const qn_kernel_info info = {
    .name = "k", .binary = QN_PTX, .data = text, .length = strlen(text), .log = ""
  };
  qn_loaded_kernel loaded = { .device = m->device };
  QN_TRY(m->device->ops->load(m->device, &info, &loaded));
  qn_status status = m->device->ops->launch(&loaded, grid, NULL);
  m->device->ops->unload(&loaded);
  return status;
}

const char *machine_message(const machine *m, char *out, size_t size) {
  const qn_error *error = qn_context_get_error(m->context);
  snprintf(out, size, "%s: %s", error->place, error->message);
  return out;
}

static void write_text(const machine_kernel *kernel, qn_buf *text) {
  qn_buf_printf(text, ".version 8.6\n.target %s\n.address_size 64\n%s\n",
                kernel->target ? kernel->target : "sm_90", kernel->module ? kernel->module : "");
  qn_buf_printf(
      text,
      ".shared .align 16 .b8 buf[512];\n"
      ".visible .entry k(.param .u64 pin, .param .u64 pout) %s {\n"
      ".reg .b64 %%in, %%out, %%d<16>; .reg .b32 %%thread, %%r<16>; .reg .pred %%p<8>; .reg .b16 %%h<4>;\n"
      "ld.param.u64 %%in, [pin]; ld.param.u64 %%out, [pout]; mov.u32 %%thread, %%tid.x;\n",
      kernel->directives ? kernel->directives : "");
  qn_buf_printf(text, "%s\nret;\n}\n", kernel->body);
}

void machine_run(const machine_kernel *kernel, machine_result *result) {
  machine m;
  qn_target target = kernel->target ? qn_target_find(kernel->target) : QN_TARGET_sm_90a;
  machine_open(&m,
               qn_emulator_params(.target = target, .threads = kernel->host_threads ? kernel->host_threads : 1,
                                  .instruction_limit = kernel->limit ? kernel->limit : 1 << 20,
                                  .lenient = kernel->lenient));
  qn_buf text = QN_BUF(m.context);
  write_text(kernel, &text);
  const uint64_t params[] = { m.in, m.out };
  const qn_grid grid = { .blocks = { kernel->blocks ? kernel->blocks : 1, 1, 1 },
                         .threads = { kernel->threads ? kernel->threads : 32, 1, 1 },
                         .shared_bytes = kernel->shared_bytes,
                         .params = params,
                         .params_bytes = sizeof params };
  *result = (machine_result){ .status = machine_launch(&m, text.text, &grid) };
  if (result->status != QN_OK) machine_message(&m, result->message, sizeof result->message);
  cr_assert_eq(qn_device_download(m.device, result->out, m.out, sizeof result->out), QN_OK);
  cr_assert_eq(qn_device_get_counters(m.device, &result->counters), QN_OK);
  qn_buf_free(&text);
  machine_close(&m);
}
