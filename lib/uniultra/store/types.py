"""Data types of the label store: label versions, reviews, units of work, leases, training labels."""

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
# the largest integer that fits the columns of every database
MAX_INDEX = 2**31 - 1
Index = Annotated[int, Field(ge=0, le=MAX_INDEX)]
# in records: older ones may exceed MAX_INDEX
_NonNegative = Annotated[int, Field(ge=0)]


class Unit(NamedTuple):
    """A unit of work, handed out and ranked: one frame of one image; frame 0 for a still or a volume."""

    image: str
    frame: int


class FrozenModel(BaseModel):
    """Base of immutable records; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(FrozenModel):
    """Provenance of a label.

    Attributes:
        model: registry name of the model that proposed it; None if it was drawn by hand.
        adapter: id of the adapter bundle in service; None for the shipped weights.
        prompts: as sent in `params`, in the order of the prompts.
        clicks, seconds: effort of the annotator.
    """

    model: str | None = None
    adapter: str | None = None
    prompts: tuple[dict[str, Any], ...] = ()
    clicks: _NonNegative | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class LabelVersion(FrozenModel):
    """One version of the label of an image. It never changes; reviews are separate records.

    Attributes:
        image: id of the image.
        revision: 1, 2, 3 … of this image, over all its annotators.
        tag: MONAI Label's: `final`, `draft`, `original` (a model's proposal), or another word.
        annotator: who saved it; empty if the client did not say.
        made: time of creation, UTC.
        base: revision that the annotator started from; None if the client did not say.
        ext: extension of the label file; sha256: of its bytes.
        frames: labelled frames of a cine; None if the whole image is labelled.
        labels: index of each structure's name, as in the campaign when it was saved.
        origin: provenance.
        source: path of the image relative to the studies folder; restores the id if the journal is lost.
        info: further data sent by the client.
    """

    schema_version: Literal[1] = 1
    image: str
    revision: Annotated[int, Field(ge=1)]
    tag: str
    annotator: str = ""
    made: datetime
    base: _NonNegative | None = None
    ext: str
    sha256: Sha256
    frames: tuple[_NonNegative, ...] | None = None
    labels: dict[str, _NonNegative] = {}
    origin: Origin = Origin()
    source: str
    info: dict[str, Any] = {}


class Review(FrozenModel):
    """A review of a version. The newest review of a version determines its state."""

    schema_version: Literal[1] = 1
    image: str
    revision: Annotated[int, Field(ge=1)]
    state: Literal["final", "returned", "approved", "flagged"]
    reviewer: str
    made: datetime
    comment: str = ""


class Lease(FrozenModel):
    """A unit reserved for one annotator until `until`, UTC; work on it renews the lease, at most to
    `ends`."""

    unit: Unit
    annotator: str
    since: datetime
    until: datetime
    ends: datetime


class TrainingLabel(FrozenModel):
    """A label to train on, or to export.

    Attributes:
        image, revision, sha256: of the version.
        source, file: paths of image and label, relative to the studies folder.
        frames: labelled frames of a cine; None for the whole image.
        names: structure name of each label value; any other value is background.
        group: hash of the patient.
    """

    image: str
    revision: int
    sha256: Sha256
    source: str
    file: str
    frames: tuple[_NonNegative, ...] | None
    names: dict[int, str]
    group: str

    def paths(self, studies: Path) -> tuple[Path, Path]:
        """Absolute paths of image and label."""
        return studies / self.source, studies / self.file
