"""Prototypes of labelled structures in the embedding space, and similarity maps of a picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

SURE = 0.5  # fraction of a cell that a structure must cover to contain it
SHRINK = 0.1  # shrinkage of the channel variances towards their mean


def prototypes(seen: Iterable[tuple[str, Tensor, Tensor]]) -> dict[str, Tensor]:
    """A direction `(256,)` for every name, which separates the cells of the structure from all others.

    Fisher's linear discriminant with a diagonal covariance and equal weights of all pictures: the difference
    of the mean cells inside and outside, each channel divided by its variance. A structure smaller than a
    cell is represented by the cell that it covers most.

    Args:
        seen: name of each labelled structure, the embedding `(256,g,g)` and the covered fraction of each cell
            `(g,g)`; empty structures are left out.
    """
    sums: dict[str, list[Tensor]] = {}
    for name, features, share in seen:
        if not bool((share > 0).any()):
            continue
        inside = share >= min(SURE, float(share.max()))
        outside = share == 0
        if not bool(outside.any()):
            outside = ~inside if bool((~inside).any()) else share == share.min()
        own, others = features[:, inside], features[:, outside]
        parts = sums.setdefault(name, [torch.zeros_like(features[:, 0, 0]) for _ in range(2)])
        parts[0] += own.mean(1) - others.mean(1)
        parts[1] += own.var(1, correction=0) + others.var(1, correction=0)
    return {
        name: F.normalize(difference / (spread + SHRINK * spread.mean() + 1e-6), dim=0)
        for name, (difference, spread) in sums.items()
    }


def similarity(features: Tensor, prototype: Tensor) -> Tensor:
    """Similarity of every cell to a prototype, `(g,g)`, smoothed over 3 x 3 cells and standardised."""
    raw = torch.einsum("cij,c->ij", features, prototype)[None, None]
    smooth = F.avg_pool2d(raw, 3, 1, 1, count_include_pad=False)[0, 0]
    return (smooth - smooth.mean()) / smooth.std(correction=0).clamp_min(1e-6)


def covered(mask: Tensor, rows: int, columns: int) -> Tensor:
    """Fraction of each cell of a grid, `(rows,columns)`, that a mask `(H,W)` covers."""
    return F.interpolate(mask[None, None].float(), (rows, columns), mode="area")[0, 0]


def peaks(map_: Tensor, count: int) -> list[tuple[int, int]]:
    """Cells (row, column) of the `count` highest local maxima of a map, the highest first."""
    top = F.max_pool2d(map_[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero(map_ >= top, as_tuple=True)
    best = map_[rows, columns].argsort(descending=True)[:count]
    return [(int(rows[n]), int(columns[n])) for n in best]
