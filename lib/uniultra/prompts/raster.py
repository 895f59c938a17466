"""Encodes prompts for the network: sparse tokens, and a coarse drawing for SAM's dense path.

A network trained from scratch on tokens alone learns to ignore its prompts; the drawing puts them
where the convolutions and the image embedding are. Its channels, at a quarter of the input side:

0. the mask to refine: +1 inside, -1 outside, 0 everywhere without a mask;
1. positive clicks (disks) and scribbles, 0..1;
2. negative clicks and scribbles, 0..1;
3. the box as an area, 0..1 (fraction of the cell that it covers).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniultra.prompts.coordinates import Fit
from uniultra.prompts.kinds import CELL, KINDS, Canvas
from uniultra.prompts.types import PromptSet

CHANNELS = 4


class Encoded(NamedTuple):
    """One object's prompts: `coords (P,2)` in model_xy, `labels (P,)`, `drawing (4,S/4,S/4)`."""

    coords: NDArray[np.float32]
    labels: NDArray[np.float32]
    drawing: NDArray[np.float32]


def encode(prompts: PromptSet, fit: Fit) -> Encoded:
    """Tokens and drawing of one object's prompts on a picture resized by `fit`."""
    side = fit.size // CELL
    canvas = Canvas(fit, np.zeros((CHANNELS, side, side), np.float32), [])
    for kind in KINDS.values():
        if kind.express:
            prompts = kind.express(prompts, (fit.rows, fit.columns))
    for kind in KINDS.values():
        if kind.draw:
            for prompt in prompts.of(kind.field):
                kind.draw(canvas, prompt)
    # SAM's prompt encoder takes the corners of boxes after all points.
    tokens = sorted(canvas.tokens, key=lambda token: token[2] > 1)
    values = np.asarray(tokens, np.float32).reshape(-1, 3)
    return Encoded(values[:, :2], values[:, 2], canvas.drawing)


def batch(encoded: list[Encoded], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Stack the prompts of N objects: coords `(N,P,2)`, labels `(N,P)` padded by -1, drawings `(N,4,g,g)`."""
    # At least one padding token, as SAM's prompt encoder adds for clicks.
    width = 1 + max(len(e.labels) for e in encoded)
    coords = np.zeros((len(encoded), width, 2), np.float32)
    labels = np.full((len(encoded), width), -1, np.float32)
    for n, e in enumerate(encoded):
        coords[n, : len(e.labels)] = e.coords
        labels[n, : len(e.labels)] = e.labels
    stacked = (coords, labels, np.stack([e.drawing for e in encoded]))
    first, second, third = (torch.from_numpy(array).to(device) for array in stacked)
    return first, second, third
