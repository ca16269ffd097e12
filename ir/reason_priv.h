// Refusing with a reason.
#ifndef QUENCH_IR_REASON_PRIV_H
#define QUENCH_IR_REASON_PRIV_H

#include "ir/base_priv.h"

#include <quench/reason.h>

// Fills the reason and returns false: `return qn_refuse(reason, QN_WHY_window, "no window", "%d", left)`.
bool qn_refuse(qn_reason *reason, qn_why why, const char *expected, const char *found_format, ...)
    QN_PRINTF(4, 5);

#endif
