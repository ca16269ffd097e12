// Which k and v kernels are generated for: codes, their scales, pages.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

enum { PAGE_MAX = 1 << 20 };

// Rows are copied in whole chunks of 16 bytes, and codes become elements of 16 bits.
static bool check_codes(const qn_kernel_spec *spec, qn_reason *reason) {
  qn_dtype kv = qn_kernel_get_kv_dtype(spec);
  if (kv == spec->dtype) return true;
  if ((kv != QN_E4M3 && kv != QN_E5M2) || spec->dtype == QN_F32)
    return qn_refuse(reason, QN_WHY_kv_cache,
                     "k and v in the element type of q, or e4m3 or e5m2 with q in f16 or bf16",
                     "%s with q in %s", qn_dtype_name(kv), qn_dtype_name(spec->dtype));
  if (spec->head_dim % 16 == 0 && spec->v_head_dim % 16 == 0) return true;
  return qn_refuse(reason, QN_WHY_head_dim, "head_dim and v_head_dim 16, 32, .. 256 of codes",
                   "head_dim %u, v_head_dim %u", spec->head_dim, spec->v_head_dim);
}

static bool check_scales(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->k_scale <= QN_KV_SCALE_HEAD && (unsigned)spec->v_scale <= QN_KV_SCALE_HEAD) return true;
  return qn_refuse(reason, QN_WHY_attribute, "scales of k and v none, one, or one for each head",
                   "kinds number %d and %d", (int)spec->k_scale, (int)spec->v_scale);
}

// A block finds its pages through the sequence's row of the table, and no entry behind its length is read.
static bool check_pages(const qn_kernel_spec *spec, qn_reason *reason) {
  static const char expected[] = "pages of at most 2^20 positions, with kv_lengths";
  if (spec->page_size == 0) return true;
  if (spec->page_size > PAGE_MAX)
    return qn_refuse(reason, QN_WHY_kv_cache, expected, "pages of %u", spec->page_size);
  if (spec->kv_lengths && !spec->varlen) return true;
  return qn_refuse(reason, QN_WHY_kv_cache, expected, "pages with %s",
                   spec->varlen ? "cumulative lengths" : "one length for all sequences");
}

bool qn_check_keys(const qn_kernel_spec *spec, qn_reason *reason) {
  return check_codes(spec, reason) && check_scales(spec, reason) && check_pages(spec, reason);
}
