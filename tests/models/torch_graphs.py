"""Small attention modules with the quantizers of PyTorch and torchao, exported by torch.export, as graphs of
tests/torch/graphs/*.qn under the convention of docs/torch.md.

A file holds the graph, and as constants what the eager module gives: outputs come in pairs, found and wanted. Its
inputs are numbers that tests/torch/test_graphs.c makes in the same way (`numbers`).

    pip install torch==2.13.0 torchao==0.18.0 numpy
    python torch_graphs.py ../torch/graphs [NAME ...]

Parameters and buffers become constants. What the export leaves besides operations on tensors goes: checks
(_assert_tensor_metadata), getitem, and in-place forms whose operand nobody reads again.
"""
import math
import operator
import re
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
from torchao.quantization.quant_primitives import (MappingType, _choose_scale_float8, _quantize_affine_float8,
                                                   choose_qparams_affine, quantize_affine)

# --- types -----------------------------------------------------------------------------------------------------

SCALAR_TYPES = {torch.uint8: (0, "u8"), torch.int8: (1, "s8"), torch.int16: (2, "s16"), torch.int32: (3, "s32"),
                torch.int64: (4, "s64"), torch.float16: (5, "f16"), torch.float32: (6, "f32"),
                torch.float64: (7, "f64"), torch.bool: (11, "bool"), torch.bfloat16: (15, "bf16"),
                torch.float8_e5m2: (23, "e5m2"), torch.float8_e4m3fn: (24, "e4m3")}


