"""Table of the prompt kinds: each one's field in a `PromptSet`, wire keys, and how it is cropped and drawn.

A network gets sparse tokens as SAM has them and a drawing (see `uniultra.prompts.raster`); the kinds write
both on a `Canvas`. A kind that no network takes (the lasso) is expressed by kinds that networks take.
CONTRIBUTING lists what a new kind needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from uniultra.prompts.coordinates import Fit
from uniultra.prompts.types import Box, Crop, Lasso, Mask, MaskPrompt, Point, PromptSet, Scribble

CELL = 4  # input pixels per cell of the drawing
MASK, POSITIVE, NEGATIVE, BOX = range(4)  # channels of the drawing
DISK_RADIUS = 2.0  # cells
SCRIBBLE_TOKENS = 8


@dataclass
class Canvas:
    """One object's prompts while they are encoded for the network.

    Attributes:
        fit: geometry of the picture on the network's square input.
        drawing: `(4,S/4,S/4)` float32.
        tokens: x and y in model_xy, and SAM's label: 0 for a negative and 1 for a positive point, 2 and 3
            for the corners of a box.
    """

    fit: Fit
    drawing: NDArray[np.float32]
    tokens: list[tuple[float, float, int]]


@dataclass(frozen=True)
class PromptKind:
    """One kind of prompt.

    Attributes:
        field: name of its field in `PromptSet`.
        keys: its keys in the `params` of a request (docs/wire.md), read by `uniultra.serve.wire.requests`.
        crop: moves a prompt into a crop of the picture; returns None where it lies outside.
        draw: draws a prompt on the canvas; None for a kind that is always expressed by other kinds.
        express: replaces this kind in a prompt set on a picture of (rows, columns) by other kinds; None for
            a kind that networks take.
    """

    field: str
    keys: tuple[str, ...]
    crop: Callable[[Any, Crop], Any]
    draw: Callable[[Canvas, Any], None] | None = None
    express: Callable[[PromptSet, tuple[int, int]], PromptSet] | None = None


def cropped(prompts: PromptSet, crop: Crop) -> PromptSet:
    """Prompts in the coordinates of a crop: clicks outside are left out, boxes and outlines clipped."""
    parts: dict[str, Any] = {}
    for kind in KINDS.values():
        moved = (kind.crop(prompt, crop) for prompt in prompts.of(kind.field))
        inside = tuple(prompt for prompt in moved if prompt is not None)
        several = isinstance(getattr(prompts, kind.field), tuple)
        parts[kind.field] = inside if several else next(iter(inside), None)
    return PromptSet(**parts)


def _clipped(x: float, y: float, crop: Crop) -> tuple[float, float]:
    """A point in the coordinates of the crop, moved to its border where it lies outside."""
    rows, columns = crop.shape
    return min(max(x - crop.left, 0.0), columns - 1.0), min(max(y - crop.top, 0.0), rows - 1.0)


# point


def _crop_point(point: Point, crop: Crop) -> Point | None:
    moved = replace(point, x=point.x - crop.left, y=point.y - crop.top)
    rows, columns = crop.shape
    return moved if -0.5 <= moved.x < columns - 0.5 and -0.5 <= moved.y < rows - 0.5 else None


def _draw_point(canvas: Canvas, point: Point) -> None:
    x, y = canvas.fit.to_model(point.x, point.y)
    canvas.tokens.append((x, y, int(point.positive)))
    _disk(canvas.drawing[POSITIVE if point.positive else NEGATIVE], x, y)


def _disk(channel: NDArray[np.float32], x: float, y: float) -> None:
    cx, cy = (x + 0.5) / CELL - 0.5, (y + 0.5) / CELL - 0.5
    reach = int(DISK_RADIUS) + 2
    x0, y0 = max(0, int(cx) - reach), max(0, int(cy) - reach)
    view = channel[y0 : int(cy) + reach + 1, x0 : int(cx) + reach + 1]
    rows, columns = np.ogrid[y0 : y0 + view.shape[0], x0 : x0 + view.shape[1]]
    distance = np.hypot(rows - cy, columns - cx)
    np.maximum(view, np.clip(DISK_RADIUS + 0.5 - distance, 0, 1), out=view)


# box


def _crop_box(box: Box, crop: Crop) -> Box:
    return Box(*_clipped(box.x0, box.y0, crop), *_clipped(box.x1, box.y1, crop))


def _draw_box(canvas: Canvas, box: Box) -> None:
    canvas.tokens.append((*canvas.fit.to_model(box.x0, box.y0), 2))
    canvas.tokens.append((*canvas.fit.to_model(box.x1, box.y1), 3))
    # The box includes its corner pixels, so its area reaches half a pixel further.
    left, top = canvas.fit.to_model(box.x0 - 0.5, box.y0 - 0.5)
    right, bottom = canvas.fit.to_model(box.x1 + 0.5, box.y1 + 0.5)
    side = canvas.drawing.shape[1]
    canvas.drawing[BOX] = np.outer(_cover(top, bottom, side), _cover(left, right, side))


def _cover(start: float, end: float, side: int) -> NDArray[np.float32]:
    """Fraction of each cell along one axis that lies between two model_xy coordinates."""
    low, high = (start + 0.5) / CELL, (end + 0.5) / CELL
    cells = np.arange(side)
    return np.clip(np.minimum(high, cells + 1) - np.maximum(low, cells), 0, 1).astype(np.float32)


# scribble


def _crop_scribble(scribble: Scribble, crop: Crop) -> Scribble:
    return replace(scribble, pixels=scribble.pixels[crop.slices])


def _draw_scribble(canvas: Canvas, scribble: Scribble) -> None:
    rows, columns = np.nonzero(scribble.pixels)
    if not len(rows):
        return
    xs, ys = canvas.fit.to_model(columns.astype(np.float64), rows.astype(np.float64))  # type: ignore[arg-type]
    cells = np.stack([np.asarray(ys), np.asarray(xs)], 1)
    index = np.clip(np.floor((cells + 0.5) / CELL).astype(int), 0, canvas.drawing.shape[1] - 1)
    canvas.drawing[POSITIVE if scribble.positive else NEGATIVE][index[:, 0], index[:, 1]] = 1
    for n in np.linspace(0, len(rows) - 1, min(SCRIBBLE_TOKENS, len(rows))).astype(int):
        canvas.tokens.append((float(cells[n, 1]), float(cells[n, 0]), int(scribble.positive)))


# lasso


def _crop_lasso(lasso: Lasso, crop: Crop) -> Lasso:
    return Lasso(tuple(_clipped(x, y, crop) for x, y in lasso.polygon))


def _express_lasso(prompts: PromptSet, shape: tuple[int, int]) -> PromptSet:
    """Replace a lasso by a mask to refine, and by its bounding box unless a box is given."""
    if not prompts.lasso:
        return prompts
    area = lasso_mask(prompts.lasso, shape)
    # The given mask is the answer to this lasso or an older one that the lasso corrects: in both cases
    # its part inside the outline is right.
    inside = prompts.mask.mask & area if prompts.mask else area
    return replace(
        prompts,
        lasso=None,
        box=prompts.box or _bounds(area, prompts.lasso),
        mask=MaskPrompt(inside if inside.any() else area),
    )


def lasso_mask(lasso: Lasso, shape: tuple[int, int]) -> Mask:
    """The pixels a lasso encloses, `(H,W)` bool."""
    return np.asarray(polygon2mask(shape, np.asarray([(y, x) for x, y in lasso.polygon])), dtype=bool)


def _bounds(area: Mask, lasso: Lasso) -> Box:
    """Bounding box of a lasso's area; of its corners where it encloses no pixel's centre."""
    ys, xs = np.nonzero(area) if area.any() else np.asarray(lasso.polygon).T[::-1]
    return Box(xs.min(), ys.min(), xs.max(), ys.max())


# mask


def _crop_mask(mask: MaskPrompt, crop: Crop) -> MaskPrompt:
    return MaskPrompt(mask.mask[crop.slices])


def _draw_mask(canvas: Canvas, mask: MaskPrompt) -> None:
    grid = torch.from_numpy(mask.mask.astype(np.float32))
    canvas.drawing[MASK] = canvas.fit.cells(grid, canvas.drawing.shape[1]).numpy() * 2 - 1


KINDS = {
    "point": PromptKind("points", ("foreground", "background"), _crop_point, _draw_point),
    "box": PromptKind("box", ("roi",), _crop_box, _draw_box),
    "scribble": PromptKind("scribbles", ("scribbles",), _crop_scribble, _draw_scribble),
    "lasso": PromptKind("lasso", ("lasso",), _crop_lasso, express=_express_lasso),
    "mask": PromptKind("mask", ("mask",), _crop_mask, _draw_mask),
}
