"""Records shared by all evaluations: the evaluation protocol, the scores of a picture, the measured model.

Fractions, Dice and IoU are 0..1, durations seconds.
"""

from __future__ import annotations

import statistics
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Overlap = Literal["dice", "nsd"]
DIGITS = 6


class Record(BaseModel):
    """A frozen part of a result file; unknown fields are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EvaluationProtocol(Record):
    """How pictures are prompted and scored; all systems get the same prompts.

    Attributes:
        clicks: maximum number of clicks per object; NoC and NoF are reported only with 20.
        until: IoU at which clicking stops; None clicks until no pixel is wrong.
        at_least: number of clicks before `until` may stop it.
        seeds: number of noisy boxes, of scribbles and of jittered clicks per object.
        box_jitter: fraction of the box's size by which each side may move.
        click_jitter: maximum distance of a jittered click from the centre, pixels; 0 leaves them out.
        tolerance: tolerance of the surface Dice of one-pixel lines, in pixels of the stored mask.
        scenes: generated pictures of the obedience test.
        seed: seeds all random prompts.
    """

    clicks: int = Field(default=20, ge=1)
    until: float | None = 0.9
    at_least: int = 10
    seeds: int = Field(default=5, ge=0)
    box_jitter: float = 0.1
    click_jitter: float = 10.0
    tolerance: float = 2.0
    scenes: int = Field(default=60, ge=1)
    seed: int = 7


class PictureScore(Record):
    """Scores of one system on one picture.

    Attributes:
        dataset, id: the picture in the manifest.
        group: the patient, or the picture's own ID if the patient is unknown.
        values: by key, see `uniultra.evaluate.scoring.key`; None for a distance that is undefined, as one of
            the masks is empty.
        repeated: values of random prompts, one per seed.
        ious: IoU after each click.
        judged: by kind of prompt, pairs of predicted and true IoU.
        marked: whether a prompt-free model marked anything on an empty label.
        seconds_image: time of encoding the picture; None if not run.
        seconds_prompt: median time of decoding one prompt; None if not run.
    """

    dataset: str
    id: str
    group: str
    values: dict[str, float | None] = {}
    repeated: dict[str, tuple[float | None, ...]] = {}
    ious: tuple[float, ...] = ()
    judged: dict[str, tuple[tuple[float, float], ...]] = {}
    marked: bool | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None

    def rounded(self) -> PictureScore:
        """Rounded to six digits as in result files, so that statistics can be recomputed from a file."""
        return PictureScore.model_validate(_rounded(self.model_dump()))

    def averaged(self) -> PictureScore:
        """With the means over seeds moved into `values`; undefined distances are left out of the mean."""
        means = {}
        for key, values in self.repeated.items():
            defined = [value for value in values if value is not None]
            means[key] = statistics.fmean(defined) if defined else None
        return self.model_copy(update={"values": self.values | means, "repeated": {}})


class MeasuredModel(Record):
    """The measured model.

    Attributes:
        name: name in the registry.
        sha256: SHA-256 of the weights.
        image_size: side of the input, pixels.
        trained_on: sets it was trained on according to its weights; None if they do not say.
    """

    name: str
    sha256: str | None
    image_size: int
    trained_on: tuple[str, ...] | None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(member) for key, member in value.items()}
    return tuple(map(_rounded, value)) if isinstance(value, tuple) else value
