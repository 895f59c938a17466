"""Masks and scribbles as they travel: a mask is `{bbox, mask}` with
`mask = base64(zlib(packbits(pixels inside bbox)))`, a scribble `{positive, bbox, runs}` with runs
`[skip, take, skip, take, ...]` over the bbox, row by row. A bbox is [x0,y0,x1,y1], its corners included.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..errors import PackedMaskError

Shape = Tuple[int, int]


def bounds_of(pixels: np.ndarray) -> Optional[List[int]]:
    """The smallest bbox that holds every true pixel of a (rows, columns) array; None when there is none."""
    rows = np.flatnonzero(pixels.any(axis=1))
    columns = np.flatnonzero(pixels.any(axis=0))
    if not rows.size:
        return None
    return [int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])]


def check_bbox(bbox: Any, shape: Shape) -> Tuple[int, int, int, int]:
    """The bbox as four integers.

    Raises:
        PackedMaskError: it is not four whole numbers in order, inside a picture of `shape` = (rows, columns).
    """
    whole = (
        isinstance(bbox, (list, tuple)) and len(bbox) == 4 and all(type(value) is int for value in bbox)
    )  # bool is no coordinate, hence type() and not isinstance()
    if not whole:
        raise PackedMaskError("A mask's bbox must be four whole numbers [x0,y0,x1,y1]; got something else.")
    x0, y0, x1, y1 = bbox
    if not (0 <= x0 <= x1 < shape[1] and 0 <= y0 <= y1 < shape[0]):
        raise PackedMaskError(
            f"The mask's bbox {x0},{y0},{x1},{y1} does not lie inside the picture of {shape[1]} x {shape[0]} "
            "pixels (columns x rows). Check that the server has the same image."
        )
    return x0, y0, x1, y1


def pack_mask(mask: np.ndarray) -> Optional[Dict[str, Any]]:
    """A (rows, columns) mask as `{bbox, mask}`; None when it is empty."""
    mask = np.asarray(mask, bool)
    bbox = bounds_of(mask)
    if bbox is None:
        return None
    x0, y0, x1, y1 = bbox
    bits = np.packbits(mask[y0 : y1 + 1, x0 : x1 + 1])
    return {"bbox": bbox, "mask": base64.b64encode(zlib.compress(bits.tobytes())).decode("ascii")}


def unpack_mask(bbox: Any, text: Any, shape: Shape) -> np.ndarray:
    """The (rows, columns) bool mask of a picture of `shape`; empty when `bbox` is None.

    No more memory is taken than the bbox needs, whatever `text` would unpack to.

    Raises:
        PackedMaskError: the bbox leaves the picture, or `text` does not hold exactly its pixels.
    """
    mask = np.zeros(shape, bool)
    if bbox is None:
        return mask
    x0, y0, x1, y1 = check_bbox(bbox, shape)
    height, width = y1 - y0 + 1, x1 - x0 + 1
    expected = (height * width + 7) // 8
    try:
        packed = base64.b64decode(text, validate=True)
        inflater = zlib.decompressobj()
        raw = inflater.decompress(packed, expected + 1)
    except (TypeError, ValueError, binascii.Error, zlib.error):
        raise PackedMaskError("The mask must be base64 of zlib data; got something else.") from None
    if len(raw) != expected or not inflater.eof:
        raise PackedMaskError(
            f"The mask of {width} x {height} pixels must unpack to {expected} bytes; got another number."
        )
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=height * width)
    mask[y0 : y1 + 1, x0 : x1 + 1] = bits.reshape(height, width)
    return mask


def pack_runs(pixels: np.ndarray) -> Optional[Dict[str, Any]]:
    """True pixels of a (rows, columns) array as `{bbox, runs}`; None when there is none."""
    pixels = np.asarray(pixels, bool)
    bbox = bounds_of(pixels)
    if bbox is None:
        return None
    x0, y0, x1, y1 = bbox
    flat = pixels[y0 : y1 + 1, x0 : x1 + 1].ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    runs = lengths if not flat[0] else [0, *lengths]
    return {"bbox": bbox, "runs": runs}


def check_runs(bbox: Any, runs: Any, shape: Shape) -> Tuple[int, int, int, int]:
    """The bbox of a scribble as four integers.

    Raises:
        PackedMaskError: the bbox leaves a picture of `shape` = (rows, columns), or the runs do not fit in it.
    """
    x0, y0, x1, y1 = check_bbox(bbox, shape)
    height, width = y1 - y0 + 1, x1 - x0 + 1
    if not isinstance(runs, list) or any(type(run) is not int or run < 0 for run in runs):
        raise PackedMaskError("Runs must be whole numbers from 0 up; got something else.")
    if sum(runs) > height * width:
        raise PackedMaskError(f"Runs must fit in their bbox of {width} x {height} pixels; they are longer.")
    return x0, y0, x1, y1


def unpack_runs(bbox: Any, runs: Any, shape: Shape) -> np.ndarray:
    """The (rows, columns) bool array that `pack_runs` described.

    Raises:
        PackedMaskError: see `check_runs`.
    """
    x0, y0, x1, y1 = check_runs(bbox, runs, shape)
    height, width = y1 - y0 + 1, x1 - x0 + 1
    flat = np.zeros(height * width, bool)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat[: values.size] = values
    pixels = np.zeros(shape, bool)
    pixels[y0 : y1 + 1, x0 : x1 + 1] = flat.reshape(height, width)
    return pixels
