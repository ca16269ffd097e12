"""Run a model as it is written: onnxruntime without graph optimizations, on one CPU thread."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

Arrays = dict[str, np.ndarray]


def _standard(path: Path) -> Path | bytes:
    """What onnxruntime can run of a file with trt::QuantizeLinear and trt::DequantizeLinear: they are
    the standard operators under another domain, with element types in value_info that are not true."""
    model = onnx.load(path)
    bodies = [model.graph, *model.functions]
    foreign = [node for body in bodies for node in body.node if node.domain == "trt"]
    if not foreign:
        return path
    for node in foreign:
        node.domain = ""
    del model.graph.value_info[:]
    return model.SerializeToString()


def _session(model: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(path: Path, feed: Arrays) -> tuple[Arrays, str]:
    """Outputs by name, and who computed them. onnx's reference evaluator serves where onnxruntime's
    CPU provider has no kernel for an element type; any other refusal is the caller's to see."""
    try:
        session = _session(_standard(path))
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        evaluator = ReferenceEvaluator(str(path))
        values = evaluator.run(None, feed)
        return dict(zip(evaluator.output_names, values, strict=True)), f"onnx {onnx.__version__}"
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True)), f"onnxruntime {onnxruntime.__version__}"
