"""What a strategy chooses from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError

Floats = NDArray[np.float64]
Order = NDArray[np.intp]  # places in the pool, best first
BATCH = 10
_PLAIN = ("rng", "batch", "labels")  # fields that are not per unit


@dataclass(frozen=True, eq=False)
class Pool:
    """N units, those labelled already among them; NaN where a number is not known (yet).

    Attributes:
        features: `(N,D)`, where alike pictures lie near each other (Euclidean).
        labelled: `(N,)` bool.
        rng: source of chance; the same state gives the same order.
        groups: of each unit, what belongs together (a patient, a cine); None: each by itself.
        batch: how many are labelled before the next training.
        labels: labels there are in all; None counts the labelled units.
        entropy: `(N,)`, predictive entropy over the whole picture, in bits per pixel.
        boundary: `(N,)`, the same over the predicted structures and the neighbourhood of their contours.
        iou: `(N,)`, the IoU that the model predicts of its own answers, 0..1.
        disagreement: `(N,)`, between the answers on altered copies of a picture, 0..1.
        foreground: `(N,)`, predicted share of the picture that structures cover, 0..1.
        classes: `(N,C)`, entropy within each class.
    """

    features: Floats
    labelled: NDArray[np.bool_]
    rng: np.random.Generator
    groups: Sequence[Hashable] | None = None
    batch: int = BATCH
    labels: int | None = None
    entropy: Floats | None = None
    boundary: Floats | None = None
    iou: Floats | None = None
    disagreement: Floats | None = None
    foreground: Floats | None = None
    classes: Floats | None = None

    def __post_init__(self) -> None:
        """Refuse numbers of other units.

        Raises:
            RequestError: lengths differ, or a batch holds nothing.
        """
        given = [getattr(self, one.name) for one in fields(self) if one.name not in _PLAIN]
        lengths = {len(values) for values in given if values is not None}
        if lengths != {len(self.labelled)} or self.batch < 1:
            raise RequestError(
                f"Expected numbers of {len(self.labelled)} units and a batch of at least 1; got numbers of "
                f"{sorted(lengths)} units and a batch of {self.batch}."
            )

    def values(self, name: str) -> Floats:
        """One of the scores, `(N,)` or `(N,C)`; all NaN when it is not known."""
        found = getattr(self, name)
        return np.full(len(self.labelled), np.nan) if found is None else found

    def known(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which units have all the scores called `names`, `(N,)`."""
        known = np.ones(len(self.labelled), bool)
        for name in names:
            values = self.values(name)
            known &= np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        return known

    def of(self, places: Order) -> Pool:
        """The units at `places` alone."""
        kept = {
            one.name: getattr(self, one.name)[places]
            for one in fields(self)
            if one.name not in (*_PLAIN, "groups") and getattr(self, one.name) is not None
        }
        groups = None if self.groups is None else [self.groups[n] for n in places]
        return replace(self, groups=groups, labels=self._count, **kept)

    @property
    def open(self) -> Order:
        """Places of the units that are not labelled."""
        return np.flatnonzero(~self.labelled)

    @property
    def rounds(self) -> int:
        """Trainings that the labels so far were enough for."""
        return self._count // self.batch

    @property
    def _count(self) -> int:
        return int(self.labelled.sum()) if self.labels is None else self.labels
