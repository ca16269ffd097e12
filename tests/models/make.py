"""Make the model fixtures: export, quantize, run. Same versions in, same bytes out.

usage: make.py [FOLDER] [NAME ...]      FOLDER defaults to the script's own
"""

import functools
import json
import logging
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import onnx
import torch

import architectures
import oracle
import quantizers
import torchscript
from architectures import ARCHITECTURES
from chains import Graph

SEED = 20
CALIBRATION_SETS = 4
DTYPES = {"f16": torch.float16, "f32": torch.float32, "bf16": torch.float32}
PRECISION = {"f16": "fp16", "f32": "fp32", "bf16": "bf16"}
LOCAL_METADATA = {"pkg.torch.onnx.stack_trace"}  # holds the paths of the machine that exported


@dataclass(frozen=True)
class Form:
    attention: str  # transformers' attention implementation
    opset: int


FORMS = {"attention": Form("sdpa", 23), "decomposed": Form("sdpa", 20), "eager": Form("eager", 19)}


@dataclass(frozen=True)
class Row:
    """One fixture."""

    arch: str
    form: str
    dtype: str
    quant: str
    quantizer: str
    static: bool = False
    external: bool = False

    @property
    def name(self) -> str:
        marks = [self.dtype] if self.dtype == "bf16" else []
        marks += ["torchscript"] if self.quantizer == TS else []
        marks += ["static"] if self.static else []
        marks += ["external"] if self.external else []
        return "-".join([self.arch, self.form, self.quant, *marks])


ORT = "onnxruntime"
NV = "modelopt"  # its ONNX route
TS = "modelopt-torch"  # its PyTorch route, which exports by TorchScript

# arch, form, dtype, quant, quantizer
ROWS = [
    Row("llama", "attention",  "f16", "fp8",  NV),
    Row("llama", "attention",  "f16", "int8", ORT),
    Row("llama", "decomposed", "f16", "fp8",  NV),
    Row("llama", "decomposed", "f16", "int8", ORT),
    Row("llama", "eager",      "f16", "fp8",  ORT),
    Row("llama", "eager",      "f16", "int8", ORT),
    Row("llama", "attention",  "f16", "fp8",  ORT, static=True),
    Row("llama", "decomposed", "bf16", "fp8", NV),
    Row("llama", "attention",  "f16", "int8", ORT, external=True),
    Row("llama", "decomposed", "f32", "fp8",  TS),
    Row("qwen2", "attention",  "f16", "fp8",  ORT),
    Row("qwen2", "attention",  "f16", "int8", ORT),
    Row("qwen2", "decomposed", "f16", "fp8",  ORT),
    Row("qwen2", "decomposed", "f16", "int8", ORT),
    Row("qwen2", "decomposed", "f16", "fp8",  NV, static=True),
    Row("gpt2",  "attention",  "f32", "fp8",  ORT),
    Row("gpt2",  "attention",  "f32", "int8", ORT),
    Row("gpt2",  "decomposed", "f32", "fp8",  NV),
    Row("gpt2",  "decomposed", "f32", "int8", ORT),
    Row("gpt2",  "eager",      "f32", "fp8",  ORT, static=True),
    Row("bert",  "attention",  "f32", "fp8",  NV),
    Row("bert",  "attention",  "f32", "int8", ORT),
    Row("bert",  "decomposed", "f32", "fp8",  ORT),
    Row("bert",  "decomposed", "f32", "int8", ORT),
    Row("bert",  "eager",      "f32", "fp8",  NV, static=True),
    Row("bert",  "decomposed", "f32", "fp8",  TS),
    Row("vit",   "attention",  "f32", "fp8",  ORT),
    Row("vit",   "attention",  "f32", "int8", ORT),
    Row("vit",   "decomposed", "f32", "fp8",  NV),
    Row("vit",   "decomposed", "f32", "int8", NV),
    Row("vit",   "eager",      "f32", "fp8",  ORT, static=True),
]


def inputs(arch: str, seed: int) -> architectures.Tensors:
    return ARCHITECTURES[arch].inputs(torch.Generator().manual_seed(seed))


def as_feed(tensors: architectures.Tensors) -> quantizers.Feed:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def strip_local_metadata(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key not in LOCAL_METADATA]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


