"""Simulated effects of scanner settings and physics on B-mode pictures, one function each.

Grey values are log-compressed echo amplitudes: 0..1 spans DYNAMIC_RANGE decibels, so a change in
decibels is an addition. Pictures are `(B,1,S,S)` float in 0..1, strengths `(B,)`; black stays black, because
echo levels below the displayed range or outside the sector are unknown. Depth and beam are those
of `uniultra.synthesis.sector.Sector.polar`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DYNAMIC_RANGE = 60.0  # decibels between black and white
LIT = 0.05  # grey value from which a change applies in full; it fades towards black


def gain(pictures: Tensor, decibels: Tensor) -> Tensor:
    """Change the receiver gain by `decibels`."""
    return _louder(pictures, _wide(decibels))


def gamma(pictures: Tensor, exponent: Tensor) -> Tensor:
    """Grey map x ** `exponent`; above 1 darkens the middle greys."""
    return pictures.clamp(1e-4, 1) ** _wide(exponent) * (pictures > 0)


def attenuation(pictures: Tensor, decibels: Tensor, depth: Tensor) -> Tensor:
    """Lose `decibels` from the probe's face to the deepest echo, evenly with depth.

    Negative values simulate excessive time-gain compensation.
    """
    return _louder(pictures, -_wide(decibels) * depth.clamp(0, 1))


def speckle(
    pictures: Tensor,
    share: Tensor,
    depth: Tensor,
    beam: Tensor,
    generator: torch.Generator,
    grains: tuple[int, int] = (96, 64),
) -> Tensor:
    """Add fully developed speckle, scaled by `share` (1: Rayleigh, standard deviation 5.6 dB).

    The interference pattern is a complex Gaussian field of `grains` resolution cells along depth and
    across the beams, so that grains widen with depth as a diverging beam's do. The mean grey stays.
    """
    field = torch.randn(len(pictures), 2, *grains, generator=generator, device=generator.device)
    grid = torch.cat([beam, 2 * depth - 1], 1).permute(0, 2, 3, 1)
    waves = F.grid_sample(field.to(pictures), grid, padding_mode="reflection", align_corners=False)
    echo = 20 * torch.log10(waves.square().sum(1, keepdim=True).sqrt().clamp_min(0.1))
    echo = echo - echo.mean((2, 3), keepdim=True)
    return _louder(pictures, _wide(share) * echo)


def shadow(
    pictures: Tensor,
    decibels: Tensor,
    depth: Tensor,
    beam: Tensor,
    *,
    centre: Tensor,
    width: Tensor,
    start: Tensor,
) -> Tensor:
    """Darken by `decibels` behind a reflector (negative: brighten, as behind a cyst).

    Args:
        pictures, decibels, depth, beam: as in the module's first lines.
        centre, width: `(B,)` the reflector's centre and half width across the beams; the sector is -1..1.
        start: `(B,)` its depth, 0..1; the shadow follows the beams from there down.
    """
    across = torch.exp(-(((beam - _wide(centre)) / _wide(width)) ** 2))
    behind = torch.sigmoid((depth - _wide(start)) / 0.01)
    return _louder(pictures, -_wide(decibels) * across * behind)


def blur(pictures: Tensor, share: Tensor) -> Tensor:
    """Mix in `share` (0..1) of the mean over 3 x 3 pixels: smoothing filters, compounding."""
    return torch.lerp(pictures, F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False), _wide(share))


def noise(pictures: Tensor, deviation: Tensor, generator: torch.Generator) -> Tensor:
    """Add the receiver's white noise of `deviation` (grey values, 0..1)."""
    field = torch.randn(pictures.shape, generator=generator, device=generator.device)
    return _louder(pictures, DYNAMIC_RANGE * _wide(deviation) * field.to(pictures))


def tint(pictures: Tensor, colour: Tensor) -> Tensor:
    """Tint grey pictures, `(B,3,S,S)`: each channel is multiplied by 1 + `colour` `(B,3)`."""
    return (pictures * (1 + colour[:, :, None, None])).clamp(0, 1)


def _louder(pictures: Tensor, decibels: Tensor) -> Tensor:
    """Add decibels where there is an echo."""
    return (pictures + decibels / DYNAMIC_RANGE * (pictures / LIT).clamp(0, 1)).clamp(0, 1)


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
