// Everything but <quench/llvm.h>, which belongs to a library of its own.
#ifndef QUENCH_QUENCH_H
#define QUENCH_QUENCH_H

#include <quench/base.h>
#include <quench/graph.h>
#include <quench/kernel.h>
#include <quench/onednn.h>
#include <quench/onnx.h>
#include <quench/pipeline.h>
#include <quench/reason.h>
#include <quench/reference.h>
#include <quench/runtime.h>
#include <quench/scheme.h>
#include <quench/type.h>

#endif