def numbers(index, shape, dtype):
    """The input of that index: in [-1, 1), by a linear congruence."""
    state, values = index + 1, []
    for _ in range(math.prod(shape)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values.append((state >> 8) / 8388608 - 1)
    return torch.tensor(np.array(values, np.float32)).reshape(shape).to(dtype)


def element(value, dtype):
    if dtype.is_floating_point:
        return "nan" if math.isnan(value) else "%.9g" % value if dtype != torch.float64 else repr(value)
    return str(int(value))


def literal(tensor):
    values = tensor.to(torch.float64 if tensor.dtype == torch.float64 else
                       torch.float32 if tensor.dtype.is_floating_point else torch.int64).flatten().tolist()
    return "%s = const[value={%s}]" % (type_text(tensor), ", ".join(element(v, tensor.dtype) for v in values))


def type_text(tensor):
    dims = [str(d).replace("Sym(", "").replace(")", "") if not isinstance(d, int) else str(d) for d in tensor.shape]
    return "%s[%s]" % (SCALAR_TYPES[tensor.dtype][1], ",".join(dims))


# --- graphs ----------------------------------------------------------------------------------------------------

class Writer:
    def __init__(self, program):
        self.program, self.lines, self.names, self.inputs, self.count = program, [], {}, [], 0
        self.parts = {}

    def fresh(self):
        self.count += 1
        return "c%d" % self.count

    def constant(self, text):
        for line in self.lines:  # one constant for each value
            if line.endswith(text) and re.match(r"  c\d+: ", line) and line.split(": ", 1)[1] == text:
                return line.split(":")[0].strip()
        name = self.fresh()
        self.lines.append("  %s: %s" % (name, text))
        return name

    def operand(self, value, raw, argument):
        if value is None:
            return "_"
        if isinstance(value, torch.fx.Node):
            return self.names[value]
        if isinstance(value, torch.dtype):
            return self.constant("s64[] = const[value={%d}]" % SCALAR_TYPES[value][0])
        if isinstance(value, bool):
            return self.constant("bool[] = const[value={%d}]" % value)
        if isinstance(value, int):
            return self.constant("s64[] = const[value={%d}]" % value)
        if isinstance(value, float):
            return self.constant("f64[] = const[value={%r}]" % value)
        if isinstance(value, str):
            raw.append("%s=%s" % (argument.name, value))
            return "_"
        if isinstance(value, (list, tuple)):
            if all(isinstance(v, int) for v in value):
                return self.constant("s64[%d] = const[value={%s}]" % (len(value), ", ".join(map(str, value))))
            parts = [self.names[v] if isinstance(v, torch.fx.Node) else
                     self.constant("s64[1] = const[value={%d}]" % v) for v in value]
            name = self.fresh()
            self.lines.append("  %s: s64[%d] = concat(%s)" % (name, len(parts), ", ".join(parts)))
            return name
        return "_"  # a device, a layout, a memory format

    def placeholder(self, node, spec):
        if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT:
            self.inputs.append("%s: %s" % (node.name, type_text(node.meta["val"])))
            self.names[node] = node.name
            return
        tensor = self.program.state_dict.get(spec.target)
        if tensor is None:
            tensor = self.program.constants[spec.target]
        if type(tensor) not in (torch.Tensor, nn.Parameter):  # a subclass: its parts are taken out by the graph
            self.parts[node] = tensor
            return
        self.lines.append("  %s: %s" % (node.name, literal(tensor.detach())))
        self.names[node] = node.name

    def call(self, node):
        if node.target is operator.getitem:
            return  # its producer has named it
        name = str(node.target)
        if name.startswith("aten._assert"):
            return
        if name.startswith("export.access_subclass_inner_tensor"):
            part = getattr(self.parts[node.args[0]], node.args[1])
            self.lines.append("  %s: %s" % (node.name, literal(part)))
            self.names[node] = node.name
            return
        if name == "aten.sym_size.int":
            x, dim = node.args
            self.lines.append("  %s: s64[1] = shape(%s)[start=%d, end=%d]" % (node.name, self.names[x], dim, dim + 1))
            self.names[node] = node.name
            return
        schema, raw = node.target._schema, []
        if schema.name.endswith("_") and not schema.name.endswith("__"):  # in place
            assert list(node.args[0].users)[-1] is node
            name = name.replace("_.", ".", 1)
        given = dict(zip([a.name for a in schema.arguments], node.args), **node.kwargs)
        operands = [self.operand(given.get(a.name), raw, a) for a in schema.arguments]
        while operands and operands[-1] == "_":
            operands.pop()
        results = []
        if isinstance(node.meta["val"], (tuple, list)):
            picked = {u.args[1]: u for u in node.users if u.target is operator.getitem}
            for i, value in enumerate(node.meta["val"]):
                results.append("%s_%d: %s" % (node.name, i, type_text(value)))
                if i in picked:
                    self.names[picked[i]] = "%s_%d" % (node.name, i)
        else:
            results.append("%s: %s" % (node.name, type_text(node.meta["val"])))
            self.names[node] = node.name
        text = ', raw="%s"' % "\\n".join(raw) if raw else ""
        self.lines.append('  %s = extern(%s)[name="%s"%s]' % (", ".join(results), ", ".join(operands), name, text))

    def write(self, title, wanted):
        specs = {s.arg.name: s for s in self.program.graph_signature.input_specs}
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.placeholder(node, specs[node.name])
            elif node.op == "call_function":
                self.call(node)
            elif node.op == "output":
                outputs = [self.names[v] for v in node.args[0]]
        pairs = []
        for i, (name, tensor) in enumerate(zip(outputs, wanted)):
            self.lines.append("  wanted%d: %s" % (i, literal(tensor)))
            pairs += [name, "wanted%d" % i]
        return "\n".join(["// " + title, "// Written by tests/models/torch_graphs.py.",
                          'graph "main" (%s) {' % ", ".join(self.inputs)] + self.lines +
                         ["  return " + ", ".join(pairs), "}", ""])


# --- modules ---------------------------------------------------------------------------------------------------

def attend(q, k, v, **kw):
    """[B,H,S,D] to [B,S,H*D], as models do."""
    a = F.scaled_dot_product_attention(q, k, v, **kw)
    return a.transpose(1, 2).reshape(q.shape[0], q.shape[2], -1)


class Of(nn.Module):
    """A function of q, k, v with buffers."""

    def __init__(self, function, **buffers):
        super().__init__()
        self.function = function
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, q, k, v):
        out = self.function(self, q, k, v)
        return out if isinstance(out, tuple) else (out,)


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.o = nn.Linear(32, 4, bias=False)
        with torch.no_grad():
            self.o.weight.copy_(numbers(7, (4, 32), torch.float32))

    def forward(self, q, k, v):
        return (self.o(attend(q, k, v)),)


