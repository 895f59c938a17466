"""The newest label of each reader of an image; of a cine, of each frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from uniultra.store.types import LabelVersion
from uniultra.store.work.progress import FINAL, WHOLE

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore


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


def readings(store: LabelStore, image: str | None = None) -> dict[str, list[Reading]]:
    """By image, what each annotator's final labels say, by annotator and revision.

    Each frame counts by its annotator's newest version, and not at all where that was returned or flagged.
    """
    versions = [version for version in store.versions(image) if version.tag == FINAL]
    states = store.states(image)  # after the versions: one may be saved meanwhile
    taken: dict[tuple[str, str], set[int]] = {}
    found: dict[str, list[Reading]] = {}
    for version in reversed(versions):
        covered = taken.setdefault((version.image, version.annotator), set())
        frames = {WHOLE} if version.frames is None else set(version.frames)
        left = set() if WHOLE in covered else frames - covered
        covered |= left
        if left and states[version.image, version.revision] in ("final", "approved"):
            only = None if WHOLE in left else tuple(sorted(left))
            found.setdefault(version.image, []).append(Reading(version, only))
    for of_image in found.values():
        of_image.sort(key=lambda one: (one.version.annotator, one.revision))
    return dict(sorted(found.items()))


def by_reader(found: Iterable[Reading]) -> dict[str, list[Reading]]:
    """The readings of each annotator, in the order they come."""
    readers: dict[str, list[Reading]] = {}
    for one in found:
        readers.setdefault(one.version.annotator, []).append(one)
    return readers


def common_frames(readers: Iterable[Iterable[Reading]], count: int) -> set[int]:
    """The frames of an image of so many that all these readers have labelled."""
    common = set(range(count))
    for reader in readers:
        common = {frame for one in reader for frame in one.within(common)}
    return common
