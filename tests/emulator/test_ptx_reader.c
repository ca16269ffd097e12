// Every construct of PTX that the reader takes, checked on the program that it makes.
#include "ptx_test.h"

#include <stdio.h>

#define HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"

static const qn_ptx_symbol *find_symbol(const qn_ptx_program *program, const char *name) {
  for (uint32_t i = 0; i < program->symbol_count; i++)
    if (strcmp(program->symbols[i].name, name) == 0) return &program->symbols[i];
  cr_assert_fail("no symbol '%s'", name);
  return NULL;
}

// --- the module -----------------------------------------------------------------------------------------

Test(ptx_module, version_target_and_files) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_module(context, "// c\n.version 7.1\n.target sm_90a, debug\n.address_size 64\n"
                                           ".file 1 \"a.cu\"\n.file\t3 \"b \\\" c.cuh\", 1700000000, 12\n"
                                           "/* a\n comment */ .pragma \"nounroll\", \"x\"; .loc 1 2 3\n"
                                           ".section .debug_str { $L: .b8 1,2\n { .b32 $L-4 } }\n"
                                           ".section\t.debug_loc\t{\t}\n");
  cr_expect_eq(p->version, 71);
  cr_expect_eq(p->sm, 90);
  cr_expect_eq(p->file_count, 4);
  cr_expect_null(p->files[0]);
  cr_expect_str_eq(p->files[1], "a.cu");
  cr_expect_null(p->files[2]);
  cr_expect_str_eq(p->files[3], "b \\\" c.cuh");
  cr_expect_eq(p->function_count + p->instr_count + p->symbol_count, 0);
  done(context, p);
}

Test(ptx_module, entries_and_their_directives) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_module(
      context, HEAD ".visible .entry a() .maxntid 128, 2, 1 .minnctapersm 2 .maxnreg 64 { ret; }\n"
                    ".weak .entry b .reqntid 32 .pragma \"nounroll\"; { }\n"
                    ".entry c(.param .u64 .ptr .global .align 4 x, .param .align 16 .b8 y[20],\n"
                    "  .param .u8 z, .param .v2 .f32 w, .param .u64 .ptr v) .reqnctapercluster 2, 1\n"
                    "  .explicitcluster .maxclusterrank 8 { ret; ret; }\n");
  cr_assert_eq(p->function_count, 3);
  const qn_ptx_function *a = qn_ptx_find_entry(p, "a"), *b = qn_ptx_find_entry(p, "b"),
                        *c = qn_ptx_find_entry(p, "c");
  cr_assert(a && b && c);
  cr_expect_null(qn_ptx_find_entry(p, "d"));
  cr_expect(a->is_entry && a->is_defined && !a->threads_required);
  cr_expect_arr_eq(a->threads_max, ((uint32_t[]){ 128, 2, 1 }), 12);
  cr_expect_eq(a->cluster[0], 0);
  cr_expect(b->threads_required);
  cr_expect_arr_eq(b->threads_max, ((uint32_t[]){ 32, 1, 1 }), 12);
  cr_expect_eq(b->count, 0);
  cr_expect_arr_eq(c->cluster, ((uint32_t[]){ 2, 1, 1 }), 12);
  cr_expect_eq(c->threads_max[0], 0);
  cr_expect_eq(c->first, 1);
  cr_expect_eq(c->count, 2);
  cr_expect_eq(c->param_count, 5);
  // x at 0, y at 16 to 36, z at 36, w at 40, v at 48
  cr_expect_eq(c->param_bytes, 56);
  const uint64_t offsets[] = { 0, 16, 36, 40, 48 };
  for (uint32_t i = 0; i < 5; i++) cr_expect_eq(p->symbols[c->first_symbol + i].offset, offsets[i], "%u", i);
  cr_expect_eq(p->symbols[c->first_symbol + 1].align, 16);
  cr_expect_eq(p->symbols[c->first_symbol + 1].bytes, 20);
  cr_expect_eq(p->symbols[c->first_symbol].space, QN_PTX_param);
  done(context, p);
}

