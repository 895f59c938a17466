"""Types of the readers: labelled pictures with their groups, opened one at a time."""

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
        masks: `(H,W)` bool by the name of each label; all False where the picture does not show it.
        spacing_mm: pixel pitch `(dy,dx)`; None if the source does not give it.
    """

    picture: NDArray[np.uint8]
    masks: dict[str, NDArray[np.bool_]]
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class SourcePicture:
    """One labelled picture of a source.

    Attributes:
        id: unique within the source.
        group: ID of pictures that must stay in one split: the patient, or the closest that the source gives.
        load: opens the picture and its masks.
        split: the source's own split; None if it has none.
        hc_mm: head circumference in mm, as measured by the source.
    """

    id: str
    group: str
    load: Callable[[], SourcePair]
    split: Split | None = None
    hc_mm: float | None = None


@dataclass(frozen=True)
class Listing:
    """The labelled pictures of a folder in order, and the number of those without a usable label."""

    pictures: list[SourcePicture]
    left_out: int


@dataclass(frozen=True)
class Label:
    """A structure that a source annotates: its name, the data set that it becomes, and the organ."""

    name: str
    dataset: str
    organ: str


@dataclass(frozen=True)
class DatasetLayout:
    """One published layout.

    Attributes:
        name: name on the command line.
        title: the published release.
        labels: the annotated structures.
        licence: licence, as its source states it.
        origin: authors, year and DOI, to cite.
        groups: what a group is, in words.
        expects: the files of a folder of this layout, in words.
        find: yields the pictures of a folder in order, None for a picture without a usable label; raises
            `ImageError` where the folder has another layout.
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
            ImageError: the folder has another layout.
        """
        listed = list(self.find(folder))
        pictures = [picture for picture in listed if picture is not None]
        if not pictures:
            raise ImageError(f"Expected {self.expects}; found none.")
        return Listing(pictures, len(listed) - len(pictures))
