"""Creates the first `campaign.yaml`, with a comment on each setting; imports label schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from uniultra.errors import RequestError
from uniultra.files import atomic
from uniultra.store.campaign.file import COLORS, FILE, Campaign, LabelName, words

_TABLES = (".ctbl", ".txt")
_HEAD = (
    "The campaign of this studies folder. A person may edit it; the server reads it again by itself.",
    "Once labels are saved, keep the structures' names and indices: a label is known by them.",
)
_COMMENTS = {
    "schema_version": (),
    "name": ("shown to annotators, and in exports",),
    "instructions": ("for all annotators; their clients show it",),
    "labels": (
        "what is labelled: the name, its value in label files (1 to 255), its colour,",
        "and how to draw it (instructions), shown beside the name",
    ),
    "readers": ("how many people label each image or frame, each without seeing the other's label",),
    "trains": (
        "with several readers, what counts: newest, adjudicated (what a reviewer approved),",
        "or consensus (computed from all of them)",
    ),
    "patients": (
        "whose images go together, so that a patient is never trained on and validated with:",
        "by: dicom (PatientID), path (pattern: a regular expression; its first group is the patient),",
        "manifest (file: a CSV, with column and path_column), or folder.",
        "Change it before the first training: another grouping makes another validation set.",
    ),
    "lease_minutes": ("how long an image stays with an annotator who does nothing",),
    "lease_max_minutes": ("and at most, with work on it",),
    "frames": ("which frames of a cine are handed out: first, all, or every N",),
    "strategy": ("which image comes next where the client does not say; null: the server's choice",),
    "model": ("what the training adapts",),
    "train_after": ("number of new final labels that starts a training; 0: only on request",),
    "skip_reasons": ("offered to annotators who skip an image",),
}


def write(studies: Path, campaign: Campaign) -> None:
    """Write a new `campaign.yaml`.

    Raises:
        RequestError: the file exists, or the folder cannot be written.
    """
    if (studies / FILE).exists() or (studies / FILE).is_symlink():
        raise RequestError(
            f"Expected a studies folder without {FILE}; the file exists. Edit it, or move it away first."
        )
    try:
        atomic.write(studies / FILE, text(campaign).encode())
    except OSError:
        raise RequestError("The studies folder cannot be written. Check its permissions.") from None


def made(settings: dict[str, Any]) -> Campaign:
    """A campaign with these settings; defaults for the rest.

    Raises:
        RequestError: an invalid value; the message names it.
    """
    try:
        return Campaign.model_validate(settings)
    except ValidationError as error:
        raise RequestError(f"Invalid campaign settings. {words(error)}. Change that option.") from None


def text(campaign: Campaign) -> str:
    """The campaign as YAML, each setting under a comment."""
    blocks = ["\n".join(f"# {line}" for line in _HEAD)]
    for name, value in campaign.model_dump(mode="json").items():
        comment = "".join(f"# {line}\n" for line in _COMMENTS.get(name, ()))
        blocks.append(comment + yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True).strip())
    return "\n\n".join(blocks) + "\n"


def labels_of(names: list[str]) -> tuple[LabelName, ...]:
    """Labels with these names, indices 1, 2, 3 … and distinct colours.

    Raises:
        RequestError: an invalid name.
    """
    return _labels([{"name": name, "index": n} for n, name in enumerate(names, 1)])


def schema(path: Path) -> tuple[LabelName, ...]:
    """Import the labels of a schema file.

    YAML or JSON with a list of names, `{name: index}`, a list of `{name, index, color, instructions}`, or
    one of these under `labels`; or a colour table of 3D Slicer (.ctbl, .txt), without its background.

    Raises:
        RequestError: the file has none of these forms.
    """
    try:
        content = path.read_text("utf-8")
        entries = _table(content) if path.suffix.lower() in _TABLES else yaml.safe_load(content)
    except (OSError, ValueError, yaml.YAMLError):
        raise _refusal() from None
    if isinstance(entries, dict) and isinstance(entries.get("labels"), (list, dict)):
        entries = entries["labels"]
    if isinstance(entries, dict):
        entries = [{"name": name, "index": index} for name, index in entries.items()]
    if not isinstance(entries, list) or not entries:
        raise _refusal()
    if all(isinstance(entry, str) for entry in entries):
        return labels_of([str(entry) for entry in entries])
    return _labels(entries)


def _labels(entries: list[Any]) -> tuple[LabelName, ...]:
    try:
        return tuple(
            LabelName.model_validate({"color": COLORS[n % len(COLORS)], **entry})
            for n, entry in enumerate(entries)
        )
    except (TypeError, ValidationError):  # an entry that is no mapping, or no label
        raise _refusal() from None


def _table(content: str) -> list[dict[str, Any]]:
    """Labels of a colour table: `index name red green blue alpha` in each line."""
    entries = []
    for line in content.splitlines():
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        index, name, *colour = fields
        red, green, blue = (int(number) for number in colour[:3])
        if int(index) > 0:
            color = f"#{red:02x}{green:02x}{blue:02x}"
            entries.append({"name": name.replace("_", " "), "index": int(index), "color": color})
    return entries


def _refusal() -> RequestError:
    forms = json.dumps(["lesion", {"lesion": 1}, {"name": "lesion", "index": 1, "color": "#e6194b"}])
    return RequestError(
        f"Expected labels as YAML or JSON, a list of {forms}, or a colour table of 3D Slicer; each with a "
        "name, an index from 1 to 255 and a colour #rrggbb. Correct the names or the file."
    )
