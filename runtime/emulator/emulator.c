// The device `emulator`: what runtime/device_priv.h asks of a device.
#include "codegen/spec_priv.h"
#include "runtime/emulator/module_priv.h"

#include <stdio.h>
#include <unistd.h>

#define INSTRUCTION_LIMIT (UINT64_C(1) << 36)

typedef struct emulator {
  qn_device base;
  qn_emulator_params params;
  qn_emu_heap heap;
  qn_emu_pool pool;
  qn_counters counters;
  pthread_mutex_t atomics; // qn_emu_lock
  uint32_t launches;
} emulator;

static emulator *emulator_of(qn_device *device) {
  return (emulator *)device;
}

// --- memory ------------------------------------------------------------------------------------------------

static qn_status locked_allocate(qn_device *base, size_t bytes, qn_device_ptr *out_ptr) {
  pthread_mutex_lock(&base->lock);
  qn_status status = qn_emu_heap_allocate(&emulator_of(base)->heap, bytes, out_ptr);
  pthread_mutex_unlock(&base->lock);
  return status;
}

static qn_status locked_free(qn_device *base, qn_device_ptr ptr) {
  pthread_mutex_lock(&base->lock);
  qn_status status = QN_OK;
  if (!qn_emu_heap_free(&emulator_of(base)->heap, ptr))
    status = qn_fail(base->context, QN_INVALID, base->name, "no allocation begins at 0x%llx",
                     (unsigned long long)ptr);
  pthread_mutex_unlock(&base->lock);
  return status;
}

// The allocation that holds all the bytes of a copy.
static qn_status find_bytes(emulator *e, const char *what, qn_device_ptr ptr, size_t bytes,
                            const qn_emu_allocation **out_allocation) {
  const qn_emu_allocation *allocation = qn_emu_heap_find(&e->heap, ptr);
  *out_allocation = allocation;
  if (qn_emu_holds(allocation, ptr, bytes)) return QN_OK;
  char where[160];
  qn_emu_heap_describe(&e->heap, ptr, where, sizeof where);
  return qn_fail(e->base.context, QN_INVALID, e->base.name, "%s of %zu bytes at 0x%llx, %s", what, bytes,
                 (unsigned long long)ptr, where);
}

static qn_status locked_upload(qn_device *base, qn_device_ptr to, const void *from, size_t bytes) {
  const qn_emu_allocation *allocation;
  pthread_mutex_lock(&base->lock);
  qn_status status = find_bytes(emulator_of(base), "upload", to, bytes, &allocation);
  if (status == QN_OK) {
    memcpy(allocation->data + (to - allocation->address), from, bytes);
    memset(allocation->state + (to - allocation->address), QN_EMU_WRITTEN, bytes);
  }
  pthread_mutex_unlock(&base->lock);
  return status;
}

static qn_status locked_download(qn_device *base, void *to, qn_device_ptr from, size_t bytes) {
  const qn_emu_allocation *allocation;
  pthread_mutex_lock(&base->lock);
  qn_status status = find_bytes(emulator_of(base), "download", from, bytes, &allocation);
  if (status == QN_OK) memcpy(to, allocation->data + (from - allocation->address), bytes);
  pthread_mutex_unlock(&base->lock);
  return status;
}

// Launches are over when they return.
static qn_status emulator_wait(qn_device *base) {
  (void)base;
  return QN_OK;
}

// --- kernels -----------------------------------------------------------------------------------------------

static qn_status check_target(emulator *e, const qn_kernel_info *kernel, const qn_ptx_program *program) {
  uint32_t own = qn_target_get_info(e->params.target)->sm, sm = program->sm;
  bool one_chip = program->sm_suffix == 'a', family = program->sm_suffix == 'f';
  if (one_chip ? sm == own : sm <= own && (!family || sm / 10 == own / 10)) return QN_OK;
  return qn_fail(e->base.context, QN_UNSUPPORTED, e->base.name,
                 one_chip ? "the PTX of kernel %s is for sm_%ua alone, the device is sm_%u"
                 : family
                     ? "the PTX of kernel %s is for sm_%u and later ones of its family, the device is sm_%u"
                     : "the PTX of kernel %s is for sm_%u and later, the device is sm_%u",
                 kernel->name, sm, own);
}

static qn_status find_entry(emulator *e, const qn_emu_module *module, const char *name, void **out_entry) {
  const qn_ptx_function *entry = qn_ptx_find_entry(module->program, name);
  if (!entry) return qn_fail(e->base.context, QN_INVALID, e->base.name, "the PTX has no entry %s", name);
  *out_entry = (void *)(uintptr_t)entry; // not written through
  return QN_OK;
}

