"""Export a network to an encoder and a decoder file that run without this library."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra import __version__
from uniultra.errors import ModelError
from uniultra.export.formats import OBJECTS, POINTS, SUFFIXES, Format, Part, Tensors, backend
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import Embedding, PromptFreeNetwork, PromptNetwork
from uniultra.weights import loading, tensors

# Maximum difference from torch, relative to the largest absolute value of the output (at least 1).
TOLERANCE = 1e-3
TRACED = (2, 3)  # objects and points of the trace; other counts are checked too: none may become constant
CHECKED = ((1, 1), TRACED, (4, 6))


class _NetworkPart(nn.Module):
    def __init__(self, network: PromptNetwork) -> None:
        super().__init__()
        self.network = network


class _Encoder(_NetworkPart):
    """Normalised picture `(1,3,S,S)` to the tensors of its embedding."""

    def forward(self, pictures: Tensor) -> Tensors:
        embedding = self.network.encode(pictures)
        return (embedding.image, *embedding.high)


class _Decoder(_NetworkPart):
    """Tensors of a picture's embedding, coords, labels and dense prompts to logits and IoU."""

    def forward(self, *inputs: Tensor) -> Tensors:
        if isinstance(self.network, PromptFreeNetwork):
            image, *high = inputs
            return self.network.segment(Embedding(image, tuple(high)), multimask=False)
        *parts, coords, labels, dense = inputs
        # Expanded here: the decoder's own check of the batch size would become constant in the trace.
        image, *high = (t.expand(coords.shape[0], -1, -1, -1) for t in parts)
        return self.network.decode(Embedding(image, tuple(high)), coords, labels, dense)


def export(name: str, folder: Path, form: Format = "onnx") -> dict[str, Any]:
    """Export model `name` with its weights as `encoder`, `decoder` and `export.json` in `folder`.

    Returns:
        The content of `export.json`.

    Raises:
        ModelError: unknown model, no weights, a missing library, or files whose outputs differ from torch's.
    """
    network, digest = loading.load(name)
    return export_network(network, entry(name), folder, form, digest)  # type: ignore[arg-type]


@torch.no_grad()
def export_network(
    network: PromptNetwork, model: ModelEntry, folder: Path, form: Format = "onnx", digest: str | None = None
) -> dict[str, Any]:
    """Export a network in memory, on the CPU, with its registry entry and its weights' SHA-256.

    The files are moved into the folder only after the outputs of both equal torch's, also for other numbers
    of objects and points than those of the trace.

    Raises:
        ModelError: see `export`.
    """
    write, read, opset = backend(form)
    network = network.eval()
    folder.mkdir(parents=True, exist_ok=True)
    about = _describe(network, model, form, digest)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        written: list[Path] = []
        for part in _parts(network, bool(model.prompts)):
            path = Path(temporary) / f"{part.name}{SUFFIXES[form]}"
            # Torch first: constants that are cached on first use must be real values in the trace.
            expected = [part.module(*inputs) for inputs in part.checked]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(part, path)
            about["files"][path.name] = {
                "inputs": {n: _shape(part, n, t) for n, t in zip(part.inputs, part.traced, strict=True)},
                "outputs": {n: list(t.shape) for n, t in zip(part.outputs, expected[0], strict=True)},
                "max_abs_difference": _compare(part, read(path), expected),
                "sha256": tensors.file_sha256(path),
            } | ({"opset": opset(path)} if opset else {})
            written.append(path)
        for path in written:
            path.replace(folder / path.name)
    (folder / "export.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return about


def _parts(network: PromptNetwork, prompted: bool) -> list[Part]:
    """The encoder and the decoder with their inputs for the trace and the check."""
    generator = torch.Generator().manual_seed(0)
    side = network.image_size

    def prompts(count: int, points: int) -> Tensors:
        coords = torch.rand(count, points, 2, generator=generator) * side
        labels = torch.randint(-1, 4, (count, points), generator=generator).float()
        shape = (count, network.map_channels, network.mask_side, network.mask_side)
        dense = torch.randn(shape, generator=generator)
        dense[0] = 0  # an object without previous logits
        return coords, labels, dense

    picture = torch.randn(1, 3, side, side, generator=generator)
    encoder = _Encoder(network)
    embedding: Tensors = encoder(picture)
    names = ("image", *(f"high_{n}" for n in range(len(embedding) - 1)))
    first = Part("encoder", encoder, ("pictures",), names, (picture,), ((picture,),))
    decoder, outputs = _Decoder(network), ("logits", "iou")
    if not prompted:
        return [first, Part("decoder", decoder, names, outputs, embedding, (embedding,))]
    return [
        first,
        Part(
            "decoder",
            decoder,
            (*names, "coords", "labels", "dense"),
            outputs,
            (*embedding, *prompts(*TRACED)),
            tuple((*embedding, *prompts(*sizes)) for sizes in CHECKED),
            {"coords": {0: OBJECTS, 1: POINTS}, "labels": {0: OBJECTS, 1: POINTS}, "dense": {0: OBJECTS}},
        ),
    ]


def _compare(part: Part, run: Callable[[Tensors], Tensors], expected: list[Tensors]) -> float:
    """The largest absolute difference from torch over all checked inputs."""
    largest = 0.0
    for inputs, references in zip(part.checked, expected, strict=True):
        for output, answer, reference in zip(part.outputs, run(inputs), references, strict=True):
            if answer.shape != reference.shape:
                raise ModelError(
                    f"Expected {output} of shape {tuple(reference.shape)} from the exported {part.name}, as "
                    f"in torch; got {tuple(answer.shape)}. Nothing was kept. Export in the other format."
                )
            difference = float((answer - reference).abs().max())
            allowed = TOLERANCE * max(1.0, float(reference.abs().max()))
            if not difference <= allowed:  # also where it is not a number
                raise ModelError(
                    f"Expected {output} of the exported {part.name} to differ from torch by at most "
                    f"{allowed:.3g}; got {difference:.3g}. Nothing was kept. Export in the other format, or "
                    "with another torch."
                )
            largest = max(largest, difference)
    return largest


def _describe(network: PromptNetwork, model: ModelEntry, form: Format, digest: str | None) -> dict[str, Any]:
    return {
        "model": model.name,
        "description": model.description,
        "licence": model.licence,
        "source": model.source,
        "weights_sha256": digest,
        "format": form,
        "input": {
            "side": network.image_size,
            "fit": model.fit,
            "colour": "luminance in all three channels" if model.grey else "RGB",
            "range": "0..1 before normalisation",
            "mean": list(model.mean),
            "std": list(model.std),
        },
        "prompts": {
            "kinds": list(model.prompts),
            "coords": "x, y in pixels of the input square; an integer is a pixel's centre",
            "labels": "1 positive, 0 negative, 2 and 3 box corners, -1 padding, which ends each object",
            "dense": f"{'previous logits' if network.map_channels == 1 else 'drawn prompts'}, "
            f"{network.map_channels} channels of side {network.mask_side}",
        }
        if model.prompts
        else None,
        "output": "logits; a pixel belongs to the object where they are above 0",
        "tolerance": TOLERANCE,
        "versions": {"uniultra": __version__, "torch": torch.__version__},
        "files": {},
    }


def _shape(part: Part, name: str, tensor: Tensor) -> list[int | str]:
    dynamic = part.dynamic.get(name, {})
    return [dynamic.get(axis, length) for axis, length in enumerate(tensor.shape)]
