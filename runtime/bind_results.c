// What a launch writes: the output or its codes, what a dynamic scheme chose for them, and the output as it is
// where that is wanted, too. Shapes as in ir/shape_quantize.c. The results of quantize stand where the same
// ones of an attention do.
#include "runtime/bind_priv.h"

#include "ir/reason_priv.h"
#include "quant/scale_buffer_priv.h"

#include <stddef.h>

static void add(qn_bind *b, uint32_t index, size_t address, const qn_tensor *shape) {
  b->binding->results[b->binding->result_count++] = (qn_bound_result){ index, address, *shape };
}

static bool add_scales(qn_bind *b, const qn_tensor *codes) {
  const qn_scheme *scheme = &b->spec->output;
  qn_scale_buffer buffer;
  if (!qn_scale_buffer_of(scheme, codes->rank, codes->dims, &buffer) ||
      !qn_attention_args_set_dense_scales(b->spec, b->out_layout, (uint64_t)b->tokens, &b->binding->args))
    return qn_refuse(b->reason, QN_WHY_layout,
                     "scales of tokens and of groups of the last axis, within their limits", "other ones");
  qn_tensor shape = { .dtype = (qn_dtype)scheme->scale_dtype, .rank = buffer.rank };
  memcpy(shape.dims, buffer.dims, sizeof buffer.dims);
  add(b, QN_ATTENTION_BLOCK_SCALE, offsetof(qn_attention_args, block_scale), &shape);
  shape.dtype = qn_scheme_get_zero_point(scheme);
  if (shape.dtype != QN_ANY) add(b, QN_ATTENTION_ZERO_POINT, offsetof(qn_attention_args, zero_points), &shape);
  return true;
}

// The output before it is quantized; of quantize it is x.
static qn_tensor shape_of_output(const qn_bind *b) {
  const int64_t batch = b->binding->args.batch, length = b->binding->args.q_len, heads = b->spec->heads,
                dim = b->spec->v_head_dim, tokens = b->tokens;
  const qn_tensor outs[] = { [QN_LAYOUT_BHSD] = { .rank = 4, .dims = { batch, heads, length, dim } },
                             [QN_LAYOUT_BSHD] = { .rank = 4, .dims = { batch, length, heads, dim } },
                             [QN_LAYOUT_BSM] = { .rank = 3, .dims = { batch, length, heads * dim } },
                             [QN_LAYOUT_TM] = { .rank = 2, .dims = { tokens, heads * dim } },
                             [QN_LAYOUT_THD] = { .rank = 3, .dims = { tokens, heads, dim } } };
  qn_tensor out = b->op == QN_OP_attention ? outs[b->out_layout] : *qn_bind_operand(b, QN_ATTENTION_Q);
  out.dtype = b->spec->out_dtype;
  out.data = NULL;
  out.bytes = 0;
  return out;
}

bool qn_bind_results(qn_bind *b) {
  const qn_kernel_spec *spec = b->spec;
  const bool fused = spec->output.family != QN_SCHEME_none;
  if (spec->varlen && b->out_layout != QN_LAYOUT_TM && b->out_layout != QN_LAYOUT_THD)
    return qn_refuse(b->reason, QN_WHY_layout, "cumulative lengths exactly where tokens lie in one axis",
                     "another layout of out");
  qn_tensor unquantized = shape_of_output(b), out = unquantized;
  out.dtype = fused ? (qn_dtype)spec->output.target : spec->out_dtype;
  int64_t *last = &out.dims[out.rank - 1], pad = fused ? spec->output.pad : 0;
  if (pad > 0) *last = (*last + pad - 1) / pad * pad;
  add(b, QN_ATTENTION_OUT, offsetof(qn_attention_args, out), &out);
  if (fused && spec->output.dynamic && !add_scales(b, &out)) return false;
  if (fused && spec->unquantized)
    add(b, QN_ATTENTION_UNQUANTIZED, offsetof(qn_attention_args, unquantized), &unquantized);
  return true;
}
