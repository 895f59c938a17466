"""What a labelled structure looks like in an embedding, and where the most alike place of a picture is."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

SURE = 0.5  # share of a cell that the structure covers to be of it
SHRINK = 0.1  # of the spread's mean, added to every channel's spread


def prototypes(seen: Iterable[tuple[str, Tensor, Tensor]]) -> dict[str, Tensor]:
    """A direction `(256,)` for every name: along it lie the cells of the structure, against it the others.

    Fisher's discriminant with a diagonal spread, every picture weighing alike: the difference of the mean
    cell inside and outside, each channel divided by its variance. A structure smaller than a cell is
    found by the cell it covers most.

    Args:
        seen: of every labelled structure its name, the embedding `(256,g,g)` and the share of each cell
            that it covers `(g,g)`; those that cover nothing are left out.
    """
    sums: dict[str, list[Tensor]] = {}
    for name, features, share in seen:
        if not bool((share > 0).any()):
            continue
        inside = share >= min(SURE, float(share.max()))
        outside = share == 0
        if not bool(outside.any()):
            outside = ~inside if bool((~inside).any()) else share == share.min()
        mine, others = features[:, inside], features[:, outside]
        parts = sums.setdefault(name, [torch.zeros_like(features[:, 0, 0]) for _ in range(2)])
        parts[0] += mine.mean(1) - others.mean(1)
        parts[1] += mine.var(1, correction=0) + others.var(1, correction=0)
    found = {}
    for name, (difference, spread) in sums.items():
        found[name] = F.normalize(difference / (spread + SHRINK * spread.mean() + 1e-6), dim=0)
    return found


def likeness(features: Tensor, prototype: Tensor) -> Tensor:
    """How alike every cell is, `(g,g)`, over 3 x 3 cells; mean 0 and spread 1 over the picture."""
    raw = torch.einsum("cij,c->ij", features, prototype)[None, None]
    smooth = F.avg_pool2d(raw, 3, 1, 1, count_include_pad=False)[0, 0]
    return (smooth - smooth.mean()) / smooth.std(correction=0).clamp_min(1e-6)


def covered(mask: Tensor, rows: int, columns: int) -> Tensor:
    """Share of each cell of the picture's part of a grid, `(rows,columns)`, that a mask `(H,W)` covers."""
    return F.interpolate(mask[None, None].float(), (rows, columns), mode="area")[0, 0]


def peaks(map_: Tensor, count: int) -> list[tuple[int, int]]:
    """Cells (row, column) of the `count` highest local maxima of a map, the highest first."""
    top = F.max_pool2d(map_[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero(map_ >= top, as_tuple=True)
    best = map_[rows, columns].argsort(descending=True)[:count]
    return [(int(rows[n]), int(columns[n])) for n in best]
