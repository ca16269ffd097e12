"""One attention and the quantization of its output, as each tool writes it: tests/models/spellings/*.onnx.

    python spellings.py [FOLDER]         all files, about a minute

ModelOpt's quantizers are exported by ModelOpt, onnxruntime's and PyTorch's by themselves; what ONNX allows beyond that
is built with onnx.helper. Nothing is calibrated for accuracy: the graphs matter, and their scales are never 1.
Packages and versions: requirements.txt.
"""

import copy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

HEADS, HEAD_DIM, BATCH, LENGTH, OUT = 2, 64, 2, 33, 8
WIDTH = HEADS * HEAD_DIM


class Attention(torch.nn.Module):
    """Attention between given q, k, v, and the projection whose input is quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.o = torch.nn.Linear(WIDTH, OUT, bias=False)

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return self.o(x.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))


def operands(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """The q, k and v that calibration and tracing see."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(BATCH, HEADS, LENGTH, HEAD_DIM, generator=generator).to(dtype) for _ in range(3))


# --- ModelOpt ------------------------------------------------------------------------------------------------


def by_modelopt(config: str, dtype: torch.dtype) -> onnx.ModelProto:
    """ModelOpt's PyTorch route. Only the quantizer of the projection's input is left on: it is the one that
    quantizes the attention's output."""
    import modelopt.torch.quantization as mtq
    from modelopt.torch._deploy.utils import OnnxBytes, get_onnx_bytes_and_metadata
    from modelopt.torch.quantization import tensor_quant

    # Its kernels for blocks need a GPU. Tracing asks for a tensor of the same shape only.
    tensor_quant.dynamic_block_quantize_op = lambda x, *_: x.clone()
    torch.manual_seed(0)
    model, inputs = Attention().eval().to(dtype), operands(dtype)
    model = mtq.quantize(model, copy.deepcopy(getattr(mtq, config)), lambda m: m(*inputs))
    mtq.disable_quantizer(model, lambda name: not name.endswith("o.input_quantizer"))
    data, _ = get_onnx_bytes_and_metadata(
        model, inputs, model_name="attention", weights_dtype="fp32", onnx_opset=20)
    return onnx.load_from_string(OnnxBytes.from_bytes(data).get_onnx_model_file_bytes())


def strip_domain(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with TensorRT's operations in no domain, as some exporters leave them."""
    for node in model.graph.node:
        if node.domain == "trt":
            node.domain = ""
    return model


# --- onnxruntime ---------------------------------------------------------------------------------------------


def plain_export() -> onnx.ModelProto:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(Attention().eval(), operands(torch.float32), str(path), opset_version=20, dynamo=True,
                          input_names=["q", "k", "v"], output_names=["y"], external_data=False)
        return onnx.load(path)


def by_onnxruntime_dynamic() -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save_model(plain_export(), source)
        projections = [n.name for n in onnx.load(source).graph.node if n.op_type in {"MatMul", "Gemm"}][-1:]
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"],
                         nodes_to_quantize=projections)
        return onnx.load(target)


# --- PyTorch's own quantized_decomposed operations, through torch.onnx ----------------------------------------


class Decomposed(Attention):
    """Attention followed by quantized_decomposed operations."""

    def __init__(self, quantize: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.quantize = quantize

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return self.quantize(x.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))


def per_tensor(x: torch.Tensor) -> torch.Tensor:
    return torch.ops.quantized_decomposed.quantize_per_tensor.default(x, 0.0131, 3, -128, 127, torch.int8)


def per_channel(x: torch.Tensor) -> torch.Tensor:
    scale = torch.linspace(0.01, 0.02, WIDTH)
    zero = torch.zeros(WIDTH, dtype=torch.int64)
    return torch.ops.quantized_decomposed.quantize_per_channel.default(x, scale, zero, 2, -128, 127, torch.int8)


def cast_e4m3(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.float8_e4m3fn)


