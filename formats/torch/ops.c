// The table of operations, and finding a row in it.
#include "formats/torch/torch_priv.h"

static const qn_torch_op rows[] = {
#define TORCH(name, args, reader, op, doc)        { name, args, qn_torch_read_##reader, op, false, doc },
#define TORCH_CHOOSE(name, args, reader, op, doc) { name, args, qn_torch_read_##reader, op, true, doc },
#include "formats/torch/torch_ops.def"
};

const qn_torch_op *qn_torch_op_get(uint32_t index) {
  return index < QN_COUNT(rows) ? &rows[index] : NULL;
}

// Whether so many operands may be given: all that are not optional, and none beyond the last.
static bool takes(const qn_torch_op *row, uint32_t operand_count) {
  uint32_t least = 0, most = 0;
  for (const char *at = row->args; *at; at += strspn(at, " ")) {
    size_t length = strcspn(at, " ");
    most++;
    if (at[length - 1] != '?') least = most;
    at += length;
  }
  return operand_count >= least && operand_count <= most;
}

const qn_torch_op *qn_torch_op_find(qn_str name, uint32_t operand_count) {
  const qn_torch_op *first = NULL;
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    if (strlen(rows[i].name) != name.length || memcmp(rows[i].name, name.text, name.length) != 0) continue;
    if (takes(&rows[i], operand_count)) return &rows[i];
    if (!first) first = &rows[i];
  }
  return first;
}