def pt2e(dynamic):
    def make(inputs):
        quantizer = x86.X86InductorQuantizer()
        quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=dynamic))
        model = prepare_pt2e(torch.export.export(Projected(), inputs).module(), quantizer)
        model(*inputs)
        return convert_pt2e(model)
    return make


def int8_dynamic(inputs):
    model = Projected()
    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return model


def affine(mapping, dtype_of_scale=torch.float32):
    def run(self, q, k, v):
        x = attend(q, k, v)
        block = [1] * (x.dim() - 1) + [x.shape[-1]]
        scale, zero_point = choose_qparams_affine(x, mapping, block, torch.int8, eps=torch.finfo(torch.float32).eps,
                                                  scale_dtype=dtype_of_scale, keepdim=True)
        codes = quantize_affine(x, block, scale, zero_point, torch.int8)
        return (codes, scale) if mapping == MappingType.SYMMETRIC else (codes, scale, zero_point)
    return lambda inputs: Of(run)


def float8(block):
    def run(self, q, k, v):
        x = attend(q, k, v)
        scale = _choose_scale_float8(x, block(x))
        return _quantize_affine_float8(x, scale, torch.float8_e4m3fn), scale
    return lambda inputs: Of(run)


def float8_non_decomposed(block):
    def run(self, q, k, v):
        x = attend(q, k, v)
        scale = _choose_scale_float8(x, block(x))
        return torch.ops.torchao.quantize_affine_float8_non_decomposed(x, scale, torch.float8_e4m3fn), scale
    return lambda inputs: Of(run)


def buffers(run, **values):
    return lambda inputs: Of(run, **{k: torch.tensor(v) if not isinstance(v, torch.Tensor) else v
                                     for k, v in values.items()})


def fp8(x):
    return x.clamp(-448, 448).to(torch.float8_e4m3fn)


QD = torch.ops.quantized_decomposed
ROW = lambda x: [1] * (x.dim() - 1) + [x.shape[-1]]
ALL = lambda x: list(x.shape)
SCALES = 0.004 + 0.0005 * torch.arange(32, dtype=torch.float32)

