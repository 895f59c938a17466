"""Agreement of the readers of an image: Dice and HD95 of each pair and structure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict

from uniultra.images import AxisKind, UltrasoundImage, read_image
from uniultra.metrics.overlap import dice
from uniultra.store.context import Context
from uniultra.store.labels.labelmap import LabelMap, read_labelmap
from uniultra.store.labels.saving import Saving
from uniultra.store.review.readings import Reading, by_reader, common_frames, readings
from uniultra.store.types import LabelVersion


class Agreement(BaseModel):
    """Agreement of two readers on one structure of one image.

    Attributes:
        annotators, revisions: of the two labels; if a reader has several for different frames, the newest.
        label: name of the structure.
        dice: 0 to 1; 1 if both are empty.
        hd95: 95th percentile Hausdorff distance in `unit`, mean over the frames that both have marked; None
            without such a frame.
        unit: `mm` if the image is calibrated, else `px`.
    """

    model_config = ConfigDict(frozen=True)

    annotators: tuple[str, str]
    revisions: tuple[int, int]
    label: str
    dice: float
    hd95: float | None
    unit: str


def agreement(context: Context, saving: Saving, image: str) -> list[Agreement]:
    """Agreement of each pair of readers on each structure, over the frames that both have labelled.

    A pair without a common frame is left out.

    Raises:
        NotFoundError: no such image.
        ImageError: the image or a label cannot be read, or does not fit.
    """
    path = context.images.path(image)
    of_image = readings(context, image).get(image, [])
    readers = by_reader(of_image)
    if len(readers) < 2:
        return []
    picture = read_image(path)
    maps = {
        reading.revision: read_labelmap(saving.verified(reading.version), picture, as_stored=True)
        for reading in of_image
    }
    comparisons = []
    for pair in combinations(readers.values(), 2):
        frames = common_frames(pair, picture.shape[0])
        if not frames:
            continue
        first, second = ([reading for reading in reader if reading.within(frames)] for reader in pair)
        versions = first[-1].version, second[-1].version
        for name in sorted({name for reading in (*first, *second) for name in reading.version.labels}):
            one, other = (_structure(maps, reader, name, frames) for reader in (first, second))
            comparisons.append(_compare(picture, versions, name, one, other))
    return comparisons


def _structure(maps: Mapping[int, LabelMap], reader: list[Reading], name: str, frames: set[int]) -> LabelMap:
    """A reader's marks of one structure, on these frames in order."""
    marked = np.zeros_like(maps[reader[0].revision])
    for reading in reader:
        value, chosen = reading.version.labels.get(name), reading.within(frames)
        if value:
            marked[chosen] = maps[reading.revision][chosen] == value
    return marked[sorted(frames)]


def _compare(
    picture: UltrasoundImage,
    versions: tuple[LabelVersion, LabelVersion],
    name: str,
    one: LabelMap,
    other: LabelMap,
) -> Agreement:
    from uniultra.metrics.surface import hd95  # torch is slow to import

    spacing = picture.spacing_mm
    if spacing is not None and picture.axis_kind is AxisKind.VOLUME:
        spacing = spacing[-2:]
    flat = None if spacing is None else (spacing[0], spacing[1])
    both = [(a > 0, b > 0) for a, b in zip(one, other, strict=True) if a.any() and b.any()]
    distances = [hd95(a, b, flat) for a, b in both]
    return Agreement(
        annotators=(versions[0].annotator, versions[1].annotator),
        revisions=(versions[0].revision, versions[1].revision),
        label=name,
        dice=dice(one > 0, other > 0),
        hd95=float(np.mean(distances)) if distances else None,
        unit="px" if flat is None else "mm",
    )
