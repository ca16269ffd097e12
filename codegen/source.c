// The text of a kernel: constants, the parameter struct, then files of device/ in a fixed order, then the
// entry. The same spec gives the same bytes.

#include "codegen/device_text.h"
#include "codegen/launch_priv.h"
#include "codegen/source_priv.h"
#include "codegen/tokens_priv.h"

#include <inttypes.h>

static bool is_fused(const qn_kernel_spec *spec) {
  return spec->output.family != QN_SCHEME_none;
}

static bool quantizes(const qn_kernel_spec *spec) {
  return spec->schedule == QN_SCHEDULE_quantize;
}
static bool attends(const qn_kernel_spec *spec) {
  return !quantizes(spec);
}

// --- constants -------------------------------------------------------------------------------------------

// The device's numbers for choices; the kernel's first lines define them.
static const char CHOICES[] =
    "enum { CAUSAL_NONE, CAUSAL_TOP_LEFT, CAUSAL_BOTTOM_RIGHT };\n"
    "enum { KV_SCALE_NONE, KV_SCALE_TENSOR, KV_SCALE_HEAD };\n"
    "enum { MASK_NONE, MASK_BOOLEAN, MASK_ADDITIVE_F16, MASK_ADDITIVE_BF16, MASK_ADDITIVE_F32 };\n";

// Lengths are below 2^29 (launch.c): no key is so far away, and sums with a position stay within 32 bits.
enum { WINDOW_MAX = 1 << 30 };

static bool is_split(const qn_kernel_spec *spec) {
  return spec->schedule == QN_SCHEDULE_split;
}

static const char *mask_name(const qn_kernel_spec *spec) {
  if (spec->mask == QN_MASK_NONE) return "MASK_NONE";
  if (spec->mask == QN_MASK_BOOLEAN) return "MASK_BOOLEAN";
  if (spec->mask_dtype == QN_F16) return "MASK_ADDITIVE_F16";
  return spec->mask_dtype == QN_BF16 ? "MASK_ADDITIVE_BF16" : "MASK_ADDITIVE_F32";
}

static uint32_t mask_bytes(const qn_kernel_spec *spec) {
  if (spec->mask == QN_MASK_NONE) return 0;
  return spec->mask == QN_MASK_BOOLEAN ? 1 : qn_dtype_bits(spec->mask_dtype) / 8;
}

static void write_float(qn_buf *buf, const char *name, float value) {
  qn_buf_printf(buf, "constexpr float %s = ", name);
  qn_source_write_float(buf, value);
  qn_buf_printf(buf, "; // %.9g\n", (double)value);
}

// Codes that are added to a row of so many.
static uint32_t pad_of(const qn_kernel_spec *spec, uint32_t elements) {
  uint32_t pad = is_fused(spec) ? spec->output.pad : 0;
  return pad > 0 ? (pad - elements % pad) % pad : 0;
}

// How k and v lie in memory: device/kv_tiles.cuh.
static void write_keys(qn_buf *buf, const qn_kernel_spec *spec) {
  static const char *const SCALES[] = { "KV_SCALE_NONE", "KV_SCALE_TENSOR", "KV_SCALE_HEAD" };
  qn_dtype dtype = qn_kernel_get_kv_dtype(spec);
  qn_buf_printf(buf, "constexpr int KV_TYPE = %s;\n", qn_source_dtype_name(dtype));
  qn_buf_printf(buf, "constexpr u32 KV_BYTES = %" PRIu32 ", PAGE_SIZE = %" PRIu32 ";\n",
                qn_dtype_bits(dtype) / 8, spec->page_size);
  qn_buf_printf(buf, "constexpr int K_SCALE = %s, V_SCALE = %s;\n", SCALES[spec->k_scale],
                SCALES[spec->v_scale]);
}

