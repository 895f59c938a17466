"""Prompts a system on one picture at a time and scores its answers.

The target is the largest 8-connected component of the label; a promptable system is scored by its whole
answer. Clicks are simulated by `uniultra.metrics.interactive`. Random prompts (noisy boxes, scribbles,
jittered clicks) are seeded by the picture: they are the same for every system and any order of pictures.

A prompt-free system answers once. It cannot know the target: its whole answer is scored against the whole
label, and the component of its answer that overlaps the target most is scored against the target.
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

# Sets of one-pixel lines, which have no area to measure Dice on.
LINES = ("dltrack_fascicle",)
CLICKS = (1, 2, 3, 5, 10)
THRESHOLDS = (80, 85, 90)  # per cent of IoU, for NoC and NoF
JUDGED = 10  # clicks whose predicted IoU is compared with the true one
_DISTANCES = {"hd95": hd95, "assd": average_distance}


@dataclass(frozen=True)
class Question:
    """What is measured on the answers to one kind of prompt, besides the overlap.

    Attributes:
        iou: also measure the IoU.
        distances: any of `hd95`, `assd`.
        salt: seeds this kind of prompt, for random prompts.
    """

    iou: bool = False
    distances: tuple[str, ...] = ()
    salt: str = ""


_NEAR = Question(distances=("hd95", "assd"))
# By the ending of the keys: `@N` after N clicks, `_none` without a prompt.
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
    """Overlap measure of a set: Dice, or surface Dice (`nsd`) for sets of one-pixel lines."""
    return "nsd" if dataset in lines else "dice"


def score(
    answers: Answers,
    rows: Sequence[Row],
    prompts: Sequence[str],
    protocol: EvaluationProtocol,
    questions: Mapping[str, Question] = QUESTIONS,
    *,
    lines: Sequence[str] = LINES,
    cases: list[ObedienceCase] | None = None,
    rounded: bool = False,
    progress: str | None = None,
) -> list[PictureScore]:
    """Score a system on pictures of a manifest.

    Args:
        answers: the system, such as a `Predictor`.
        rows: the pictures.
        prompts: prompt kinds that it takes (`ModelEntry.prompts`); empty for a prompt-free model.
        protocol: how to prompt.
        questions: which prompts to give and what to measure.
        lines: sets that are scored by surface Dice.
        cases: receives the cases of the obedience tests; only sets scored by Dice.
        rounded: round as in a result file.
        progress: label of the progress bar; None shows no bar.

    Returns:
        One score per row, in the order of `rows`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from uniultra.predict import Predictor
        >>> from uniultra.synthesis.scene import scene
        >>> drawn, folder = scene(np.random.default_rng(1)), Path(tempfile.mkdtemp())
        >>> Image.fromarray(drawn.picture).save(folder / "image.png")
        >>> Image.fromarray(drawn.targets[0]).save(folder / "mask.png")
        >>> row = Row("scenes", "1", "test", folder / "image.png", folder / "mask.png", None, "")
        >>> predictor = Predictor("uniultra_mini", device="cpu")
        >>> [picture] = score(predictor, [row], ("box",), EvaluationProtocol(seeds=2))
        >>> sorted(picture.values)
        ['assd_px', 'dice_box', 'ellipse_box', 'hd95_px']
        >>> picture.values["dice_box"] > 0.8, len(picture.repeated["dice_box_noisy"])
        (True, 2)
    """
    kinds = frozenset(prompts)
    bar = tqdm(rows, desc=progress, disable=progress is None)
    scores = [Examination(answers, row, kinds, protocol, questions, lines).score(cases) for row in bar]
    return [picture.rounded() for picture in scores] if rounded else scores


class Examination:
    """One picture while a system is prompted on it."""

    def __init__(
        self,
        answers: Answers,
        row: Row,
        kinds: frozenset[str],
        protocol: EvaluationProtocol,
        questions: Mapping[str, Question] = QUESTIONS,
        lines: Sequence[str] = LINES,
    ) -> None:
        self.picture, self.label = load_pair(row)
        self.answers, self.row, self.kinds, self.protocol = answers, row, kinds, protocol
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
        """The target, `(H,W)`."""
        return self.parts[0]

    def score(self, cases: list[ObedienceCase] | None = None) -> PictureScore:
        """Give all prompts and score the answers; an object's case is appended to `cases`."""
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
        """Predict for all prompts in one call and record the time."""
        predictions = self.answers.predict(self.source, STILL, prompts)
        timings = predictions[0].timings
        if not timings.get("cached"):
            self.encoding.append(timings["encode"])
        if len(prompts) == 1 or not self.decoding:
            self.decoding.append(timings["decode"] / len(prompts))
        return predictions

    def run(self, ask: Ask) -> ClickRun:
        """Simulate the protocol's clicks on the target."""
        return click_until(
            ask,
            self.truth,
            clicks=self.protocol.clicks if self.overlap == "dice" else max(self.click_counts),
            until=self.protocol.until,
            at_least=max(self.protocol.at_least, *self.click_counts),
            refine="mask" in self.kinds,
        )

    def _prompt_free(self) -> bool | None:
        """Predict without a prompt; on an empty label, return whether anything was marked."""
        [answer] = self.ask(PromptSet())
        if not self.parts:
            return bool(answer.mask.any())
        parts = components(answer.mask) or [answer.mask]
        # The target is one component of the label: the component of the answer that overlaps it most counts.
        matched = max(parts, key=lambda part: (part & self.truth).sum())
        self._measure({"_none": answer.mask}, self.label)
        self._measure({"_none_target": matched, "_none_largest": parts[0]}, self.truth)
        return None

    def _prompted(self, cases: list[ObedienceCase] | None) -> tuple[float, ...]:
        """Give every kind of prompt that the system takes; returns the IoU after each click."""
        # Clicks come first, so that the time of a prompt is measured on one prompt and not on a batch.
        run = self._clicks() if "point" in self.kinds else None
        box = self._boxes() if "box" in self.kinds else None
        if "scribble" in self.kinds:
            self._drawn("_scribble", "scribble")
        if cases is not None and run and box is not None and self.overlap == "dice":
            first = run.points[0], run.masks[0]
            cases.append(ObedienceCase(self.source, self.truth, *first, dice(box, self.truth)))
        return run.ious if run else ()

    def _clicks(self) -> ClickRun:
        """Click until the answer is right, then give the jittered first clicks."""
        answers: list[Prediction] = []

        def ask(prompts: PromptSet) -> Mask:
            answers.extend(self.ask(prompts))
            return answers[-1].mask

        run = self.run(ask)
        self._measure({f"@{k}": run.mask_at(k) for k in self.click_counts}, self.truth)
        if self.overlap == "dice" and self.protocol.clicks == MAX_CLICKS:
            for share in THRESHOLDS:
                self.values[f"noc{share}"] = clicks_needed(run.ious, share / 100)
                self.values[f"nof{share}"] = float(failed(run.ious, share / 100))
        self._judge("1 click", answers[:1])
        self._judge(f"2 to {JUDGED} clicks", answers[1:JUDGED])
        if self.protocol.click_jitter:
            self._drawn("@1_jittered")
        return run

    def _boxes(self) -> Mask:
        """Give the tight box and the noisy boxes; returns the answer to the tight box."""
        [tight] = self.ask(PromptSet(box=tight_box(self.truth)))
        self._measure({"_box": tight.mask}, self.truth)
        self._judge("box", [tight])
        self._drawn("_box_noisy", "noisy box")
        return tight.mask

    def _draw(self, question: str, rng: np.random.Generator) -> PromptSet:
        if question == "_scribble":
            return PromptSet(scribbles=(random_scribble(self.truth, rng),))
        if question == "_box_noisy":
            return PromptSet(box=noisy_box(self.truth, rng, self.protocol.box_jitter))
        return PromptSet(points=(shaky_click(self.truth, rng, self.protocol.click_jitter),))

    def _drawn(self, question: str, kind: str = "") -> None:
        """Give a random prompt once per seed, in one call; with `kind`, also record the predicted IoU."""
        if question not in self.questions or not self.protocol.seeds:
            return
        salt = f"{self.questions[question].salt}{self.row.dataset}{self.row.id}"
        rng = np.random.default_rng([self.protocol.seed, *salt.encode()])
        answers = self.ask(*[self._draw(question, rng) for _ in range(self.protocol.seeds)])
        scores = [self._scores(question, answer.mask, self.truth) for answer in answers]
        self.repeated |= {name: tuple(values[name] for values in scores) for name in scores[0]}
        if kind:
            self._judge(kind, answers)

    def _judge(self, kind: str, answers: Sequence[Prediction]) -> None:
        """Record predicted against true IoU, if the system predicts one; lines have no meaningful IoU."""
        if self.overlap == "dice" and answers and not any(math.isnan(answer.score) for answer in answers):
            self.judged[kind] = tuple((answer.score, iou(answer.mask, self.truth)) for answer in answers)

    def _measure(self, answers: Mapping[str, Mask], truth: Mask) -> None:
        for question, mask in answers.items():
            if question in self.questions:
                self.values |= self._scores(question, mask, truth)

    def _scores(self, question: str, mask: Mask, truth: Mask) -> dict[str, float | None]:
        """All measures of an answer to a question, by key."""
        measures = self.questions[question]
        scores: dict[str, float | None] = {key(self.overlap, question): self._overlap(mask, truth)}
        if measures.iou:
            scores[key("iou", question)] = iou(mask, truth)
        for name in measures.distances:
            distance = _DISTANCES[name](mask, truth)
            pixels = None if math.isnan(distance) else distance
            scores[key(f"{name}_px", question)] = pixels
            if self.row.spacing_mm is not None:
                # The pixel spacing is the same along both axes, so the distance scales with it.
                scores[key(f"{name}_mm", question)] = pixels and pixels * self.row.spacing_mm
        return scores

    def _overlap(self, mask: Mask, truth: Mask) -> float:
        if self.overlap == "dice":
            return dice(mask, truth)
        return surface_dice(mask, truth, self.protocol.tolerance)
