// What each operation becomes: tests/torch/reads.def, a test for each of its entries.
#include "torch_test.h"

static const struct {
  const char *name, *nodes;
} entries[] = {
#define READS(name, inputs, nodes, outputs, expected) { #name, nodes },
#include "reads.def"
};

#define READS(name, inputs, nodes, outputs, expected)                                                          \
  Test(reads, name) {                                                                                          \
    char text[TORCH_TEXT_MAX];                                                                                 \
    torch_text(text, inputs, expected, outputs);                                                               \
    run r = torch_read(inputs, nodes, outputs);                                                                \
    cr_expect_str_eq(r.text.text, text, "expected:\n%s\nfound:\n%s", text, r.text.text);                       \
    cr_expect_eq(count_unread(&r), 0);                                                                         \
    end_run(&r);                                                                                               \
  }
#include "reads.def"

// Choosers without a quantizer of theirs are read by nothing: tests/torch/test_refuses.c has them.
Test(reads, every_row_has_an_entry) {
  const qn_torch_op *row;
  for (uint32_t i = 0; (row = qn_torch_op_get(i)) != NULL; i++) {
    bool found = strstr(row->name, "per_token_asymmetric") != NULL;
    for (size_t k = 0; k < QN_COUNT(entries); k++) {
      const char *at = strstr(entries[k].nodes, row->name);
      found |= at && at[strlen(row->name)] == '"';
    }
    cr_expect(found, "%s is in no entry of reads.def", row->name);
  }
}
