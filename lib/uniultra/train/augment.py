"""Random views of a batch of ultrasound: its look first, then one affine map for image and masks.

All of it is batched in torch and drawn from a generator, so that a run can be repeated. Settings say
for each effect how probable it is on a picture and how strong at most.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F

from uniultra.synthesis import artefacts
from uniultra.synthesis.sector import Sector, find_sector

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Augmentation:
    """How often and how strongly pictures are changed.

    Attributes:
        place: probability of a turn, zoom, stretch and shift, all together.
        turn: degrees at most; one half of the pictures stays within a sixth of it.
        enlarge, shrink: largest factor by which a picture grows or becomes smaller.
        stretch: largest factor on width over height, or height over width.
        shift: share of the side at most.
        flip: probability of a mirror about the sector's own axis.
        flip_depth: probability of turning depth upside down, which no scanner does.
        gain, gamma, attenuation, speckle, shadow, blur, noise, tint: probability of each.
        gain_db: decibels up or down at most.
        gamma_factor: largest exponent of the grey map; the smallest is its inverse.
        attenuation_db: decibels lost (or overcompensated) down to the deepest echo at most.
        speckle_share: of fully developed speckle at most.
        shadow_db: decibels lost behind a reflector at most; up to a third of it is gained behind a cyst.
        noise_grey: largest deviation of white noise, grey values of 0..1.
        tint_share: largest change of a colour channel.
    """

    place: Probability = 0.85
    turn: Strength = 30.0
    enlarge: Annotated[float, Field(ge=1)] = 1.73
    shrink: Annotated[float, Field(ge=1)] = 1.28
    stretch: Annotated[float, Field(ge=1)] = 1.65
    shift: Strength = 0.125
    flip: Probability = 0.5
    flip_depth: Probability = 0.0
    gain: Probability = 0.8
    gain_db: Strength = 7.0
    gamma: Probability = 0.8
    gamma_factor: Annotated[float, Field(ge=1)] = 1.65
    attenuation: Probability = 0.5
    attenuation_db: Strength = 10.0
    speckle: Probability = 0.4
    speckle_share: Strength = 0.6
    shadow: Probability = 0.35
    shadow_db: Strength = 30.0
    blur: Probability = 0.6
    noise: Probability = 0.8
    noise_grey: Strength = 0.03
    tint: Probability = 0.15
    tint_share: Strength = 0.3


DEFAULT = Augmentation()


def views(
    pictures: Tensor, masks: Tensor, generator: torch.Generator, settings: Augmentation = DEFAULT
) -> tuple[Tensor, Tensor]:
    """Random views of pictures `(B,1,S,S)` in 0..1 with their masks `(B,K,S,S)`, both float.

    Returns:
        Pictures `(B,3,S,S)` in 0..1, and masks in 0..1 to be cut at 0.5.
    """
    sector = find_sector(pictures)
    return affine(intensity(pictures, generator, settings, sector), masks, generator, settings, sector)


def affine(
    pictures: Tensor,
    masks: Tensor,
    generator: torch.Generator,
    settings: Augmentation = DEFAULT,
    sector: Sector | None = None,
) -> tuple[Tensor, Tensor]:
    """Flip, turn, scale, stretch and shift pictures `(B,C,S,S)` with their masks `(B,K,S,S)`.

    Both float; masks come back in 0..1 and are to be cut at 0.5. A flip mirrors about the middle of
    the sector, which need not be the middle of the picture.
    """
    draw = _Draw(len(pictures), generator, pictures.device)
    sector = find_sector(pictures) if sector is None else sector
    turn = draw.uniform(-1, 1) * torch.where(draw.coin(0.5), settings.turn, settings.turn / 6)
    turn = turn * math.pi / 180
    # Factors on the grid, so above 1 the picture becomes smaller.
    scale = torch.exp(draw.uniform(-math.log(settings.enlarge), math.log(settings.shrink)))
    stretch = torch.exp(draw.uniform(-0.5, 0.5) * math.log(settings.stretch))
    shift = [2 * settings.shift * draw.uniform(-1, 1) for _ in range(2)]
    cos, sin = torch.cos(turn), torch.sin(turn)
    a, b = scale * stretch, scale / stretch
    rows = torch.stack(
        [torch.stack([a * cos, -b * sin, shift[0]], 1), torch.stack([a * sin, b * cos, shift[1]], 1)], 1
    )
    theta = torch.where(draw.coin(settings.place)[:, None, None], rows, torch.eye(2, 3, device=rows.device))
    middles = 2 * sector.axis - 1, sector.top + sector.bottom - 1
    for row, (middle, share) in enumerate(zip(middles, (settings.flip, settings.flip_depth), strict=True)):
        # The mirror acts on the picture's own coordinates: x becomes 2 middle - x.
        mirrored = torch.cat([-theta[:, row, :2], (2 * middle - theta[:, row, 2])[:, None]], 1)
        theta[:, row] = torch.where(draw.coin(share)[:, None], mirrored, theta[:, row])
    grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
    both = torch.cat([pictures, masks], 1)
    moved = (theta != torch.eye(2, 3, device=theta.device)).flatten(1).any(1)[:, None, None, None]
    both = torch.where(moved, F.grid_sample(both, grid, align_corners=False), both)
    return both[:, : pictures.shape[1]], both[:, pictures.shape[1] :]


def intensity(
    pictures: Tensor,
    generator: torch.Generator,
    settings: Augmentation = DEFAULT,
    sector: Sector | None = None,
) -> Tensor:
    """Vary gain, grey map, attenuation, speckle, shadow, blur, noise and tint of `(B,1,S,S)` in 0..1.

    Wants upright pictures, or the `sector` they have: shadows follow its beams. Returns `(B,3,S,S)`
    in 0..1: most grey, some tinted as colour maps and Doppler overlays are.
    """
    draw = _Draw(len(pictures), generator, pictures.device)
    sector = find_sector(pictures) if sector is None else sector
    depth, beam = sector.polar(pictures.shape[-1])

    def some(share: float, low: float, high: float) -> Tensor:
        """Strengths for a random share of the pictures, 0 for the others."""
        return draw.uniform(low, high) * draw.coin(share)

    exponent = math.log(settings.gamma_factor)
    out = artefacts.gamma(pictures, torch.exp(some(settings.gamma, -exponent, exponent)))
    loss = settings.attenuation_db
    out = artefacts.attenuation(out, some(settings.attenuation, -loss / 2, loss), depth)
    out = artefacts.shadow(
        out,
        some(settings.shadow, -settings.shadow_db / 3, settings.shadow_db),
        depth,
        beam,
        centre=draw.uniform(-1, 1),
        width=draw.uniform(0.04, 0.3),
        start=draw.uniform(0, 0.7),
    )
    out = artefacts.speckle(out, some(settings.speckle, 0, settings.speckle_share), depth, beam, generator)
    out = artefacts.blur(out, some(settings.blur, 0, 1))
    out = artefacts.gain(out, some(settings.gain, -settings.gain_db, settings.gain_db))
    out = artefacts.noise(out, some(settings.noise, 0, settings.noise_grey), generator)
    colour = settings.tint_share * torch.stack([draw.uniform(-1, 1) for _ in range(3)], 1)
    return artefacts.tint(out, colour * draw.coin(settings.tint)[:, None])


class _Draw:
    """Random numbers for each of a batch's pictures."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device) -> None:
        self.count, self.generator, self.device = count, generator, device

    def uniform(self, low: float, high: float) -> Tensor:
        drawn = torch.rand(self.count, generator=self.generator, device=self.generator.device)
        return (low + (high - low) * drawn).to(self.device)

    def coin(self, probability: float) -> Tensor:
        """True with `probability`."""
        return self.uniform(0, 1) < probability
