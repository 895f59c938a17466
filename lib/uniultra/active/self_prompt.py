"""What a promptable model does not know when nobody prompts it: it prompts itself.

Without labels nobody has said what is looked for. A grid of clicks is asked, and every answer counts by
the IoU that the model predicts of it: what most clicks would return, sure objects first.

With labels it is known what the structure looks like. Every name has a prototype (`prototypes`): a direction
among the embedding's channels that tells the structure's cells from all others, learnt from the labelled
pictures' embeddings. On a new picture the few places most alike are clicked, and of their answers the
one counts that the model believes in and that covers alike cells while leaving out unlike ones. One click
is what an annotator would spend, so the entropy of this answer is that of the answer the annotator gets.

The encoder has run before: an embedding serves any number of clicks, and only the small decoder runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uniultra.active.prototypes import covered, likeness, peaks
from uniultra.active.summary import Answer, Probabilities
from uniultra.images.types import Picture
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.predict.decoding import decode, square
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import encode
from uniultra.prompts.types import Mask, Point, PromptSet

Result = TypeVar("Result")
PIECE = 12  # clicks that the network answers at a time
GRID = 6  # clicks along each side
PLACES = 3  # clicked for a prototype
SHARPNESS = 4  # power of the predicted IoU by which an answer of the grid counts

Click = tuple[float, float]  # xy pixels of the picture


class Run(Protocol):
    """Runs a small piece of work for the network and returns what it returns."""

    def __call__(self, work: Callable[[], Result]) -> Result: ...


def at_once(work: Callable[[], Result]) -> Result:
    """Run here and now, without recording gradients."""
    with torch.inference_mode():
        return work()


class Prober:
    """Asks one network about pictures.

    Args:
        network: the network.
        model: how pictures are brought to it.
        run: runs the network, piece by piece; a piece is one picture to encode or a few clicks.
    """

    def __init__(self, network: PromptNetwork, model: ModelEntry, run: Run = at_once) -> None:
        self.network, self.model, self.run = network, model, run

    def encode(self, picture: Picture) -> Embedding:
        """The embedding of one picture `(H,W)` or `(H,W,3)` uint8."""
        device = next(self.network.parameters()).device

        def work() -> Embedding:
            return self.network.encode(square(picture, self.model, self.network.image_size)[None].to(device))

        return self.run(work)

    def fit(self, shape: tuple[int, int]) -> Fit:
        """How a picture of (rows, columns) meets the network."""
        return Fit(*shape, self.network.image_size, self.model.fit)

    def features(self, embedding: Embedding, shape: tuple[int, int]) -> Tensor:
        """The picture's part of an embedding, `(256,rows,columns)`."""
        rows, columns = self._cells(shape, embedding.image.shape[-1])
        return embedding.image[0, :, :rows, :columns].float()

    def pooled(self, embedding: Embedding, shape: tuple[int, int]) -> np.ndarray:
        """Mean and spread of every channel over the picture, `(512,)` float32."""
        cells = self.features(embedding, shape).flatten(1)
        return torch.cat([cells.mean(1), cells.std(1, correction=0)]).cpu().numpy()

    def seen(self, embedding: Embedding, mask: Mask) -> tuple[Tensor, Tensor]:
        """Features of a labelled picture and the share of each cell that the label covers."""
        features = self.features(embedding, (mask.shape[0], mask.shape[1]))
        return features, covered(torch.tensor(mask, device=features.device), *features.shape[1:])

    def ask(self, embedding: Embedding, shape: tuple[int, int], clicks: list[Click]) -> list[Answer]:
        """The answer to each click alone, all with weight 1."""
        fit = self.fit(shape)
        prompts = [encode(PromptSet((Point(*click),)), fit) for click in clicks]
        found = []
        for first in range(0, len(clicks), PIECE):
            piece = slice(first, first + PIECE)

            def work(piece: slice = piece) -> list[Answer]:
                lone = [True] * len(prompts[piece])
                logits, iou = decode(self.network, self.model, embedding, prompts[piece], lone)
                rows, columns = self._cells(shape, logits.shape[-1])
                maps = logits[:, :rows, :columns].sigmoid().cpu().numpy()
                return [
                    Answer(map_, score, click=click)
                    for map_, score, click in zip(maps, iou.tolist(), clicks[piece], strict=True)
                ]

            found += self.run(work)
        return found

    def answers(
        self, embedding: Embedding, shape: tuple[int, int], prototypes: Mapping[str, Tensor]
    ) -> list[Answer]:
        """The model's answers to its own prompts: one for each prototype, or those of the grid."""
        if not prototypes:
            return self._grid(embedding, shape)
        return [self._found(embedding, shape, name, one) for name, one in prototypes.items()]

    def _grid(self, embedding: Embedding, shape: tuple[int, int]) -> list[Answer]:
        steps = (np.arange(GRID) + 0.5) / GRID
        clicks = [(float(x * shape[1] - 0.5), float(y * shape[0] - 0.5)) for y in steps for x in steps]
        found = self.ask(embedding, shape, clicks)
        for one in found:
            one.weight = one.iou**SHARPNESS
        return found

    def _found(self, embedding: Embedding, shape: tuple[int, int], name: str, prototype: Tensor) -> Answer:
        alike = likeness(self.features(embedding, shape), prototype.to(embedding.image.device))
        rows, columns = alike.shape
        clicks = [
            ((column + 0.5) * shape[1] / columns - 0.5, (row + 0.5) * shape[0] / rows - 0.5)
            for row, column in peaks(alike, PLACES)
        ]
        found = self.ask(embedding, shape, clicks)
        best = max(found, key=lambda one: one.iou * _contrast(one.probabilities, alike))
        best.name = name
        return best

    def _cells(self, shape: tuple[int, int], side: int) -> tuple[int, int]:
        """(rows, columns) of a grid of the square that the picture covers."""
        fit = self.fit(shape)
        rows, columns = fit.inner
        return max(1, round(rows * side / fit.size)), max(1, round(columns * side / fit.size))


def _contrast(probabilities: Probabilities, alike: Tensor) -> float:
    """How much more alike the cells inside an answer are than those outside, as a factor from 0 up."""
    size = (alike.shape[0], alike.shape[1])
    inside = F.interpolate(torch.from_numpy(probabilities)[None, None], size, mode="area")[0, 0]
    inside = inside.to(alike.device)
    outside = 1 - inside
    mean_in = float((inside * alike).sum() / inside.sum().clamp_min(1e-6))
    mean_out = float((outside * alike).sum() / outside.sum().clamp_min(1e-6))
    return max(0.0, mean_in - mean_out)
