"""Run a model as it is written: onnxruntime without graph optimizations, on one CPU thread."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

Arrays = dict[str, np.ndarray]


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, feed: Arrays) -> tuple[Arrays, str]:
    """Outputs by name, and who computed them. onnx's reference evaluator serves where onnxruntime's
    CPU provider has no kernel for an element type; any other refusal is the caller's to see."""
    try:
        session = _session(path)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        evaluator = ReferenceEvaluator(str(path))
        values = evaluator.run(None, feed)
        return dict(zip(evaluator.output_names, values, strict=True)), f"onnx {onnx.__version__}"
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True)), f"onnxruntime {onnxruntime.__version__}"
