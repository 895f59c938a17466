"""Export formats: how a part of a network is written from torch and run again for comparison."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError

Format = Literal["onnx", "torchscript"]
Tensors = tuple[Tensor, ...]
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torchscript": ".pt"}
OBJECTS, POINTS = "objects", "points"
MOST = 4096  # declared maximum of objects and of points for an exported decoder


@dataclass(frozen=True)
class Part:
    """A file to export.

    Attributes:
        name: stem of the file's name.
        module: the network part.
        inputs, outputs: names of the tensors.
        traced: inputs of the trace.
        checked: further inputs, for the comparison with torch.
        dynamic: for inputs with axes of any length: the name of the length by axis.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    traced: Tensors
    checked: tuple[Tensors, ...]
    dynamic: dict[str, dict[int, str]] = field(default_factory=dict)


Backend = tuple[
    Callable[[Part, Path], None],
    Callable[[Path], Callable[[Tensors], Tensors]],
    Callable[[Path], int] | None,
]


def backend(form: Format) -> Backend:
    """Functions that write and read files of a format, and that which reads the ONNX opset.

    Raises:
        ModelError: a library for it is missing.
    """
    if form == "torchscript":
        if not hasattr(torch.jit, "trace"):
            raise ModelError("This torch no longer writes TorchScript; use --format onnx.")
        return _write_torchscript, _read_torchscript, None
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"ONNX export needs {', '.join(missing)}, not installed here: pip install 'uniultra[export]'."
        )
    return _write_onnx, _read_onnx, _opset


def _write_torchscript(part: Part, path: Path) -> None:
    traced = torch.jit.trace(part.module.eval(), part.traced, check_trace=False)
    # Freezing drops the weights that the part does not use.
    torch.jit.save(torch.jit.freeze(traced), path)


def _read_torchscript(path: Path) -> Callable[[Tensors], Tensors]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = torch.jit.load(path)
    return lambda inputs: tuple(loaded(*inputs))


def _write_onnx(part: Part, path: Path) -> None:
    lengths = {name: torch.export.Dim(name, min=1, max=MOST) for name in (OBJECTS, POINTS)}
    shapes = tuple(
        {axis: lengths[length] for axis, length in part.dynamic.get(name, {}).items()} or None
        for name in part.inputs
    )
    torch.onnx.export(
        part.module,
        part.traced,
        path,
        input_names=part.inputs,
        output_names=part.outputs,
        dynamic_shapes={"inputs": shapes} if part.dynamic else None,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _read_onnx(path: Path) -> Callable[[Tensors], Tensors]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]

    def run(inputs: Tensors) -> Tensors:
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(answer) for answer in session.run(None, feed))

    return run


def _opset(path: Path) -> int:
    import onnx

    return int(onnx.load(path, load_external_data=False).opset_import[0].version)
