// What the composers of a kernel's text share.
#ifndef QUENCH_CODEGEN_SOURCE_PRIV_H
#define QUENCH_CODEGEN_SOURCE_PRIV_H

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

// A float as a hexadecimal literal: exact, and the same in every locale. The value is finite.
void qn_source_write_float(qn_buf *buf, float value);
// The name of an element type on the device.
const char *qn_source_dtype_name(qn_dtype dtype);
// The enumerations of element types, and those of schemes, as quant/recipe_priv.h names them.
void qn_source_write_dtypes(qn_buf *buf);
void qn_source_write_choices(qn_buf *buf);
// The scheme of a fused kernel: the constant RECIPE, and what of it is no arithmetic.
void qn_source_write_scheme(qn_buf *buf, const qn_kernel_spec *spec);

#endif
