"""Paths in a studies folder: its private folder, label versions and their published copies."""

from __future__ import annotations

import re
from pathlib import Path

from uniultra.store.types import LabelVersion

LABELS = "labels"
PRIVATE = ".uniultra"

# names of the files in the folder of an image's versions
RECORD = re.compile(r"([1-9]\d*)\.json")
REVIEW = re.compile(r"([1-9]\d*)\.review-([1-9]\d*)\.json")
MASK = re.compile(r"([1-9]\d*)(\.(?!json|review-).+)")


def versions_folder(studies: Path, image: str) -> Path:
    """The folder of an image's versions."""
    return studies / PRIVATE / "versions" / image


def mask_path(studies: Path, version: LabelVersion) -> Path:
    """The file of a version's mask."""
    return versions_folder(studies, version.image) / f"{version.revision}{version.ext}"


def record_path(studies: Path, image: str, revision: int) -> Path:
    """The file of a version's record. It is written last: the version exists if it does."""
    return versions_folder(studies, image) / f"{revision}.json"


def review_path(studies: Path, image: str, revision: int, number: int) -> Path:
    """The file of the n-th review of a version."""
    return versions_folder(studies, image) / f"{revision}.review-{number}.json"


def label_path(studies: Path, image: str, tag: str, ext: str) -> Path:
    """`<studies>/labels/<tag>/<id><ext>`, as in MONAI Label's own datastore."""
    return studies / LABELS / tag / f"{image}{ext}"
