"""What a system is asked about one picture, and the scores of its answers.

The target is the largest 8-connected component of the label; a promptable system's whole answer counts.
Clicks as `uniultra.metrics.interactive`. What is drawn (noisy boxes, scribbles, shaky clicks) comes from
the picture's own seed: the same for every system, in any order of pictures.

A prompt-free system is asked once. It cannot know which component is meant: its whole answer is scored
against the whole label, and the component of its answer that is meant for the target against the target.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from uniultra.datasets.manifest import Row, load_pair
from uniultra.evaluate.obedience import ObedienceCase
from uniultra.evaluate.records import EvaluationProtocol, Overlap, PictureScore
from uniultra.metrics.interactive import MAX_CLICKS, Ask, ClickRun, click_until, clicks_needed, failed
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

# Sets of one-pixel lines, for which the plain Dice of a filled mask means nothing.
LINES = ("dltrack_fascicle",)
CLICKS = (1, 2, 3, 5, 10)
THRESHOLDS = (80, 85, 90)  # per cent of IoU, for NoC and NoF
JUDGED = 10  # clicks whose predicted IoU is compared with the true one
_DISTANCES = {"hd95": hd95, "assd": average_distance}


@dataclass(frozen=True)
class Question:
    """What is measured of the answer to one kind of prompt, beside its overlap.

    Attributes:
        iou: the IoU.
        distances: `hd95`, `assd`.
        salt: of the random numbers of this kind of prompt.
    """

    iou: bool = False
    distances: tuple[str, ...] = ()
    salt: str = ""


_NEAR = Question(distances=("hd95", "assd"))
# By the end of the keys of its answers: `@N` after N clicks, `_none` without a prompt.
QUESTIONS: Mapping[str, Question] = {
    **{f"@{k}": _NEAR if k in (1, 5) else Question() for k in CLICKS},
    "@1_jittered": Question(salt="click"),
    "_box": _NEAR,
    "_box_noisy": Question(salt="box"),
    "_scribble": Question(salt="scribble"),
    "_none": Question(),
    "_none_target": _NEAR,
}


def key(measure: str, question: str) -> str:
    """The key of a measure; distances of the tight box and of a prompt-free target have no ending."""
    plain = measure.startswith(tuple(_DISTANCES)) and question in ("_box", "_none_target")
    return measure if plain else f"{measure}{question}"


def overlap_of(dataset: str, lines: Sequence[str] = LINES) -> Overlap:
    """How answers of a set are scored: a line one pixel wide has no area for Dice to speak of."""
    return "nsd" if dataset in lines else "dice"


def score(
    answers: Answers,
    rows: Sequence[Row],
    prompts: Sequence[str],
    rule: EvaluationProtocol,
    questions: Mapping[str, Question] = QUESTIONS,
    *,
    lines: Sequence[str] = LINES,
    cases: list[ObedienceCase] | None = None,
    rounded: bool = False,
    progress: str | None = None,
) -> list[PictureScore]:
    """Score a system on pictures of a manifest.

    Args:
        answers: the system.
        rows: the pictures.
        prompts: kinds that it takes (`ModelEntry.prompts`); none at all for a prompt-free model.
        rule: how to ask.
        questions: what to ask and measure.
        lines: sets that are scored by surface Dice.
        cases: gets what the obedience tests go on from; only sets scored by Dice.
        rounded: as in a result file.
        progress: words before the progress bar; None shows no bar.

    Returns:
        One score per row, in the order of `rows`.
    """
    kinds = frozenset(prompts)
    bar = tqdm(rows, desc=progress, disable=progress is None)
    scores = [Examination(answers, row, kinds, rule, questions, lines).score(cases) for row in bar]
    return [picture.rounded() for picture in scores] if rounded else scores


class Examination:
    """One picture while a system is asked about it."""

    def __init__(
        self,
        answers: Answers,
        row: Row,
        kinds: frozenset[str],
        rule: EvaluationProtocol,
        questions: Mapping[str, Question] = QUESTIONS,
        lines: Sequence[str] = LINES,
    ) -> None:
        self.picture, self.label = load_pair(row)
        self.answers, self.row, self.kinds, self.rule = answers, row, kinds, rule
        self.questions, self.overlap = questions, overlap_of(row.dataset, lines)
        self.click_counts = [int(name[1:]) for name in questions if name[1:].isdecimal()]
        self.source, self.shape = Still(self.picture), (self.label.shape[0], self.label.shape[1])
        self.parts = components(self.label)
        self.values: dict[str, float | None] = {}
        self.repeated: dict[str, tuple[float | None, ...]] = {}
        self.judged: dict[str, tuple[tuple[float, float], ...]] = {}
        self.encoding: list[float] = []
        self.decoding: list[float] = []

    @property
    def truth(self) -> Mask:
        return self.parts[0]

    def score(self, cases: list[ObedienceCase] | None = None) -> PictureScore:
        ious: tuple[float, ...] = ()
        marked = None
        if not self.kinds:
            marked = self._prompt_free()
        elif self.parts:
            ious = self._prompted(cases)
        if self.parts:
            ellipse = "ellipse_box" if self.overlap == "dice" else "nsd_ellipse_box"
            self.values[ellipse] = self._overlap(ellipse_in(tight_box(self.truth), self.shape), self.truth)
        return PictureScore(
            dataset=self.row.dataset,
            id=self.row.id,
            group=self.row.group or self.row.id,
            values=self.values,
            repeated=self.repeated,
            ious=ious,
            judged=self.judged,
            marked=marked,
            seconds_image=self.encoding[0] if self.encoding else None,
            seconds_prompt=statistics.median(self.decoding) if self.decoding else None,
        )

    def ask(self, *prompts: PromptSet) -> list[Prediction]:
        """The answers to prompts in one call, with the time they took noted."""
        predictions = self.answers.predict(self.source, STILL, prompts)
        timings = predictions[0].timings
        if not timings.get("cached"):
            self.encoding.append(timings["encode"])
        if len(prompts) == 1 or not self.decoding:
            self.decoding.append(timings["decode"] / len(prompts))
        return predictions

    def run(self, ask: Ask) -> ClickRun:
        """The clicks of the protocol."""
        return click_until(
            ask,
            self.truth,
            clicks=self.rule.clicks if self.overlap == "dice" else max(self.click_counts),
            until=self.rule.until,
            at_least=max(self.rule.at_least, *self.click_counts),
            refine="mask" in self.kinds,
        )

    def _prompt_free(self) -> bool | None:
        """Ask without a prompt; on an empty label, whether anything was marked."""
        [answer] = self.ask(PromptSet())
        if not self.parts:
            return bool(answer.mask.any())
        parts = components(answer.mask) or [answer.mask]
        # The target is one component of the label; the part of the answer that is meant for it counts.
        meant = max(parts, key=lambda part: (part & self.truth).sum())
        self._measure({"_none": answer.mask}, self.label)
        self._measure({"_none_target": meant, "_none_largest": parts[0]}, self.truth)
        return None

    def _prompted(self, cases: list[ObedienceCase] | None) -> tuple[float, ...]:
        """Ask with every kind of prompt that the system takes; the IoU after each click."""
        # Clicks come first, so that a prompt's time is of one prompt and not of a batch.
        run = self._clicks() if "point" in self.kinds else None
        box = self._boxes() if "box" in self.kinds else None
        if "scribble" in self.kinds:
            self._drawn("_scribble", "scribble")
        if cases is not None and run and box is not None and self.overlap == "dice":
            first = run.points[0], run.masks[0]
            cases.append(ObedienceCase(self.source, self.truth, *first, dice(box, self.truth)))
        return run.ious if run else ()

    def _clicks(self) -> ClickRun:
        """Click until it is right, then once more with a shaky hand."""
        answers: list[Prediction] = []

        def ask(prompts: PromptSet) -> Mask:
            answers.extend(self.ask(prompts))
            return answers[-1].mask

        run = self.run(ask)
        self._measure({f"@{k}": run.mask_at(k) for k in self.click_counts}, self.truth)
        if self.overlap == "dice" and self.rule.clicks == MAX_CLICKS:
            for share in THRESHOLDS:
                self.values[f"noc{share}"] = clicks_needed(run.ious, share / 100)
                self.values[f"nof{share}"] = float(failed(run.ious, share / 100))
        self._judge("1 click", answers[:1])
        self._judge(f"2 to {JUDGED} clicks", answers[1:JUDGED])
        if self.rule.click_jitter:
            self._drawn("@1_jittered")
        return run

    def _boxes(self) -> Mask:
        """Ask with the tight box, whose answer is returned, and with noisy ones."""
        [tight] = self.ask(PromptSet(box=tight_box(self.truth)))
        self._measure({"_box": tight.mask}, self.truth)
        self._judge("box", [tight])
        self._drawn("_box_noisy", "noisy box")
        return tight.mask

    def _draw(self, question: str, rng: np.random.Generator) -> PromptSet:
        if question == "_scribble":
            return PromptSet(scribbles=(random_scribble(self.truth, rng),))
        if question == "_box_noisy":
            return PromptSet(box=noisy_box(self.truth, rng, self.rule.box_jitter))
        return PromptSet(points=(shaky_click(self.truth, rng, self.rule.click_jitter),))

    def _drawn(self, question: str, kind: str = "") -> None:
        """Ask once per seed, in one call; `kind` is the prompt's name where its answers judge themselves."""
        if question not in self.questions or not self.rule.seeds:
            return
        words = (self.questions[question].salt, self.row.dataset, self.row.id)
        rng = np.random.default_rng([self.rule.seed, *"".join(words).encode()])
        answers = self.ask(*[self._draw(question, rng) for _ in range(self.rule.seeds)])
        scores = [self._scores(question, answer.mask, self.truth) for answer in answers]
        self.repeated |= {name: tuple(one[name] for one in scores) for name in scores[0]}
        if kind:
            self._judge(kind, answers)

    def _judge(self, kind: str, answers: Sequence[Prediction]) -> None:
        """Note what the system thought of its answers, where it thinks; the IoU of lines says nothing."""
        if self.overlap == "dice" and answers and not any(math.isnan(answer.score) for answer in answers):
            self.judged[kind] = tuple((answer.score, iou(answer.mask, self.truth)) for answer in answers)

    def _measure(self, answers: Mapping[str, Mask], truth: Mask) -> None:
        for question, mask in answers.items():
            if question in self.questions:
                self.values |= self._scores(question, mask, truth)

    def _scores(self, question: str, mask: Mask, truth: Mask) -> dict[str, float | None]:
        """All that a question measures of an answer, by key."""
        wanted = self.questions[question]
        scores: dict[str, float | None] = {key(self.overlap, question): self._overlap(mask, truth)}
        if wanted.iou:
            scores[key("iou", question)] = iou(mask, truth)
        for name in wanted.distances:
            distance = _DISTANCES[name](mask, truth)
            pixels = None if math.isnan(distance) else distance
            scores[key(f"{name}_px", question)] = pixels
            if self.row.spacing_mm is not None:
                # The pitch is the same along both axes, so the distance scales with it.
                scores[key(f"{name}_mm", question)] = pixels and pixels * self.row.spacing_mm
        return scores

    def _overlap(self, mask: Mask, truth: Mask) -> float:
        if self.overlap == "dice":
            return dice(mask, truth)
        return surface_dice(mask, truth, self.rule.tolerance)
