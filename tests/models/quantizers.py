"""The quantizers of the fixtures: onnxruntime's quantize_static and NVIDIA ModelOpt's ONNX route.

Both are given the output projections only, so that the one Q/DQ pair in front of each projection
is the quantization of an attention's output.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, calibrate, quantize_static)

Feed = dict[str, np.ndarray]


class Feeds(CalibrationDataReader):
    """Calibration data from a list."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds = list(feeds)
        self.rewind()

    def get_next(self) -> Feed | None:
        return next(self._left, None)

    def get_first(self) -> Feed:
        return self._feeds[0]

    def rewind(self) -> None:
        self._left = iter(self._feeds)


def _collect_wide(self: calibrate.HistogramCollector, arrays: dict[str, list[np.ndarray]]) -> None:
    """HistogramCollector.collect on f32 copies: numpy cannot split a float16 range in 2048 bins."""
    wide = {name: [np.asarray(a, dtype=np.float32) for a in values] for name, values in arrays.items()}
    self.collect_value(wide)


def _narrow_scales(path: Path) -> None:
    """Make the f32 scales of a float16 model float16, as QuantizeLinear asks; they are f32 because
    of the wide copies above."""
    model = onnx.load(path)
    scales = {n.input[1] for n in model.graph.node if n.op_type in {"QuantizeLinear", "DequantizeLinear"}}
    for tensor in model.graph.initializer:
        if tensor.name in scales and tensor.data_type == onnx.TensorProto.FLOAT:
            narrow = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(narrow, tensor.name))
    onnx.save_model(model, path)


def by_onnxruntime(source: Path, target: Path, kind: str, nodes: list[str], feeds: list[Feed],
                   precision: str) -> None:
    """QDQ format, symmetric; every other choice is the tool's default."""
    if kind == "fp8":
        types = QuantType.QFLOAT8E4M3FN
        method = CalibrationMethod.Distribution  # the only one the tool allows for FP8
    else:
        types = QuantType.QInt8
        method = CalibrationMethod.MinMax
    with mock.patch.object(calibrate.HistogramCollector, "collect", _collect_wide):
        quantize_static(
            source, target, Feeds(feeds), quant_format=QuantFormat.QDQ, nodes_to_quantize=nodes,
            op_types_to_quantize=["MatMul", "Gemm"], activation_type=types, weight_type=types, calibrate_method=method,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True})
    if precision == "fp16":
        _narrow_scales(target)


def by_modelopt(source: Path, target: Path, kind: str, nodes: list[str], feeds: list[Feed],
                precision: str) -> None:
    """ModelOpt's ONNX route: max calibration, then the rest of the graph in `precision`."""
    from modelopt.onnx.quantization import quantize  # slow to import, and not needed by every row

    quantize(
        str(source), quantize_mode=kind, calibration_method="max", calibration_eps=["cpu"],
        calibration_data_reader=Feeds(feeds), op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_quantize=nodes, high_precision_dtype=precision, disable_mha_qdq=True, passes=[],
        output_path=str(target), log_level="ERROR")


def in_own_process(function: Callable[..., None], *arguments: object) -> None:
    """Call a function that uses ModelOpt, which patches onnxruntime and torch for good."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(function, arguments)


def quantize(model: onnx.ModelProto, tool: str, kind: str, precision: str, nodes: list[str],
             feeds: list[Feed]) -> onnx.ModelProto:
    """A copy of the model with Q/DQ around the named nodes."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save_model(model, source)
        if tool == "onnxruntime":
            by_onnxruntime(source, target, kind, nodes, feeds, precision)
        else:
            in_own_process(by_modelopt, source, target, kind, nodes, feeds, precision)
        return onnx.load(target)
