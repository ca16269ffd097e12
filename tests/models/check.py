"""Check the fixtures, and fused files against them.

usage: check.py [FOLDER] [--fused DIR] [--only NAME ...]

Each fixture of FOLDER (default: the script's own) must be valid ONNX, run, and give its expected
output within a tolerance, since another CPU sums in another order. With --fused, DIR/<name>.onnx
must be valid too, and run here and now give the very bytes that the fixture gives.
Prints one line a model, then the totals; exits 1 if anything failed.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx

import oracle

TOLERANCE = 0.05  # of the largest expected magnitude; one step of FP8 is up to 1/8 of one summand


class Failure(Exception):
    """What is wrong with one model, in one line."""


def load(folder: Path, kind: str, names: list[str]) -> oracle.Arrays:
    return {name: np.load(folder / f"{kind}.{name}.npy") for name in names}


def validate(path: Path) -> None:
    onnx.checker.check_model(path, full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(path), check_type=True, strict_mode=True, data_prop=True)


def distance(got: oracle.Arrays, expected: oracle.Arrays) -> float:
    """The largest difference over all outputs, relative to the largest expected magnitude."""
    worst = 0.0
    for name, want in expected.items():
        have = got[name]
        if have.dtype != want.dtype or have.shape != want.shape:
            raise Failure(f"{name} is {have.dtype}{list(have.shape)}, expected {want.dtype}{list(want.shape)}")
        difference = np.abs(have.astype(np.float64) - want.astype(np.float64)).max()
        if np.isnan(difference):
            raise Failure(f"{name} has NaN")
        worst = max(worst, float(difference / np.abs(want.astype(np.float64)).max()))
    return worst


def compare_bytes(got: oracle.Arrays, expected: oracle.Arrays) -> None:
    if got.keys() != expected.keys():
        raise Failure(f"fused outputs are {sorted(got)}, expected {sorted(expected)}")
    for name, want in expected.items():
        have = got[name]
        if have.dtype != want.dtype or have.shape != want.shape:
            raise Failure(f"fused {name} is {have.dtype}{list(have.shape)}, expected {want.dtype}{list(want.shape)}")
        if have.tobytes() != want.tobytes():
            raise Failure(f"fused {name} differs in {np.count_nonzero(have != want)} of {want.size} values")


def check(folder: Path, entry: dict, fused: Path | None) -> str:
    """Check one fixture; return what to print after its name."""
    home = folder / entry["name"]
    validate(home / "model.onnx")
    feed = load(home, "input", entry["inputs"])
    outputs, ran_by = oracle.run(home / "model.onnx", feed)
    off = distance(outputs, load(home, "expected", entry["outputs"]))
    if off > TOLERANCE:
        raise Failure(f"off the expected output by {off:.3g} of its largest value")
    note = "as expected" if off == 0 else f"within {off:.2g} of expected"
    if fused is None:
        return f"{note} ({ran_by})"

    path = fused / f"{entry['name']}.onnx"
    if not path.exists():
        raise Failure("no fused file")
    validate(path)
    fused_outputs, fused_by = oracle.run(path, feed)
    if fused_by != ran_by:
        raise Failure(f"fused file needs {fused_by}, the original {ran_by}")
    compare_bytes(fused_outputs, outputs)
    return f"{note}, fused the same bytes ({ran_by})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--fused", type=Path, metavar="DIR", help="folder of fused files, <name>.onnx")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="check these fixtures only")
    arguments = parser.parse_args()

    passed = failed = 0
    for entry in json.loads((arguments.folder / "manifest.json").read_text()):
        if arguments.only and entry["name"] not in arguments.only:
            continue
        try:
            print(f"ok   {entry['name']}: {check(arguments.folder, entry, arguments.fused)}", flush=True)
            passed += 1
        except Exception as error:  # a broken file may fail in any of three libraries
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"FAIL {entry['name']}: {reason}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
