// Removes what nothing uses. Nodes with an effect stay, used or not.
#include "passes/pass_priv.h"

qn_status qn_pass_dead_code(qn_pipeline *pipeline) {
  qn_remove_all_dead(pipeline->graph);
  return QN_OK;
}
