"""What the label store speaks in: versions of labels, reviews, units of work, leases, labels to train on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

FINAL = "final"  # the tag of finished labels
WHOLE = -1  # in place of a frame: all of the image
Revision = tuple[str, int]  # image and revision of a version
State = Literal["draft", "final", "returned", "approved", "flagged"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# what fits the columns of every database
MAX_INDEX = 2**31 - 1
Index = Annotated[int, Field(ge=0, le=MAX_INDEX)]
# in records: older ones may hold any
_Known = Annotated[int, Field(ge=0)]


class Unit(NamedTuple):
    """What is handed out, labelled and ranked: one frame of one image; of a still or a volume, frame 0."""

    image: str
    frame: int


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Record):
    """How a label came about.

    Attributes:
        model: name in the registry of the model that proposed it, None where a person drew it alone.
        adapter: id of the adapter bundle that answered; None for the shipped weights.
        prompts: as they stood in `params`, in the order they were given.
        clicks, seconds: what it cost the annotator.
    """

    model: str | None = None
    adapter: str | None = None
    prompts: tuple[dict[str, Any], ...] = ()
    clicks: _Known | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class LabelVersion(_Record):
    """One version of the label of an image. It never changes; a review is a record of its own.

    Attributes:
        image: id of the image.
        revision: 1, 2, 3 … of this image, over all its annotators.
        tag: MONAI Label's: `final`, `draft`, `original` (a model's proposal), or another word.
        annotator: who saved it; empty where no client said.
        made: when, UTC.
        base: the revision that the annotator started from, None where the client did not say.
        ext: of the label's file; sha256: of its bytes.
        frames: of a cine, those that are done; None where all of the image is.
        labels: index of each name, as the campaign had them when it was saved.
        origin: how it came about.
        source: path of the image, relative to the studies folder: the id is found by it again.
        info: what else the client sent.
    """

    schema_version: Literal[1] = 1
    image: str
    revision: Annotated[int, Field(ge=1)]
    tag: str
    annotator: str = ""
    made: datetime
    base: _Known | None = None
    ext: str
    sha256: Sha256
    frames: tuple[_Known, ...] | None = None
    labels: dict[str, _Known] = {}
    origin: Origin = Origin()
    source: str
    info: dict[str, Any] = {}


class Review(_Record):
    """What a reviewer said of a version. The newest of a version counts."""

    schema_version: Literal[1] = 1
    image: str
    revision: Annotated[int, Field(ge=1)]
    state: Literal["final", "returned", "approved", "flagged"]
    reviewer: str
    made: datetime
    comment: str = ""


class Lease(_Record):
    """A unit that is given to one annotator until `until`, UTC; work on it renews it, at most to `ends`."""

    unit: Unit
    annotator: str
    since: datetime
    until: datetime
    ends: datetime


class TrainingLabel(_Record):
    """A label that the campaign calls trainable, as a training sees it.

    Attributes:
        image, revision, sha256: the version.
        source, file: of image and label, relative to the studies folder.
        frames: of a cine, those that are labelled; None for all of the image.
        names: name of each value in the label that counts; a value that is not here is background.
        group: hash of the patient.
    """

    image: str
    revision: int
    sha256: Sha256
    source: str
    file: str
    frames: tuple[_Known, ...] | None
    names: dict[int, str]
    group: str

    def paths(self, studies: Path) -> tuple[Path, Path]:
        """The files of image and label."""
        return studies / self.source, studies / self.file
