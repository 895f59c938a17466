"""Data augmentation for ultrasound: intensity changes, then one affine map of pictures and masks.

Everything is batched in torch and drawn from a generator, so that a run is reproducible. Each effect has a
probability per picture and a largest strength; the strength itself is drawn anew for each picture, uniformly
unless `Augmentation` says otherwise.
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
    """Probabilities and strengths of the augmentations.

    Below, v is a grey value in 0..1 and `artefacts.DYNAMIC_RANGE` (60 dB) the range that it spans, so x
    decibels are x / 60 grey values; depth is 0 at the probe and 1 at the deepest echo. Raise a strength for
    scanners or presets that differ more than those of the training data; set a probability to 0 to switch an
    effect off.

    Attributes:
        place: probability of the affine map of rotation, scale, aspect ratio and translation.
        turn: rotation, in degrees: U(-turn, turn) for one half of the pictures, a sixth of it for the other.
        enlarge, shrink: scale: the factor on the picture's size is log-uniform in 1 / shrink..enlarge.
        stretch: aspect ratio: the factor on width / height is log-uniform in 1 / stretch..stretch.
        shift: translation along each axis, as a fraction of the side: U(-shift, shift).
        flip: probability of a horizontal flip, about the axis of the sector.
        flip_depth: probability of a vertical flip, from the probe to the deepest echo. No scanner does this,
            so leave it at 0 for pictures that show the probe's side up.
        gain: probability of a change of the receiver's gain.
        gain_db: v + x / 60 with x from U(-gain_db, gain_db), in dB.
        gamma: probability of another grey map (contrast).
        gamma_factor: v ** e with e log-uniform in 1 / gamma_factor..gamma_factor.
        attenuation: probability of stronger attenuation with depth, or of too much time-gain compensation.
        attenuation_db: v - x depth / 60 with x from U(-attenuation_db / 2, attenuation_db), in dB.
        speckle: probability of additional speckle.
        speckle_share: amplitude from U(0, speckle_share), as a fraction of fully developed (Rayleigh)
            speckle, whose standard deviation is 5.6 dB.
        shadow: probability of an acoustic shadow, or enhancement, along the beams behind a random place.
        shadow_db: loss in dB from U(-shadow_db / 3, shadow_db); below 0 it is the enhancement behind a cyst.
        blur: probability of smoothing: lerp(v, 3 x 3 mean of v, U(0, 1)).
        noise: probability of additive white noise of the receiver.
        noise_grey: standard deviation from U(0, noise_grey), in grey values.
        tint: probability of a colour tint, as of colour maps and Doppler overlays.
        tint_share: each colour channel is v (1 + u) with u from U(-tint_share, tint_share).
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
    """Augment pictures `(B,1,S,S)` in 0..1 with their masks `(B,K,S,S)`, both float.

    Returns:
        Pictures `(B,3,S,S)` in 0..1, and masks `(B,K,S,S)` in 0..1 to be thresholded at 0.5.
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
    """Flip, rotate, scale, stretch and translate pictures `(B,C,S,S)` with their masks `(B,K,S,S)`.

    Both are float; the masks returned are in 0..1, to be thresholded at 0.5. Flips mirror about the middle
    of the sector, which need not be the middle of the picture.
    """
    draw = _Draw(len(pictures), generator, pictures.device)
    sector = find_sector(pictures) if sector is None else sector
    rotation = draw.uniform(-1, 1) * torch.where(draw.coin(0.5), settings.turn, settings.turn / 6)
    rotation = rotation * math.pi / 180
    # Factors on the sampling grid: above 1 the picture becomes smaller.
    scale = torch.exp(draw.uniform(-math.log(settings.enlarge), math.log(settings.shrink)))
    stretch = torch.exp(draw.uniform(-0.5, 0.5) * math.log(settings.stretch))
    shift = [2 * settings.shift * draw.uniform(-1, 1) for _ in range(2)]  # the grid is 2 wide
    cos, sin = torch.cos(rotation), torch.sin(rotation)
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
    """Vary gamma, attenuation, shadows, speckle, blur, gain, noise and tint of pictures `(B,1,S,S)` in 0..1.

    Args:
        pictures: with the probe's side up, unless `sector` is given.
        generator: source of the random numbers.
        settings: probabilities and strengths.
        sector: the pictures' sector, whose beams shadows and speckle follow; None finds it.

    Returns:
        RGB `(B,3,S,S)` in 0..1, grey apart from the tinted ones.
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
    """Random numbers `(B,)`, one per picture of a batch."""

    def __init__(self, count: int, generator: torch.Generator, device: torch.device) -> None:
        self.count, self.generator, self.device = count, generator, device

    def uniform(self, low: float, high: float) -> Tensor:
        drawn = torch.rand(self.count, generator=self.generator, device=self.generator.device)
        return (low + (high - low) * drawn).to(self.device)

    def coin(self, probability: float) -> Tensor:
        """Bernoulli trials, true with `probability`."""
        return self.uniform(0, 1) < probability