Test(ptx_module, variables_of_every_space_have_places) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_module(
      context, HEAD ".global .align 8 .b8 g1[3];\n.visible .global .u32 g2;\n.global .v4 .f32 g3, g4[2];\n"
                    ".const .align 4 .b8 c1[4];\n.const .u64 c2;\n.shared .u16 s1;\n"
                    ".extern .shared .align 128 .b8 dyn[];\n.extern .shared .f64 dyn2[];\n"
                    ".shared .align 16 .b8 s2[4][2];\n.global .attribute(.managed) .u32 m;\n"
                    ".extern .global .u32 later;\n.extern .global .u32 later;\n.global .u32 later = 5;\n"
                    ".entry k() { .shared .u32 s3; .local .align 8 .b8 depot[20]; .local .u32 l; ret; }\n"
                    ".entry k2() { .local .u8 l; ret; }");
  cr_expect_eq(find_symbol(p, "g1")->offset, 0);
  cr_expect_eq(find_symbol(p, "g2")->offset, 4);
  cr_expect_eq(find_symbol(p, "g3")->offset, 16);
  cr_expect_eq(find_symbol(p, "g3")->align, 16);
  cr_expect_eq(find_symbol(p, "g4")->offset, 32);
  cr_expect_eq(find_symbol(p, "g4")->bytes, 32);
  cr_expect_eq(find_symbol(p, "m")->offset, 64);
  cr_expect_eq(find_symbol(p, "later")->offset, 68);
  cr_expect_eq(find_symbol(p, "later")->align, 4);
  cr_expect_eq(find_symbol(p, "later")->init[0], 5);
  cr_expect_eq(p->global_bytes, 72);
  cr_expect_null(find_symbol(p, "g2")->init);
  cr_expect_eq(find_symbol(p, "c2")->offset, 8);
  cr_expect_eq(p->const_bytes, 16);
  cr_expect_eq(find_symbol(p, "s1")->offset, 0);
  cr_expect_eq(find_symbol(p, "s2")->offset, 16);
  cr_expect_eq(find_symbol(p, "s2")->bytes, 8);
  cr_expect_eq(find_symbol(p, "s3")->offset, 24);
  cr_expect_eq(p->shared_bytes, 28);
  cr_expect_eq(find_symbol(p, "dyn")->bytes, 0);
  cr_expect_eq(find_symbol(p, "dyn")->offset, 128);
  cr_expect_eq(find_symbol(p, "dyn2")->offset, 128, "all dynamic variables begin at one place");
  cr_expect_eq(find_symbol(p, "depot")->offset, 0);
  cr_expect_eq(qn_ptx_find_entry(p, "k")->local_bytes, 24);
  cr_expect_eq(qn_ptx_find_entry(p, "k2")->local_bytes, 1, "locals are counted by function");
  done(context, p);
}

Test(ptx_module, initial_values) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_module(
      context, HEAD ".global .b8 a[6] = {1, 0x2, -1, {4}};\n.const .f32 b[3] = {0f3F800000, 1.5, -2.0};\n"
                    ".global .f64 c = 0d3FF8000000000000;\n.global .u16 d[] = {258, 3};\n"
                    ".global .u64 e = 0x8000000000000000;\n.global .b32 f[2][2] = {{1, 2}, {3, 4}}, g = 7;\n"
                    ".global .u32 h = 2*(3+4)-WARP_SZ;\n.global .f64 i = 0f40000000;\n");
  cr_expect_arr_eq(find_symbol(p, "a")->init, ((uint8_t[]){ 1, 2, 255, 4, 0, 0 }), 6);
  cr_expect_arr_eq(find_symbol(p, "b")->init, ((float[]){ 1, 1.5f, -2 }), 12);
  cr_expect_arr_eq(find_symbol(p, "c")->init, ((double[]){ 1.5 }), 8);
  cr_expect_eq(find_symbol(p, "d")->bytes, 4);
  cr_expect_arr_eq(find_symbol(p, "d")->init, ((uint8_t[]){ 2, 1, 3, 0 }), 4);
  cr_expect_arr_eq(find_symbol(p, "e")->init, ((uint8_t[]){ 0, 0, 0, 0, 0, 0, 0, 128 }), 8);
  cr_expect_arr_eq(find_symbol(p, "f")->init, ((uint32_t[]){ 1, 2, 3, 4 }), 16);
  cr_expect_arr_eq(find_symbol(p, "g")->init, ((uint32_t[]){ 7 }), 4);
  cr_expect_arr_eq(find_symbol(p, "h")->init, ((int32_t[]){ -18 }), 4);
  cr_expect_arr_eq(find_symbol(p, "i")->init, ((double[]){ 2 }), 8);
  done(context, p);
}