static void write_constants(qn_buf *buf, const qn_kernel_spec *spec) {
  static const char *const CAUSAL[] = { "CAUSAL_NONE", "CAUSAL_TOP_LEFT", "CAUSAL_BOTTOM_RIGHT" };
  const double log2e = 1.4426950408889634;
  bool capped = spec->softcap > 0, biased = spec->mask == QN_MASK_ADDITIVE || spec->alibi;
  bool raw = !biased && (capped || spec->scale > 0); // see device/softmax.cuh

  qn_buf_printf(buf, "%s", CHOICES);
  qn_source_write_dtypes(buf);
  qn_buf_printf(buf, "\n");
  if (spec->dtype != QN_F32)
    qn_buf_printf(buf, "constexpr int ELEMENT = %s;\n", qn_source_dtype_name(spec->dtype));
  qn_buf_printf(buf, "constexpr u32 ELEMENT_BYTES = %" PRIu32 ";\n", qn_dtype_bits(spec->dtype) / 8);
  if (spec->dtype == QN_F32)
    qn_buf_printf(buf, "constexpr bool F32_TF32X3 = %s;\n", spec->f32_mode == QN_F32_TF32X3 ? "true" : "false");
  qn_buf_printf(buf, "constexpr u32 OUT_BITS = %" PRIu32 ";\n",
                qn_dtype_bits(is_fused(spec) ? (qn_dtype)spec->output.target : spec->out_dtype));
  qn_buf_printf(buf, "constexpr u32 HEAD_DIM = %" PRIu32 ", V_HEAD_DIM = %" PRIu32 ";\n", spec->head_dim,
                spec->v_head_dim);
  qn_buf_printf(buf, "constexpr u32 HEADS = %" PRIu32 ", KV_HEADS = %" PRIu32 ";\n", spec->heads,
                spec->kv_heads);
  qn_buf_printf(buf, "constexpr u32 PACK = %" PRIu32 "; // see rows\n", qn_kernel_get_pack(spec));
  qn_buf_printf(buf, "constexpr u32 TILE_Q = %" PRIu32 ", TILE_KV = %" PRIu32 ", WARPS = %" PRIu32,
                spec->tile_q, spec->tile_kv, spec->warps);
  qn_buf_printf(buf, ", KV_WARPS = %" PRIu32 ", THREADS = WARPS * 32;\n", qn_kernel_get_kv_warps(spec));
  qn_buf_printf(buf, "constexpr int STAGES = %" PRIu32 ";\n", spec->stages);
  if (is_split(spec)) qn_buf_printf(buf, "constexpr u32 MERGE_WARPS = %d;\n", QN_MERGE_WARPS);
  qn_row_strides stride = qn_schedule_get_strides(spec);
  qn_buf_printf(buf, "constexpr u32 QK_STRIDE = %" PRIu32 ", V_STRIDE = %" PRIu32 "; // see tile\n", stride.qk,
                stride.v);
  write_keys(buf, spec);
  qn_buf_printf(buf, "constexpr int CAUSAL = %s;\n", CAUSAL[spec->causal]);
  qn_buf_printf(buf, "constexpr int WINDOW_LEFT = %" PRId32 ", WINDOW_RIGHT = %" PRId32 ";\n",
                QN_MIN(spec->window_left, WINDOW_MAX), QN_MIN(spec->window_right, WINDOW_MAX));
  qn_buf_printf(buf, "constexpr bool KV_LENGTHS = %s, VARLEN = %s;\n", spec->kv_lengths ? "true" : "false",
                spec->varlen && attends(spec) ? "true" : "false");
  qn_buf_printf(buf, "constexpr u32 LENGTH_BYTES = %d;\n", spec->lengths_dtype == QN_S64 ? 8 : 4);
  qn_buf_printf(buf, "constexpr int MASK = %s;\n", mask_name(spec));
  qn_buf_printf(buf, "constexpr u32 MASK_BYTES = %" PRIu32 ";\n", mask_bytes(spec));
  qn_buf_printf(buf, "constexpr bool SCORES_RAW = %s;\n", raw ? "true" : "false");
  write_float(buf, "SCALE", spec->scale);
  write_float(buf, "LOG2_E", (float)log2e);
  write_float(buf, "SCORE_FACTOR", (float)(raw && !capped ? spec->scale * log2e : log2e));
  write_float(buf, "SOFTCAP", spec->softcap);
  write_float(buf, "SOFTCAP_FACTOR", capped ? (float)(2 * spec->scale * log2e / spec->softcap) : 0);
  qn_buf_printf(buf, "constexpr bool ALIBI = %s;\n", spec->alibi ? "true" : "false");
  qn_buf_printf(buf, "constexpr int SINKS = %s;\n", qn_source_dtype_name(spec->sinks_dtype));
  qn_buf_printf(buf, "constexpr u32 PIECE_CHUNKS = %" PRIu32 ", STORE_LANES = %" PRIu32 "; // see output\n",
                qn_kernel_get_piece_chunks(spec), qn_kernel_get_store_lanes(spec));
  qn_buf_printf(buf, "constexpr int STAGED = %s, UNQUANTIZED = %s;\n",
                qn_source_dtype_name(qn_kernel_get_staged_dtype(spec)),
                qn_source_dtype_name(is_fused(spec) && spec->unquantized ? spec->out_dtype : QN_ANY));
  qn_buf_printf(buf, "constexpr u32 PAD_OF_HEAD = %" PRIu32 ", PAD_OF_TOKEN = %" PRIu32 "; // see store\n",
                pad_of(spec, spec->v_head_dim), pad_of(spec, spec->heads * spec->v_head_dim));
  qn_buf_printf(buf, "constexpr bool DEFERRED = %s;\n", qn_kernel_is_deferred(spec) ? "true" : "false");
}