def by_torch(quantize: Callable[[torch.Tensor], torch.Tensor]) -> onnx.ModelProto:
    import torch.ao.quantization.fx._decomposed  # noqa: F401  registers the operations

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(Decomposed(quantize).eval(), operands(torch.float32), str(path), opset_version=21,
                          dynamo=True, input_names=["q", "k", "v"], output_names=["y"], external_data=False)
        return onnx.load(path)


# --- what ONNX itself allows -----------------------------------------------------------------------------------


def built(opset: int, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray | onnx.TensorProto],
          outputs: dict[str, int]) -> onnx.ModelProto:
    """Attention (opset 23), Transpose and Reshape to `x` [B,S,H*D] in f16, then `nodes`."""
    shape = [BATCH, HEADS, LENGTH, HEAD_DIM]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape) for name in "qkv"]
    chain = [
        helper.make_node("Attention", ["q", "k", "v"], ["o"], is_causal=1),
        helper.make_node("Transpose", ["o"], ["t"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["t", "merged"], ["x"]),
    ]
    tensors = [numpy_helper.from_array(np.array([0, 0, WIDTH], dtype=np.int64), "merged")]
    for name, value in constants.items():
        if isinstance(value, np.ndarray):
            value = numpy_helper.from_array(value, name)
        value.name = name
        tensors.append(value)
    results = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
    graph = helper.make_graph(chain + nodes, "attention", inputs, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=11)


def zeros(kind: int, *dims: int) -> onnx.TensorProto:
    count = int(np.prod(dims)) if dims else 1
    return helper.make_tensor("zero", kind, dims, bytes(count), raw=True)


def f16(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float16)


SCALE = np.array(0.0173, dtype=np.float32)
CHANNELS = np.linspace(0.01, 0.03, WIDTH, dtype=np.float32)


def quantize(opset: int, scale: np.ndarray, out: int, zero: onnx.TensorProto | None = None,
             **attributes: int) -> onnx.ModelProto:
    names = ["x", "scale"] + (["zero"] if zero is not None else [])
    constants = {"scale": scale} | ({"zero": zero} if zero is not None else {})
    return built(opset, [helper.make_node("QuantizeLinear", names, ["y"], **attributes)], constants, {"y": out})


def zero_point_behind_a_cast() -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", ["wide"], ["zero"], to=TensorProto.FLOAT8E4M3FN),
             helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])]
    constants = {"scale": f16(0.0173), "wide": f16(0)}
    return built(23, nodes, constants, {"y": TensorProto.FLOAT8E4M3FN})


def pre_quant_scale() -> onnx.ModelProto:
    factors = np.linspace(0.5, 1.5, WIDTH).astype(np.float16)
    nodes = [helper.make_node("Mul", ["x", "factors"], ["smooth"]),
             helper.make_node("QuantizeLinear", ["smooth", "scale", "zero"], ["y"])]
    constants = {"factors": factors, "scale": SCALE, "zero": zeros(TensorProto.INT8)}
    return built(23, nodes, constants, {"y": TensorProto.INT8})


def dynamic_quantize() -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
             helper.make_node("DynamicQuantizeLinear", ["wide"], ["y", "s", "z"])]
    return built(23, nodes, {}, {"y": TensorProto.UINT8, "s": TensorProto.FLOAT, "z": TensorProto.UINT8})


