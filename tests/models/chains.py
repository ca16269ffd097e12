"""Print, for each fixture, the op chain backward from QuantizeLinear through the attention.

usage: chains.py FOLDER [NAME ...]      FOLDER holds <name>/model.onnx
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

LAYOUT_OPS = {"Reshape", "Transpose", "Cast", "Identity", "Flatten", "Squeeze", "Unsqueeze"}
LEAF_OPS = {"MatMul", "Gemm", "Add", "LayerNormalization", "RMSNormalization", "Split", "Concat", "And", "GatherND"}


class Graph:
    """Producers and initializers of an ONNX graph by value name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = model.graph.node
        self.producer = {value: node for node in self.nodes for value in node.output if value}
        self.constant = {tensor.name: tensor for tensor in model.graph.initializer}
        self.constant |= {node.output[0]: node.attribute[0].t for node in self.nodes if node.op_type == "Constant"}

    def describe_constant(self, value: str) -> str:
        tensor = self.constant[value]
        kind = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        array = numpy_helper.to_array(tensor)
        if array.size > 8:
            return f"{kind}{list(array.shape)}"
        return f"{kind}{list(array.shape)}={np.asarray(array, dtype=np.float64).ravel().tolist()}"

    def describe(self, node: onnx.NodeProto) -> str:
        """The op with what distinguishes one spelling from another."""
        notes = [f"{a.name}={onnx.helper.get_attribute_value(a)}" for a in node.attribute]
        notes += [self.describe_constant(value) for value in node.input if value in self.constant]
        if node.op_type == "Reshape" and node.input[1] not in self.constant:
            notes.append(f"shape from {self.producer[node.input[1]].op_type}")
        domain = f"{node.domain}::" if node.domain else ""
        return f"{domain}{node.op_type}" + (f"({', '.join(notes)})" if notes else "")

    def through(self, value: str) -> tuple[list[onnx.NodeProto], onnx.NodeProto | None]:
        """Layout nodes above a value, and the first node above them."""
        passed = []
        node = self.producer.get(value)
        while node is not None and node.op_type in LAYOUT_OPS:
            passed.append(node)
            node = self.producer.get(node.input[0])
        return passed, node

    def softmax_above(self, value: str) -> list[onnx.NodeProto] | None:
        """The nodes from a probability value up to its Softmax, or None."""
        node, path = self.producer.get(value), []
        while node is not None and node.op_type in {"Where", "Cast", "Identity", "Softmax"}:
            path.append(node)
            if node.op_type == "Softmax":
                return path
            node = self.producer.get(node.input[2 if node.op_type == "Where" else 0])
        return None

    def is_attention(self, node: onnx.NodeProto | None) -> bool:
        if node is None:
            return False
        if node.op_type == "Attention":
            return True
        return node.op_type == "MatMul" and self.softmax_above(node.input[0]) is not None

    def attentions(self) -> list[onnx.NodeProto]:
        return [node for node in self.nodes if self.is_attention(node)]

    def quantized(self) -> list[onnx.NodeProto]:
        """Every QuantizeLinear that has an attention above it, with only layout ops between."""
        found = [node for node in self.nodes if node.op_type == "QuantizeLinear"]
        return [node for node in found if self.is_attention(self.through(node.input[0])[1])]

    def operand(self, value: str, limit: int = 14) -> Iterator[str]:
        """The chain above one operand of the core, along first non-constant inputs."""
        while value in self.producer and limit > 0:
            node = self.producer[value]
            yield self.describe(node)
            if node.op_type in LEAF_OPS:
                return
            value = next((i for i in node.input if i and i not in self.constant), "")
            limit -= 1

    def core(self, node: onnx.NodeProto) -> Iterator[tuple[str, list[str]]]:
        """The chain from the attention's last node to its operands, as (label, ops) rows."""
        if node.op_type == "Attention":
            yield "core", [self.describe(node)]
            for label, value in zip(("q", "k", "v", "mask"), node.input, strict=False):
                yield label, list(self.operand(value))
            return
        path = self.softmax_above(node.input[0]) or []
        yield "core", [self.describe(n) for n in [node, *path]]
        scores, above = self.producer[path[-1].input[0]], []
        mask = None
        while scores.op_type != "MatMul":
            above.append(self.describe(scores))
            if scores.op_type == "Add":
                first, second = (self.through(i)[1] for i in scores.input)
                swap = first is None or first.op_type in {"Where", "Expand"}
                mask = scores.input[0 if swap else 1]
                scores = second if swap else first
            else:
                scores = self.producer[next(i for i in scores.input if i not in self.constant)]
        yield "scores", [*above, self.describe(scores)]
        yield "q", list(self.operand(scores.input[0]))
        yield "k", list(self.operand(scores.input[1]))
        yield "v", list(self.operand(node.input[1]))
        if mask is not None:
            yield "mask", list(self.operand(mask))


def rows(graph: Graph, quantize: onnx.NodeProto) -> Iterator[tuple[str, list[str]]]:
    layout, attention = graph.through(quantize.input[0])
    yield "out", [graph.describe(node) for node in [quantize, *layout]]
    yield from graph.core(attention)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[1])
    names = arguments[2:] or sorted(path.parent.name for path in folder.glob("*/model.onnx"))
    for name in names:
        graph = Graph(onnx.load(folder / name / "model.onnx"))
        quantizes = graph.quantized()
        print(f"{name}: {len(graph.attentions())} attentions, {len(quantizes)} quantized")
        for label, ops in rows(graph, quantizes[0]) if quantizes else ():
            print(f"  {label:7}{' <- '.join(ops)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
