"""The records that every evaluation shares: how pictures are asked, one picture's scores, what was measured.

Shares, Dice and IoU are 0..1, lengths of time seconds.
"""

from __future__ import annotations

import statistics
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Overlap = Literal["dice", "nsd"]
DIGITS = 6


class Record(BaseModel):
    """A frozen part of a result file; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EvaluationProtocol(Record):
    """How pictures are asked and scored; every system is asked the same.

    Attributes:
        clicks: at most so many per object; NoC and NoF are given only with 20.
        until, at_least: clicking ends at this IoU, never before so many clicks; None: it goes on while
            anything is wrong.
        seeds: noisy boxes, scribbles and shaky clicks per object, each kind.
        box_jitter: share of the box's size by which each side may move.
        click_jitter: pixels by which a click may miss the centre; 0 asks no shaky clicks.
        tolerance: of the surface Dice of one-pixel lines, in pixels of the stored mask.
        scenes: generated pictures of the obedience test.
        seed: of all that is drawn.
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
    """One picture and one system.

    Attributes:
        group: the patient, or the picture's own ID where none is known.
        values: by key, see `uniultra.evaluate.scoring.key`; None where there is no distance, as one of two
            masks is empty.
        repeated: the same for what is asked once per seed.
        ious: IoU after each click.
        judged: by kind of prompt, pairs of predicted and true IoU.
        marked: for a prompt-free model on an empty label, whether it marked anything.
        seconds_image, seconds_prompt: encoding, and the median of decoding one prompt; None if not run.
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
        """With six digits, as result files hold it: what is computed from it can be computed from a file."""
        return PictureScore.model_validate(_rounded(self.model_dump()))

    def averaged(self) -> PictureScore:
        """With the means over seeds among `values`, over the answers that have one."""
        means = {}
        for key, values in self.repeated.items():
            defined = [value for value in values if value is not None]
            means[key] = statistics.fmean(defined) if defined else None
        return self.model_copy(update={"values": self.values | means, "repeated": {}})


class MeasuredModel(Record):
    """What was measured.

    Attributes:
        name: in the registry.
        sha256: of the weights.
        image_size: side of the input, pixels.
        trained_on: sets of the manifest that it was trained on, as its weights say; None: they do not.
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
