// A program made ready to run: where its variables stand, and whether the machine can run it at all.
#include "runtime/emulator/module_priv.h"

static uint32_t align_up(uint32_t value, uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// --- frames ------------------------------------------------------------------------------------------------

static bool lies_in_frame(const qn_ptx_symbol *symbol) {
  return symbol->space == QN_PTX_param || symbol->space == QN_PTX_local;
}

static void place_symbol(qn_emu_module *module, uint32_t symbol, uint32_t frame, uint32_t local) {
  const qn_ptx_symbol *s = &module->program->symbols[symbol];
  module->addresses[symbol] = s->offset + (s->space == QN_PTX_param ? frame : local);
}

// The variables of a function are those that its operands name, and its parameters.
static void place_variables(qn_emu_module *module, const qn_ptx_function *function, uint32_t frame,
                            uint32_t local) {
  const qn_ptx_program *program = module->program;
  for (uint32_t i = 0; i < function->result_count + function->param_count; i++)
    place_symbol(module, function->first_symbol + i, frame, local);
  for (uint32_t i = function->first; i < function->first + function->count; i++) {
    const qn_ptx_instr *instr = &program->instrs[i];
    for (uint32_t slot = 0; slot < instr->slot_count; slot++)
      for (uint32_t e = 0; e < instr->slots[slot].count; e++) {
        const qn_ptx_operand *operand = qn_ptx_at(instr, slot, e);
        bool named = operand->kind == QN_PTX_ADDRESS || operand->kind == QN_PTX_SYMBOL;
        if (named && operand->symbol != QN_PTX_NONE && lies_in_frame(&program->symbols[operand->symbol]))
          place_symbol(module, operand->symbol, frame, local);
      }
  }
}

// Entries run one at a time and begin at 0; functions have their places behind the largest of them.
static qn_status lay_out_frames(qn_emu_module *module) {
  const qn_ptx_program *program = module->program;
  uint64_t frame = 0, local = 0;
  for (int pass = 0; pass < 2; pass++) {
    uint64_t frame_end = frame, local_end = local;
    for (uint32_t i = 0; i < program->function_count; i++) {
      const qn_ptx_function *function = &program->functions[i];
      if (function->is_entry != (pass == 0)) continue;
      uint64_t frame_at = pass == 0 ? 0 : frame_end, local_at = pass == 0 ? 0 : local_end;
      place_variables(module, function, (uint32_t)frame_at, (uint32_t)local_at);
      frame_end = QN_MAX(frame_end, frame_at + align_up(function->frame_bytes, QN_EMU_FRAME_ALIGN));
      local_end = QN_MAX(local_end, local_at + align_up(function->local_bytes, QN_EMU_FRAME_ALIGN));
      if (frame_end > 1 << 24 || local_end > 1 << 24)
        return qn_fail(program->context, QN_LIMIT, function->name,
                       "a thread needs more than 16 MiB of local memory or parameters");
    }
    frame = frame_end;
    local = local_end;
  }
  module->frame_bytes = (uint32_t)frame;
  module->local_bytes = (uint32_t)local;
  return QN_OK;
}

// --- variables of the module -------------------------------------------------------------------------------

static void place_shared_and_data(qn_emu_module *module) {
  const qn_ptx_program *program = module->program;
  module->shared_bytes = program->shared_bytes;
  for (uint32_t i = 0; i < program->symbol_count; i++) {
    const qn_ptx_symbol *symbol = &program->symbols[i];
    module->addresses[i] = symbol->offset + (symbol->space == QN_PTX_global ? module->globals : 0);
    bool is_dynamic = symbol->space == QN_PTX_shared && symbol->bytes == 0;
    if (is_dynamic) module->shared_bytes = QN_MAX(module->shared_bytes, symbol->offset);
  }
}

// Variables without an initialiser are zero.
static void fill_variables(const qn_emu_module *module, qn_ptx_token space, uint8_t *data) {
  const qn_ptx_program *program = module->program;
  for (uint32_t i = 0; i < program->symbol_count; i++) {
    const qn_ptx_symbol *symbol = &program->symbols[i];
    if (symbol->space == space && symbol->init) memcpy(data + symbol->offset, symbol->init, symbol->bytes);
  }
}

static qn_status allocate_variables(qn_emu_module *module, qn_emu_heap *heap) {
  const qn_ptx_program *program = module->program;
  module->constants = qn_alloc_zero(module->context, program->const_bytes);
  if (!module->constants) return qn_fail_memory(module->context);
  fill_variables(module, QN_PTX_const, module->constants);
  if (!program->global_bytes) return QN_OK;
  QN_TRY(qn_emu_heap_allocate(heap, program->global_bytes, &module->globals));
  const qn_emu_allocation *allocation = qn_emu_heap_find(heap, module->globals);
  memset(allocation->data, 0, allocation->bytes);
  memset(allocation->state, QN_EMU_WRITTEN, allocation->bytes);
  fill_variables(module, QN_PTX_global, allocation->data);
  return QN_OK;
}

// --- what the machine cannot run ---------------------------------------------------------------------------

// A function has one frame, so it must not come to itself again. Finds a function on a way of calls to itself:
// functions are taken away while there is one that calls none of those that are left.
static qn_status check_recursion(const qn_ptx_program *program, uint8_t *settled) {
  memset(settled, 0, program->function_count);
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < program->function_count; i++) {
      const qn_ptx_function *function = &program->functions[i];
      bool waits = settled[i];
      for (uint32_t k = function->first; k < function->first + function->count && !waits; k++) {
        const qn_ptx_instr *instr = &program->instrs[k];
        waits = strcmp(instr->row->name, "call") == 0 && !settled[instr->target];
      }
      if (waits) continue;
      settled[i] = 1;
      changed = true;
    }
  }
  for (uint32_t i = 0; i < program->function_count; i++)
    if (!settled[i])
      return qn_fail(program->context, QN_UNSUPPORTED, program->functions[i].name,
                     "the function calls itself, directly or through others");
  return QN_OK;
}