// --- registers ------------------------------------------------------------------------------------------

Test(ptx_registers, columns_and_names) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_module(context, HEAD ".entry k() { .reg .pred %p<3>, q; .reg .b16 %rs<2>; .reg .f32 x; .reg .b64 "
                                "%rd<2>;\nnop %p0, %p2, q, %rs1, x, %rd0, %rd1; }\n"
                                ".entry l() { .reg .b32 %r1<4>; .reg .b32 %r<2>; nop %r10, %r13, %r1, %r0; }");
  // Predicates take a word each; 16 words are 64 bytes.
  const uint32_t columns[] = { 0, 2, 3, 16 + 32, 80, 112, 112 + 64 };
  const uint32_t regs[] = { 0, 2, 3, 5, 6, 7, 8 };
  const qn_ptx_instr *instr = &p->instrs[0];
  for (uint32_t i = 0; i < 7; i++) {
    cr_expect_eq(qn_ptx_at(instr, i, 0)->kind, QN_PTX_REGISTER);
    cr_expect_eq(qn_ptx_at(instr, i, 0)->column, columns[i], "%u: %u", i, qn_ptx_at(instr, i, 0)->column);
    cr_expect_eq(qn_ptx_at(instr, i, 0)->reg, regs[i]);
  }
  cr_expect_eq(qn_ptx_at(instr, 2, 0)->type, QN_PTX_pred);
  cr_expect(qn_ptx_fits(instr, 0, 1) && qn_ptx_fits(instr, 3, 16) && !qn_ptx_fits(instr, 3, 32));
  const uint32_t others[] = { 9, 12, 14, 13 };
  for (uint32_t i = 0; i < 4; i++) cr_expect_eq(qn_ptx_at(&p->instrs[1], i, 0)->reg, others[i], "%u", i);
  cr_expect_eq(p->register_count, 15);
  cr_expect_geq(p->columns, 240 + 6 * 32 + 64);
  const char *names[] = { "%p0", "%p1", "%p2", "q", "%rs0", "%rs1", "x", "%rd0", "%rd1", "%r10" };
  char name[16];
  for (uint32_t i = 0; i < QN_COUNT(names); i++) {
    qn_ptx_write_register(p, i, name, sizeof name);
    cr_expect_str_eq(name, names[i]);
  }
  done(context, p);
}

Test(ptx_registers, inner_scopes_shadow_outer_ones) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "mov.b32 %r1, %r0;\n{ .reg .b32 %r1, t; mov.b32 %r1, t;\n"
                         "{ .reg .b64 %r<2>, t; mov.b64 %r1, t; mov.b32 %r7, %r0; }\n"
                         "mov.b32 %r1, t; }\n{ .reg .pred t; mov.pred t, %p1; }\nmov.b32 %r1, %r2;");
  // %p 0-3, %h 4-7, %r 8-15, %f 16-19, %d 20-23; then %r1 24, t 25; %r<2> 26-27, t 28; t 29
  const uint32_t expected[][2] = { { 9, 8 },   { 24, 25 }, { 27, 28 }, { 15, 26 },
                                   { 24, 25 }, { 29, 1 },  { 9, 10 } };
  cr_assert_eq(p->instr_count, QN_COUNT(expected));
  for (uint32_t i = 0; i < QN_COUNT(expected); i++)
    for (uint32_t k = 0; k < 2; k++) cr_expect_eq(qn_ptx_at(&p->instrs[i], k, 0)->reg, expected[i][k], "%u", i);
  done(context, p);
}

