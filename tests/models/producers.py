"""Runs the quantizers of compressed-tensors, ModelOpt, torchao and PyTorch and writes what they give.

    python producers.py ../quant/producers.txt

tests/quant/test_producers.c reads the file and demands the same bytes of the scheme that each case names. Versions:
torch 2.13.0, torchao 0.18.0, compressed-tensors 0.20.0, nvidia-modelopt 0.47.0 (requirements.txt).

The file has lines of words:

    input NAME DTYPE DIMS HEX        a tensor, little-endian
    case PRODUCER, OPERATION         begins a case; the rest of the line is its name
    scheme TEXT
    of NAME                          its input
    operand NAME F32...              scale or zero_point, in C's hexadecimal floating point
    codes HEX                        one byte an element, or two FP4 codes a byte, the first one low
    scales HEX                       in the type and layout of the scheme
    zero_points HEX
"""

import struct
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
ROWS, COLUMNS = 8, 64


def hex_of(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes().hex()


class Noise:
    """A generator of its own, so that no version of torch changes the inputs."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 40) / 2**24

    def normal(self):
        return sum(self.next() for _ in range(12)) - 6


def create_input(tiny):
    noise, rows = Noise(7), []
    groups = [2.0**k * f for k in (-3, 0, 4) for f in (1, 1.75, 1.9375, 1.5, 1.0625)]
    rows.append([noise.normal() for _ in range(COLUMNS)])
    rows.append([noise.normal() * 2.0 ** (i // 16 * 3 - 5) for i in range(COLUMNS)])
    rows.append([0.0 if i % 2 else -0.0 for i in range(COLUMNS)])
    rows.append([(noise.normal() * tiny) for _ in range(COLUMNS)])
    rows.append([(i - 32) / 4 for i in range(COLUMNS)])
    # Groups whose largest magnitude is a power of two, or on a threshold of the rules for exponents.
    rows.append([groups[i // 16] * (1 if i % 16 == 3 else noise.next() - 0.5) for i in range(COLUMNS)])
    rows.append([groups[4 + i // 16 * 2] * (-1 if i % 16 == 9 else noise.next() - 0.5) for i in range(COLUMNS)])
    rows.append([100 + noise.next() if i < 32 else (noise.normal() if i % 4 else 0.0) for i in range(COLUMNS)])
    return torch.tensor(rows, dtype=torch.float64)


class Writer:
    def __init__(self, out):
        self.out = out

    def line(self, *words):
        self.out.write(" ".join(words) + "\n")

    def input(self, name, dtype, tensor):
        self.line("input", name, dtype, ",".join(map(str, tensor.shape)), hex_of(tensor))

    def case(self, producer, operation, scheme, of, codes, scales=None, zero_points=None, scale=None, zero_point=None):
        self.line("case", producer + ",", operation)
        self.line("scheme", scheme)
        self.line("of", of)
        for name, operand in (("scale", scale), ("zero_point", zero_point)):
            if operand is not None:
                values = torch.as_tensor(operand, dtype=torch.float64).flatten().tolist()
                self.line("operand", name, *[float.hex(v) for v in values])
        self.line("codes", hex_of(codes))
        if scales is not None:
            self.line("scales", hex_of(scales))
        if zero_points is not None:
            self.line("zero_points", hex_of(zero_points))


def fields(**values):
    return ", ".join(f"{k}={v}" for k, v in values.items())


def pack_fp4(values):
    """Codes of FP4 values, which keep the sign of 0, two a byte."""
    magnitudes = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    codes = torch.searchsorted(magnitudes, values.float().abs()).to(torch.uint8) | (torch.signbit(values.float()) * 8).to(torch.uint8)
    return codes[..., ::2] | codes[..., 1::2] << 4


# --- compressed-tensors ----------------------------------------------------------------------------------------------


def compressed_tensors(w, dtype, x, of):
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from compressed_tensors.quantization.utils import compute_dynamic_scales_and_zp, generate_gparam

    who, kind = "compressed-tensors", DTYPES[dtype]
    same = {"scale": dtype, "scale_compute": dtype, "compute": dtype}

    def dynamic(operation, scheme, code=None, global_scale=None, zero_points=False, **args):
        qargs = QuantizationArgs(dynamic=True, **args)
        value = x.unsqueeze(0) if qargs.strategy == "token" else x
        scale, zp = compute_dynamic_scales_and_zp(value, qargs, None, global_scale=global_scale)
        codes = quantize(value, scale, zp, qargs, dtype=code, global_scale=global_scale)
        if qargs.num_bits == 4:
            codes = pack_fp4(codes)
        if qargs.scale_dtype == torch.uint8:  # as the compressor stores it
            scale = (scale.float().log2() + 127).to(torch.uint8)
        elif qargs.scale_dtype is not None:
            scale = scale.to(qargs.scale_dtype)
        w.case(who, f"{operation}, {dtype}", scheme, of, codes, scale, zp if zero_points else None,
               scale=global_scale)

    fp8 = {"num_bits": 8, "type": "float", "symmetric": True, "code": torch.float8_e4m3fn}
    int8 = {"num_bits": 8, "type": "int", "code": torch.int8}
    for name, args, family in (
        ("per tensor", {"strategy": "tensor"}, {"granularity": "tensor"}),
        ("per token", {"strategy": "token"}, {}),
        ("per group", {"strategy": "group", "group_size": 16}, {"granularity": "group", "group": 16, "axis": -1}),
    ):
        dynamic(f"FP8 dynamic {name}", f"fp8_token{{{fields(**family, floor='none', zero='eps', zero_sign='exact', **same)}}}", **fp8, **args)
        symmetric = fields(**family, range="half", zero="eps", arithmetic="divide", **same)
        dynamic(f"INT8 dynamic symmetric {name}", f"int8_token{{{symmetric}}}", symmetric=True, **int8, **args)
        asymmetric = fields(**family, range="with_zero", zero="eps", zero_point="before", zero_point_type="s8",
                            arithmetic="divide", **same)
        dynamic(f"INT8 dynamic asymmetric {name}", f"int8_token_zp{{{asymmetric}}}", symmetric=False, zero_points=True,
                **int8, **args)

    # The global scale is computed in the observed type, then made f32.
    g = generate_gparam(x.amin(), x.amax())
    dynamic("NVFP4", f"nvfp4{{{fields(scale_layout='row', rule='divide', zero='eps', scale_compute=dtype, arithmetic='divide', zero_sign='exact')}}}",
            global_scale=g, num_bits=4, type="float", symmetric=True, strategy="tensor_group", group_size=16,
            scale_dtype=torch.float8_e4m3fn)
    mx = {"strategy": "group", "group_size": 32, "scale_dtype": torch.uint8, "symmetric": True, "type": "float"}
    # In f16 a scale of 2^-127 is 0, which becomes 1; and groups of f16 subnormals, which no scheme says.
    usual = f"{fields(rule='up_1_75', arithmetic='divide')}{', zero=one' if dtype == 'f16' else ''}"
    dynamic("MXFP8", f"mxfp8{{{usual}, compute={dtype}, zero_sign=exact}}", num_bits=8, code=torch.float8_e4m3fn, **mx)
    dynamic("MXFP4", f"mxfp4{{{usual}, compute={dtype}, zero_sign=exact}}", num_bits=4, **mx)

    def static(operation, scheme, scale, zp=None, **args):
        code = args.pop("code")
        qargs = QuantizationArgs(**args)
        codes = quantize(x, scale, zp if zp is not None else torch.zeros_like(scale), qargs, dtype=code)
        w.case(who, f"{operation}, {dtype}", scheme, of, codes, scale=scale, zero_point=zp)

    scale = torch.tensor([0.0173], dtype=kind)
    channels = torch.linspace(0.01, 0.9, ROWS, dtype=torch.float64).to(kind).unsqueeze(-1)
    rounded = fields(scale=dtype, compute=dtype)
    static("FP8 static", f"fp8_static{{{rounded}, zero_sign=exact}}", scale, strategy="tensor", **fp8)
    static("FP8 per channel", f"fp8_channel{{{rounded}, axis=0, zero_sign=exact}}", channels, strategy="channel", **fp8)
    static("INT8 static", f"int8_static{{{rounded}, zero_point=before}}", scale, torch.tensor([-17], dtype=torch.int8),
           symmetric=False, strategy="tensor", **int8)


# --- ModelOpt --------------------------------------------------------------------------------------------------------


def modelopt(w, dtype, x, of):
    from modelopt.torch.quantization.qtensor import FP8QTensor, INT8QTensor, MXFP4QTensor, NVFP4QTensor
    from modelopt.torch.quantization.qtensor.mxfp8_tensor import MXFP8QTensor

    who = "ModelOpt"
    same = {"scale": dtype, "scale_compute": dtype, "compute": dtype}
    for name, args, family in (
        ("per tensor", {}, {"granularity": "tensor"}),
        ("per token", {"axis": 0}, {}),
        ("per group", {"block_sizes": {-1: 16}}, {"granularity": "group", "group": 16, "axis": -1}),
    ):
        q, scale = FP8QTensor.quantize(x, **args)
        w.case(who, f"FP8QTensor {name}, {dtype}", f"fp8_token{{{fields(**family, floor='none', **same)}}}", of,
               q._quantized_data, scale)
        # 0 / 0 converted to an integer is whatever the machine makes of it: zeros only where a tensor has one scale.
        if not args:
            q, scale = INT8QTensor.quantize(x, **args)
            w.case(who, f"INT8QTensor {name}, {dtype}", f"int8_token{{{fields(**family, arithmetic='divide', **same)}}}", of,
                   q._quantized_data, scale)
    q, scale, scale_2 = NVFP4QTensor.quantize(x.clone(), 16)
    w.case(who, f"NVFP4QTensor, {dtype}",
           "nvfp4{scale_layout=row, rule=product, floor=subnormal, zero=one, global=divisor, arithmetic=divide, zero_sign=exact}",
           of, q._quantized_data, scale, scale=scale_2)
    q, scale = MXFP4QTensor.quantize(x.clone(), 32)
    w.case(who, f"MXFP4QTensor, {dtype}", "mxfp4{rule=up, arithmetic=divide, zero_sign=set, ties=towards_zero}", of,
           q._quantized_data, scale)
    q, scale = MXFP8QTensor.quantize(x.clone())
    w.case(who, f"MXFP8QTensor, {dtype}", "mxfp8{rule=up, arithmetic=divide}", of, q._quantized_data, scale)


# --- torchao ---------------------------------------------------------------------------------------------------------


def torchao(w, dtype, x, of):
    from torchao.float8.float8_utils import tensor_to_scale, to_fp8_saturated
    from torchao.float8.config import ScalingGranularity
    from torchao.prototype.mx_formats.mx_tensor import ScaleCalculationMode, to_mx
    from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize, per_tensor_amax_to_scale
    from torchao.quantization.quant_primitives import (MappingType, _choose_scale_float8, _quantize_affine_float8,
                                                       choose_qparams_affine, quantize_affine)

    who, codes_of = "torchao", {torch.float8_e4m3fn: "e4m3", torch.float8_e5m2: "e5m2"}
    for name, block, family in (
        ("per tensor", [ROWS, COLUMNS], {"granularity": "tensor"}),
        ("per row", [1, COLUMNS], {}),
        ("per group", [1, 16], {"granularity": "group", "group": 16, "axis": -1}),
    ):
        for code, target in codes_of.items():
            scale = _choose_scale_float8(x, block, code)
            w.case(who, f"_choose_scale_float8 and _quantize_affine_float8, {target} {name}, {dtype}",
                   f"fp8_token{{{fields(target=target, **family, floor='none', scale_compute=dtype)}}}", of,
                   _quantize_affine_float8(x, scale, code), scale)
        eps = torch.finfo(torch.float32).eps
        for scale_dtype in dict.fromkeys((dtype, "f32")):
            scale, zp = choose_qparams_affine(x, MappingType.SYMMETRIC, block, torch.int8, eps=eps,
                                              scale_dtype=DTYPES[scale_dtype], zero_point_dtype=torch.int8)
            promoted = "f32" if scale_dtype == "f32" else dtype
            rounding = {"scale": scale_dtype, "scale_compute": dtype, "compute": promoted}
            symmetric = fields(**family, range="half", floor="eps_f32", arithmetic="reciprocal", **rounding)
            w.case(who, f"choose_qparams_affine symmetric and quantize_affine, {name}, {dtype}, scale {scale_dtype}",
                   f"int8_token{{{symmetric}}}", of, quantize_affine(x, block, scale, zp, torch.int8), scale)
            scale, zp = choose_qparams_affine(x, MappingType.ASYMMETRIC, block, torch.int8, eps=eps,
                                              scale_dtype=DTYPES[scale_dtype], zero_point_dtype=torch.int8)
            if scale_dtype == "f16" and name != "per tensor":
                continue  # 1 / 2^-23 is infinite: groups of zeros become NaN, and integers as the machine converts it
            asymmetric = fields(**family, range="with_zero", floor="eps_f32", zero_point_rule="inner", zero_point_type="s8",
                                **rounding)
            w.case(who, f"choose_qparams_affine asymmetric and quantize_affine, {name}, {dtype}, scale {scale_dtype}",
                   f"int8_token_zp{{{asymmetric}}}", of, quantize_affine(x, block, scale, zp, torch.int8), scale, zp)
    for name, granularity, axis, family in (("tensorwise", ScalingGranularity.TENSORWISE, None, "granularity=tensor, "),
                                            ("axiswise", ScalingGranularity.AXISWISE, -1, "")):
        for code, target in codes_of.items():
            scale = tensor_to_scale(x, code, scaling_granularity=granularity, axiswise_dim=axis)
            w.case(who, f"float8 training {name}, {target}, {dtype}",
                   f"fp8_token{{target={target}, {family}rule=multiplier, floor=amax_1e-12, arithmetic=multiply}}", of,
                   to_fp8_saturated(x.float() * scale, code), scale)
    if dtype == "f16":  # the MX and NVFP4 functions refuse it
        return
    rules = {"FLOOR": "floor", "RCEIL": "up", "EVEN": "even", "CEIL": "ceil"}
    for mode, rule in rules.items():
        for code, target in (*codes_of.items(), (torch.float4_e2m1fn_x2, "e2m1")):
            family = "mxfp4" if target == "e2m1" else "mxfp8"
            target_field = "target=e5m2, " if target == "e5m2" else ""
            for swizzled in (False, True) if target == "e4m3" and mode == "FLOOR" else (False,):
                scale, codes = to_mx(x, code, 32, ScaleCalculationMode[mode], is_swizzled_scales=swizzled)
                layout = ", scale_layout=swizzled" if swizzled else ""
                w.case(who, f"to_mx {mode} {target}{' swizzled' if swizzled else ''}, {dtype}",
                       f"{family}{{{target_field}rule={rule}, arithmetic=divide{layout}}}", of, codes, scale)
    scale_2 = per_tensor_amax_to_scale(x.abs().amax().float())
    scale, codes = nvfp4_quantize(x, 16, scale_2)
    w.case(who, f"nvfp4_quantize, two levels, {dtype}",
           "nvfp4{scale_layout=row, rule=divide, floor=normal, zero=computed, global=divisor}", of, codes, scale, scale=scale_2)
    scale, codes = nvfp4_quantize(x, 16)
    w.case(who, f"nvfp4_quantize, one level, {dtype}",
           "nvfp4{scale_layout=row, rule=divide, floor=normal, zero=computed, global=none}", of, codes, scale)


# --- PyTorch ---------------------------------------------------------------------------------------------------------


def pytorch(w, dtype, x, of):
    import torch.ao.quantization.fx._decomposed  # noqa: F401  registers the operations

    who, ops, int8 = "PyTorch", torch.ops.quantized_decomposed, torch.int8
    for code, target in ((torch.float8_e4m3fn, "e4m3"), (torch.float8_e5m2, "e5m2")):
        w.case(who, f"cast to {target}, {dtype}", f"fp8_cast{{target={target}}}", of, x.to(code))
    scale, zp = float.fromhex('0x1.bff5ccp-6'), -17  # an f32, as graphs have it
    w.case(who, f"quantize_per_tensor, {dtype}", "int8_static{arithmetic=reciprocal}", of,
           ops.quantize_per_tensor(x, scale, zp, -128, 127, int8), scale=scale, zero_point=zp)
    scale, zp = ops.choose_qparams.tensor(x, -128, 127, 2.0**-23, int8)
    rounding = {"scale_compute": dtype}
    if dtype == "f32":
        w.case(who, f"choose_qparams and quantize_per_tensor, {dtype}",
               f"int8_dynamic{{{fields(target='s8', floor='eps_f32', zero='computed', zero_point_rule='inner', arithmetic='reciprocal')}}}",
               of, ops.quantize_per_tensor.tensor(x, scale, zp, -128, 127, int8), scale.float(), zp.to(int8))
    same = {"scale": "f32" if dtype == "f16" else dtype, "scale_compute": "f32" if dtype == "f16" else dtype,
            "compute": "f32" if dtype == "f16" else dtype}
    scale, zp = ops.choose_qparams_per_token(x, int8)
    w.case(who, f"choose_qparams_per_token and quantize_per_token, {dtype}",
           f"int8_token{{{fields(floor='amax_1e-5', arithmetic='reciprocal', **same)}}}", of,
           ops.quantize_per_token(x, scale, zp, -128, 127, int8), scale)
    channels = torch.linspace(0.01, 0.9, ROWS)
    zps = torch.arange(ROWS) * 3 - 10
    if dtype == "f32":
        w.case(who, f"quantize_per_channel, {dtype}", "int8_channel{axis=0, arithmetic=reciprocal}", of,
               ops.quantize_per_channel(x, channels, zps, 0, -128, 127, int8), scale=channels, zero_point=zps)
        groups = torch.linspace(0.01, 0.9, ROWS * 4).reshape(ROWS, 4)
        w.case(who, f"quantize_per_channel_group, {dtype}", "int8_block{group=16, arithmetic=reciprocal, zero_point=before}", of,
               ops.quantize_per_channel_group(x, groups, torch.full_like(groups, 3), -128, 127, int8, 16),
               scale=groups, zero_point=torch.full_like(groups, 3))


def main(path):
    with open(path, "w") as out:
        w = Writer(out)
        w.line("# Written by tests/models/producers.py; torch", torch.__version__.split("+")[0])
        for dtype, kind in DTYPES.items():
            # The tiny row: normal in every type, but far below what the others have.
            x = create_input(2.0**-13 if dtype == "f16" else 2.0**-60).to(kind)
            w.input(dtype, dtype, x)
            for producer in (compressed_tensors, modelopt, torchao, pytorch):
                producer(w, dtype, x, dtype)


if __name__ == "__main__":
    main(sys.argv[1])
