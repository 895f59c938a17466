"""The newest label of each reader of an image; of a cine, of each frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from uniultra.store import queries
from uniultra.store.context import Context
from uniultra.store.newest_frames import newest_frames
from uniultra.store.types import FINAL, LabelVersion


class Reading(NamedTuple):
    """What of a version is the newest that its annotator says: these frames; None for all of the image."""

    version: LabelVersion
    frames: tuple[int, ...] | None

    @property
    def revision(self) -> int:
        """Of the version."""
        return self.version.revision

    def within(self, frames: set[int]) -> list[int]:
        """Those of these frames that it has."""
        return sorted(frames if self.frames is None else frames.intersection(self.frames))


def readings(context: Context, image: str | None = None) -> dict[str, list[Reading]]:
    """By image, what each annotator's final labels say, by annotator and revision.

    Each frame counts by its annotator's newest version, and not at all where that was returned or flagged.
    """
    versions = [version for version in queries.versions(context, image) if version.tag == FINAL]
    states = queries.states(context, image)  # after the versions: one may be saved meanwhile
    newest = newest_frames(
        ((version.image, version.annotator), version, version.frames) for version in reversed(versions)
    )
    found: dict[str, list[Reading]] = {}
    for version, frames in newest:
        if states[version.image, version.revision] in ("final", "approved"):
            found.setdefault(version.image, []).append(Reading(version, frames))
    for of_image in found.values():
        of_image.sort(key=lambda reading: (reading.version.annotator, reading.revision))
    return dict(sorted(found.items()))


def by_reader(found: Iterable[Reading]) -> dict[str, list[Reading]]:
    """The readings of each annotator, in the order they come."""
    readers: dict[str, list[Reading]] = {}
    for reading in found:
        readers.setdefault(reading.version.annotator, []).append(reading)
    return readers


def common_frames(readers: Iterable[Iterable[Reading]], count: int) -> set[int]:
    """The frames of an image of so many that all these readers have labelled."""
    common = set(range(count))
    for reader in readers:
        common = {frame for reading in reader for frame in reading.within(common)}
    return common