// --- operands -------------------------------------------------------------------------------------------

Test(ptx_operands, literals) {
  static const struct {
    const char *text;
    qn_ptx_operand_kind kind;
    uint64_t value;
  } cases[] = {
    { "0", QN_PTX_IMMEDIATE_INT, 0 },
    { "0U", QN_PTX_IMMEDIATE_INT, 0 },
    { "42", QN_PTX_IMMEDIATE_INT, 42 },
    { "42U", QN_PTX_IMMEDIATE_INT, 42 },
    { "-42", QN_PTX_IMMEDIATE_INT, (uint64_t)-42 },
    { "0x1f", QN_PTX_IMMEDIATE_INT, 31 },
    { "0XFFFFFFFFFFFFFFFF", QN_PTX_IMMEDIATE_INT, UINT64_MAX },
    { "18446744073709551615", QN_PTX_IMMEDIATE_INT, UINT64_MAX },
    { "-0x8000000000000000", QN_PTX_IMMEDIATE_INT, UINT64_C(1) << 63 },
    { "017", QN_PTX_IMMEDIATE_INT, 15 },
    { "0b1011", QN_PTX_IMMEDIATE_INT, 11 },
    { "0B11U", QN_PTX_IMMEDIATE_INT, 3 },
    { "~0", QN_PTX_IMMEDIATE_INT, UINT64_MAX },
    { "1+2*3", QN_PTX_IMMEDIATE_INT, 7 },
    { "(1 + 2)*-3", QN_PTX_IMMEDIATE_INT, (uint64_t)-9 },
    { "WARP_SZ", QN_PTX_IMMEDIATE_INT, 32 },
    { "0f3F800000", QN_PTX_IMMEDIATE_F32, 0x3F800000 },
    { "0Fff800000", QN_PTX_IMMEDIATE_F32, 0xFF800000 },
    { "-0f3F800000", QN_PTX_IMMEDIATE_F32, 0xBF800000 },
    { "0d3FF0000000000000", QN_PTX_IMMEDIATE_F64, UINT64_C(0x3FF0000000000000) },
    { "0DFFF0000000000000", QN_PTX_IMMEDIATE_F64, UINT64_C(0xFFF0000000000000) },
    { "1.5", QN_PTX_IMMEDIATE_F64, UINT64_C(0x3FF8000000000000) },
    { "-1.5", QN_PTX_IMMEDIATE_F64, UINT64_C(0xBFF8000000000000) },
    { "2e3", QN_PTX_IMMEDIATE_F64, UINT64_C(0x409F400000000000) },
    { "25.0E-2", QN_PTX_IMMEDIATE_F64, UINT64_C(0x3FD0000000000000) },
  };
  for (uint32_t i = 0; i < QN_COUNT(cases); i++) {
    qn_context *context = make_context();
    char body[64];
    snprintf(body, sizeof body, "mov.b64 %%d0, %s;", cases[i].text);
    qn_ptx_program *p = read_body(context, body);
    const qn_ptx_operand *operand = qn_ptx_at(p->instrs, 1, 0);
    cr_expect_eq(operand->kind, cases[i].kind, "%s", cases[i].text);
    cr_expect_eq((uint64_t)operand->value, cases[i].value, "%s", cases[i].text);
    done(context, p);
  }
}

