"""Scores units with a network, and assembles scored units into a pool."""

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

DIMENSIONS = 32  # of the features, after PCA


class UnitScore(NamedTuple):
    """Pooled features `(F,)` float32 of a unit, and the scores of its answers."""

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
    """Score one picture with a network.

    Args:
        prober: of the network.
        picture: `(H,W)` or `(H,W,3)` uint8.
        prototypes: of the labelled structures, by name; empty before the first label.
        embedding: of the picture; None to compute it.
        views: score the disagreement on altered copies too, each of which is encoded.
    """
    shape = (picture.shape[0], picture.shape[1])
    with torch.inference_mode():
        encoded = prober.encode(picture) if embedding is None else embedding
        answers = prober.answers(encoded, shape, prototypes)
        disagreements = [
            disagreement(prober, answers, shape, view, prober.encode(view.alter(picture)))
            for view in (VIEWS if views else ())
        ]
        pooled = prober.pooled(encoded, shape)
    return UnitScore(pooled, summarise(answers, float(np.mean(disagreements)) if disagreements else None))


def pool_of(
    scores: Sequence[UnitScore | None],
    labelled: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    groups: Sequence[Hashable] | None = None,
    batch: int = BATCH,
    labels: int | None = None,
) -> Pool:
    """The pool of units with their scores; None for a unit without a score."""
    table = {
        # a missing score is None, which becomes NaN
        name: np.asarray([score and getattr(score.summary, name) for score in scores], float)
        for name in ("entropy", "boundary", "iou", "disagreement", "foreground")
    }
    names = sorted({name for score in scores if score is not None for name in score.summary.classes})
    classes = np.asarray(
        [
            [np.nan if score is None else score.summary.classes.get(name, np.nan) for name in names]
            for score in scores
        ],
        float,
    ).reshape(len(scores), len(names))
    # before the first label there is one class, the whole picture
    table["classes"] = classes if names else table["entropy"][:, None]
    return Pool(_features(scores), labelled, rng, groups, batch, labels, **table)


def _features(scores: Sequence[UnitScore | None]) -> Floats:
    """Standardised features on their principal components, `(N,D)`; NaN for units without a score."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scored = [n for n, score in enumerate(scores) if score is not None]
    if not scored:
        return np.full((len(scores), 1), np.nan)
    raw = StandardScaler().fit_transform(np.stack([score.features for score in scores if score is not None]))
    count = min(DIMENSIONS, *raw.shape)
    features = np.full((len(scores), count), np.nan)
    # Spinning BLAS threads starve each other while a training uses the cores.
    with threadpool_limits(limits=1):
        # identical pictures have no principal component
        features[scored] = PCA(count, svd_solver="covariance_eigh").fit_transform(raw) if raw.any() else 0.0
    return features
