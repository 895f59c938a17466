"""Prompt protocols: how the published systems, and the shipped weights, are prompted in training and tests.

A protocol simulates an annotator over `turns` answers of the network: `first` gives the prompts of the
first answer, `next` those of each further one. It keeps no state; all randomness comes from the generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from uniultra.prompts.simulation.annotator import EVERY, HASTY, correction, first_prompt
from uniultra.prompts.simulation.clicks_boxes import center_click, components, tight_box, uniform_click
from uniultra.prompts.simulation.corrections import corrected
from uniultra.prompts.types import Box, Mask, MaskPrompt, Point, PromptSet


@dataclass(frozen=True)
class PromptProtocol(ABC):
    """How a simulated annotator prompts.

    Attributes:
        turns: answers of the network per target and training step, that to the first prompt included;
            default 1. Change it with `dataclasses.replace`.
    """

    turns: int = 1

    @abstractmethod
    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        """Prompts for a possibly empty `target` `(H,W)`; a lone click lies in `clickable`, a part of it."""

    def next(
        self, prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator, turn: int
    ) -> PromptSet:
        """Prompts of `turn` (1 for the second answer), given the previous ones and the mask `predicted`."""
        return prompts

    def test(self, mask: Mask) -> list[PromptSet]:
        """The deterministic prompts of the system's tests for a whole ground truth `(H,W)`.

        One prompt set per answer; several answers are joined by their largest logit. By default a tight box
        around each 8-connected component.
        """
        return [PromptSet(box=tight_box(part)) for part in components(mask)]


@dataclass(frozen=True)
class Corrected(PromptProtocol):
    """Every kind of prompt but lassos, drawn inaccurately, then clicks into errors with the last mask."""

    turns: int = 2

    WEIGHTS = HASTY
    correct = staticmethod(correction)

    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        if not target.any():
            return PromptSet(points=(uniform_click(~target, rng, positive=False),))
        return first_prompt(target, clickable, rng, self.WEIGHTS)

    def next(
        self, prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator, turn: int
    ) -> PromptSet:
        return self.correct(prompts, predicted, target, rng)

    def test(self, mask: Mask) -> list[PromptSet]:
        return [PromptSet(points=(center_click(part),)) for part in components(mask)]


@dataclass(frozen=True)
class Interactive(Corrected):
    """Every kind of prompt, lassos too, then clicks mostly where NoC is measured, with the last mask."""

    WEIGHTS = EVERY
    correct = staticmethod(corrected)


@dataclass(frozen=True)
class TightBox(PromptProtocol):
    """UniUltra (arXiv 2511.15771): the ground truth's tight box per 8-connected component, no jitter.

    A training target is a single component and gets one box; an empty target gets none.
    """

    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        return PromptSet(box=tight_box(target) if target.any() else None)


@dataclass(frozen=True)
class OnePixel(PromptProtocol):
    """SAMUS (arXiv 2309.06824): one random pixel of the target, or of the background where it is absent.

    Its tests take the middle element of the row-major list of the class's pixels.
    """

    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        return PromptSet(points=(_one_pixel(target, clickable, rng),))

    def test(self, mask: Mask) -> list[PromptSet]:
        rows, columns = np.nonzero(mask)
        if not len(rows):
            return []
        n = len(rows) // 2
        return [PromptSet(points=(Point(float(columns[n]), float(rows[n])),))]


@dataclass(frozen=True)
class Med2d(PromptProtocol):
    """SAM-Med2D (arXiv 2308.16184): a shifted box or a pixel, then points from the error region.

    Each further turn replaces the prompts by 1, 3, 5 or 9 points of the error region and the previous
    mask; two turns, the last and one in between, give the mask alone.
    """

    turns: int = 9

    COUNTS = (1, 3, 5, 9)
    SHIFT = 5 / 256  # largest shift of a box, as a fraction of the picture's longer side

    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        if rng.random() < 0.5 or not target.any():
            return PromptSet(points=(_one_pixel(target, clickable, rng),))
        return PromptSet(box=_shifted(tight_box(target), target.shape, self.SHIFT, rng))

    def next(
        self, prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator, turn: int
    ) -> PromptSet:
        mask = MaskPrompt(predicted) if predicted.any() else None
        if mask and turn in (self.turns - 1, self._mask_turn(target)):
            return PromptSet(mask=mask)
        wrong = predicted ^ target
        region = next(part for part in (wrong, target, ~target) if part.any())
        rows, columns = np.nonzero(region)
        chosen = rng.integers(len(rows), size=rng.choice(self.COUNTS))
        points = tuple(
            Point(float(x), float(y), bool(target[y, x]))
            for x, y in zip(columns[chosen], rows[chosen], strict=True)
        )
        return PromptSet(points=points, mask=mask)

    def _mask_turn(self, target: Mask) -> int:
        """The turn before the last that gives the mask alone.

        Derived from the target itself: every target has exactly one, and no state is kept between turns.
        """
        return 1 + int(target.sum()) % max(1, self.turns - 2)


@dataclass(frozen=True)
class Promptless(PromptProtocol):
    """AutoSAMUS: no prompt at all; the whole mask of the task is the target."""

    def first(self, target: Mask, clickable: Mask, rng: np.random.Generator) -> PromptSet:
        return PromptSet()

    def test(self, mask: Mask) -> list[PromptSet]:
        return [PromptSet()]


PROTOCOLS: dict[str, PromptProtocol] = {
    "corrected": Corrected(),
    "interactive": Interactive(),
    "uniultra": TightBox(),
    "samus": OnePixel(),
    "med2d": Med2d(),
    "none": Promptless(),
}


def _one_pixel(target: Mask, clickable: Mask, rng: np.random.Generator) -> Point:
    """Any pixel of the target where a lone click means it, or of the background where the target is empty."""
    if not target.any():
        return uniform_click(~target, rng, positive=False)
    return uniform_click(clickable if clickable.any() else target, rng)


def _shifted(box: Box, shape: tuple[int, ...], share: float, rng: np.random.Generator) -> Box:
    """A box translated by whole pixels, clipped to the picture of `shape` (rows, columns)."""
    most = round(share * max(shape))
    dx, dy = rng.integers(-most, most + 1, 2)
    x = np.clip([box.x0 + dx, box.x1 + dx], 0, shape[1] - 1)
    y = np.clip([box.y0 + dy, box.y1 + dy], 0, shape[0] - 1)
    return Box(float(x[0]), float(y[0]), float(x[1]), float(y[1]))