Test(ptx_operands, addresses) {
  static const struct {
    const char *text;
    int64_t value;
    uint32_t reg;
    const char *symbol;
  } cases[] = {
    { "[%d1]", 0, 21, NULL },          { "[%d1+8]", 8, 21, NULL },     { "[%d1+-112]", -112, 21, NULL },
    { "[%r2 - 4]", -4, 10, NULL },     { "[n]", 0, QN_PTX_NONE, "n" }, { "[p+4+2*2]", 8, QN_PTX_NONE, "p" },
    { "[16]", 16, QN_PTX_NONE, NULL },
  };
  for (uint32_t i = 0; i < QN_COUNT(cases); i++) {
    qn_context *context = make_context();
    char body[64];
    snprintf(body, sizeof body, "ld.param.b32 %%r0, %s;", cases[i].text);
    qn_ptx_program *p = read_body(context, body);
    const qn_ptx_operand *operand = qn_ptx_at(p->instrs, 1, 0);
    cr_expect_eq(operand->kind, QN_PTX_ADDRESS);
    cr_expect_eq(operand->value, cases[i].value, "%s", cases[i].text);
    cr_expect_eq(operand->reg, cases[i].reg, "%s", cases[i].text);
    if (cases[i].symbol)
      cr_expect_str_eq(p->symbols[operand->symbol].name, cases[i].symbol);
    else
      cr_expect_eq(operand->symbol, QN_PTX_NONE);
    done(context, p);
  }
}

Test(ptx_operands, vectors_pairs_sinks_symbols_and_special_registers) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "ld.global.v4.u32 {%r0, _, %r2, %r3}, [%d0];\nsetp.eq.s32 %p0|%p1, %r0, 7, !%p2;\n"
                         "setp.eq.s32 _|%p1, %r0, -7;\nmov.u64 %d0, p+8;\nmov.u32 %r0, %tid.x;\n"
                         "mov.u32 %r0, %laneid;\nmov.b64 %d0, {%r0, %r1};\nmma.sync.aligned.m16n8k8.f32 "
                         "{%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f0,%f1,%f2,0f00000000};");
  const qn_ptx_instr *load = &p->instrs[0], *compare = &p->instrs[1], *mma = &p->instrs[7];
  cr_expect_eq(load->slots[0].count, 4);
  cr_expect_eq(qn_ptx_at(load, 0, 1)->kind, QN_PTX_SINK);
  cr_expect_eq(qn_ptx_at(load, 0, 3)->reg, 11);
  cr_expect_eq(compare->slot_count, 4);
  cr_expect_eq(compare->slots[0].count, 2);
  cr_expect_eq(qn_ptx_at(compare, 0, 1)->reg, 1);
  cr_expect(qn_ptx_at(compare, 3, 0)->negated && !qn_ptx_at(compare, 0, 0)->negated);
  cr_expect_eq(qn_ptx_at(&p->instrs[2], 0, 0)->kind, QN_PTX_SINK);
  const qn_ptx_operand *symbol = qn_ptx_at(&p->instrs[3], 1, 0);
  cr_expect_eq(symbol->kind, QN_PTX_SYMBOL);
  cr_expect_eq(symbol->value, 8);
  cr_expect_str_eq(p->symbols[symbol->symbol].name, "p");
  cr_expect_eq(qn_ptx_at(&p->instrs[4], 1, 0)->kind, QN_PTX_SPECIAL_REGISTER);
  cr_expect_eq(qn_ptx_at(&p->instrs[4], 1, 0)->special, QN_PTX_tid_x);
  cr_expect_eq(qn_ptx_at(&p->instrs[5], 1, 0)->special, QN_PTX_laneid);
  cr_expect_eq(p->instrs[6].slots[1].count, 2);
  cr_expect_eq(mma->slot_count, 4);
  cr_expect_eq(qn_ptx_at(mma, 3, 3)->kind, QN_PTX_IMMEDIATE_F32);
  done(context, p);
}

// --- instructions ---------------------------------------------------------------------------------------

