"""The campaign file `campaign.yaml`: structures, readers, patients and training of a campaign."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from uniultra.store.errors import CampaignError
from uniultra.store.types import FrozenModel

FILE = "campaign.yaml"
COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c")
Trains = Literal["newest", "adjudicated", "consensus"]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class LabelName(FrozenModel):
    """One structure: its value in label files, its colour `#rrggbb`, and how to draw it."""

    name: Name
    index: Annotated[int, Field(ge=1, le=255)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = COLORS[0]
    instructions: str = ""


class Patients(FrozenModel):
    """How images are grouped by patient, so that no patient is in both training and validation.

    Attributes:
        by: `dicom` (PatientID), `path` (the first group of `pattern`, or all it matches, in the path relative
            to the studies folder), `manifest` (`column` of the CSV `file`, whose `path_column` names the
            image), or `folder`. Images without a patient by that rule are grouped by their folder.
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


class Campaign(FrozenModel):
    """The settings in `campaign.yaml`; without the file, the defaults.

    Attributes:
        instructions: for all annotators, shown by clients.
        readers: number of annotators who label each unit independently.
        trains: with several readers, the labels to train on: the newest, the ones a reviewer approved
            (`adjudicated`), or their consensus.
        lease_minutes: duration of a lease without work on it; lease_max_minutes: with work.
        frames: the frames of a cine that are units: `first`, `all` or `every N`.
        strategy: default query strategy of clients; None for the server's default.
        model: the model that training adapts.
        train_after: number of new final labels that starts a training automatically; 0 for never.
        skip_reasons: offered to annotators who skip a unit; free text is accepted too.
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
        """Step between the frames of a cine that are units; None if only the first frame is one."""
        if self.frames == "first":
            return None
        return 1 if self.frames == "all" else int(self.frames.split()[1])


def load(studies: Path) -> Campaign:
    """Load the campaign of a studies folder; the defaults if it has no campaign file.

    Raises:
        CampaignError: the file is invalid; the message names the fields.
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
    """The invalid fields and what is wrong with them, without their values: a mistyped line may hold
    anything."""
    places = [
        f"{'.'.join(map(str, detail['loc'])) or 'the file'}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return "; ".join(places[:5])
