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
from uniultra.images import read_image
from uniultra.images.itk import sitk
from uniultra.store.errors import NotFoundError
from uniultra.store.labelmap import LabelMap, read_labelmap
from uniultra.store.readings import readings
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
    for image, versions in readings(store).items():
        if len(versions) < store.campaign.readers or image not in set(store.images.listed()):
            continue
        of = sorted(version.revision for version in versions)
        if image not in stored or stored[image].info.get(_OF) != of:
            try:
                _make(store, image, versions, of)
            except (ImageError, NotFoundError):
                logger.warning("The readers' labels of an image do not fit each other: no consensus.")


def stored(store: LabelStore) -> list[tuple[LabelVersion, tuple[int, ...] | None]]:
    """The newest consensus of each image that stands for its readers' labels as they are now."""
    now = {image: sorted(v.revision for v in versions) for image, versions in readings(store).items()}
    return [
        (version, version.frames)
        for (image, tag), version in sorted(store.current().items())
        if tag == TAG
        and version.info.get(_OF) == now.get(image)
        and store.state(version) in ("final", "approved")
    ]


def _make(store: LabelStore, image: str, versions: list[LabelVersion], of: list[int]) -> None:
    picture = read_image(store.images.path(image))
    names = _common(store.campaign.indices, versions)
    maps = np.stack(
        [_renumbered(read_labelmap(store.verified(v), picture, as_stored=True), v, names) for v in versions]
    )
    done = [set(range(picture.shape[0])) if v.frames is None else set(v.frames) for v in versions]
    frames = sorted(set.intersection(*done))
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
            frames=None if versions[0].frames is None else frames,
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


def _renumbered(label: LabelMap, version: LabelVersion, names: Mapping[str, int]) -> NDArray[np.uint8]:
    found = np.zeros(label.shape, np.uint8)
    for name, index in version.labels.items():
        if index:
            found[label == index] = names[name]
    return found
