"""Quarantine for damaged or unexplained files, each with its reason."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from uniultra.files import atomic
from uniultra.images.files import file_ending

logger = logging.getLogger(__name__)
Reason = Literal[
    "half written",
    "mask without a record",
    "record without its mask",
    "record damaged",
    "mask has another checksum",
    "label file cannot be decoded",
    "journal damaged",
]


class Problem(BaseModel):
    """Quarantined files.

    Attributes:
        reason: of the quarantine.
        files: names in the quarantine folder.
        image, revision: of the label that they belong to, if known.
        found: time of the quarantine, UTC.
    """

    model_config = ConfigDict(frozen=True)

    reason: Reason
    files: tuple[str, ...]
    image: str | None = None
    revision: int | None = None
    found: datetime


def add(
    private: Path, files: list[Path], reason: Reason, image: str | None = None, revision: int | None = None
) -> None:
    """Move files into the quarantine; the caller holds the write lock.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = private / "quarantine"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = str(time.time_ns())
    names = [f"{stamp}-{n}{file_ending(file)}" for n, file in enumerate(files)]
    problem = Problem(
        reason=reason, files=tuple(names), image=image, revision=revision, found=datetime.now(UTC)
    )
    # the reason first: after a crash, no quarantined file is without one
    atomic.write(folder / f"{stamp}.json", problem.model_dump_json(indent=1).encode())
    for file, name in zip(files, names, strict=True):
        shutil.move(file, folder / name)
        atomic.sync_folder(file.parent)
    atomic.sync_folder(folder)
    logger.warning("Quarantined: %s (%d files).", reason, len(files))


def problems(private: Path) -> list[Problem]:
    """Problems whose quarantined files still exist, oldest first; deleting the files settles a problem."""
    unsettled = []
    for file in (private / "quarantine").glob("*.json"):
        if file.stem.isdecimal():
            try:
                problem = Problem.model_validate_json(file.read_bytes())
            except (OSError, ValueError):
                continue
            if any((file.parent / name).exists() for name in problem.files):
                unsettled.append(problem)
    return sorted(unsettled, key=lambda problem: problem.found)
