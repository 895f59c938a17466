"""The benchmark's questions about one picture, and the scores of the answers.

The target is the largest 8-connected component of the label; a promptable system's whole answer counts.
Clicks as `uniultra.metrics.interactive`. What is drawn (noisy boxes, scribbles, shaky clicks) comes from
the picture's own seed: the same for every system, in any order of pictures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from uniultra.datasets.manifest import Row, load_pair
from uniultra.evaluate.accuracy.schema import CLICKS, THRESHOLDS, Overlap, PictureScore, Protocol
from uniultra.evaluate.evaluate import LINES
from uniultra.evaluate.obedience import Case
from uniultra.metrics.interactive import Ask, ClickRun, click_until, clicks_needed, failed
from uniultra.metrics.overlap import dice, ellipse_in, iou
from uniultra.metrics.surface import average_distance, hd95, surface_dice
from uniultra.predict.predictor import Prediction
from uniultra.predict.still import STILL, Answers, Still
from uniultra.prompts.simulation.clicks_boxes import (
    components,
    noisy_box,
    random_scribble,
    shaky_click,
    tight_box,
)
from uniultra.prompts.types import Mask, PromptSet

DISTANCES_AT = (1, 5)  # clicks after which distances are given, beside the box's
DIGITS = 6


def overlap_of(dataset: str) -> Overlap:
    """How answers of a set are scored: a line one pixel wide has no area for Dice to speak of."""
    return "nsd" if dataset in LINES else "dice"


def score(
    answers: Answers,
    rows: Sequence[Row],
    prompts: Sequence[str],
    rule: Protocol,
    *,
    cases: list[Case] | None = None,
    progress: str | None = None,
) -> list[PictureScore]:
    """Score a system on pictures of a manifest.

    Args:
        answers: the system.
        rows: the pictures.
        prompts: kinds that it takes (`ModelEntry.prompts`); none at all for a prompt-free model.
        rule: how to ask.
        cases: gets what the obedience tests go on from; only sets scored by Dice.
        progress: words before the progress bar; None shows no bar.

    Returns:
        One score per row, in the order of `rows`.
    """
    shown = tqdm(rows, desc=progress, disable=progress is None)
    return [Examined(answers, row, frozenset(prompts), rule).score(cases) for row in shown]


class Examined:
    """One picture while a system is asked about it."""

    def __init__(self, answers: Answers, row: Row, kinds: frozenset[str], rule: Protocol) -> None:
        self.picture, self.label = load_pair(row)
        self.answers, self.row, self.kinds, self.rule = answers, row, kinds, rule
        self.source = Still(self.picture)
        self.parts = components(self.label)
        self.overlap = overlap_of(row.dataset)
        self.values: dict[str, float | None] = {}
        self.repeated: dict[str, tuple[float, ...]] = {}
        self.judged: dict[str, tuple[tuple[float, float], ...]] = {}
        self.encoding: list[float] = []
        self.decoding: list[float] = []

    @property
    def truth(self) -> Mask:
        return self.parts[0]

    def score(self, cases: list[Case] | None = None) -> PictureScore:
        ious: tuple[float, ...] = ()
        marked: bool | None = None
        if not self.kinds:
            marked = self.free()
        elif self.parts:
            # Clicks come first, so that a prompt's time is of one prompt and not of a batch.
            run = self.clicks() if "point" in self.kinds else None
            ious = run.ious if run else ()
            box = self.boxes() if "box" in self.kinds else None
            if "scribble" in self.kinds:
                self.scribbles()
            if cases is not None and run and box is not None and self.overlap == "dice":
                cases.append(
                    Case(self.source, self.truth, run.points[0], run.masks[0], dice(box, self.truth))
                )
        if self.parts:
            box_alone = ellipse_in(tight_box(self.truth), self.shape)
            key = "ellipse_box" if self.overlap == "dice" else "nsd_ellipse_box"
            self.values[key] = self.compare(box_alone)
        return PictureScore(
            dataset=self.row.dataset,
            id=self.row.id,
            group=self.row.group or self.row.id,
            values={key: _rounded(value) for key, value in self.values.items()},
            repeated={key: tuple(round(v, DIGITS) for v in some) for key, some in self.repeated.items()},
            ious=tuple(round(v, DIGITS) for v in ious),
            judged=self.judgements(),
            marked=marked,
            seconds_image=_rounded(self.encoding[0]) if self.encoding else None,
            seconds_prompt=_rounded(statistics.median(self.decoding)) if self.decoding else None,
        )

    @property
    def shape(self) -> tuple[int, int]:
        return self.label.shape[0], self.label.shape[1]

    def judgements(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """What the system thought of its answers, where it thinks; the IoU of lines says nothing."""
        if self.overlap != "dice":
            return {}
        return {
            kind: pairs
            for kind, pairs in self.judged.items()
            if pairs and not any(math.isnan(predicted) for predicted, _ in pairs)
        }

    def free(self) -> bool | None:
        """Ask without a prompt; on an empty label, whether anything was marked."""
        [found] = self.ask(PromptSet())
        if not self.parts:
            return bool(found.mask.any())
        # The target is one component of the label; the part of the answer that is meant for it counts.
        mine = max(components(found.mask), key=lambda part: (part & self.truth).sum(), default=found.mask)
        self.values[f"{self.overlap}_none"] = self.compare(found.mask, self.label)
        self.values[f"{self.overlap}_none_target"] = self.compare(mine)
        self.distances(mine)
        return None

    def clicks(self) -> ClickRun:
        """Click until it is right, then once more with a shaky hand."""
        predicted: list[float] = []

        def ask(prompts: PromptSet) -> Mask:
            [found] = self.ask(prompts)
            predicted.append(found.score)
            return found.mask

        run = self.run(ask)
        for k in CLICKS:
            self.values[f"{self.overlap}@{k}"] = self.compare(run.mask_at(k))
        for k in DISTANCES_AT:
            self.distances(run.mask_at(k), f"@{k}")
        if self.overlap == "dice":
            for share in THRESHOLDS:
                self.values[f"noc{share}"] = clicks_needed(run.ious, share / 100)
                self.values[f"nof{share}"] = float(failed(run.ious, share / 100))
        pairs = [_pair(p, actual) for p, actual in zip(predicted, run.ious, strict=True)]
        self.judged["1 click"] = tuple(pairs[:1])
        self.judged["2 to 10 clicks"] = tuple(pairs[1 : max(CLICKS)])
        if self.rule.click_jitter:
            rng = self.rng("click")
            moved = [shaky_click(self.truth, rng, self.rule.click_jitter) for _ in range(self.rule.seeds)]
            self.seeds(f"{self.overlap}@1_jittered", "", [PromptSet(points=(point,)) for point in moved])
        return run

    def run(self, ask: Ask) -> ClickRun:
        """The clicks of the protocol."""
        return click_until(
            ask,
            self.truth,
            clicks=self.rule.clicks if self.overlap == "dice" else max(CLICKS),
            until=self.rule.until,
            at_least=max(self.rule.at_least, *CLICKS),
            refine="mask" in self.kinds,
        )

    def boxes(self) -> Mask:
        """Ask with the tight box, whose answer is returned, and with noisy ones."""
        rng = self.rng("box")
        moved = [noisy_box(self.truth, rng, self.rule.box_jitter) for _ in range(self.rule.seeds)]
        [tight] = self.ask(PromptSet(box=tight_box(self.truth)))
        self.values[f"{self.overlap}_box"] = self.compare(tight.mask)
        self.distances(tight.mask)
        self.judged["box"] = (_pair(tight.score, iou(tight.mask, self.truth)),)
        self.seeds(f"{self.overlap}_box_noisy", "noisy box", [PromptSet(box=box) for box in moved])
        return tight.mask

    def scribbles(self) -> None:
        rng = self.rng("scribble")
        drawn = [random_scribble(self.truth, rng) for _ in range(self.rule.seeds)]
        self.seeds(f"{self.overlap}_scribble", "scribble", [PromptSet(scribbles=(one,)) for one in drawn])

    def seeds(self, key: str, kind: str, prompts: list[PromptSet]) -> None:
        """Ask as many times as there are seeds, in one call."""
        found = self.ask(*prompts)
        self.repeated[key] = tuple(self.compare(one.mask) for one in found)
        if kind:
            self.judged[kind] = tuple(_pair(one.score, iou(one.mask, self.truth)) for one in found)

    def ask(self, *prompts: PromptSet) -> list[Prediction]:
        found = self.answers.predict(self.source, STILL, prompts)
        timings = found[0].timings
        if not timings.get("cached"):
            self.encoding.append(timings["encode"])
        if len(prompts) == 1 or not self.decoding:
            self.decoding.append(timings["decode"] / len(prompts))
        return found

    def compare(self, mask: Mask, truth: Mask | None = None) -> float:
        target = self.truth if truth is None else truth
        if self.overlap == "dice":
            return dice(mask, target)
        return surface_dice(mask, target, self.rule.tolerance)

    def distances(self, mask: Mask, suffix: str = "") -> None:
        """HD95 and ASSD in pixels, and in mm where the pitch is known, under their keys."""
        for name, measure in (("hd95", hd95), ("assd", average_distance)):
            distance = measure(mask, self.truth)
            known = None if math.isnan(distance) else distance
            self.values[f"{name}_px{suffix}"] = known
            if self.row.spacing_mm is not None:
                # The pitch is the same along both axes, so the distance scales with it.
                self.values[f"{name}_mm{suffix}"] = None if known is None else known * self.row.spacing_mm

    def rng(self, what: str) -> np.random.Generator:
        words = (what, self.row.dataset, self.row.id)
        return np.random.default_rng([self.rule.seed, *_bytes(words)])


def _bytes(words: Sequence[str]) -> Iterator[int]:
    for word in words:
        yield from word.encode()


def _pair(predicted: float, actual: float) -> tuple[float, float]:
    return round(predicted, DIGITS), round(actual, DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
