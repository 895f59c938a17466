"""What a reader finds in a folder: pictures with their patients, opened one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError

Split = Literal["train", "val", "test"]
UNSTATED = "not stated by its source"  # a licence


@dataclass(frozen=True, eq=False)
class SourcePair:
    """A picture with its masks, as stored by the source.

    Attributes:
        picture: `(H,W)` uint8.
        masks: `(H,W)` bool by the name of each label; empty where the picture does not show it.
        spacing_mm: pixel pitch `(dy,dx)`; None when not known, never a guess.
    """

    picture: NDArray[np.uint8]
    masks: dict[str, NDArray[np.bool_]]
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """One labelled picture of a source.

    Attributes:
        id: unique within the source.
        group: what must never be divided: the patient, or what comes nearest to it.
        load: opens it.
        split: where the source itself puts it, None when it does not say.
        hc_mm: a head circumference that the source measured.
    """

    id: str
    group: str
    load: Callable[[], SourcePair]
    split: Split | None = None
    hc_mm: float | None = None


@dataclass(frozen=True)
class Listing:
    """The labelled pictures of a folder in their order, and how many others have no usable label."""

    pictures: list[SourcePicture]
    left_out: int


@dataclass(frozen=True)
class Label:
    """One structure that a source marks: its name, the data set it becomes, and the organ."""

    name: str
    dataset: str
    organ: str


@dataclass(frozen=True)
class DatasetLayout:
    """One published layout.

    Attributes:
        name: what a person types.
        title: the release that is meant.
        labels: the structures it marks.
        licence: as its source states it.
        origin: whom to name.
        groups: what keeps pictures together.
        expects: the files that a folder of this layout holds, in words.
        find: yields the pictures of a folder in their order, None for one without a usable label; raises
            `ImageError` where the folder does not fit the layout.
    """

    name: str
    title: str
    labels: tuple[Label, ...]
    licence: str
    origin: str
    groups: str
    expects: str
    find: Callable[[Path], Iterator[SourcePicture | None]]

    def read(self, folder: Path) -> Listing:
        """The pictures of a folder.

        Raises:
            ImageError: the folder does not hold this layout.
        """
        found = list(self.find(folder))
        pictures = [picture for picture in found if picture is not None]
        if not pictures:
            raise ImageError(f"Expected {self.expects}; found none.")
        return Listing(pictures, len(found) - len(pictures))
