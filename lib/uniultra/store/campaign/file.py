"""The campaign file `campaign.yaml`: what is labelled, by how many, and what of it trains."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uniultra.store.errors import CampaignError

FILE = "campaign.yaml"
COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c")
Trains = Literal["newest", "adjudicated", "consensus"]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelName(_Part):
    """One structure: its value in label files, its colour `#rrggbb`, and how to draw it."""

    name: Name
    index: Annotated[int, Field(ge=1, le=255)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = COLORS[0]
    instructions: str = ""


class Patients(_Part):
    """How images are grouped by patient, so that none is trained on and validated with.

    Attributes:
        by: `dicom` (PatientID), `path` (the first group of `pattern`, or all it matches, in the path relative
            to the studies folder), `manifest` (`column` of the CSV `file`, whose `path_column` names the
            image), or `folder`. What has no patient by that rule is grouped by its folder.
    """

    by: Literal["dicom", "path", "manifest", "folder"] = "dicom"
    pattern: str | None = None
    file: str | None = None
    column: str = "patient"
    path_column: str = "path"

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error:
            raise ValueError("expected a regular expression") from None
        return pattern

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str | None) -> str | None:
        if file is not None and (PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts):
            raise ValueError("expected a file in the studies folder, named relative to it")
        return file

    @model_validator(mode="after")
    def _complete(self) -> Patients:
        if self.by == "path" and not self.pattern:
            raise ValueError("expected a pattern for patients by path")
        if self.by == "manifest" and not self.file:
            raise ValueError("expected a file for patients by manifest")
        return self


class Campaign(_Part):
    """What `campaign.yaml` may say; the defaults hold where there is none.

    Attributes:
        instructions: for all annotators, shown by clients.
        readers: how many label each unit.
        trains: with several readers: the newest version, the one a reviewer approved, or their consensus.
        lease_minutes: how long a unit stays given without work on it; lease_max_minutes: with work.
        frames: the frames of a cine that are units: `first`, `all` or `every N`.
        strategy: asked for by clients that name none; None for the server's default.
        model: what training adapts.
        train_after: new final labels after which a training starts by itself; 0 for never.
        skip_reasons: offered to whoever skips a unit; other words are taken too.
    """

    schema_version: Literal[1] = 1
    name: Name = "studies"
    instructions: str = ""
    labels: tuple[LabelName, ...] = ()
    readers: Annotated[int, Field(ge=1, le=20)] = 1
    trains: Trains = "newest"
    patients: Patients = Patients()
    lease_minutes: Annotated[float, Field(gt=0, le=10_000)] = 30
    lease_max_minutes: Annotated[float, Field(gt=0, le=100_000)] = 480
    frames: Annotated[str, Field(pattern=r"^(first|all|every [1-9]\d{0,5})$")] = "first"
    strategy: str | None = None
    model: str = "uniultra_mini"
    train_after: Annotated[int, Field(ge=0)] = 10
    skip_reasons: tuple[Name, ...] = ("poor picture", "not this organ", "unsure")

    @model_validator(mode="after")
    def _distinct(self) -> Campaign:
        for what in ("name", "index"):
            if len({getattr(label, what) for label in self.labels}) < len(self.labels):
                raise ValueError(f"expected each label to have a {what} of its own")
        return self

    @property
    def indices(self) -> dict[str, int]:
        """Index of each label's name."""
        return {label.name: label.index for label in self.labels}

    @property
    def frame_step(self) -> int | None:
        """Every how many frames of a cine are units; None: the first one alone."""
        if self.frames == "first":
            return None
        return 1 if self.frames == "all" else int(self.frames.split()[1])


def load(studies: Path) -> Campaign:
    """The campaign of a studies folder; the defaults where it has no campaign file.

    Raises:
        CampaignError: the file cannot be used; the text names the places.
    """
    try:
        body = yaml.safe_load((studies / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return Campaign()
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise CampaignError(
            f"Expected {FILE} to be a YAML file; it cannot be read as one. Write a new one with: "
            "uniultra campaign init."
        ) from None
    try:
        return Campaign.model_validate(body or {})
    except ValidationError as error:
        raise CampaignError(f"{FILE}: {words(error)}. Correct it there.") from None


def words(error: ValidationError) -> str:
    """What is wrong in which places; never the values."""
    # without the values: a mistyped line may hold anything
    places = [
        f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return "; ".join(places[:5])
