// A case in words.
#include "tests/kernels/cases.h"

#include "ir/base_priv.h"

#include <stdio.h>

static const char *const layouts[] = { "bhsd", "bshd", "bsm", "tm", "thd" };

// Options in the order in which a person would name them; those that are plain are left out.
void kernel_case_format(const kernel_case *c, char out_text[512]) {
  static const char *const causal_words[] = { "none", "top_left", "bottom_right" };
  static const char *const storage_words[] = { "dense", "packed", "padded", "unaligned" };
#define X(name, doc) #name,
  static const char *const schedule_words[] = { QN_SCHEDULE_MAP(X) };
#undef X
  char scheme[QN_SCHEME_TEXT_MAX];
  size_t at = 0;
#define ADD(...) at += (size_t)snprintf(out_text + at, at < 512 ? 512 - at : 0, __VA_ARGS__)
  qn_scheme_format(&c->scheme, scheme);
  ADD("%s %s%s d%u", qn_target_name(c->target), qn_dtype_name(c->dtype),
      c->dtype == QN_F32 && c->f32_mode == QN_F32_TF32 ? "(tf32)" : "", c->head_dim);
  if (c->v_head_dim != c->head_dim) ADD("/%u", c->v_head_dim);
  ADD(" h%u/%u%s b%u q%u kv%u", c->heads, c->kv_heads, c->pack_heads ? " packed heads" : "", c->batch, c->q_len,
      c->kv_len);
  if (c->causal) ADD(" causal=%s", causal_words[c->causal]);
  if (c->window_left >= 0 || c->window_right >= 0) ADD(" window=%d,%d", c->window_left, c->window_right);
  if (c->mask)
    ADD(" mask=%s:%s%s%s", qn_dtype_name(c->mask_dtype), c->mask_per_batch ? "b" : "1",
        c->mask_per_head ? "h" : "1", c->mask_per_query ? "q" : "1");
  if (c->alibi) ADD(" alibi");
  if (c->softcap > 0) ADD(" softcap=%g", (double)c->softcap);
  if (c->sinks != QN_ANY) ADD(" sinks=%s", qn_dtype_name(c->sinks));
  if (c->lengths)
    ADD(" %s=%s", c->lengths == LENGTHS_KV ? "kv_lengths" : "varlen", qn_dtype_name(c->lengths_dtype));
  if (c->scale != 0) ADD(" scale=%g", (double)c->scale);
  if (c->schedule) ADD(" %s", schedule_words[c->schedule]);
  ADD(" %s,%s,%s>%s %s %s%s", layouts[c->q_layout], layouts[c->k_layout], layouts[c->v_layout],
      layouts[c->out_layout], storage_words[c->storage], scheme, c->numerics == QN_EXACT ? "" : " direct");
  if (c->pre_scale != QN_ANY)
    ADD(" pre_scale=%s%s", qn_dtype_name(c->pre_scale), c->pre_scale_shared ? ":shared" : "");
  if (c->scale_bound) ADD(" bound");
  if (c->scale_rows) ADD(" rows");
  if (c->unquantized) ADD(" unquantized");
#undef ADD
}
