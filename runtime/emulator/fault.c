// What a kernel did wrong, in words: the place by kernel, block, warp, lane and lines, and the text of the
// line.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

void qn_emu_write_lanes(uint32_t lanes, char *out, size_t size) {
  size_t length = (size_t)snprintf(out, size, lanes & (lanes - 1) ? "lanes" : "lane");
  const char *between = " ";
  for (uint32_t left = lanes; left && length < size;) {
    int first = qn_emu_first(left), last = first;
    while (last < QN_EMU_LANES - 1 && (left >> (last + 1) & 1)) last++;
    length += (size_t)(first == last ? snprintf(out + length, size - length, "%s%d", between, first)
                                     : snprintf(out + length, size - length, "%s%d-%d", between, first, last));
    between = ", ";
    left &= last == QN_EMU_LANES - 1 ? 0 : QN_EMU_ALL << (last + 1);
  }
}

void qn_emu_write_opcode(const qn_ptx_instr *instr, char *out, size_t size) {
  size_t length = (size_t)snprintf(out, size, "%s", instr->row->name);
  for (uint32_t i = 0; i < instr->token_count && length < size; i++)
    length += (size_t)snprintf(out + length, size - length, ".%s",
                               qn_ptx_token_get_info((qn_ptx_token)instr->tokens[i])->text);
}

// "kernel 'x', block 3, warp 1, lane 5, PTX line 812, source line 45"
static void write_where(const qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, char *out, size_t size) {
  const qn_emu_block *block = warp->block;
  const qn_emu_launch *launch = block->launch;
  char index[48], line[64] = "", who[24] = "";
  if (launch->grid[1] == 1 && launch->grid[2] == 1)
    snprintf(index, sizeof index, "%u", block->index[0]);
  else
    snprintf(index, sizeof index, "(%u, %u, %u)", block->index[0], block->index[1], block->index[2]);
  if (lane >= 0) snprintf(who, sizeof who, ", lane %d", lane);
  if (instr && instr->source_line)
    snprintf(line, sizeof line, ", PTX line %u, source line %u", instr->line, instr->source_line);
  else if (instr)
    snprintf(line, sizeof line, ", PTX line %u", instr->line);
  snprintf(out, size, "kernel '%.160s', block %s, warp %u%s%s", launch->entry->name, index, warp->index, who,
           line);
}

void qn_emu_fault_text(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, const char *text) {
  qn_emu_cluster *cluster = warp->block->cluster;
  if (cluster->faulted) return;
  cluster->faulted = true;
  qn_emu_fault_record *fault = &cluster->fault;
  fault->block = warp->block->number;
  write_where(warp, instr, lane, fault->place, sizeof fault->place);
  size_t length = 0;
  const char *line = instr ? qn_ptx_get_line(warp->program, instr->line, &length) : "";
  if (instr)
    snprintf(fault->message, sizeof fault->message, "%.560s, in `%.*s`", text, (int)QN_MIN(length, 128), line);
  else
    snprintf(fault->message, sizeof fault->message, "%s", text);
}

void qn_emu_fault(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, const char *format, ...) {
  char text[640];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  qn_emu_fault_text(warp, instr, lane, text);
}

void qn_emu_fault_poison(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand,
                         uint32_t lanes) {
  char name[96];
  qn_ptx_write_register(warp->program, operand->reg, name, sizeof name);
  qn_emu_fault(warp, instr, qn_emu_first(lanes), "register %s is read before it was written", name);
}
