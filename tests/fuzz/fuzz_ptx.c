// Bytes as PTX text: with the emulator's opcodes, and with opcodes that take everything, so that the reader is
// reached whatever the bind functions refuse. A program that is read refers to nothing outside of itself; a
// refusal has words. tests/fuzz/corpus-ptx is a corpus to begin with.
#include "runtime/emulator/program_priv.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN(name, text, kind, bits) text " "
static const char every_token[] =
#include "runtime/emulator/tokens.def"
    ;

static bool bind(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program, (void)instr, (void)out_words;
  return true;
}
static const qn_ptx_row open_rows[] = {
  { "add", 1, 1, 3, bind, every_token },  { "bra", 0, 1, 1, bind, every_token },
  { "brx", 0, 2, 2, bind, every_token },  { "call", 0, 3, 3, bind, every_token },
  { "ld", 1, 1, 2, bind, every_token },   { "mma", 1, 3, 3, bind, every_token },
  { "mov", 1, 1, 1, bind, every_token },  { "ret", 0, 0, 0, bind, every_token },
  { "setp", 1, 2, 3, bind, every_token }, { "st", 0, 2, 3, bind, every_token },
};

static void expect(bool truth, const char *what) {
  if (truth) return;
  fprintf(stderr, "%s\n", what);
  abort();
}

static void check_operand(const qn_ptx_program *p, const qn_ptx_operand *operand) {
  bool has_register = operand->reg != QN_PTX_NONE, has_symbol = operand->symbol != QN_PTX_NONE;
  expect(!has_register || operand->reg < p->register_count, "a register outside of the program");
  if (has_register) {
    uint32_t bits = qn_ptx_bits(operand->type), words = bits == 1 ? 1 : bits <= 32 ? 32 : 64;
    expect(operand->column + words <= p->columns, "a column outside of the register file");
    expect(words == 1 || operand->column % 16 == 0, "a column that is not aligned");
  }
  expect(!has_symbol || operand->symbol < p->symbol_count, "a symbol outside of the program");
  uint64_t value = (uint64_t)operand->value;
  switch (operand->kind) {
  case QN_PTX_REGISTER: expect(has_register, "a register without a number"); break;
  case QN_PTX_SYMBOL: expect(has_symbol, "a symbol without a number"); break;
  case QN_PTX_FUNCTION: expect(value < p->function_count, "a function outside of the program"); break;
  case QN_PTX_LABEL: expect(value <= p->instr_count, "a label outside of the program"); break;
  case QN_PTX_TARGETS: expect(value < p->target_list_count, "targets outside of the program"); break;
  default: break;
  }
}

static void check_instr(const qn_ptx_program *p, const qn_ptx_instr *instr) {
  expect(instr->execute || instr->row->bind == bind, "an instruction that nothing executes");
  expect(instr->guard == QN_PTX_NONE || instr->guard_column < p->columns,
         "a guard outside of the register file");
  for (uint32_t slot = 0; slot < instr->slot_count; slot++)
    for (uint32_t i = 0; i < instr->slots[slot].count; i++) check_operand(p, qn_ptx_at(instr, slot, i));
}

static void check(const qn_ptx_program *p) {
  char name[32];
  uint32_t next = 0;
  for (uint32_t i = 0; i < p->instr_count; i++) check_instr(p, &p->instrs[i]);
  for (uint32_t i = 0; i < p->function_count; i++) {
    const qn_ptx_function *f = &p->functions[i];
    expect(f->count <= p->instr_count && f->first <= p->instr_count - f->count,
           "a function outside of the program");
    expect(f->param_bytes <= f->frame_bytes, "a frame smaller than its parameters");
    expect(f->first_symbol + f->result_count + f->param_count <= p->symbol_count, "parameters without symbols");
  }
  for (uint32_t i = 0; i < p->target_list_count; i++)
    for (uint32_t k = 0; k < p->target_lists[i].count; k++) check_operand(p, &p->target_lists[i].labels[k]);
  for (uint32_t i = 0; i < p->symbol_count; i++) {
    const qn_ptx_symbol *s = &p->symbols[i];
    expect(s->align && s->offset % s->align == 0, "a variable that is not aligned");
    uint64_t end = s->offset + s->bytes;
    expect(s->space != QN_PTX_global || end <= p->global_bytes, "a global variable without room");
    expect(s->space != QN_PTX_shared || s->bytes == 0 || end <= p->shared_bytes,
           "a shared variable without room");
  }
  for (uint32_t i = 0; i < p->group_count; i++) {
    expect(p->groups[i].first == next, "registers with a gap");
    next += p->groups[i].count;
  }
  expect(next == p->register_count, "registers without a group");
  if (next) qn_ptx_write_register(p, next - 1, name, sizeof name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const qn_ptx_row_set sets[] = { qn_ptx_get_rows(), { open_rows, QN_COUNT(open_rows) } };
  for (uint32_t i = 0; i < QN_COUNT(sets); i++) {
    qn_context *context;
    qn_ptx_program *program;
    if (qn_context_create(NULL, &context) != QN_OK) return 0;
    if (qn_ptx_read_with(context, &sets[i], (const char *)data, size, "fuzz", &program) == QN_OK)
      check(program);
    else
      expect(qn_context_get_error(context)->message[0] != 0, "a refusal without words");
    qn_ptx_program_destroy(program);
    qn_context_destroy(context);
  }
  return 0;
}
