"""The consensus of several readers: STAPLE over their newest labels, kept as a version of its own.

STAPLE: Warfield, Zou, Wells, IEEE Trans Med Imaging 23(7), 2004; as SimpleITK has it. With several
structures each is estimated against the rest, and a pixel goes to the likeliest one of at least one half.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images import UltrasoundImage, read_image
from uniultra.images.itk import sitk
from uniultra.store.errors import NotFoundError
from uniultra.store.labels.labelmap import LabelMap, read_labelmap
from uniultra.store.review.readings import Reading, by_reader, common_frames, readings
from uniultra.store.types import LabelVersion, Origin

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)
TAG = ANNOTATOR = "consensus"
_OF = "of"


def staple(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The consensus `(...)` of label maps `(readers, ...)`; 0 is background."""
    values = [int(v) for v in np.unique(masks) if v]
    if not values:
        return np.zeros(masks.shape[1:], np.uint8)
    chance = np.stack([_probability(masks == value) for value in values])
    best = chance.argmax(axis=0)
    found = np.asarray(values, np.uint8)[best]
    return np.where(chance.max(axis=0) >= 0.5, found, 0).astype(np.uint8)


def _probability(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    # where all say the same there is nothing to estimate, and STAPLE divides nought by nought
    if (masks == masks[0]).all():
        return masks[0].astype(float)
    pictures = [sitk().GetImageFromArray(np.atleast_3d(mask).astype(np.uint8)) for mask in masks]
    chance = sitk().GetArrayFromImage(sitk().STAPLE(pictures, 1.0)).reshape(masks.shape[1:])
    return np.nan_to_num(chance)


def bring_up_to_date(store: LabelStore) -> None:
    """Make the consensus of every image that enough readers have labelled, unless it is made already."""
    stored = {version.image: version for version in store.versions() if version.tag == TAG}
    for image, known in readings(store).items():
        if len(by_reader(known)) < store.campaign.readers or image not in set(store.images.listed()):
            continue
        of = _revisions(known)
        if image not in stored or stored[image].info.get(_OF) != of:
            try:
                _make(store, image, known, of)
            except (ImageError, NotFoundError):
                logger.warning("The readers' labels of an image do not fit each other: no consensus.")


def stored(store: LabelStore) -> list[tuple[LabelVersion, tuple[int, ...] | None]]:
    """The newest consensus of each image that stands for its readers' labels as they are now.

    With each, the frames that all readers still have: a newer label of one of them may have been returned.
    """
    now = readings(store)
    found = []
    for (image, tag), version in sorted(store.current().items()):
        known = now.get(image, [])
        if tag != TAG or version.info.get(_OF) != _revisions(known):
            continue
        frames = _left(version.frames, known)
        if frames != () and store.state(version) in ("final", "approved"):
            found.append((version, frames))
    return found


def _revisions(known: list[Reading]) -> list[int]:
    return sorted(one.revision for one in known)


def _left(frames: tuple[int, ...] | None, known: list[Reading]) -> tuple[int, ...] | None:
    """Those frames of a consensus that all its readers have; None for the whole of a still or a volume."""
    if frames is None:
        return None
    common = common_frames(by_reader(known).values(), max(frames, default=0) + 1)
    return tuple(frame for frame in frames if frame in common)


def _make(store: LabelStore, image: str, known: list[Reading], of: list[int]) -> None:
    picture = read_image(store.images.path(image))
    names = _common(store.campaign.indices, [one.version for one in known])
    readers = by_reader(known)
    maps = np.stack([_drawn(store, picture, reader, names) for reader in readers.values()])
    frames = sorted(common_frames(readers.values(), picture.shape[0]))
    if not frames:
        return
    found = np.zeros(picture.shape, np.uint8)
    for frame in frames:
        found[frame] = staple(maps[:, frame])
    label: Any = sitk().GetImageFromArray(found)
    label.SetSpacing(picture.geometry.spacing)
    label.SetOrigin(picture.geometry.origin)
    label.SetDirection(picture.geometry.direction)
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        path = Path(folder) / "consensus.nrrd"
        sitk().WriteImage(label, str(path), useCompression=True)
        store.save(
            image,
            path,
            tag=TAG,
            annotator=ANNOTATOR,
            frames=None if known[0].frames is None else frames,
            origin=Origin(),
            info={_OF: of},
            labels=names,
        )


def _common(campaign: Mapping[str, int], versions: list[LabelVersion]) -> dict[str, int]:
    """An index for each name that a reader used: clients number structures as they like."""
    names = dict(campaign)
    for name in sorted({name for version in versions for name, index in version.labels.items() if index}):
        names.setdefault(name, max(names.values(), default=0) + 1)
    return names


def _drawn(
    store: LabelStore, picture: UltrasoundImage, reader: list[Reading], names: Mapping[str, int]
) -> NDArray[np.uint8]:
    """What a reader says, each frame by its newest version."""
    found = np.zeros(picture.shape, np.uint8)
    for one in reader:
        label = read_labelmap(store.verified(one.version), picture, as_stored=True)
        frames = one.within(set(range(picture.shape[0])))
        found[frames] = _renumbered(label, one.version, names)[frames]
    return found


def _renumbered(label: LabelMap, version: LabelVersion, names: Mapping[str, int]) -> NDArray[np.uint8]:
    found = np.zeros(label.shape, np.uint8)
    for name, index in version.labels.items():
        if index:
            found[label == index] = names[name]
    return found
