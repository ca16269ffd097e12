// The loops, and memory that is counted.
#include "tests/runtime/host_device.h"

#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"

#include <math.h>
#include <stdlib.h>

static host_device *host_of(qn_device *device) {
  return (host_device *)device;
}

static qn_status planted(host_device *device, const char *call) {
  if (!device->fail || strcmp(device->fail, call) != 0) return QN_OK;
  device->fail = NULL;
  return qn_fail(device->base.context, QN_UNAVAILABLE, "host", "a planted failure of %s", call);
}

static qn_status host_allocate(qn_device *device, size_t bytes, qn_device_ptr *out_ptr) {
  QN_TRY(planted(host_of(device), "allocate"));
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) return qn_fail_memory(device->context);
  memset(memory, 0xa5, bytes);
  host_of(device)->blocks++;
  *out_ptr = (qn_device_ptr)(uintptr_t)memory;
  return QN_OK;
}

static qn_status host_free(qn_device *device, qn_device_ptr ptr) {
  free((void *)(uintptr_t)ptr);
  host_of(device)->blocks--;
  return planted(host_of(device), "free");
}

static qn_status host_upload(qn_device *device, qn_device_ptr to, const void *from, size_t bytes) {
  QN_TRY(planted(host_of(device), "upload"));
  memcpy((void *)(uintptr_t)to, from, bytes);
  return QN_OK;
}

static qn_status host_download(qn_device *device, void *to, qn_device_ptr from, size_t bytes) {
  QN_TRY(planted(host_of(device), "download"));
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return QN_OK;
}

static qn_status host_wait(qn_device *device) {
  return planted(host_of(device), "wait");
}

static qn_status host_load(qn_device *device, const qn_kernel_info *kernel, qn_loaded_kernel *loaded) {
  (void)kernel, (void)loaded;
  QN_TRY(planted(host_of(device), "load"));
  host_of(device)->loaded++;
  return QN_OK;
}

static void host_unload(qn_loaded_kernel *loaded) {
  host_of(loaded->device)->loaded--;
}

// --- the kernel --------------------------------------------------------------------------------------------

static double read(qn_dtype dtype, uint64_t base, int64_t index) {
  double value;
  qn_elements_load(dtype, (const char *)(uintptr_t)base + index * (int64_t)qn_element_size(dtype), 1, &value);
  return value;
}

typedef struct row {
  const qn_kernel_spec *spec;
  const qn_launch_params *p;
  int64_t b, h, i;       // batch, head, query
  int64_t q, k, v, out;  // offsets of the sequence
  int64_t q_len, kv_len; // of the sequence
} row;

static double score(const row *r, int64_t j) {
  const qn_kernel_spec *spec = r->spec;
  const qn_launch_params *p = r->p;
  int64_t kv_head = r->h / (spec->heads / spec->kv_heads), position = r->i;
  double sum = 0;
  for (int64_t d = 0; d < spec->head_dim; d++)
    sum += read(spec->dtype, p->q, r->q + r->h * p->q_head + r->i * p->q_position + d) *
           read(spec->dtype, p->k, r->k + kv_head * p->k_head + j * p->k_position + d);
  sum *= (double)spec->scale;
  if (spec->causal == QN_CAUSAL_BOTTOM_RIGHT) position += r->kv_len - r->q_len;
  if (spec->causal != QN_CAUSAL_NONE && j > position) return -(double)INFINITY;
  int64_t at = r->b * p->mask_batch + r->h * p->mask_head + r->i * p->mask_q + j * p->mask_kv;
  if (spec->mask == QN_MASK_ADDITIVE) sum += read(spec->mask_dtype, p->mask, at);
  if (spec->mask == QN_MASK_BOOLEAN && read(QN_BOOL, p->mask, at) == 0) return -(double)INFINITY;
  return sum;
}

static qn_status run_row(qn_context *context, const row *r) {
  const qn_kernel_spec *spec = r->spec;
  const qn_launch_params *p = r->p;
  int64_t kv_head = r->h / (spec->heads / spec->kv_heads);
  double largest = -(double)INFINITY, total = 0, *out = calloc(spec->v_head_dim, sizeof(*out));
  if (!out) return qn_fail_memory(context);
  for (int64_t j = 0; j < r->kv_len; j++) largest = fmax(largest, score(r, j));
  for (int64_t j = 0; j < r->kv_len && !isinf(largest); j++) {
    double weight = exp(score(r, j) - largest);
    total += weight;
    for (int64_t d = 0; d < spec->v_head_dim; d++)
      out[d] += weight * read(spec->dtype, p->v, r->v + kv_head * p->v_head + j * p->v_position + d);
  }
  bool fused = spec->output.family != QN_SCHEME_none;
  qn_dtype stored = fused ? (qn_dtype)spec->output.target : spec->out_dtype;
  for (int64_t d = 0; d < spec->v_head_dim; d++)
    out[d] = qn_element_round(spec->out_dtype, total > 0 ? out[d] / total : 0);
  void *to = (char *)(uintptr_t)p->out +
             (r->out + r->h * p->out_head + r->i * p->out_position) * (int64_t)qn_element_size(stored);
  qn_status status = QN_OK;
  if (fused) {
    const double scale = read((qn_dtype)spec->output.scale_dtype, p->output_scale, 0);
    status = qn_quantize(context,
                         &(qn_quantize_args){ .scheme = &spec->output,
                                              .rank = 1,
                                              .dims = (int64_t[]){ spec->v_head_dim },
                                              .scale = { &scale, 1 } },
                         out, &(qn_quantized){ .codes = to });
  } else {
    qn_elements_store(stored, out, spec->v_head_dim, true, to);
  }
  free(out);
  return status;
}