def two_level_nvfp4() -> onnx.ModelProto:
    """Scales of blocks as FP8 under a global one: dequantized first, then blocked quantization with them."""
    codes = helper.make_tensor("levels", TensorProto.FLOAT8E4M3FN, [BATCH, LENGTH, WIDTH // 16],
                               bytes(0x40 + i % 16 for i in range(BATCH * LENGTH * WIDTH // 16)), raw=True)
    nodes = [helper.make_node("DequantizeLinear", ["levels", "global"], ["scales"]),
             helper.make_node("QuantizeLinear", ["x", "scales"], ["y"], axis=-1, block_size=16,
                              output_dtype=TensorProto.FLOAT4E2M1)]
    return built(23, nodes, {"levels": codes, "global": SCALE}, {"y": TensorProto.FLOAT4E2M1})


E4M3, E5M2, S8, U8 = (TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2, TensorProto.INT8, TensorProto.UINT8)
GROUPS = np.linspace(0.01, 0.03, BATCH * LENGTH * WIDTH // 32, dtype=np.float32).reshape(BATCH, LENGTH, WIDTH // 32)
ALONG_SEQUENCE = np.linspace(0.01, 0.03, BATCH * LENGTH // 11 * WIDTH, dtype=np.float32).reshape(BATCH, LENGTH // 11, WIDTH)

SPELLINGS: dict[str, Callable[[], onnx.ModelProto]] = {
    "modelopt-fp8": lambda: by_modelopt("FP8_DEFAULT_CFG", torch.float16),
    "modelopt-int8": lambda: by_modelopt("INT8_DEFAULT_CFG", torch.float16),
    "modelopt-int8-smoothquant": lambda: by_modelopt("INT8_SMOOTHQUANT_CFG", torch.float16),
    "modelopt-mxfp8": lambda: by_modelopt("MXFP8_DEFAULT_CFG", torch.float16),
    "modelopt-nvfp4": lambda: by_modelopt("NVFP4_DEFAULT_CFG", torch.float32),
    "modelopt-nvfp4-no-domain": lambda: strip_domain(by_modelopt("NVFP4_DEFAULT_CFG", torch.float32)),
    "modelopt-mxfp8-no-domain": lambda: strip_domain(by_modelopt("MXFP8_DEFAULT_CFG", torch.float16)),
    "onnxruntime-dynamic": by_onnxruntime_dynamic,
    "torch-per-tensor": lambda: by_torch(per_tensor),
    "torch-per-channel": lambda: by_torch(per_channel),
    "torch-cast": lambda: by_torch(cast_e4m3),
    "onnx-fp8": lambda: quantize(23, SCALE, E4M3, zeros(E4M3)),
    "onnx-fp8-f16-scale": lambda: quantize(23, f16(0.0173), E4M3, zeros(E4M3)),
    "onnx-fp8-precision": lambda: quantize(23, f16(0.0173), E4M3, zeros(E4M3), precision=TensorProto.FLOAT),
    "onnx-fp8-output-dtype": lambda: quantize(23, SCALE, E4M3, output_dtype=E4M3),
    "onnx-fp8-one-element": lambda: quantize(23, SCALE.reshape(1), E4M3, zeros(E4M3, 1)),
    "onnx-fp8-wraps": lambda: quantize(23, SCALE, E4M3, zeros(E4M3), saturate=0),
    "onnx-fp8-zero-point-cast": zero_point_behind_a_cast,
    "onnx-e5m2": lambda: quantize(23, SCALE, E5M2, zeros(E5M2)),
    "onnx-fp8-channel": lambda: quantize(23, CHANNELS, E4M3, zeros(E4M3, WIDTH), axis=2),
    "onnx-fp8-sequence": lambda: quantize(
        23, np.linspace(0.01, 0.03, LENGTH, dtype=np.float32), E4M3, zeros(E4M3, LENGTH), axis=1),
    "onnx-fp8-block": lambda: quantize(23, GROUPS, E4M3, output_dtype=E4M3, axis=-1, block_size=32),
    "onnx-fp8-block-sequence": lambda: quantize(23, ALONG_SEQUENCE, E4M3, output_dtype=E4M3, block_size=11),
    "onnx-int8": lambda: quantize(23, SCALE, S8, zeros(S8)),
    "onnx-int8-zero-point": lambda: quantize(23, SCALE, U8, helper.make_tensor("zero", U8, [], bytes([131]), raw=True)),
    "onnx-int8-channel": lambda: quantize(23, CHANNELS, S8, zeros(S8, WIDTH), axis=-1),
    "onnx-int8-pre-quant-scale": pre_quant_scale,
    "onnx-dynamic": dynamic_quantize,
    "onnx-nvfp4-two-level": two_level_nvfp4,
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "spellings"
    folder.mkdir(exist_ok=True)
    for name, make in SPELLINGS.items():
        model = make()
        del model.metadata_props[:]
        onnx.save_model(model, folder / f"{name}.onnx")
        print(name, (folder / f"{name}.onnx").stat().st_size)


if __name__ == "__main__":
    main()
