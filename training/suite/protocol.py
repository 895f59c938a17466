"""The protocol by which all systems are scored alike, picture by picture.

- Clicks: as `uniultra.metrics.interactive`, from one run: the answers after 1, 3 and 5 clicks, and NoC.
  A model that takes masks is given its previous answer to refine.
- Box: the tight box of the object; and boxes with every side moved by up to 10 % of the box's size,
  whose scores are averaged. All boxes of a picture are asked in one call.
- Prompt-free models are asked once, with no prompt.

Component rule: a promptable model is asked for the largest 8-connected component of the label, and its
whole answer counts. A prompt-free model cannot know which component is meant: its whole answer is scored
against the whole label (`none`), and once more the largest component of its answer against the largest
of the label (`none_largest`), which is the number to put beside those of promptable models.

Pictures with an empty label take no part in the means; for prompt-free models it is noted whether they
marked anything there. Distances are in pixels of the stored picture, and in mm where its pitch is known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from suite.schema import MaskScore, PictureScore, Protocol
from uniultra.datasets.manifest import Row, load_pair
from uniultra.metrics.interactive import click_until
from uniultra.metrics.overlap import dice, iou
from uniultra.metrics.surface import hd95
from uniultra.predict.still import STILL, Answers, Still
from uniultra.prompts.simulation.clicks_boxes import components, noisy_box, tight_box
from uniultra.prompts.types import Mask, PromptSet

CLICKS = (1, 3, 5)


def score(
    predictor: Answers,
    rows: Sequence[Row],
    prompts: Sequence[str],
    protocol: Protocol | None = None,
    *,
    progress: str | None = None,
) -> list[PictureScore]:
    """Score a model on pictures of a manifest.

    Args:
        predictor: the model.
        rows: the pictures; leave out sets whose masks are lines, of which Dice says nothing.
        prompts: kinds that the model takes (`ModelEntry.prompts`): clicks are asked for `point`,
            boxes for `box`; none at all for a prompt-free model.
        protocol: None takes the defaults.
        progress: words before the progress bar; None shows no bar.

    Returns:
        One line per row, in the order of `rows`.
    """
    rule = protocol or Protocol()
    shown = tqdm(rows, desc=progress, disable=progress is None)
    return [_Picture(predictor, row, frozenset(prompts), rule).score() for row in shown]


class _Picture:
    """One picture while it is being scored."""

    def __init__(self, predictor: Answers, row: Row, kinds: frozenset[str], rule: Protocol) -> None:
        picture, self.label = load_pair(row)
        self.source = Still(picture)
        self.predictor, self.row, self.kinds, self.rule = predictor, row, kinds, rule
        self.encoding: list[float] = []
        self.decoding: list[float] = []

    def score(self) -> PictureScore:
        answers: dict[str, MaskScore] = {}
        ious: tuple[float, ...] = ()
        marked: bool | None = None
        parts = components(self.label)
        if not self.kinds:
            [mask] = self.ask(PromptSet())
            if parts:
                largest = components(mask)
                answers["none"] = self.compare(mask, self.label)
                answers["none_largest"] = self.compare(largest[0] if largest else mask, parts[0])
            else:
                marked = bool(mask.any())
        elif parts:
            # Clicks come first, so that a prompt's time is of one prompt and not of a batch.
            if "point" in self.kinds:
                clicked, ious = self.clicks(parts[0])
                answers |= clicked
            if "box" in self.kinds:
                answers |= self.boxes(parts[0])
        return PictureScore(
            dataset=self.row.dataset,
            id=self.row.id,
            group=self.row.group or self.row.id,
            answers=answers,
            ious=ious,
            clicks=self.rule.clicks if ious else 0,
            marked=marked,
            seconds_image=self.encoding[0] if self.encoding else None,
            seconds_prompt=statistics.median(self.decoding) if self.decoding else None,
        )

    def clicks(self, truth: Mask) -> tuple[dict[str, MaskScore], tuple[float, ...]]:
        run = click_until(
            lambda prompts: self.ask(prompts)[0],
            truth,
            clicks=self.rule.clicks,
            until=self.rule.until,
            at_least=max(CLICKS),
            refine="mask" in self.kinds,
        )
        return {f"click_{k}": self.compare(run.mask_at(k), truth) for k in CLICKS}, run.ious

    def boxes(self, truth: Mask) -> dict[str, MaskScore]:
        # Drawn from the picture's own seed: the same boxes for every system, in any order of pictures.
        rng = np.random.default_rng([self.rule.seed, *self.row.dataset.encode(), *self.row.id.encode()])
        moved = [noisy_box(truth, rng, self.rule.jitter) for _ in range(self.rule.jitters)]
        tight, *others = self.ask(*(PromptSet(box=box) for box in (tight_box(truth), *moved)))
        answers = {"box": self.compare(tight, truth)}
        if others:
            answers["box_jitter"] = _mean([self.compare(mask, truth) for mask in others])
        return answers

    def ask(self, *prompts: PromptSet) -> list[Mask]:
        found = self.predictor.predict(self.source, STILL, prompts)
        timings = found[0].timings
        if not timings.get("cached"):
            self.encoding.append(timings["encode"])
        if len(prompts) == 1 or not self.decoding:
            self.decoding.append(timings["decode"] / len(prompts))
        return [answer.mask for answer in found]

    def compare(self, mask: Mask, truth: Mask) -> MaskScore:
        distance = hd95(mask, truth)
        known = None if math.isnan(distance) else distance
        pitch = self.row.spacing_mm
        return MaskScore(
            dice=dice(mask, truth),
            iou=iou(mask, truth),
            hd95_px=known,
            # The pitch is the same along both axes, so the distance scales with it.
            hd95_mm=None if known is None or pitch is None else known * pitch,
        )


def _mean(scores: list[MaskScore]) -> MaskScore:
    """The mean of several answers; distances over those that have one."""

    def over(values: list[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return statistics.fmean(defined) if defined else None

    return MaskScore(
        dice=statistics.fmean(s.dice for s in scores),
        iou=statistics.fmean(s.iou for s in scores),
        hd95_px=over([s.hd95_px for s in scores]),
        hd95_mm=over([s.hd95_mm for s in scores]),
    )