static bool ends_here(const qn_ptx_instr *instr) {
  static const char *const ends[] = { "ret", "exit", "trap", "bra", "brx" };
  for (size_t i = 0; i < QN_COUNT(ends); i++)
    if (strcmp(instr->row->name, ends[i]) == 0) return instr->guard == QN_PTX_NONE;
  return false;
}

static qn_status check_ends(const qn_ptx_program *program) {
  for (uint32_t i = 0; i < program->function_count; i++) {
    const qn_ptx_function *function = &program->functions[i];
    if (!function->is_defined) continue;
    if (!function->count || !ends_here(&program->instrs[function->first + function->count - 1]))
      return qn_fail(program->context, QN_INVALID, function->name,
                     "the function must end with ret, exit, trap or a branch");
    for (uint32_t k = function->first; k < function->first + function->count; k++)
      if (program->instrs[k].target == function->first + function->count &&
          strcmp(program->instrs[k].row->name, "bra") == 0)
        return qn_fail(program->context, QN_INVALID, function->name,
                       "line %u: a branch leads behind the last instruction", program->instrs[k].line);
  }
  return QN_OK;
}

// The smallest access to shared memory that the program can make, as a power of two, at most 4 bytes.
static uint32_t find_granule(const qn_ptx_program *program) {
  static const char *const scalar[] = { "ld", "ldu", "st", "atom", "red" };
  uint32_t bits = 32;
  for (uint32_t i = 0; i < program->instr_count; i++) {
    const qn_ptx_instr *instr = &program->instrs[i];
    qn_ptx_token space = qn_ptx_find_token(instr, QN_PTX_SPACE, 0);
    bool shared = space == QN_PTX_NO_TOKEN || space == QN_PTX_shared || space == QN_PTX_shared_cta ||
                  space == QN_PTX_shared_cluster,
         counts = false;
    for (size_t k = 0; k < QN_COUNT(scalar); k++) counts = counts || strcmp(instr->row->name, scalar[k]) == 0;
    uint32_t own = qn_ptx_bits(qn_ptx_type(instr, 0));
    if (shared && counts && own >= 8) bits = QN_MIN(bits, own);
  }
  return bits == 8 ? 0 : bits == 16 ? 1 : 2;
}

static qn_status prepare(qn_emu_module *module, qn_emu_heap *heap) {
  const qn_ptx_program *program = module->program;
  module->addresses = qn_alloc_zero(module->context, program->symbol_count * sizeof(*module->addresses));
  uint8_t *settled = qn_alloc(module->context, program->function_count);
  qn_status status = module->addresses && settled ? QN_OK : qn_fail_memory(module->context);
  if (status == QN_OK) status = check_recursion(program, settled);
  qn_free(module->context, settled, program->function_count);
  QN_TRY(status);
  QN_TRY(check_ends(program));
  QN_TRY(allocate_variables(module, heap));
  place_shared_and_data(module);
  QN_TRY(lay_out_frames(module));
  module->granule = find_granule(program);
  return QN_OK;
}

qn_status qn_emu_module_create(qn_context *context, qn_emu_heap *heap, const qn_kernel_info *kernel,
                               qn_emu_module **out_module) {
  qn_emu_module *module = qn_alloc_zero(context, sizeof(*module));
  if (!module) return qn_fail_memory(context);
  module->context = context;
  qn_status status = qn_ptx_read(context, kernel->data, kernel->length, kernel->name, &module->program);
  if (status == QN_OK) status = prepare(module, heap);
  if (status != QN_OK) {
    qn_emu_module_destroy(module, heap);
    return status;
  }
  *out_module = module;
  return QN_OK;
}

void qn_emu_module_destroy(qn_emu_module *module, qn_emu_heap *heap) {
  if (!module) return;
  if (module->globals) qn_emu_heap_free(heap, module->globals);
  if (module->program) {
    qn_free(module->context, module->constants, module->program->const_bytes);
    qn_free(module->context, module->addresses, module->program->symbol_count * sizeof(*module->addresses));
  }
  qn_ptx_program_destroy(module->program);
  qn_free(module->context, module, sizeof(*module));
}