static qn_status load(emulator *e, const qn_kernel_info *kernel, qn_loaded_kernel *loaded) {
  qn_context *context = e->base.context;
  if (kernel->binary != QN_PTX)
    return qn_fail(context, QN_UNSUPPORTED, e->base.name,
                   "the kernel %s is machine code; the emulator runs PTX: compile to PTX", kernel->name);
  qn_emu_module *module;
  QN_TRY(qn_emu_module_create(context, &e->heap, kernel, &module));
  qn_status status = check_target(e, kernel, module->program);
  if (status == QN_OK) status = find_entry(e, module, kernel->name, &loaded->entry);
  if (status == QN_OK && kernel->merge.name) status = find_entry(e, module, kernel->merge.name, &loaded->merge);
  if (status != QN_OK) {
    qn_emu_module_destroy(module, &e->heap);
    return status;
  }
  loaded->library = module;
  return QN_OK;
}

static qn_status locked_load(qn_device *base, const qn_kernel_info *kernel, qn_loaded_kernel *loaded) {
  pthread_mutex_lock(&base->lock);
  qn_status status = load(emulator_of(base), kernel, loaded);
  pthread_mutex_unlock(&base->lock);
  return status;
}

static void locked_unload(qn_loaded_kernel *loaded) {
  qn_device *base = loaded->device;
  pthread_mutex_lock(&base->lock);
  qn_emu_module_destroy(loaded->library, &emulator_of(base)->heap);
  pthread_mutex_unlock(&base->lock);
}

// Whoever launches holds the device's lock.
static qn_status emulator_launch(const qn_loaded_kernel *loaded, const qn_grid *grid, void *stream) {
  (void)stream;
  emulator *e = emulator_of(loaded->device);
  qn_emu_launch launch = { .module = loaded->library,
                           .entry = grid->merge ? loaded->merge : loaded->entry,
                           .heap = &e->heap,
                           .lock = &e->atomics,
                           .instruction_limit = e->params.instruction_limit,
                           .launch_index = e->launches,
                           .strict = !e->params.lenient };
  QN_TRY(
      qn_emu_launch_check(e->base.context, grid, qn_target_get_info(e->params.target)->shared_block, &launch));
  e->launches++;
  return qn_emu_pool_run(&e->pool, &launch, &e->counters);
}

static qn_counters *emulator_get_counters(qn_device *base) {
  return &emulator_of(base)->counters;
}

// --- the device --------------------------------------------------------------------------------------------

static void emulator_destroy(qn_device *base) {
  emulator *e = emulator_of(base);
  qn_emu_heap_destroy(&e->heap);
  qn_emu_pool_destroy(&e->pool);
  pthread_mutex_destroy(&e->atomics);
  qn_free(base->context, e, sizeof(*e));
}

static const qn_device_ops emulator_ops = {
  .destroy = emulator_destroy,
  .allocate = locked_allocate,
  .free = locked_free,
  .upload = locked_upload,
  .download = locked_download,
  .wait = emulator_wait,
  .load = locked_load,
  .unload = locked_unload,
  .launch = emulator_launch,
  .get_counters = emulator_get_counters,
  .ptx_only = true,
};

static uint32_t count_processors(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (uint32_t)online : 1;
}

qn_status qn_device_create_emulator(qn_context *context, const qn_emulator_params *params,
                                    qn_device **out_device) {
  static const qn_emulator_params defaults = { 0 };
  if (!params) params = &defaults;
  if (params->target >= QN_TARGET_COUNT)
    return qn_fail(context, QN_INVALID, "emulator", "there is no target of number %d", (int)params->target);
  emulator *e = qn_alloc_zero(context, sizeof(*e));
  if (!e) return qn_fail_memory(context);
  e->base = (qn_device){ .ops = &emulator_ops,
                         .context = context,
                         .sm = (int)qn_target_get_info(params->target)->sm };
  e->params = *params;
  if (!e->params.instruction_limit) e->params.instruction_limit = INSTRUCTION_LIMIT;
  e->heap.context = e->pool.context = context;
  e->pool.threads = params->threads ? params->threads : count_processors();
  pthread_mutex_init(&e->base.lock, NULL);
  pthread_mutex_init(&e->atomics, NULL);
  snprintf(e->base.name, sizeof e->base.name, "emulator: %s%s", qn_target_name(params->target),
           params->lenient ? ", lenient" : "");
  *out_device = &e->base;
  return QN_OK;
}
