"""What a reader finds in a folder: cases with their patients, which are opened one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
UNSTATED = "not stated by its source"  # a licence that nobody wrote down


@dataclass(frozen=True, eq=False)
class Pair:
    """A picture with its masks, as stored by the source.

    Attributes:
        picture: `(H,W)` uint8.
        masks: `(H,W)` bool by the name of each label; one without a pixel says that it is not there.
        spacing_mm: pixel pitch `(dy,dx)`; None when not known, never a guess.
    """

    picture: NDArray[np.uint8]
    masks: dict[str, NDArray[np.bool_]]
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Case:
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
    load: Callable[[], Pair]
    split: Split | None = None
    hc_mm: float | None = None


@dataclass(frozen=True)
class Listing:
    """The cases of a folder in their order, and how many pictures have no usable label."""

    cases: list[Case]
    left_out: int = 0


@dataclass(frozen=True)
class Label:
    """One structure that a source marks: its name, the data set it becomes, and the organ."""

    name: str
    dataset: str
    organ: str


@dataclass(frozen=True)
class Layout:
    """One published layout.

    Attributes:
        name: what a person types.
        title: the release that is meant.
        labels: the structures it marks.
        licence: as its source states it.
        origin: whom to name.
        groups: what keeps pictures together.
        find: the cases of a folder; raises `ImageError` when it does not hold this layout.
    """

    name: str
    title: str
    labels: tuple[Label, ...]
    licence: str
    origin: str
    groups: str
    find: Callable[[Path], Listing]
