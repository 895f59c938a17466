"""The pool of units that a query strategy ranks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError

Floats = NDArray[np.float64]
Order = NDArray[np.intp]  # indices into the pool, best first
BATCH = 10
_PLAIN = ("rng", "batch", "labels")  # fields that are not per unit


@dataclass(frozen=True, eq=False)
class Pool:
    """N units, labelled ones included, with their scores; a missing score is NaN.

    Attributes:
        features: `(N,D)`; similar pictures are close in Euclidean distance.
        labelled: `(N,)` bool.
        rng: random generator; the same state gives the same order.
        groups: group of each unit (a patient, a cine); None if each unit is a group of its own.
        batch: number of labels between two trainings; default 10.
        labels: total number of labels; None for the number of labelled units.
        entropy: `(N,)`, predictive entropy over the whole picture, in bits per pixel.
        boundary: `(N,)`, the same, within the predicted structures and near their contours.
        iou: `(N,)`, IoU predicted by the model for its own answers, 0 to 1.
        disagreement: `(N,)`, between the answers on altered copies of a picture, 0 to 1.
        foreground: `(N,)`, predicted fraction of the picture covered by structures, 0 to 1.
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
        """Check the lengths of all fields.

        Raises:
            RequestError: lengths differ, or the batch is empty.
        """
        columns = [getattr(self, each.name) for each in fields(self) if each.name not in _PLAIN]
        lengths = {len(values) for values in columns if values is not None}
        if lengths != {len(self.labelled)} or self.batch < 1:
            raise RequestError(
                f"Expected numbers of {len(self.labelled)} units and a batch of at least 1; got numbers of "
                f"{sorted(lengths)} units and a batch of {self.batch}."
            )

    def values(self, name: str) -> Floats:
        """One of the scores, `(N,)` or `(N,C)`; NaN if the pool does not have it."""
        values = getattr(self, name)
        return np.full(len(self.labelled), np.nan) if values is None else values

    def has(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Mask `(N,)` of the units that have all the scores in `names`."""
        complete = np.ones(len(self.labelled), bool)
        for name in names:
            values = self.values(name)
            complete &= np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        return complete

    def subset(self, indices: Order) -> Pool:
        """The pool of the units at `indices`."""
        columns = {
            each.name: getattr(self, each.name)[indices]
            for each in fields(self)
            if each.name not in (*_PLAIN, "groups") and getattr(self, each.name) is not None
        }
        groups = None if self.groups is None else [self.groups[n] for n in indices]
        return replace(self, groups=groups, labels=self._count, **columns)

    @property
    def open(self) -> Order:
        """Indices of the unlabelled units."""
        return np.flatnonzero(~self.labelled)

    @property
    def rounds(self) -> int:
        """Number of full batches of labels so far."""
        return self._count // self.batch

    @property
    def _count(self) -> int:
        return int(self.labelled.sum()) if self.labels is None else self.labels
