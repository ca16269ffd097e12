// docs/torch.md has every row of the table.
#include "torch_test.h"

Test(docs, every_row_is_in_the_page) {
  qn_context *context;
  char *page;
  size_t length;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_read_file(context, TORCH_DOCS, &page, &length), QN_OK);
  const qn_torch_op *row;
  for (uint32_t i = 0; (row = qn_torch_op_get(i)) != NULL; i++) {
    char line[1024];
    snprintf(line, sizeof line, "| `%s` | `%s` | %s |\n", row->name, row->args, row->doc);
    cr_expect(strstr(page, line), "docs/torch.md does not have the line\n%s", line);
  }
  qn_free(context, page, length + 1);
  qn_context_destroy(context);
}

// A name is found by the number of operands; the rows of one name stand together.
Test(docs, rows_of_one_name_stand_together) {
  const qn_torch_op *row, *last = NULL;
  for (uint32_t i = 0; (row = qn_torch_op_get(i)) != NULL; i++) {
    for (uint32_t k = 0; k + 1 < i; k++)
      cr_expect(strcmp(qn_torch_op_get(k)->name, row->name) != 0 || strcmp(last->name, row->name) == 0,
                "%s stands in two places", row->name);
    last = row;
  }
}
