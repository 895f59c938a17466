"""Random views of a batch: one affine map per picture for image and masks, then grey-value changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def affine(pictures: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip, turn, scale, stretch and shift pictures `(B,C,S,S)` with their masks `(B,K,S,S)`.

    Both float; masks come back in 0..1 and are to be cut at 0.5.
    """
    count = len(pictures)

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    turn = uniform(-1, 1) * torch.where(uniform(0, 1) < 0.5, math.radians(30), math.radians(5))
    scale = torch.exp(uniform(-0.55, 0.25))  # below 1 zooms in
    stretch = torch.exp(uniform(-0.25, 0.25))
    flip_x = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    flip_y = torch.where(uniform(0, 1) < 0.25, -1.0, 1.0)
    shift = uniform(-0.25, 0.25), uniform(-0.25, 0.25)
    keep = uniform(0, 1) < 0.15
    cos, sin = torch.cos(turn), torch.sin(turn)
    a, b = scale * stretch * flip_x, scale / stretch * flip_y
    theta = torch.stack(
        [torch.stack([a * cos, -b * sin, shift[0]], 1), torch.stack([a * sin, b * cos, shift[1]], 1)], 1
    )
    theta[keep] = torch.eye(2, 3)
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    both = F.grid_sample(torch.cat([pictures, masks], 1), grid, align_corners=False)
    return both[:, : pictures.shape[1]], both[:, pictures.shape[1] :]


def intensity(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Vary gain, gamma, depth attenuation, speckle, blur, shadow and tint of `(B,1,S,S)` in 0..1.

    Returns `(B,3,S,S)` in 0..1: most grey, some tinted as colour maps and Doppler overlays are.
    """
    count, _, size, _ = pictures.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count, 1, 1, 1).uniform_(low, high, generator=generator)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    out = pictures.clamp(1e-4, 1) ** torch.exp(uniform(-0.5, 0.5))
    depth = torch.linspace(-0.5, 0.5, size).view(1, 1, size, 1)
    out = out * uniform(0.6, 1.35) * (1 + uniform(-0.6, 0.6) * depth)
    speckle = F.interpolate(noise(count, 1, size // 2, size // 2), size=(size, size), mode="bilinear")
    out = out * (1 + speckle * uniform(-0.3, 0.3).clamp_min(0))
    across = torch.linspace(0, 1, size).view(1, 1, 1, size)
    shadow = torch.exp(-(((across - uniform(0, 1)) / uniform(0.02, 0.12)) ** 2))
    out = out * (1 - shadow * uniform(-1.5, 0.8).clamp_min(0))
    blurred = F.avg_pool2d(out, 3, 1, 1)
    out = torch.lerp(out, blurred, uniform(-0.6, 1).clamp(0, 1))
    out = (out + 0.02 * noise(*out.shape) * (out > 0.01)).clamp(0, 1)
    tint = torch.where(uniform(0, 1) < 0.15, 1.0, 0.0) * torch.empty(count, 3, 1, 1).uniform_(
        -0.3, 0.3, generator=generator
    )
    return (out * (1 + tint)).clamp(0, 1)
