"""Run ONNX's own test cases of Attention through `quench run` and hold them to their expected outputs.

usage: attention_cases.py QUENCH [--device emulator|cuda|reference] [--page FILE] [--bless] [--quiet] [--only NAME ...]

The cases come with the onnx package and are generated here and now; nothing of them is stored. Each runs on the
reference executor and, unless --device reference is given, on the device. A case passes if its outputs are within
its tolerance; where the attention has no kernel, the reason must be given in words. Prints one line a case, then
the totals; exits 1 if anything failed. --quiet leaves out those that passed. --page holds a page of the documentation
to what was found; --bless writes it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx

# The cases' tolerance is for f32. Their 16-bit outputs were rounded after every operation, in numpy: after the scaling of
# q and k, the product, the softmax and the product with v, four times on the way to each element.
ROUNDED = {"float16": 4 * 2.0**-11, "bfloat16": 4 * 2.0**-8}


class Failure(Exception):
    """What is wrong with one case, in one line."""


@dataclass
class Outcome:
    """Where the attention of one case ran, and why not on the device."""

    name: str
    attentions: int
    reason: str  # "" if all of them ran on the device


def collect() -> list:
    """The cases of the operation Attention, as a node and as the function that defines it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    return sorted((c for c in cases if c.name.startswith("test_attention_")), key=lambda c: c.name)


def as_saved(array: np.ndarray) -> np.ndarray:
    """bf16 has no type in .npy: its bits."""
    return array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array


def compare(case, name: str, got: np.ndarray, want: np.ndarray) -> None:
    if want.dtype == ml_dtypes.bfloat16:
        got = got.view(ml_dtypes.bfloat16)
    if got.dtype != want.dtype or got.shape != want.shape:
        raise Failure(f"{name} is {got.dtype}{list(got.shape)}, expected {want.dtype}{list(want.shape)}")
    kind = str(want.dtype)
    if want.dtype != bool and want.dtype.kind in "fV":
        got, want = got.astype(np.float64), want.astype(np.float64)
    rtol = max(case.rtol, ROUNDED.get(kind, 0))
    good = np.isclose(got, want, rtol=rtol, atol=case.atol, equal_nan=True)
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise Failure(f"{name}: {(~good).sum()} of {good.size} differ, the first at {list(at)}: {got[at]}, expected {want[at]}")


def run(quench: str, device: str, case, folder: Path) -> Outcome:
    """One run of the program; its outputs against the case's."""
    onnx.save(case.model, folder / "model.onnx")
    inputs, outputs = case.data_sets[0]
    arguments = [quench, "run", str(folder / "model.onnx"), "--json", "--device", device, "-o", str(folder / device)]
    for value, array in zip(case.model.graph.input, inputs, strict=True):
        np.save(folder / f"{value.name}.npy", as_saved(array))
        arguments += ["--input", f"{value.name}={folder / value.name}.npy"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(done.stderr.strip() or f"exit code {done.returncode}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    files = {line["output"]: line["file"] for line in lines if "output" in line}
    for value, want in zip(case.model.graph.output, outputs, strict=True):
        compare(case, value.name, np.load(files[value.name]), np.asarray(want))
    attentions = [line for line in lines if "attention" in line]
    reasons = [line for line in attentions if line["device"] == "reference"]
    if device != "reference" and any(not (line["expected"] and line["found"]) for line in reasons):
        raise Failure("an attention without a kernel and without a reason")
    said = {f"{line['found']}, expected {line['expected']}" for line in reasons}
    return Outcome(case.name, len(attentions), "; ".join(sorted(said)))


def write_page(outcomes: list[Outcome]) -> str:
    """docs/onnx-attention-cases.md."""
    on_device = sum(o.attentions > 0 and not o.reason for o in outcomes)
    plain = sum(o.attentions == 0 for o in outcomes)
    text = f"""# ONNX's test cases of Attention

The `onnx` package ({onnx.__version__}) has {len(outcomes)} test cases of `Attention`, half of them as the decomposed graph that
defines the operation. `tests/models/attention_cases.py` runs each with `quench run` and holds its outputs to those of the
case: on the reference executor all of them, on the emulator {on_device}. Of the rest, {len(outcomes) - on_device - plain} have no kernel, which is said below in
the words of `quench run`; in {plain} no attention is recovered from the decomposed graph, which then runs as it is. This page is
written by that script.

| case | attention runs on |
|---|---|
"""
    for o in outcomes:
        where = "no attention is recovered" if o.attentions == 0 else f"the reference executor: {o.reason}" if o.reason else "the device"
        text += f"| `{o.name.removeprefix('test_attention_')}` | {where} |\n"
    return text


def check_page(path: Path, text: str, bless: bool) -> int:
    if bless:
        path.write_text(text)
    if path.exists() and path.read_text() == text:
        return 0
    print(f"FAIL {path} is not what was found; --bless writes it")
    return 1


def try_case(quench: str, device: str, case) -> Outcome | Failure:
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = run(quench, "reference", case, Path(folder))
            return outcome if device == "reference" else run(quench, device, case, Path(folder))
        except Failure as failure:
            return failure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("quench")
    parser.add_argument("--device", default="emulator", choices=["emulator", "cuda", "reference"])
    parser.add_argument("--page", type=Path)
    parser.add_argument("--bless", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    cases = [c for c in collect() if not options.only or c.name in options.only]
    outcomes, failed = [], 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda case: try_case(options.quench, options.device, case), cases)
        for case, outcome in zip(cases, found, strict=True):
            if isinstance(outcome, Failure):
                print(f"FAIL {case.name}: {outcome}")
                failed += 1
                continue
            outcomes.append(outcome)
            where = "no attention" if outcome.attentions == 0 else outcome.reason or options.device
            if not options.quiet:
                print(f"ok   {case.name}: {where}")
    with_attention = [o for o in outcomes if o.attentions > 0]
    on_device = sum(not o.reason for o in with_attention) if options.device != "reference" else 0
    if options.page and not options.only and options.device != "reference":
        failed += check_page(options.page, write_page(outcomes), options.bless)
    print(
        f"{on_device} on the device, {len(with_attention) - on_device} refused, "
        f"{len(outcomes) - len(with_attention)} without attention, {failed} failed"
    )
    print(f"{len(outcomes)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
