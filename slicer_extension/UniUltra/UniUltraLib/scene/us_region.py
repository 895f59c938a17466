"""Finds the ultrasound region of a picture, so that the rest, which may contain a name, can be blanked.

Pictures come frames first, (T,H,W) or (T,H,W,C), as `slicer.util.arrayFromVolume` gives them. It is a
guess from the voxels alone; text burned into the ultrasound itself stays.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

import numpy as np

from ..measure.binary_shapes import convex_hull, dilate, erode, large_components, majority

_BLOCK = 4
# Smallest share of a picture, and of its height and width, that counts as ultrasound.
_LEAST_AREA, _LEAST_SIDE = 0.05, 0.2
_FRAMES = 24
_THIN, _GAP = 1, 3  # blocks on either side
# Dark blood separates a picture into parts: those of at least this share of the largest are kept.
_SHARE = 0.2


def ultrasound_region(pictures: np.ndarray) -> Optional[np.ndarray]:
    """The ultrasound region, (H,W) bool; None when none stands out.

    It is the convex hull of the large connected parts with speckle: unlike in black areas and in the flat
    bars on which scanners write, nearly every pixel differs from its neighbour. In a cine the parts must also
    change from frame to frame, where that leaves enough of them. Depths without speckle may be cut off.
    """
    grey = _grey(pictures)
    grain = _blocks(_grain(grey))
    if len(grey) > 1:
        moving = _blocks(grey.max(axis=0) - grey.min(axis=0) > 2)
        region = _region(grain & moving, grey.shape[1:])
        if region is not None:
            return region
    return _region(grain, grey.shape[1:])


def blank(pictures: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """A copy of the pictures with 0 wherever `keep`, (H,W) bool, is false."""
    mask = keep[None, :, :, None] if pictures.ndim == 4 else keep[None]
    return np.where(mask, pictures, np.zeros((), pictures.dtype))


def writing_outside(pictures: np.ndarray, keep: np.ndarray) -> bool:
    """Whether something like text stands outside a region: many steep edges close together, in lines."""
    peak = _grey(pictures).max(axis=0)
    steep = np.abs(np.diff(peak, axis=1)) > 0.25 * max(float(peak.max()), 1.0)
    steep &= ~(keep[:, 1:] | keep[:, :-1])
    # A letter has two to four edges in 12 pixels; the shortest name is a line of three letters.
    dense = np.add.reduceat(steep, np.arange(0, steep.shape[1], 12), axis=1) >= 2
    if dense.shape[1] < 3:
        return False
    lines = dense[:, :-2] & dense[:, 1:-1] & dense[:, 2:]
    return bool(lines.any(axis=1).sum() >= 3)


def _grey(pictures: np.ndarray) -> np.ndarray:
    """(T,H,W) float32 of the brightest channel; of a long cine, evenly spaced frames only."""
    if len(pictures) > _FRAMES:
        pictures = pictures[np.linspace(0, len(pictures) - 1, _FRAMES).round().astype(int)]
    if pictures.ndim == 4:
        pictures = pictures[..., :3].max(axis=-1)
    return np.abs(pictures.astype(np.float32))


def _grain(grey: np.ndarray) -> np.ndarray:
    """(H,W) bool: the pixel is not black and differs from its right neighbour, in any frame."""
    step = np.abs(np.diff(grey, axis=2, append=grey[:, :, -2:-1])).max(axis=0)
    floor = max(1.0, 0.008 * float(grey.max()))
    return (step > 0.5 * floor) & (grey.max(axis=0) > floor)


def _blocks(pixels: np.ndarray) -> np.ndarray:
    """Whether most pixels of each small block are true: letters, rulers and cursors drop out."""
    rows, columns = (-(-n // _BLOCK) * _BLOCK for n in pixels.shape)
    padded = np.pad(pixels, ((0, rows - pixels.shape[0]), (0, columns - pixels.shape[1])))
    shares = padded.reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK).mean(axis=(1, 3))
    return shares >= 0.55


def _region(blocks: np.ndarray, shape: Tuple[int, ...]) -> Optional[np.ndarray]:
    """The hull of the large parts among the blocks, in pixels; None when it is too small for ultrasound."""
    # First remove thin parts (text, rulers, colour bars), then close gaps of dark blood.
    thick = dilate(erode(majority(blocks), _THIN), _THIN)
    part = large_components(erode(dilate(thick, _GAP), _GAP), _SHARE)
    if part is None:
        return None
    hull = convex_hull(part)
    pixels = np.repeat(np.repeat(hull, _BLOCK, axis=0), _BLOCK, axis=1)[: shape[0], : shape[1]]
    sides: List[float] = [float(pixels.any(axis=axis).mean()) for axis in (0, 1)]
    return pixels if pixels.mean() >= _LEAST_AREA and min(sides) >= _LEAST_SIDE else None
