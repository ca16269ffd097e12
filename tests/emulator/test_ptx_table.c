// The tables of words: every one is found by its text, and opcodes.def names tokens that exist.
#include "ptx_test.h"
#include "runtime/emulator/ptx_read_priv.h"

Test(ptx_table, every_token_is_found_by_its_text) {
  static qn_ptx_words words;
  qn_ptx_words_init(&words, &test_rows);
  for (uint32_t i = 1; i < QN_PTX_TOKEN_COUNT; i++) {
    const qn_ptx_token_info *info = qn_ptx_token_get_info(i);
    cr_expect_eq(qn_ptx_words_find_token(&words, info->text, strlen(info->text)), i, "%s", info->text);
  }
  cr_expect_eq(qn_ptx_words_find_token(&words, "f3", 2), QN_PTX_NO_TOKEN);
  cr_expect_eq(qn_ptx_words_find_token(&words, "f32x", 4), QN_PTX_NO_TOKEN);
  cr_expect_eq(qn_ptx_token_get_info(QN_PTX_shared_cta)->kind, QN_PTX_SPACE);
  cr_expect_eq(qn_ptx_bits(QN_PTX_bf16x2), 32);
}

Test(ptx_table, every_special_register_is_found_by_its_text) {
  static const char *const texts[] = {
#define SPECIAL(name, text, bits) text,
#include "runtime/emulator/specials.def"
  };
  static qn_ptx_words words;
  qn_ptx_words_init(&words, &test_rows);
  for (uint32_t i = 0; i < QN_COUNT(texts); i++)
    cr_expect_eq(qn_ptx_words_find_special(&words, texts[i], strlen(texts[i])), i, "%s", texts[i]);
  cr_expect_eq(qn_ptx_words_find_special(&words, "%tid", 4), QN_PTX_SPECIAL_COUNT);
}

Test(ptx_table, every_opcode_is_found_and_names_tokens_that_exist) {
  static qn_ptx_words words;
  qn_ptx_row_set set = qn_ptx_get_rows();
  qn_ptx_words_init(&words, &set);
  for (uint32_t i = 0; i < set.count; i++) {
    const qn_ptx_row *row = &set.rows[i];
    for (uint32_t k = 0; k < i; k++) cr_expect_str_neq(set.rows[k].name, row->name, "two rows of one name");
    cr_expect_eq(qn_ptx_words_find_row(&words, row->name, strlen(row->name)), row, "%s", row->name);
    cr_expect_leq(row->results, 2, "%s", row->name);
    cr_expect_leq(row->sources_min, row->sources_max, "%s", row->name);
    cr_expect_leq(row->results + row->sources_max, QN_PTX_SLOTS_MAX, "%s", row->name);
    for (const char *at = row->accepts; *at;) {
      size_t length = strcspn(at, " ");
      cr_expect(length == 0 || qn_ptx_words_find_token(&words, at, length) != QN_PTX_NO_TOKEN,
                "'%s' takes '.%.*s', which tokens.def does not have", row->name, (int)length, at);
      at += length + (at[length] == ' ');
    }
  }
  cr_expect_null(qn_ptx_words_find_row(&words, "nonsense", 8));
  cr_expect_null(qn_ptx_words_find_row(&words, "", 0));
}

Test(ptx_table, a_row_takes_its_tokens_alone) {
  static qn_ptx_words words;
  qn_ptx_words_init(&words, &test_rows);
  const qn_ptx_row *add = qn_ptx_words_find_row(&words, "add", 3);
  for (uint32_t i = 1; i < QN_PTX_TOKEN_COUNT; i++) {
    bool listed = i == QN_PTX_s32 || i == QN_PTX_u64 || i == QN_PTX_f32;
    cr_expect_eq(qn_ptx_words_accept(&words, add, i), listed, "%s", qn_ptx_token_get_info(i)->text);
  }
}
