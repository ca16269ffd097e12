// Quantizing a whole tensor in the arithmetic of quant/real_priv.h: one text, which plane_f32.c and plane_f64.c
// compile.
#ifndef QUENCH_QUANT_PLANE_CODE_PRIV_H
#define QUENCH_QUANT_PLANE_CODE_PRIV_H

#include "ir/base_priv.h"
#include "quant/plane_priv.h"
#include "quant/real_priv.h"

// What the values of a group are scaled with.
typedef struct group_scale {
  qn_real factor, zero_point;
} group_scale;

static qn_real value_at(const qn_plane *plane, const qn_recipe *recipe, uint64_t index) {
  const qn_numbers *pre_scale = &plane->args->pre_scale;
  qn_real x = (qn_real)plane->x[index];
  if (pre_scale->values) x = qn_real_mul(x, (qn_real)pre_scale->values[index % pre_scale->count]);
  return qn_recipe_prepare(recipe, x);
}

static void store(qn_dtype dtype, void *to, uint64_t index, qn_real value) {
  if (to)
    qn_elements_store(dtype, &(double){ (double)value }, 1, true,
                      (uint8_t *)to + index * qn_element_size(dtype));
}

// NaN counts for neither amax nor min and max; of no values all are 0.
static group_scale choose(const qn_plane *plane, const qn_recipe *recipe, uint64_t index,
                          const qn_group *group) {
  const qn_quantize_args *args = plane->args;
  qn_real amax = 0, low = (qn_real)NAN, high = (qn_real)NAN, scale;
  qn_real global = args->scale.values ? (qn_real)args->scale.values[0] : 1;
  for (uint64_t n = 0; n < group->count; n++) {
    qn_real x = value_at(plane, recipe, qn_group_element(group, n));
    amax = qn_real_max(amax, x < 0 ? -x : x);
    low = qn_real_min(low, x);
    high = qn_real_max(high, x);
  }
  uint64_t place = qn_groups_place(&plane->groups, args->scheme, &plane->buffer, index);
  group_scale result = { .zero_point = 0 };
  if (recipe->zero_point) {
    if (isnan(low)) low = high = 0;
    scale = qn_recipe_scale_of_range(recipe, low, high);
    result.zero_point = qn_recipe_zero_point(recipe, low, high, scale);
    store(plane->zero_point_dtype, plane->out.zero_points, place, result.zero_point);
  } else {
    if (args->scale_bound.values) amax = qn_real_min(amax, (qn_real)args->scale_bound.values[0]);
    scale = qn_recipe_scale(recipe, amax, global);
  }
  store(plane->scale_dtype, plane->out.scales, place, scale);
  result.factor = qn_recipe_factor(recipe, scale, amax, global);
  return result;
}

// Scale and zero point of a static scheme; a cast multiplies by 1.
static group_scale find(const qn_plane *plane, const qn_recipe *recipe, uint64_t index) {
  const qn_numbers *scale = &plane->args->scale, *zero_point = &plane->args->zero_point;
  group_scale result = { .factor = 1 };
  if (scale->values) result.factor = qn_recipe_factor(recipe, (qn_real)scale->values[index], 0, 1);
  if (zero_point->values) result.zero_point = (qn_real)zero_point->values[zero_point->count == 1 ? 0 : index];
  return result;
}

static void write_code(const qn_plane *plane, const qn_recipe *recipe, uint64_t index, qn_real quotient,
                       qn_real zero_point) {
  const qn_scheme *scheme = plane->args->scheme;
  qn_dtype target = (qn_dtype)scheme->target;
  uint64_t place = index / plane->groups.last * plane->columns + index % plane->groups.last;
  uint8_t *code = (uint8_t *)plane->out.codes + place * qn_element_size(target);
  if (!qn_dtype_is_float(target)) {
    store(target, plane->out.codes, place, qn_recipe_integer(recipe, quotient, zero_point));
    return;
  }
  double value = (double)qn_recipe_float(recipe, quotient);
  qn_elements_store(target, &value, 1, scheme->saturate, code);
  if (target == QN_E2M1) *code = (uint8_t)qn_recipe_e2m1(recipe, quotient, *code);
}

static void quantize_plane(const qn_plane *plane) {
  const qn_scheme *scheme = plane->args->scheme;
  qn_recipe recipe = qn_recipe_of(scheme);
  recipe.scale_dtype = (int)plane->scale_dtype;
  for (uint64_t index = 0; index < plane->groups.count; index++) {
    qn_group group = qn_groups_get(&plane->groups, index);
    group_scale scale = scheme->dynamic ? choose(plane, &recipe, index, &group) : find(plane, &recipe, index);
    for (uint64_t n = 0; plane->out.codes && n < group.count; n++) {
      uint64_t element = qn_group_element(&group, n);
      qn_real x = value_at(plane, &recipe, element);
      write_code(plane, &recipe, element, qn_recipe_quotient(&recipe, x, scale.factor), scale.zero_point);
    }
  }
}

#endif