Test(ptx_instructions, tokens_guards_and_lines) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "@%p1 ld.volatile.shared::cta.L1::no_allocate.v2.b32 {%r0, %r1}, [%r2];\n"
                         "@!%p3 st.global.f32 [%d0], 1.0;;\n ret  ;");
  const qn_ptx_instr *load = &p->instrs[0];
  cr_expect_str_eq(load->row->name, "ld");
  const uint8_t tokens[] = { QN_PTX_volatile, QN_PTX_shared_cta, QN_PTX_L1_no_allocate, QN_PTX_v2, QN_PTX_b32 };
  cr_assert_eq(load->token_count, 5);
  cr_expect_arr_eq(load->tokens, tokens, 5);
  cr_expect(qn_ptx_has(load, QN_PTX_v2) && !qn_ptx_has(load, QN_PTX_v4));
  cr_expect_eq(qn_ptx_type(load, 0), QN_PTX_b32);
  cr_expect_eq(qn_ptx_type(load, 1), QN_PTX_NO_TOKEN);
  cr_expect_eq(qn_ptx_find_token(load, QN_PTX_ORDER, 1), QN_PTX_L1_no_allocate);
  cr_expect_eq(load->guard, 1);
  cr_expect_eq(load->guard_column, 1);
  cr_expect_not(load->guard_negated);
  cr_expect_eq(load->line, 9);
  cr_expect_eq(load->immediate, 7, "the bind function ran");
  cr_expect(p->instrs[1].guard == 3 && p->instrs[1].guard_negated);
  cr_expect_eq(p->instrs[2].guard, QN_PTX_NONE);
  cr_expect_eq(p->instrs[2].line, 11);
  size_t length;
  const char *line = qn_ptx_get_line(p, 11, &length);
  cr_expect(length == 6 && memcmp(line, "ret  ;", 6) == 0, "%.*s", (int)length, line);
  qn_ptx_get_line(p, 1000, &length);
  cr_expect_eq(length, 0);
  done(context, p);
}

Test(ptx_instructions, source_places) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "ret;\n.loc 1 23 5\nret;\n.loc\t2 40 3, function_name $L__info_string0, "
                         "inlined_at 1 23 5\nret;\n.loc 1 7 1, function_name L+12, inlined_at 1 2 3\n"
                         "{ ret; }");
  const uint32_t places[][2] = { { 0, 0 }, { 1, 23 }, { 2, 40 }, { 1, 7 } };
  for (uint32_t i = 0; i < 4; i++) {
    cr_expect_eq(p->instrs[i].file, places[i][0], "%u", i);
    cr_expect_eq(p->instrs[i].source_line, places[i][1], "%u", i);
  }
  done(context, p);
}

Test(ptx_instructions, labels_forwards_backwards_and_at_the_end) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_body(context, "$L1:\n@%p0 bra.uni $L2;\nbra $L1;\n$L2: ret;\n@%p1 bra END;\nEND:\n");
  const uint32_t targets[] = { 2, 0, QN_PTX_NONE, 4 };
  cr_assert_eq(p->instr_count, 4);
  for (uint32_t i = 0; i < 4; i++) {
    cr_expect_eq(p->instrs[i].target, targets[i], "%u", i);
    if (i == 2) continue;
    cr_expect_eq(qn_ptx_at(&p->instrs[i], 0, 0)->kind, QN_PTX_LABEL);
    cr_expect_eq(qn_ptx_at(&p->instrs[i], 0, 0)->value, targets[i]);
  }
  done(context, p);
}

Test(ptx_instructions, an_inner_label_shadows_an_outer_one_wherever_it_stands) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "A: ret;\n{ bra A; ret; A: ret; }\n{ bra A; { A: ret; } bra B; }\nB: bra A;\n"
                         "{ .reg .b32 A; bra A; }\n{ { bra A; } A: ret; }");
  const uint32_t targets[] = { QN_PTX_NONE, 3, QN_PTX_NONE, QN_PTX_NONE, 0,          QN_PTX_NONE,
                               7,           0, 0,           10,          QN_PTX_NONE };
  cr_assert_eq(p->instr_count, QN_COUNT(targets));
  for (uint32_t i = 0; i < QN_COUNT(targets); i++) cr_expect_eq(p->instrs[i].target, targets[i], "%u", i);
  done(context, p);
}

Test(ptx_instructions, a_function_begins_without_a_source_place) {
  qn_context *context = make_context();
  qn_ptx_program *p = read_module(context, HEAD ".entry a() { .loc 1 2 3\nret; }\n.entry b() { ret; }");
  cr_expect(p->instrs[0].file == 1 && p->instrs[0].source_line == 2);
  cr_expect(p->instrs[1].file == 0 && p->instrs[1].source_line == 0);
  done(context, p);
}

