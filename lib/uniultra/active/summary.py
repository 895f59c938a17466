"""Probability maps as the few numbers that strategies rank by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage
from scipy.special import entr

from uniultra.active.pool import Floats

Probabilities = NDArray[np.float32]  # (h,w), 0..1
REACH = 0.03  # how far from a contour the band goes, as a share of the map's longer side


class Summary(BaseModel):
    """What is kept of the answers on one unit; see `Pool` for what the numbers mean.

    Attributes:
        classes: entropy within each class, by name; none where no class is known yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entropy: float
    boundary: float
    iou: float
    foreground: float
    disagreement: float | None = None
    classes: dict[str, float] = {}


class Answer:
    """One answer of the model to its own prompt.

    Attributes:
        probabilities: `(h,w)` over the picture alone.
        iou: predicted, 0..1.
        weight: how much it counts among the answers on its unit.
        name: of the class that was looked for, None where none is known yet.
        click: where it was asked, `xy` pixels of the picture.
    """

    def __init__(
        self,
        probabilities: Probabilities,
        iou: float,
        weight: float = 1.0,
        name: str | None = None,
        click: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.probabilities, self.iou, self.weight = probabilities, iou, weight
        self.name, self.click = name, click


def bits(probabilities: Probabilities) -> Floats:
    """Entropy of each pixel in bits, `(h,w)`: 1 at one half, 0 where it is certain either way."""
    p = np.asarray(probabilities, np.float64)
    return np.asarray((entr(p) + entr(1 - p)) / np.log(2))


def target_band(probabilities: Probabilities) -> NDArray[np.bool_]:
    """The predicted structure and the neighbourhood of its contour, `(h,w)`.

    Where nothing reaches one half, the structure is what reaches half of the most: a faint answer is an
    uncertain one, not a certain one of nothing.
    """
    inside = probabilities >= min(0.5, float(probabilities.max()) / 2)
    reach = max(1, round(REACH * max(probabilities.shape)))
    return np.asarray(ndimage.binary_dilation(inside, ndimage.generate_binary_structure(2, 2), reach))


def summarise(answers: Sequence[Answer], disagreement: float | None = None) -> Summary:
    """The numbers of one unit: means over its answers, weighted.

    The entropy of a class is the mean of its probability times the pixel's entropy: what a rare structure
    is unsure of weighs, however much sure background is about it.
    """
    weights = np.asarray([one.weight for one in answers], float)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(answers), 1 / len(answers))
    entropies = [bits(one.probabilities) for one in answers]
    within = [float(e[target_band(a.probabilities)].mean()) for a, e in zip(answers, entropies, strict=True)]
    classes = {
        one.name: float((one.probabilities * e).mean())
        for one, e in zip(answers, entropies, strict=True)
        if one.name is not None
    }
    return Summary(
        entropy=float(weights @ [e.mean() for e in entropies]),
        boundary=float(weights @ within),
        iou=float(weights @ [one.iou for one in answers]),
        foreground=float(weights @ [float(one.probabilities.mean()) for one in answers]),
        disagreement=disagreement,
        classes=classes,
    )


def unlikeness(first: Probabilities, second: Probabilities) -> float:
    """One minus the soft Dice of two maps of one picture, 0..1; 0 where both are empty."""
    total = float(np.square(first).sum() + np.square(second).sum())
    return 1 - 2 * float((first * second).sum()) / total if total > 0 else 0.0
