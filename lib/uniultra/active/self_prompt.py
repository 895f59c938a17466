"""Self-prompting: estimates the uncertainty of a promptable model without an annotator.

Before the first label the target is unknown. The model is prompted with a grid of clicks, and each answer is
weighted by its predicted IoU, so that confident objects dominate.

With labels, each structure has a prototype (`prototypes`): a direction in the embedding space that separates
its cells from all others, learnt from the labelled pictures. On a new picture the most similar places are
clicked, and the answer with the best product of predicted IoU and contrast (similarity inside minus outside)
is used. An annotator would spend one click too, so its entropy is that of the answer the annotator would get.

The encoder has run before: one embedding serves any number of clicks, and only the small decoder runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uniultra.active.prototypes import covered, peaks, similarity
from uniultra.active.summary import Answer, Probabilities
from uniultra.images.types import Picture
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.predict.decoding import decode, square
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import encode
from uniultra.prompts.types import Mask, Point, PromptSet

Result = TypeVar("Result")
PIECE = 12  # clicks per call of the decoder
GRID = 6  # clicks along each side
PLACES = 3  # clicks per prototype
SHARPNESS = 4  # exponent of the predicted IoU in the weight of a grid answer

Click = tuple[float, float]  # xy pixels of the picture


class Run(Protocol):
    """Executes a small piece of work on the network and returns its result."""

    def __call__(self, work: Callable[[], Result]) -> Result: ...


def at_once(work: Callable[[], Result]) -> Result:
    """Execute in the calling thread, without recording gradients."""
    with torch.inference_mode():
        return work()


class Prober:
    """Prompts one network on pictures.

    Args:
        network: the network.
        model: its registry entry, for the preprocessing.
        run: executes the network, one picture or a few clicks at a time; default: in the calling thread.
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
        """The mapping of a picture of (rows, columns) to the network's input."""
        return Fit(*shape, self.network.image_size, self.model.fit)

    def features(self, embedding: Embedding, shape: tuple[int, int]) -> Tensor:
        """The picture's part of an embedding, `(256,rows,columns)`."""
        rows, columns = self._cells(shape, embedding.image.shape[-1])
        return embedding.image[0, :, :rows, :columns].float()

    def pooled(self, embedding: Embedding, shape: tuple[int, int]) -> np.ndarray:
        """Mean and standard deviation of every channel over the picture, `(512,)` float32."""
        cells = self.features(embedding, shape).flatten(1)
        return torch.cat([cells.mean(1), cells.std(1, correction=0)]).cpu().numpy()

    def seen(self, embedding: Embedding, mask: Mask) -> tuple[Tensor, Tensor]:
        """Features of a labelled picture and the fraction of each cell that the label covers."""
        features = self.features(embedding, (mask.shape[0], mask.shape[1]))
        return features, covered(torch.tensor(mask, device=features.device), *features.shape[1:])

    def ask(self, embedding: Embedding, shape: tuple[int, int], clicks: list[Click]) -> list[Answer]:
        """The answer to each click by itself, all with weight 1."""
        fit = self.fit(shape)
        prompts = [encode(PromptSet((Point(*click),)), fit) for click in clicks]
        answers: list[Answer] = []
        for first in range(0, len(clicks), PIECE):
            piece = slice(first, first + PIECE)

            def work(piece: slice = piece) -> list[Answer]:
                multimask = [True] * len(prompts[piece])
                logits, iou = decode(self.network, self.model, embedding, prompts[piece], multimask)
                rows, columns = self._cells(shape, logits.shape[-1])
                maps = logits[:, :rows, :columns].sigmoid().cpu().numpy()
                return [
                    Answer(map_, score, click=click)
                    for map_, score, click in zip(maps, iou.tolist(), clicks[piece], strict=True)
                ]

            answers += self.run(work)
        return answers

    def answers(
        self, embedding: Embedding, shape: tuple[int, int], prototypes: Mapping[str, Tensor]
    ) -> list[Answer]:
        """The answers to the model's own prompts: one per prototype, or those of the grid."""
        if not prototypes:
            return self._grid(embedding, shape)
        return [self._locate(embedding, shape, name, prototype) for name, prototype in prototypes.items()]

    def _grid(self, embedding: Embedding, shape: tuple[int, int]) -> list[Answer]:
        steps = (np.arange(GRID) + 0.5) / GRID
        clicks = [(float(x * shape[1] - 0.5), float(y * shape[0] - 0.5)) for y in steps for x in steps]
        answers = self.ask(embedding, shape, clicks)
        for answer in answers:
            answer.weight = answer.iou**SHARPNESS
        return answers

    def _locate(self, embedding: Embedding, shape: tuple[int, int], name: str, prototype: Tensor) -> Answer:
        similar = similarity(self.features(embedding, shape), prototype.to(embedding.image.device))
        rows, columns = similar.shape
        clicks = [
            ((column + 0.5) * shape[1] / columns - 0.5, (row + 0.5) * shape[0] / rows - 0.5)
            for row, column in peaks(similar, PLACES)
        ]
        answers = self.ask(embedding, shape, clicks)
        best = max(answers, key=lambda answer: answer.iou * _contrast(answer.probabilities, similar))
        best.name = name
        return best

    def _cells(self, shape: tuple[int, int], side: int) -> tuple[int, int]:
        """(rows, columns) of the part of a square grid that the picture covers."""
        fit = self.fit(shape)
        rows, columns = fit.inner
        return max(1, round(rows * side / fit.size)), max(1, round(columns * side / fit.size))


def _contrast(probabilities: Probabilities, similar: Tensor) -> float:
    """Mean similarity inside an answer minus that outside; at least 0."""
    size = (similar.shape[0], similar.shape[1])
    inside = F.interpolate(torch.from_numpy(probabilities)[None, None], size, mode="area")[0, 0]
    inside = inside.to(similar.device)
    outside = 1 - inside
    mean_in = float((inside * similar).sum() / inside.sum().clamp_min(1e-6))
    mean_out = float((outside * similar).sum() / outside.sum().clamp_min(1e-6))
    return max(0.0, mean_in - mean_out)