@functools.cache
def export(arch: str, form: str, dtype: str, static: bool) -> onnx.ModelProto:
    """The float model. Rows that differ in the quantizer only share it."""
    spec = ARCHITECTURES[arch]
    model = architectures.build(arch, FORMS[form].attention, SEED).to(DTYPES[dtype])
    program = torch.onnx.export(
        model, (), kwargs=inputs(arch, SEED), dynamo=True, opset_version=FORMS[form].opset,
        dynamic_shapes=None if static else spec.dynamic, output_names=[spec.output], verbose=False)
    exported = program.model_proto
    strip_local_metadata(exported)
    return exported


def projections(model: onnx.ModelProto, suffix: str) -> list[str]:
    """Names of the matrix products of the output projections, found by the exporter's scopes."""
    def scoped(node: onnx.NodeProto) -> bool:
        scopes = [p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        return any(f".{suffix}'" in scope for scope in scopes)

    return [node.name for node in model.graph.node if node.op_type in {"MatMul", "Gemm"} and scoped(node)]


def save(model: onnx.ModelProto, row: Row, path: Path) -> None:
    if row.external:
        onnx.save_model(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=1024)
    else:
        onnx.save_model(model, path)


def quantized(row: Row) -> onnx.ModelProto:
    """The model of a row, exported, calibrated and quantized."""
    calibration = [inputs(row.arch, SEED + 1 + i) for i in range(CALIBRATION_SETS)]
    if row.quantizer == TS:
        form = FORMS[row.form]
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "model.onnx"
            quantizers.in_own_process(
                torchscript.export, target, row.arch, form.attention, form.opset, SEED, calibration)
            return onnx.load(target)
    model = export(row.arch, row.form, row.dtype, row.static)
    nodes = projections(model, ARCHITECTURES[row.arch].projection)
    feeds = [as_feed(tensors) for tensors in calibration]
    return quantizers.quantize(model, row.quantizer, row.quant, PRECISION[row.dtype], nodes, feeds)


def make(row: Row, folder: Path) -> dict[str, object]:
    """Write one fixture; return its manifest entry."""
    spec = ARCHITECTURES[row.arch]
    model = quantized(row)
    graph = Graph(model)

    home = folder / row.name
    home.mkdir(parents=True, exist_ok=True)
    for stale in home.iterdir():
        stale.unlink()
    save(model, row, home / "model.onnx")
    onnx.checker.check_model(home / "model.onnx", full_check=True)
    feed = as_feed(inputs(row.arch, SEED))
    feed = {i.name: feed[i.name] for i in model.graph.input}
    outputs, ran_by = oracle.run(home / "model.onnx", feed)
    for name, array in feed.items():
        np.save(home / f"input.{name}.npy", array)
    for name, array in outputs.items():
        np.save(home / f"expected.{name}.npy", array)
    return {
        "name": row.name, "arch": row.arch, "form": row.form, "dtype": row.dtype, "quant": row.quant,
        "quantizer": row.quantizer, "exporter": "torchscript" if row.quantizer == TS else "dynamo",
        "opset": next(o.version for o in model.opset_import if o.domain == ""),
        "layers": architectures.LAYERS, "heads": spec.heads, "kv_heads": spec.kv_heads,
        "head_dim": spec.head_dim, "static": row.static, "external_data": row.external,
        "attentions": len(graph.attentions()), "quantizes_after_attention": len(graph.quantized()),
        "oracle": ran_by, "inputs": list(feed), "outputs": list(outputs),
    }


def main(arguments: list[str]) -> int:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    folder = Path(arguments[1]) if len(arguments) > 1 else Path(__file__).parent
    wanted = set(arguments[2:])
    manifest_path = folder / "manifest.json"
    entries: dict[str, dict[str, object]] = {}
    if wanted and manifest_path.exists():
        entries = {entry["name"]: entry for entry in json.loads(manifest_path.read_text())}
    for row in ROWS:
        if not wanted or row.name in wanted:
            entries[row.name] = make(row, folder)
            print(f"{row.name}: {(folder / row.name / 'model.onnx').stat().st_size} bytes", flush=True)
    ordered = [entries[row.name] for row in ROWS if row.name in entries]
    manifest_path.write_text(json.dumps(ordered, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
