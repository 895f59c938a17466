"""The consensus of several readers: STAPLE over their newest labels, saved as a separate version.

STAPLE: Warfield, Zou, Wells, IEEE Trans Med Imaging 23(7), 2004; as implemented in SimpleITK. With several
structures each is estimated against the rest, and a pixel is assigned to the most probable one, if its
probability is at least 0.5.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images import UltrasoundImage, read_image
from uniultra.images.itk import sitk
from uniultra.store import queries
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.labels.labelmap import LabelMap, label_file, read_labelmap
from uniultra.store.labels.saving import Draft, Saving
from uniultra.store.newest_frames import Frames
from uniultra.store.review.readings import Reading, by_reader, common_frames, readings
from uniultra.store.types import LabelVersion

logger = logging.getLogger(__name__)
TAG = ANNOTATOR = "consensus"
_OF = "of"


def staple(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The consensus `(...)` of label maps `(readers, ...)`; 0 is background.

    >>> votes = np.array([[[1, 1, 0]], [[1, 1, 0]], [[1, 0, 0]]], np.uint8)
    >>> staple(votes).tolist()
    [[1, 1, 0]]
    """
    values = [int(v) for v in np.unique(masks) if v]
    if not values:
        return np.zeros(masks.shape[1:], np.uint8)
    chance = np.stack([_probability(masks == value) for value in values])
    best = chance.argmax(axis=0)
    likeliest = np.asarray(values, np.uint8)[best]
    return np.where(chance.max(axis=0) >= 0.5, likeliest, 0).astype(np.uint8)


def _probability(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    # for identical masks STAPLE divides zero by zero
    if (masks == masks[0]).all():
        return masks[0].astype(float)
    pictures = [sitk().GetImageFromArray(np.atleast_3d(mask).astype(np.uint8)) for mask in masks]
    chance = sitk().GetArrayFromImage(sitk().STAPLE(pictures, 1.0)).reshape(masks.shape[1:])
    return np.nan_to_num(chance)


class Consensus:
    """The consensus of each image of a campaign, recomputed when one of its readers' labels changes."""

    def __init__(self, context: Context, saving: Saving) -> None:
        self._context, self._saving = context, saving
        # images whose labels do not fit each other, and the revisions of those labels
        self._impossible: dict[str, list[int]] = {}

    def bring_up_to_date(self) -> None:
        """Recompute every outdated consensus; reads the images and their readers' labels."""
        for image, of_image in self.outdated().items():
            try:
                self._make(image, of_image)
            except (ImageError, NotFoundError):
                self._impossible[image] = _revisions(of_image)
                logger.warning("The readers' labels of an image do not fit each other: no consensus.")

    def outdated(self) -> dict[str, list[Reading]]:
        """The readings of each image with enough readers whose stored consensus is of other readings."""
        made = {
            version.image: version.info.get(_OF)
            for version in queries.versions(self._context)
            if version.tag == TAG
        }
        present = set(self._context.images.listed())
        return {
            image: of_image
            for image, of_image in readings(self._context).items()
            if len(by_reader(of_image)) >= self._context.campaign.readers
            and image in present
            and _revisions(of_image) != made.get(image)
        }

    def to_come(self) -> list[str]:
        """Images whose consensus `bring_up_to_date` would compute; reads no file."""
        return [
            image
            for image, of_image in self.outdated().items()
            if _frames_in_common(of_image) and self._impossible.get(image) != _revisions(of_image)
        ]

    def stored(self) -> list[tuple[LabelVersion, Frames]]:
        """The newest consensus of each image, if it is of its readers' current labels.

        With each, the frames that all readers still have: a newer label of one of them may have been
        returned. Reads no file.
        """
        now, states = readings(self._context), queries.states(self._context)
        current = []
        for (image, tag), version in sorted(queries.current(self._context).items()):
            of_image = now.get(image, [])
            if tag != TAG or version.info.get(_OF) != _revisions(of_image):
                continue
            frames = _left(version.frames, of_image)
            if frames != () and states.get((image, version.revision)) in ("final", "approved"):
                current.append((version, frames))
        return current

    def _make(self, image: str, of_image: list[Reading]) -> None:
        picture = read_image(self._context.images.path(image))
        names = _common_names(self._context.campaign.indices, [reading.version for reading in of_image])
        readers = by_reader(of_image)
        maps = np.stack([self._drawn(picture, reader, names) for reader in readers.values()])
        frames = sorted(common_frames(readers.values(), picture.shape[0]))
        if not frames:
            return
        label = np.zeros(picture.shape, np.uint8)
        for frame in frames:
            label[frame] = staple(maps[:, frame])
        with label_file(label, picture) as file:
            self._saving.save(
                Draft(
                    image,
                    file,
                    TAG,
                    ANNOTATOR,
                    frames=None if of_image[0].frames is None else tuple(frames),
                    info={_OF: _revisions(of_image)},
                    labels=names,
                )
            )

    def _drawn(
        self, picture: UltrasoundImage, reader: list[Reading], names: Mapping[str, int]
    ) -> NDArray[np.uint8]:
        """The label map of a reader, each frame from its newest version."""
        drawn = np.zeros(picture.shape, np.uint8)
        for reading in reader:
            label = read_labelmap(self._saving.verified(reading.version), picture, as_stored=True)
            frames = reading.within(set(range(picture.shape[0])))
            drawn[frames] = _renumbered(label, reading.version, names)[frames]
        return drawn


def _revisions(of_image: list[Reading]) -> list[int]:
    return sorted(reading.revision for reading in of_image)


def _frames_in_common(of_image: list[Reading]) -> set[int]:
    last = max((max(reading.frames) for reading in of_image if reading.frames), default=0)
    return common_frames(by_reader(of_image).values(), last + 1)


def _left(frames: Frames, of_image: list[Reading]) -> Frames:
    """The frames of a consensus that all its readers still have; None for a still or a volume."""
    if frames is None:
        return None
    common = _frames_in_common(of_image)
    return tuple(frame for frame in frames if frame in common)


def _common_names(campaign: Mapping[str, int], versions: list[LabelVersion]) -> dict[str, int]:
    """A common index for each name: clients may number structures differently."""
    names = dict(campaign)
    for name in sorted({name for version in versions for name, index in version.labels.items() if index}):
        names.setdefault(name, max(names.values(), default=0) + 1)
    return names


def _renumbered(label: LabelMap, version: LabelVersion, names: Mapping[str, int]) -> NDArray[np.uint8]:
    renumbered = np.zeros(label.shape, np.uint8)
    for name, index in version.labels.items():
        if index:
            renumbered[label == index] = names[name]
    return renumbered
