"""Prompts as the network sees them: sparse tokens, and a coarse drawing for SAM's dense path.

A network trained from scratch on tokens alone learns to ignore its prompts; the drawing puts them
where the convolutions and the image embedding are. Its channels, at a quarter of the input side:

0. the mask to refine: +1 inside, -1 outside, 0 everywhere when there is none;
1. positive clicks (disks) and scribbles, 0..1;
2. negative clicks and scribbles, 0..1;
3. the box as an area, 0..1 (share of the cell that it covers).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.draw import polygon2mask
from torch import Tensor

from uniultra.prompts.coordinates import Fit
from uniultra.prompts.types import Box, Lasso, Mask, PromptSet

CHANNELS = 4
CELL = 4  # input pixels per cell of the drawing
DISK_RADIUS = 2.0  # cells
SCRIBBLE_TOKENS = 8


class Encoded(NamedTuple):
    """One object's prompts: `coords (P,2)` in model_xy, `labels (P,)`, `drawing (4,S/4,S/4)`."""

    coords: NDArray[np.float32]
    labels: NDArray[np.float32]
    drawing: NDArray[np.float32]


def lasso_mask(lasso: Lasso, shape: tuple[int, int]) -> Mask:
    """The pixels a lasso encloses, `(H,W)` bool."""
    return np.asarray(polygon2mask(shape, np.asarray([(y, x) for x, y in lasso.polygon])), dtype=bool)


def encode(prompts: PromptSet, fit: Fit) -> Encoded:
    """Tokens and drawing of one object's prompts on a picture that meets the input by `fit`."""
    side = fit.size // CELL
    drawing = np.zeros((CHANNELS, side, side), np.float32)
    tokens: list[tuple[float, float, int]] = []
    box = prompts.box
    mask = prompts.mask.mask if prompts.mask else None
    if prompts.lasso:
        area = lasso_mask(prompts.lasso, (fit.rows, fit.columns))
        box = box or _bounds(area) or _corners(prompts.lasso)
        # The answer to the lasso, to be refined, or an older one that the lasso corrects: what of it the
        # outline encloses holds either way.
        inside = area if mask is None else mask & area
        mask = inside if inside.any() else area
    for point in prompts.points:
        x, y = fit.to_model(point.x, point.y)
        tokens.append((x, y, int(point.positive)))
        _disk(drawing[1 if point.positive else 2], x, y)
    for scribble in prompts.scribbles:
        channel = drawing[1 if scribble.positive else 2]
        rows, columns = np.nonzero(scribble.pixels)
        if not len(rows):
            continue
        xs, ys = fit.to_model(columns.astype(np.float64), rows.astype(np.float64))  # type: ignore[arg-type]
        cells = np.stack([np.asarray(ys), np.asarray(xs)], 1)
        index = np.clip(np.floor((cells + 0.5) / CELL).astype(int), 0, side - 1)
        channel[index[:, 0], index[:, 1]] = 1
        for n in np.linspace(0, len(rows) - 1, min(SCRIBBLE_TOKENS, len(rows))).astype(int):
            tokens.append((float(cells[n, 1]), float(cells[n, 0]), int(scribble.positive)))
    if mask is not None:
        drawing[0] = fit.cells(torch.from_numpy(mask.astype(np.float32)), side).numpy() * 2 - 1
    if box:
        x0, y0 = fit.to_model(box.x0, box.y0)
        x1, y1 = fit.to_model(box.x1, box.y1)
        tokens += [(x0, y0, 2), (x1, y1, 3)]
        # The box includes its corner pixels, so its area reaches half a pixel further.
        left, top = fit.to_model(box.x0 - 0.5, box.y0 - 0.5)
        right, bottom = fit.to_model(box.x1 + 0.5, box.y1 + 0.5)
        drawing[3] = np.outer(_cover(top, bottom, side), _cover(left, right, side))
    values = np.asarray(tokens, np.float32).reshape(-1, 3)
    return Encoded(values[:, :2], values[:, 2], drawing)


def batch(encoded: list[Encoded], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Stack prompts of N objects: coords `(N,P,2)`, labels `(N,P)` (-1 pads), drawings `(N,4,g,g)`."""
    # One padding token always, as SAM's prompt encoder does for clicks.
    width = 1 + max((len(e.labels) for e in encoded), default=0)
    coords = np.zeros((len(encoded), width, 2), np.float32)
    labels = np.full((len(encoded), width), -1, np.float32)
    for n, e in enumerate(encoded):
        coords[n, : len(e.labels)] = e.coords
        labels[n, : len(e.labels)] = e.labels
    drawings = np.stack([e.drawing for e in encoded])
    return (
        torch.from_numpy(coords).to(device),
        torch.from_numpy(labels).to(device),
        torch.from_numpy(drawings).to(device),
    )


def _disk(channel: NDArray[np.float32], x: float, y: float) -> None:
    cx, cy = (x + 0.5) / CELL - 0.5, (y + 0.5) / CELL - 0.5
    reach = int(DISK_RADIUS) + 2
    x0, y0 = max(0, int(cx) - reach), max(0, int(cy) - reach)
    view = channel[y0 : int(cy) + reach + 1, x0 : int(cx) + reach + 1]
    rows, columns = np.ogrid[y0 : y0 + view.shape[0], x0 : x0 + view.shape[1]]
    distance = np.hypot(rows - cy, columns - cx)
    np.maximum(view, np.clip(DISK_RADIUS + 0.5 - distance, 0, 1), out=view)


def _cover(start: float, end: float, side: int) -> NDArray[np.float32]:
    """Share of each cell along one axis that lies between two model_xy coordinates."""
    low, high = (start + 0.5) / CELL, (end + 0.5) / CELL
    cells = np.arange(side)
    return np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0, 1).astype(np.float32)


def _bounds(mask: Mask) -> Box | None:
    rows, columns = np.nonzero(mask)
    return Box(columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else None


def _corners(lasso: Lasso) -> Box:
    xs, ys = zip(*lasso.polygon, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))