Test(ptx_instructions, tables_of_targets) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_body(context, "ret;\nT: .branchtargets A, B,\nA;\n@%p0 brx.idx %r1, T;\nA: ret;\nB: ret;");
  const qn_ptx_instr *branch = &p->instrs[1];
  cr_expect_eq(branch->slot_count, 2);
  cr_expect_eq(qn_ptx_at(branch, 0, 0)->reg, 9);
  cr_expect_eq(qn_ptx_at(branch, 1, 0)->kind, QN_PTX_TARGETS);
  cr_expect_eq(branch->target, QN_PTX_NONE);
  cr_assert_eq(p->target_list_count, 1);
  const qn_ptx_target_list *list = &p->target_lists[qn_ptx_at(branch, 1, 0)->value];
  cr_assert_eq(list->count, 3);
  cr_expect(list->labels[0].value == 2 && list->labels[1].value == 3 && list->labels[2].value == 2);
  cr_expect_eq(list->labels[0].kind, QN_PTX_LABEL);
  done(context, p);
}

// --- calls ----------------------------------------------------------------------------------------------

Test(ptx_calls, frames_results_and_arguments) {
  qn_context *context = make_context();
  qn_ptx_program *p =
      read_module(context, HEAD
                  ".extern .func (.param .b32 _) vprintf(.param .b64 a, .param .b64 b);\n"
                  ".func (.param .align 8 .b8 r[12]) f(.param .u8 x, .param .f64 y);\n"
                  ".func g() .noreturn { call g; { call (), g, (); } ret; }\n"
                  ".visible .entry k() {\n.reg .b32 %r<2>;\n"
                  "{ .param .b8 a; .param .b64 b; .param .align 8 .b8 res[12]; st.param.b8 [a], 1;\n"
                  "call.uni (res), f, (a, b); ld.param.b32 %r0, [res+4]; }\n"
                  "{ .param .b64 c, d; .param .b32 e; call.uni (e), vprintf, (c, d); }\nret;\n}\n"
                  ".func (.param .align 8 .b8 r[12]) f(.param .u8 x, .param .f64 y) { .param .u16 z; ret; }\n");
  cr_assert_eq(p->function_count, 4);
  const qn_ptx_function *f = &p->functions[1], *k = qn_ptx_find_entry(p, "k");
  cr_expect(!f->is_entry && f->is_defined && f->result_count == 1 && f->param_count == 2);
  cr_expect_str_eq(p->symbols[f->first_symbol].name, "r");
  cr_expect_eq(p->symbols[f->first_symbol + 1].offset, 12, "x behind the result");
  cr_expect_eq(p->symbols[f->first_symbol + 2].offset, 16);
  cr_expect_eq(f->param_bytes, 24);
  cr_expect_eq(f->frame_bytes, 26);
  cr_expect_not(p->functions[0].is_defined);
  cr_expect_eq(k->param_bytes, 0);
  cr_expect_eq(k->frame_bytes, 28, "scopes beside each other share room: 8 + 8 + 12");
  const qn_ptx_instr *call = &p->instrs[k->first + 1];
  cr_expect_eq(call->target, 1);
  cr_expect_eq(call->slot_count, 3);
  cr_expect(call->slots[0].count == 1 && call->slots[1].count == 1 && call->slots[2].count == 2);
  cr_expect_eq(p->symbols[qn_ptx_at(call, 0, 0)->symbol].offset, 16);
  cr_expect_eq(qn_ptx_at(call, 1, 0)->kind, QN_PTX_FUNCTION);
  cr_expect_eq(qn_ptx_at(call, 1, 0)->value, 1);
  cr_expect_str_eq(p->symbols[qn_ptx_at(call, 2, 1)->symbol].name, "b");
  for (uint32_t i = 0; i < 2; i++) {
    const qn_ptx_instr *bare = &p->instrs[p->functions[2].first + i];
    cr_expect(bare->target == 2 && bare->slot_count == 3);
    cr_expect(bare->slots[0].count == 0 && bare->slots[1].count == 1 && bare->slots[2].count == 0);
  }
  done(context, p);
}