// A tensor of the launch; NULL where there is none.
static double *read_plane(qn_dtype dtype, uint64_t base, uint64_t count) {
  double *plane = base ? malloc((count + 1) * sizeof *plane) : NULL;
  for (uint64_t i = 0; plane && i < count; i++) plane[i] = read(dtype, base, (int64_t)i);
  return plane;
}

// The schedule `quantize`, on tokens of one head that lie one behind the other: scales are then where
// qn_quantize has them.
static qn_status quantize_tokens(qn_context *context, const qn_kernel_spec *spec, const qn_launch_params *p) {
  const qn_scheme *scheme = &spec->output;
  const uint64_t columns = spec->v_head_dim, scales = scheme->granularity == QN_PER_CHANNEL ? columns : 1;
  const int64_t dims[] = { p->q_len, (int64_t)columns };
  double *planes[] = { read_plane(spec->out_dtype, p->q, p->q_len * columns),
                       read_plane(qn_scheme_get_read_scale(scheme), p->output_scale, scales),
                       read_plane(qn_scheme_get_zero_point(scheme), p->output_zero_point, scales),
                       read_plane(spec->pre_scale_dtype, p->pre_scale, columns),
                       read_plane(QN_F32, p->scale_bound, 1) };
  int64_t code_dims[2];
  qn_quantized_dims(scheme, 2, dims, code_dims);
  const uint64_t count = (uint64_t)(code_dims[0] * code_dims[1]);
  void *codes = malloc(count + 1);
  qn_status status = qn_quantize(context,
                                 &(qn_quantize_args){ .scheme = scheme,
                                                      .rank = 2,
                                                      .dims = dims,
                                                      .scale = { planes[1], planes[1] ? scales : 0 },
                                                      .zero_point = { planes[2], planes[2] ? scales : 0 },
                                                      .pre_scale = { planes[3], planes[3] ? columns : 0 },
                                                      .scale_bound = { planes[4], planes[4] ? 1 : 0 } },
                                 planes[0],
                                 &(qn_quantized){ .codes = codes,
                                                  .scales = (void *)(uintptr_t)p->block_scale,
                                                  .zero_points = (void *)(uintptr_t)p->zero_points });
  if (status == QN_OK) qn_elements_pack((qn_dtype)scheme->target, codes, count, (void *)(uintptr_t)p->out);
  free(codes);
  for (size_t i = 0; i < QN_COUNT(planes); i++) free(planes[i]);
  return status;
}

static qn_status host_launch(const qn_loaded_kernel *loaded, const qn_grid *grid, void *stream) {
  host_device *device = host_of(loaded->device);
  const qn_kernel_spec *spec = &loaded->spec;
  const qn_launch_params *p = grid->params;
  (void)stream;
  QN_TRY(planted(device, "launch"));
  device->launches++;
  device->counters.blocks += grid->blocks[0];
  if (spec->schedule == QN_SCHEDULE_quantize) return quantize_tokens(device->base.context, spec, p);
  const char *sequences = (const char *)(uintptr_t)p->cu_seqlens_q;
  uint32_t pack = qn_kernel_get_pack(spec);
  int64_t q_tiles = (p->q_len * pack + spec->tile_q - 1) / spec->tile_q;
  int64_t batch = grid->blocks[0] / q_tiles * pack / spec->heads;
  for (int64_t b = 0; b < batch; b++) {
    row r = { spec,     p,        b, 0, 0, b * p->q_batch, b * p->k_batch, b * p->v_batch, b * p->out_batch,
              p->q_len, p->kv_len };
    if (sequences) {
      int64_t q = (int64_t)read(spec->lengths_dtype, p->cu_seqlens_q, b);
      int64_t kv = (int64_t)read(spec->lengths_dtype, p->cu_seqlens_kv, b);
      r.q = q * p->q_position, r.out = q * p->out_position, r.k = kv * p->k_position, r.v = kv * p->v_position;
      r.q_len = (int64_t)read(spec->lengths_dtype, p->cu_seqlens_q, b + 1) - q;
      r.kv_len = (int64_t)read(spec->lengths_dtype, p->cu_seqlens_kv, b + 1) - kv;
    }
    for (r.h = 0; r.h < spec->heads; r.h++)
      for (r.i = 0; r.i < r.q_len; r.i++) QN_TRY(run_row(device->base.context, &r));
  }
  return QN_OK;
}

// --- the device --------------------------------------------------------------------------------------------

static qn_counters *host_counters(qn_device *device) {
  return &host_of(device)->counters;
}

static void host_destroy(qn_device *device) {
  (void)device;
}

void host_device_open(host_device *device, qn_context *context, int sm) {
  static const qn_device_ops ops = {
    .destroy = host_destroy,
    .allocate = host_allocate,
    .free = host_free,
    .upload = host_upload,
    .download = host_download,
    .wait = host_wait,
    .load = host_load,
    .unload = host_unload,
    .launch = host_launch,
    .get_counters = host_counters,
    .ptx_only = true,
  };
  *device = (host_device){ .base = { .ops = &ops, .context = context, .name = "host", .sm = sm } };
  pthread_mutex_init(&device->base.lock, NULL);
}

void host_device_close(host_device *device) {
  qn_device_destroy(&device->base);
}
