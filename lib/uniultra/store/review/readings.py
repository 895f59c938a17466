"""Readings: the newest label of each reader of an image, or of each frame of a cine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from uniultra.store import queries
from uniultra.store.context import Context
from uniultra.store.newest_frames import newest_frames
from uniultra.store.types import FINAL, LabelVersion


class Reading(NamedTuple):
    """A version, and its frames that its annotator has not relabelled since; None for the whole image."""

    version: LabelVersion
    frames: tuple[int, ...] | None

    @property
    def revision(self) -> int:
        """Of the version."""
        return self.version.revision

    def within(self, frames: set[int]) -> list[int]:
        """The frames of this reading among `frames`, sorted."""
        return sorted(frames if self.frames is None else frames.intersection(self.frames))


def readings(context: Context, image: str | None = None) -> dict[str, list[Reading]]:
    """The readings of each image, by annotator and revision, from final labels.

    Each frame is taken from its annotator's newest version, and left out if that was returned or flagged.
    """
    versions = [version for version in queries.versions(context, image) if version.tag == FINAL]
    states = queries.states(context, image)  # read after the versions: another may be saved meanwhile
    newest = newest_frames(
        ((version.image, version.annotator), version, version.frames) for version in reversed(versions)
    )
    images: dict[str, list[Reading]] = {}
    for version, frames in newest:
        if states[version.image, version.revision] in ("final", "approved"):
            images.setdefault(version.image, []).append(Reading(version, frames))
    for of_image in images.values():
        of_image.sort(key=lambda reading: (reading.version.annotator, reading.revision))
    return dict(sorted(images.items()))


def by_reader(of_image: Iterable[Reading]) -> dict[str, list[Reading]]:
    """Group readings by annotator, in the given order."""
    readers: dict[str, list[Reading]] = {}
    for reading in of_image:
        readers.setdefault(reading.version.annotator, []).append(reading)
    return readers


def common_frames(readers: Iterable[Iterable[Reading]], count: int) -> set[int]:
    """The frames, of `count` in the image, that all these readers have labelled."""
    common = set(range(count))
    for reader in readers:
        common = {frame for reading in reader for frame in reading.within(common)}
    return common
