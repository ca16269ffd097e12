"""ModelOpt's PyTorch route: quantizers in the module, exported by TorchScript, post-processed.

The result has trt::QuantizeLinear and trt::DequantizeLinear, and looks nothing like the dynamo
exporter's graph of the same model.
"""

import copy
import warnings
from pathlib import Path

import torch

import architectures

E4M3 = {"num_bits": (4, 3), "axis": None}


class FirstOutput(torch.nn.Module):
    """The model as a function of plain tensors, which TorchScript and ModelOpt's exporter need."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


def _only(projection: str) -> list[dict]:
    """A ModelOpt configuration that quantizes input and weight of one kind of layer."""
    kinds = ("input_quantizer", "weight_quantizer")
    chosen = [{"quantizer_name": f"*{projection}.{kind}", "cfg": E4M3, "enable": True} for kind in kinds]
    return [{"quantizer_name": "*", "enable": False}, *chosen]


def export(target: Path, arch: str, attention: str, opset: int, seed: int,
           calibration: list[architectures.Tensors]) -> None:
    """Write the f32 FP8 model. Runs in a process of its own: ModelOpt patches torch."""
    import modelopt.torch.quantization as mtq
    from modelopt.torch._deploy.utils.torch_onnx import OnnxBytes, get_onnx_bytes_and_metadata

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    spec = architectures.ARCHITECTURES[arch]
    model = architectures.build(arch, attention, seed)

    def calibrate(module: torch.nn.Module) -> None:
        for tensors in calibration:
            module(**copy.deepcopy(tensors))

    mtq.quantize(model, {"quant_cfg": _only(spec.projection), "algorithm": "max"}, calibrate)
    example = tuple(spec.inputs(torch.Generator().manual_seed(seed)).values())
    packed, _ = get_onnx_bytes_and_metadata(
        FirstOutput(model), example, model_name=arch, onnx_opset=opset, dynamic_axes=spec.dynamic)
    target.write_bytes(OnnxBytes.from_bytes(packed).get_onnx_model_file_bytes())
