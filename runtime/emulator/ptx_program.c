// A PTX program that was read: finding entries, words for messages.
#include "runtime/emulator/program_priv.h"

#include <stdio.h>

void qn_ptx_program_destroy(qn_ptx_program *program) {
  if (!program) return;
  qn_arena_free(&program->arena);
  qn_free(program->context, program, sizeof *program);
}

const qn_ptx_function *qn_ptx_find_entry(const qn_ptx_program *program, const char *name) {
  for (uint32_t i = 0; i < program->function_count; i++) {
    const qn_ptx_function *function = &program->functions[i];
    if (function->is_entry && function->is_defined && strcmp(function->name, name) == 0) return function;
  }
  return NULL;
}

void qn_ptx_write_register(const qn_ptx_program *program, uint32_t reg, char *out, size_t size) {
  uint32_t low = 0, high = program->group_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (program->groups[middle].first <= reg)
      low = middle;
    else
      high = middle;
  }
  const qn_ptx_register_group *group = &program->groups[low];
  if (group->is_range)
    snprintf(out, size, "%s%u", group->name, reg - group->first);
  else
    snprintf(out, size, "%s", group->name);
}

const char *qn_ptx_get_line(const qn_ptx_program *program, uint32_t line, size_t *out_length) {
  const char *start = program->text;
  for (uint32_t i = 1; i < line && start; i++) {
    start = strchr(start, '\n');
    if (start) start++;
  }
  if (!start) start = "";
  start += strspn(start, " \t");
  size_t length = strcspn(start, "\n");
  while (length && (start[length - 1] == ' ' || start[length - 1] == '\t' || start[length - 1] == '\r'))
    length--;
  *out_length = length;
  return start;
}
