"""How far the IoU that a model predicts for its answers can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from uniultra.evaluate.accuracy.schema import Bin, Calibration
from uniultra.evaluate.records import PictureScore

BINS = 10


def calibrations(scores: Iterable[PictureScore]) -> dict[str, Calibration]:
    """By kind of prompt, and for `all` answers together; empty where nothing was judged."""
    pairs: dict[str, list[tuple[float, float]]] = {"all": []}
    for one in scores:
        for kind, judged in one.judged.items():
            pairs["all"] += judged
            pairs.setdefault(kind, []).extend(judged)
    return {kind: calibration(found) for kind, found in pairs.items() if found}


def calibration(pairs: Sequence[tuple[float, float]]) -> Calibration:
    """Compare predictions with what came true.

    The expected calibration error is that of Guo et al. (arXiv 1706.04599), with the IoU in place of the
    share of right answers.

    Args:
        pairs: predicted and true IoU of each answer, 0..1; not empty.
    """
    predicted, actual = np.asarray(pairs, float).T
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.digitize(predicted, edges) - 1, 0, BINS - 1)
    bins = []
    for n in range(BINS):
        mine = place == n
        bins.append(
            Bin(
                low=round(float(edges[n]), 3),
                high=round(float(edges[n + 1]), 3),
                n=int(mine.sum()),
                predicted=float(predicted[mine].mean()) if mine.any() else None,
                actual=float(actual[mine].mean()) if mine.any() else None,
            )
        )
    gaps = [
        one.n * abs(one.predicted - one.actual)
        for one in bins
        if one.predicted is not None and one.actual is not None
    ]
    varied = min(np.ptp(predicted), np.ptp(actual)) > 0
    return Calibration(
        n=len(pairs),
        error=sum(gaps) / len(pairs),
        bias=float((predicted - actual).mean()),
        correlation=float(np.corrcoef(predicted, actual)[0, 1]) if varied else None,
        bins=tuple(bins),
    )