// An entry of blocks of `threads`, so many of which a multiprocessor's registers suffice for, that calls
// `body`; the one that stores scales also clears those behind the last token.
static void write_entry(qn_buf *buf, const char *name, const char *threads, uint32_t blocks, bool clears,
                        const char *body) {
  qn_buf_printf(buf,
                "\n// ===== entry =====\nextern \"C\" __global__ void __launch_bounds__(%s, %" PRIu32
                ")\n%s(const __grid_constant__ launch_params params) {\n%s  %s(params);\n}\n",
                threads, blocks, name, clears ? "  clear_scales_behind(params);\n" : "", body);
}

static void write_params(qn_buf *buf) {
  qn_buf_printf(buf, "struct launch_params {\n");
#define X(host, device, field, doc)                                                                            \
  qn_buf_printf(buf, "  %s %s;%s%s\n", #device, #field, doc[0] ? " // " : "", doc);
  QN_LAUNCH_PARAM_MAP(X)
#undef X
  qn_buf_printf(buf, "};\n");
}

// --- composition -----------------------------------------------------------------------------------------

static bool has_fp8_cvt(const qn_kernel_spec *spec) {
  return qn_target_get_info(spec->target)->fp8_cvt;
}

static void write_choices(qn_buf *buf, const qn_kernel_spec *spec) {
  (void)spec;
  qn_source_write_choices(buf);
}
static void write_scheme(qn_buf *buf, const qn_kernel_spec *spec) {
  qn_source_write_scheme(buf, spec);
}

static bool has_kv_codes(const qn_kernel_spec *spec) {
  return attends(spec) && qn_kernel_get_kv_dtype(spec) != spec->dtype;
}
static bool has_kv_elements(const qn_kernel_spec *spec) {
  return attends(spec) && !has_kv_codes(spec);
}
static bool takes_codes(const qn_kernel_spec *spec) {
  return is_fused(spec) || has_kv_codes(spec);
}
static void write_tokens(qn_buf *buf, const qn_kernel_spec *spec) {
  const qn_token_plan plan = qn_token_plan_of(spec);
  qn_buf_printf(buf, "constexpr u32 ROW_CHUNKS = %" PRIu32 ", SPAN_CHUNKS = %" PRIu32 ", SPANS = %" PRIu32,
                plan.chunks, plan.span_chunks, plan.spans);
  qn_buf_printf(buf, ";\nconstexpr u32 TEAM = %" PRIu32 ", FLIGHT = %" PRIu32 ";\n", plan.team, plan.flight);
}
static void write_workspace(qn_buf *buf, const qn_kernel_spec *spec) {
  qn_buf_printf(buf, "constexpr u32 COUNTERS = %d, ARRIVALS = %" PRIu32 ";\n", QN_WORKSPACE_COUNTERS,
                qn_kernel_get_arrivals(spec));
}

static bool always(const qn_kernel_spec *spec) {
  return spec != NULL;
}
static bool takes_fp4_cvt(const qn_kernel_spec *spec) {
  return is_fused(spec) && qn_target_get_info(spec->target)->fp4_cvt;
}
static bool takes_fp4_codec(const qn_kernel_spec *spec) {
  return is_fused(spec) && !qn_target_get_info(spec->target)->fp4_cvt;
}
static bool takes_16(const qn_kernel_spec *spec) {
  return attends(spec) && spec->dtype != QN_F32;
}
static bool takes_f32(const qn_kernel_spec *spec) {
  return attends(spec) && spec->dtype == QN_F32;
}
static bool is_dynamic(const qn_kernel_spec *spec) {
  return is_fused(spec) && spec->output.dynamic;
}
static bool takes_static(const qn_kernel_spec *spec) {
  return is_fused(spec) && !spec->output.dynamic;
}
static bool takes_fp8_cvt(const qn_kernel_spec *spec) {
  return takes_codes(spec) && has_fp8_cvt(spec);
}
static bool takes_fp8_codec(const qn_kernel_spec *spec) {
  return takes_codes(spec) && !has_fp8_cvt(spec);
}
static bool takes_mma(const qn_kernel_spec *spec) {
  return spec->schedule == QN_SCHEDULE_mma;
}
static bool takes_float(const qn_kernel_spec *spec) {
  return !is_fused(spec);
}

static bool takes_group(const qn_kernel_spec *spec) {
  return is_dynamic(spec) && !qn_kernel_is_deferred(spec);
}
static bool plans_tokens(const qn_kernel_spec *spec) {
  return quantizes(spec) || qn_kernel_is_deferred(spec);
}
static bool quantizes_chunks(const qn_kernel_spec *spec) {
  return quantizes(spec) && !qn_kernel_is_deferred(spec);
}
static bool quantizes_tokens(const qn_kernel_spec *spec) {
  return quantizes(spec) && qn_kernel_is_deferred(spec);
}
static bool defers(const qn_kernel_spec *spec) {
  return attends(spec) && qn_kernel_is_deferred(spec);
}
static bool stores_rows(const qn_kernel_spec *spec) {
  return attends(spec) && !qn_kernel_is_deferred(spec);
}
static bool takes_workspace(const qn_kernel_spec *spec) {
  return is_split(spec) || defers(spec);
}

// clang-format off
// The files, and what is written for the spec alone, in the order in which they stand in a kernel.
static const struct {
  const char *name, *text;
  bool (*takes)(const qn_kernel_spec *spec);
  void (*write)(qn_buf *buf, const qn_kernel_spec *spec); // NULL: the text is all
} PARTS[] = {
  { "ptx",               qn_text_ptx,               always,                NULL },
  { "codec",             qn_text_codec_priv,        takes_codes,           NULL },
  { "ptx_fp8",           qn_text_ptx_fp8,           takes_fp8_cvt,         NULL },
  { "fp8_software",      qn_text_fp8_software,      takes_fp8_codec,       NULL },
  { "ptx_fp4",           qn_text_ptx_fp4,           takes_fp4_cvt,         NULL },
  { "fp4_software",      qn_text_fp4_software,      takes_fp4_codec,       NULL },
  { "choices",           "",                        is_fused,              write_choices },
  { "recipe",            qn_text_recipe,            is_fused,              NULL },
  { "arithmetic",        qn_text_recipe_priv,       is_fused,              NULL },
  { "scheme",            "",                        is_fused,              write_scheme },
  { "plan",              "",                        plans_tokens,          write_tokens },
  { "numbers",           qn_text_numbers,           always,                NULL },
  { "rows",              qn_text_rows,              always,                NULL },
  { "tile",              qn_text_tile,              always,                NULL },
  { "products_16",       qn_text_products_16,       takes_16,              NULL },
  { "products_f32",      qn_text_products_f32,      takes_f32,             NULL },
  { "sequence",          qn_text_sequence,          always,                NULL },
  { "mask",              qn_text_mask,              attends,               NULL },
  { "softmax",           qn_text_softmax,           attends,               NULL },
  { "output",            qn_text_output,            always,                NULL },
  { "values",            qn_text_values,            is_fused,              NULL },
  { "divisor",           qn_text_divisor_priv,      is_fused,              NULL },
  { "codes",             qn_text_codes,             is_fused,              NULL },
  { "scales",            qn_text_scales,            is_dynamic,            NULL },
  { "store",             qn_text_store,             always,                NULL },
  { "epilogue_float",    qn_text_epilogue_float,    takes_float,           NULL },
  { "epilogue_static",   qn_text_epilogue_static,   takes_static,          NULL },
  { "epilogue_group",    qn_text_epilogue_group,    takes_group,           NULL },
  { "tokens",            qn_text_tokens,            qn_kernel_is_deferred, NULL },
  { "sizes",             "",                        takes_workspace,       write_workspace },
  { "workspace",         qn_text_workspace,         takes_workspace,       NULL },
  { "epilogue_deferred", qn_text_epilogue_deferred, defers,                NULL },
  { "store_rows",        qn_text_store_rows,        stores_rows,           NULL },
  { "kv_tiles",          qn_text_kv_tiles,          attends,               NULL },
  { "kv_codes",          qn_text_kv_codes,          has_kv_codes,          NULL },
  { "kv_elements",       qn_text_kv_elements,       has_kv_elements,       NULL },
  { "core",              qn_text_core,              attends,               NULL },
  { "schedule_mma",      qn_text_schedule_mma,      takes_mma,             NULL },
  { "parts",             qn_text_parts,             is_split,              NULL },
  { "schedule_split",    qn_text_schedule_split,    is_split,              NULL },
  { "merge",             qn_text_merge,             is_split,              NULL },
  { "schedule_quantize", qn_text_schedule_quantize, quantizes,             NULL },
  { "quantize_chunks",   qn_text_quantize_chunks,   quantizes_chunks,      NULL },
  { "quantize_tokens",   qn_text_quantize_tokens,   quantizes_tokens,      NULL },
};
// clang-format on

static void write_banner(qn_buf *buf, const qn_kernel_spec *spec, const char *name) {
  qn_buf_printf(buf, "// %s, %s\n// Generated by Quench %s.\n\n", name, qn_target_name(spec->target),
                qn_version());
  qn_buf_append(buf, qn_text_types, sizeof qn_text_types - 1);
  qn_buf_printf(buf, "\n");
}

// Blocks of a multiprocessor that registers must suffice for: its 65536 are 255 a thread for 8 warps, or 64 for
// the 32 that waiting for memory takes.
static uint32_t min_blocks(const qn_kernel_spec *spec) {
  if (quantizes(spec)) return 32 / spec->warps;
  return spec->warps < 8 ? 8 / spec->warps : 1;
}

qn_status qn_kernel_write_source(qn_context *context, const qn_kernel_spec *spec, const qn_writer *writer) {
  qn_kernel_spec r = *spec;
  qn_reason reason;
  char name[128], merge_name[QN_ENTRY_NAME];
  qn_buf buf = QN_BUF(context);

  if (!qn_target_supports(spec, &reason))
    return qn_fail(context, QN_UNSUPPORTED, NULL, "%s: expected %s, found %s", qn_why_sentence(reason.why),
                   reason.expected, reason.found);
  qn_kernel_spec_resolve(&r);
  qn_kernel_format_name(&r, name);
  write_banner(&buf, &r, name);
  write_constants(&buf, &r);
  qn_buf_printf(&buf, "\n");
  write_params(&buf);
  for (size_t i = 0; i < QN_COUNT(PARTS); i++) {
    if (!PARTS[i].takes(&r)) continue;
    qn_buf_printf(&buf, "\n// ===== %s =====\n%s", PARTS[i].name, PARTS[i].text);
    if (PARTS[i].write != NULL) PARTS[i].write(&buf, &r);
  }
  bool merges = qn_kernel_get_merge(&r).block > 0;
  write_entry(&buf, name, "THREADS", min_blocks(&r), is_dynamic(&r) && !merges,
              quantizes(&r) ? "quantize" : "attention");
  if (merges) {
    qn_kernel_format_merge_name(&r, merge_name);
    write_entry(&buf, merge_name, "MERGE_WARPS * 32", 1, is_dynamic(&r), "merge");
  }
  qn_status status =
      buf.status != QN_OK ? qn_fail_memory(context) : writer->write(writer->user, buf.text, buf.length);
  qn_buf_free(&buf);
  return status;
}
