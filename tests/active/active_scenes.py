"""Pictures of two kinds of blobs and a network that finds what is brighter than its neighbourhood."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding

SIDE, GRID = 64, 16
ENTRY = ModelEntry(
    name="uniultra_mini",  # of the registry, as `Predictor.of` looks it up
    system="sam2",
    description="finds blobs",
    image_size=SIDE,
    licence="none",
    source="a test",
    builder=lambda side: None,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)


def blob_picture(bright=(), striped=(), side=SIDE):
    """A dark picture with bright and striped disks at (x, y, radius)."""
    y, x = np.mgrid[:side, :side]
    picture = np.full((side, side), 20, np.uint8)
    for cx, cy, r in striped:
        disk = (x - cx) ** 2 + (y - cy) ** 2 <= r**2
        picture[disk & (x // 2 % 2 == 0)] = 220
    for cx, cy, r in bright:
        picture[(x - cx) ** 2 + (y - cy) ** 2 <= r**2] = 220
    return picture


def disk(cx, cy, r, side=SIDE):
    """The mask of a blob."""
    y, x = np.mgrid[:side, :side]
    return (x - cx) ** 2 + (y - cy) ** 2 <= r**2


class BlobNetwork(torch.nn.Module):
    """Stands in for a promptable network: the answer to a click is a disk there, as sure as it is bright.

    Channels of the embedding: mean brightness of a cell, and its spread (stripes have much of it).
    """

    image_size, grid, map_channels = SIDE, GRID, 4

    def __init__(self) -> None:
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))
        self.clicks: list[tuple[float, float]] = []
        self.encoded = 0

    def encode(self, pictures: Tensor) -> Embedding:
        self.encoded += len(pictures)
        cell = SIDE // GRID
        mean = torch.nn.functional.avg_pool2d(pictures[:, :1], cell)
        square = torch.nn.functional.avg_pool2d(pictures[:, :1] ** 2, cell)
        return Embedding(torch.cat([mean, (square - mean**2).clamp_min(0).sqrt()], 1))

    def decode(
        self,
        embedding: Embedding,
        coords: Tensor,
        labels: Tensor,
        dense: Tensor | None = None,
        multimask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        side = 4 * GRID
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        logits, iou = [], []
        for point in coords[:, 0]:
            self.clicks.append((float(point[0]), float(point[1])))
            away = ((x - point[0]) ** 2 + (y - point[1]) ** 2).sqrt()
            row = min(GRID - 1, int(point[1] * GRID / SIDE))
            column = min(GRID - 1, int(point[0] * GRID / SIDE))
            sure = float(embedding.image[0, 0, row, column])
            logits.append((8 - away) * (0.1 + 2 * sure))
            iou.append(0.2 + 0.7 * sure)
        return torch.stack(logits)[:, None], torch.tensor(iou)[:, None]
