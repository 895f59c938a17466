"""Summarises probability maps as the scores that query strategies use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from scipy.special import entr

from uniultra.active.pool import Floats
from uniultra.store.types import FrozenModel

Probabilities = NDArray[np.float32]  # (h,w), 0..1
REACH = 0.03  # half-width of the band around a contour, as a fraction of the map's longer side


class Summary(FrozenModel):
    """Scores of one unit; see `Pool` for their meaning.

    Attributes:
        classes: entropy within each class, by name; empty before the first label.
    """

    entropy: float
    boundary: float
    iou: float
    foreground: float
    disagreement: float | None = None
    classes: dict[str, float] = Field(default_factory=dict)


@dataclass(eq=False)
class Answer:
    """One answer of the model to its own prompt.

    Attributes:
        probabilities: `(h,w)` over the picture alone.
        iou: predicted IoU, 0 to 1.
        weight: relative weight among the answers on its unit; default 1.
        name: of the class; None before the first label.
        click: prompt, `xy` pixels of the picture.
    """

    probabilities: Probabilities
    iou: float
    weight: float = 1.0
    name: str | None = None
    click: tuple[float, float] = (0.0, 0.0)


def bits(probabilities: Probabilities) -> Floats:
    """Entropy of each pixel in bits, `(h,w)`: 1 at probability 0.5, 0 at 0 and 1."""
    p = np.asarray(probabilities, np.float64)
    return np.asarray((entr(p) + entr(1 - p)) / np.log(2))


def target_band(probabilities: Probabilities) -> NDArray[np.bool_]:
    """The predicted structure and the neighbourhood of its contour, `(h,w)`.

    If no probability reaches 0.5, the threshold is half of the maximum: a faint answer is uncertain, not
    certain of an empty picture.
    """
    inside = probabilities >= min(0.5, float(probabilities.max()) / 2)
    reach = max(1, round(REACH * max(probabilities.shape)))
    return np.asarray(ndimage.binary_dilation(inside, ndimage.generate_binary_structure(2, 2), reach))


def summarise(answers: Sequence[Answer], disagreement: float | None = None) -> Summary:
    """The scores of one unit: weighted means over its answers.

    The entropy of a class is the mean of probability times entropy over the pixels, so that the uncertainty
    of a small structure is not averaged away by the background.
    """
    weights = np.asarray([answer.weight for answer in answers], float)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(answers), 1 / len(answers))
    entropies = [bits(answer.probabilities) for answer in answers]
    within = [float(e[target_band(a.probabilities)].mean()) for a, e in zip(answers, entropies, strict=True)]
    classes = {
        answer.name: float((answer.probabilities * e).mean())
        for answer, e in zip(answers, entropies, strict=True)
        if answer.name is not None
    }
    return Summary(
        entropy=float(weights @ [e.mean() for e in entropies]),
        boundary=float(weights @ within),
        iou=float(weights @ [answer.iou for answer in answers]),
        foreground=float(weights @ [float(answer.probabilities.mean()) for answer in answers]),
        disagreement=disagreement,
        classes=classes,
    )


def soft_dice_loss(first: Probabilities, second: Probabilities) -> float:
    """One minus the soft Dice of two maps of one picture, 0 to 1; 0 if both are empty."""
    total = float(np.square(first).sum() + np.square(second).sum())
    return 1 - 2 * float((first * second).sum()) / total if total > 0 else 0.0