# name: (what it is, module of the inputs, type, options)
GRAPHS = {
    "pt2e_static": ("PT2E, X86InductorQuantizer, static u8 with a zero point", pt2e(False), torch.float32, {}),
    "pt2e_dynamic": ("PT2E, X86InductorQuantizer, dynamic u8 of the tensor", pt2e(True), torch.float32, {}),
    "torchao_int8_dynamic": ("torchao Int8DynamicActivationInt8WeightConfig", int8_dynamic, torch.float32, {}),
    "torchao_int8_dynamic_decomposed": ("the same after run_decompositions: attention and quantizer in their parts",
                                        int8_dynamic, torch.float32, {"decompose": True}),
    "torchao_int8_asymmetric": ("torchao choose_qparams_affine, asymmetric, a token", affine(MappingType.ASYMMETRIC),
                                torch.float32, {}),
    "torchao_int8_bf16": ("torchao choose_qparams_affine, symmetric, a token of bf16",
                          affine(MappingType.SYMMETRIC), torch.bfloat16, {}),
    "torchao_float8_token": ("torchao float8, a scale a token, spelled out", float8(ROW), torch.float32, {}),
    "torchao_float8_token_operation": ("torchao float8, a scale a token, as operations", float8_non_decomposed(ROW),
                                       torch.float32, {}),
    "torchao_float8_token_bf16": ("torchao float8 of bf16, a scale a token, as operations",
                                  float8_non_decomposed(ROW), torch.bfloat16, {}),
    "torchao_float8_tensor": ("torchao float8, one scale of the whole tensor", float8_non_decomposed(ALL),
                              torch.float32, {}),
    "torchao_float8_group": ("torchao float8, a scale for each 16",
                             float8_non_decomposed(lambda x: [1, 1, 16]), torch.float32, {}),
    "torchao_float8_static": ("torchao float8 with a given scale",
                              buffers(lambda s, q, k, v: torch.ops.torchao.quantize_affine_float8_non_decomposed(
                                  attend(q, k, v), s.scale, torch.float8_e4m3fn), scale=0.00137), torch.float32, {}),
    "decomposed_per_tensor": ("quantize_per_tensor of a Python float",
                              buffers(lambda s, q, k, v: QD.quantize_per_tensor(
                                  attend(q, k, v), 0.0071, 3, -128, 127, torch.int8)), torch.float32, {}),
    "decomposed_per_channel": ("quantize_per_channel",
                               buffers(lambda s, q, k, v: QD.quantize_per_channel(
                                   attend(q, k, v), s.scales, s.zero_points, 2, -128, 127, torch.int8),
                                   scales=SCALES, zero_points=torch.zeros(32, dtype=torch.int64)), torch.float32, {}),
    "decomposed_per_token": ("choose_qparams_per_token and quantize_per_token",
                             buffers(lambda s, q, k, v: (lambda x: QD.quantize_per_token(
                                 x, *QD.choose_qparams_per_token(x, torch.int8), -128, 127, torch.int8))(
                                 attend(q, k, v))), torch.float32, {}),
    "plain_divide": ("x / scale, clamped and cast to FP8",
                     buffers(lambda s, q, k, v: fp8(attend(q, k, v) / s.scale), scale=0.00137), torch.float32, {}),
    "plain_reciprocal": ("x * (1 / scale) in f32: vLLM's native quantizer of bf16",
                         buffers(lambda s, q, k, v: fp8(attend(q, k, v).float() * s.scale.reciprocal()),
                                 scale=0.00137), torch.bfloat16, {}),
    "plain_bf16_quotient": ("x / scale of bf16 by a scalar tensor: the quotient is rounded to bf16",
                            buffers(lambda s, q, k, v: fp8(attend(q, k, v) / s.scale), scale=0.00137),
                            torch.bfloat16, {}),
    "plain_int8": ("round(x / scale), clamped and cast to INT8",
                   buffers(lambda s, q, k, v: torch.round(attend(q, k, v) / s.scale).clamp(-128, 127).to(torch.int8),
                           scale=0.0071), torch.float32, {}),
    "plain_cast": ("attention cast to FP8", buffers(lambda s, q, k, v: attend(q, k, v).to(torch.float8_e4m3fn)),
                   torch.float32, {}),
    "causal_grouped": ("causal attention of 4 heads over 2, static FP8 with e5m2 codes",
                       buffers(lambda s, q, k, v: (attend(q, k, v, is_causal=True, enable_gqa=True) / s.scale).clamp(
                           -57344, 57344).to(torch.float8_e5m2), scale=0.0137), torch.float32, {"heads": (4, 2)}),
    "before_the_reshape": ("quantized as [B,S,H,D], then merged",
                           buffers(lambda s, q, k, v: QD.quantize_per_tensor(
                               F.scaled_dot_product_attention(q, k, v).permute(0, 2, 1, 3).contiguous(), 0.0071, 0,
                               -128, 127, torch.int8).reshape(1, 5, 32)), torch.float32, {}),
    "symbolic": ("a batch and a length that the graph has as symbols",
                 buffers(lambda s, q, k, v: fp8(attend(q, k, v) / s.scale), scale=0.00137), torch.float32,
                 {"symbolic": True}),
}


def make(name):
    title, module, dtype, options = GRAPHS[name]
    heads, kv_heads = options.get("heads", (2, 2))
    shapes = [(1, h, 5, 32 // heads) for h in (heads, kv_heads, kv_heads)]
    if options.get("symbolic"):
        shapes = [(2, 2, 5, 16)] * 3
    inputs = tuple(numbers(i, shape, dtype) for i, shape in enumerate(shapes))
    with torch.no_grad():
        model = module(inputs)
        dims = None
        if options.get("symbolic"):
            batch, length = torch.export.Dim("B"), torch.export.Dim("S")
            dims = {n: {0: batch, 2: length} for n in "qkv"}
            dims = (dims["q"], dims["k"], dims["v"])
        program = torch.export.export(model, inputs, dynamic_shapes=dims)
        if options.get("decompose"):
            program = program.run_decompositions()
        wanted = model(*inputs)
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    return Writer(program).write("PyTorch 2.13, torchao 0.18: %s." % title, wanted)


if __name__ == "__main__":
    torch.manual_seed(0)
    for name in sys.argv[2:] or GRAPHS:
        with open("%s/%s.qn" % (sys.argv[1], name), "w") as file:
            file.write(make(name))
