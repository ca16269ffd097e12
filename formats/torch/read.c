// Reading one extern: its arguments, its reader, and whether what was built fits what the extern declares.
#include "formats/torch/torch_priv.h"

#include <stdio.h>

// --- results against declarations --------------------------------------------------------------------------

// A dim that nothing is known of is named `?1`, `?2`, ...
static bool is_fresh(qn_torch_reader *r, qn_dim dim) {
  qn_buf text = QN_BUF(r->context);
  qn_writer writer = qn_buf_writer(&text);
  bool fresh = qn_dim_write(r->graph, dim, &writer) == QN_OK && text.text && strchr(text.text, '?');
  qn_buf_free(&text);
  return fresh;
}

// The value takes the dims that only the extern knew. Refuses where the two cannot be the same.
static void check_result(qn_torch_reader *r, qn_value from, qn_value to) {
  qn_type_info declared = qn_torch_type(r, from), found = qn_torch_type(r, to);
  qn_dim dims[QN_RANK_MAX];
  if (declared.dtype != QN_ANY && found.dtype != QN_ANY && declared.dtype != found.dtype) {
    qn_torch_refuse(r, "declares a result of type %s, and it is %s", qn_dtype_name(declared.dtype),
                    qn_dtype_name(found.dtype));
    return;
  }
  if (declared.rank < 0) return;
  if (found.rank >= 0 && declared.rank != found.rank) {
    qn_torch_refuse(r, "declares a result of rank %d, and it has %d", (int)declared.rank, (int)found.rank);
    return;
  }
  for (int32_t i = 0; i < declared.rank; i++) {
    int64_t a, b;
    dims[i] = found.rank < 0 ? declared.dims[i] : found.dims[i];
    bool constant = qn_dim_is_const(r->graph, dims[i], &b);
    if (!qn_dim_is_const(r->graph, declared.dims[i], &a)) {
      if (!constant && is_fresh(r, dims[i])) dims[i] = declared.dims[i];
    } else if (constant && a != b) {
      qn_torch_refuse(r, "declares %lld elements in dim %d of a result, and there are %lld", (long long)a,
                      (int)i, (long long)b);
      return;
    } else {
      dims[i] = declared.dims[i];
    }
  }
  qn_value_set_type(r->graph, to, qn_type_get(r->graph, found.dtype, declared.rank, dims));
}

// Every result that somebody uses has a value that stands for it.
static void check_used(qn_torch_reader *r, qn_node node) {
  for (uint32_t i = 0; node && i < qn_node_get_result_count(r->graph, node); i++) {
    qn_value result = qn_node_get_result(r->graph, node, i);
    bool stands = false;
    for (uint32_t k = 0; k < r->result_count; k++) stands |= r->results[k].from == result;
    for (qn_use use = qn_value_get_first_use(r->graph, result); use && !stands;
         use = qn_use_get_next(r->graph, use)) {
      if (qn_use_get_user(r->graph, use) != r->node) qn_torch_refuse(r, "result %u is used", i);
    }
    if (!stands && qn_value_is_output(r->graph, result)) qn_torch_refuse(r, "result %u is used", i);
  }
}

// A node that nothing uses is not built for it.
static void drop_unused(qn_torch_reader *r) {
  for (uint32_t i = r->created_count; i-- > 0;) {
    bool used = false;
    for (uint32_t k = 0; k < qn_node_get_result_count(r->graph, r->created[i]); k++) {
      qn_value value = qn_node_get_result(r->graph, r->created[i], k);
      used |= qn_value_get_first_use(r->graph, value) != QN_NONE;
      for (uint32_t m = 0; m < r->result_count; m++) used |= r->results[m].to == value;
    }
    if (used) continue;
    qn_node_remove(r->graph, r->created[i]);
    memmove(&r->created[i], &r->created[i + 1], (--r->created_count - i) * sizeof *r->created);
  }
}

// --- one extern --------------------------------------------------------------------------------------------

qn_status qn_torch_read(qn_graph *graph, qn_node node, const qn_torch_op *row, qn_torch_reading *out_reading) {
  qn_torch_reader r = {
    .context = qn_graph_get_context(graph), .graph = graph, .node = node, .row = row, .before = node
  };
  *out_reading = (qn_torch_reading){ .read = false };
  qn_torch_read_args(&r);
  if (r.status == QN_OK) row->read(&r);
  for (uint32_t i = 0; i < r.result_count && r.status == QN_OK; i++)
    check_result(&r, r.results[i].from, r.results[i].to);
  check_used(&r, node);
  check_used(&r, r.partner);
  if (r.status != QN_OK) r.result_count = 0;
  drop_unused(&r);
  if (r.status == QN_UNSUPPORTED) {
    snprintf(out_reading->reason, sizeof out_reading->reason, "%s", r.reason);
    return QN_OK;
  }
  QN_TRY(r.status);
  out_reading->read = true;
  out_reading->consumed[0] = node;
  out_reading->consumed[1] = r.partner;
  out_reading->consumed_count = r.partner ? 2 : 1;
  out_reading->created_count = r.created_count;
  memcpy(out_reading->created, r.created, r.created_count * sizeof *r.created);
  out_reading->result_count = r.result_count;
  for (uint32_t i = 0; i < r.result_count; i++) {
    out_reading->results[i].from = r.results[i].from;
    out_reading->results[i].to = r.results[i].to;
  }
  return QN_OK;
}
