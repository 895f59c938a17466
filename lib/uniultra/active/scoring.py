"""Everything strategies need to know of one unit, asked of a network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniultra.active.pool import BATCH, Floats, Pool
from uniultra.active.self_prompt import Prober
from uniultra.active.summary import Summary, summarise
from uniultra.active.views import VIEWS, disagreement
from uniultra.images.types import Picture
from uniultra.networks.network import Embedding

DIMENSIONS = 32  # of the features that distances are measured in


class UnitScore(NamedTuple):
    """What is kept of a unit: pooled features `(F,)` float32, and the numbers of its answers."""

    features: NDArray[np.float32]
    summary: Summary


def score_unit(
    prober: Prober,
    picture: Picture,
    prototypes: Mapping[str, Tensor],
    embedding: Embedding | None = None,
    *,
    views: bool = True,
) -> UnitScore:
    """Ask a network about one picture.

    Args:
        prober: of the network.
        picture: `(H,W)` or `(H,W,3)` uint8.
        prototypes: of the names that are labelled so far; empty before the first label.
        embedding: of the picture, where it is there already.
        views: look at altered copies too; each is encoded.
    """
    shape = (picture.shape[0], picture.shape[1])
    with torch.inference_mode():
        known = prober.encode(picture) if embedding is None else embedding
        answers = prober.answers(known, shape, prototypes)
        apart = [
            disagreement(prober, answers, shape, view, prober.encode(view.alter(picture)))
            for view in (VIEWS if views else ())
        ]
        pooled = prober.pooled(known, shape)
    return UnitScore(pooled, summarise(answers, float(np.mean(apart)) if apart else None))


def pool_of(
    scores: Sequence[UnitScore | None],
    labelled: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    groups: Sequence[Hashable] | None = None,
    batch: int = BATCH,
    labels: int | None = None,
) -> Pool:
    """The pool of units with their scores; None where a unit has none yet."""
    table = {
        name: np.asarray(
            [np.nan if one is None else _number(getattr(one.summary, name)) for one in scores], float
        )
        for name in ("entropy", "boundary", "iou", "disagreement", "foreground")
    }
    names = sorted({name for one in scores if one is not None for name in one.summary.classes})
    classes = np.asarray(
        [
            [np.nan if one is None else one.summary.classes.get(name, np.nan) for name in names]
            for one in scores
        ],
        float,
    ).reshape(len(scores), len(names))
    # Before the first label there are no classes; the whole picture stands for the only one.
    table["classes"] = classes if names else table["entropy"][:, None]
    return Pool(_distances_in(scores), labelled, rng, groups, batch, labels, **table)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _distances_in(scores: Sequence[UnitScore | None]) -> Floats:
    """Features `(N,D)` whose channels weigh alike, on their main directions; NaN where there are none."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    known = [n for n, one in enumerate(scores) if one is not None]
    if not known:
        return np.full((len(scores), 1), np.nan)
    raw = StandardScaler().fit_transform(np.stack([one.features for one in scores if one is not None]))
    count = min(DIMENSIONS, *raw.shape)
    features = np.full((len(scores), count), np.nan)
    # Spinning threads of a linear algebra library starve each other where a training takes the cores.
    with threadpool_limits(limits=1):
        # Where all are alike there is no main direction.
        features[known] = PCA(count, svd_solver="covariance_eigh").fit_transform(raw) if raw.any() else 0.0
    return features
