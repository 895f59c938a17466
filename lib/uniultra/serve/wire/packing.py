"""Masks and scribbles as they travel, see docs/wire.md: small, bounded, and the same at both ends.

A mask is `{bbox, mask}` with `mask = base64(zlib(packbits(pixels inside bbox)))`, 1 to 2 kB for a fetal head.
A scribble is `{bbox, runs}` with runs `[skip, take, skip, take, ...]` over the bbox, row by row. A bbox is
[x0,y0,x1,y1], its corners included.

The server and the Slicer module have the same file but for the line that imports the error; a test compares.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import PromptError as PackingError

Mask = NDArray[np.bool_]


def pack_mask(mask: Mask) -> dict[str, Any] | None:
    """A (rows, columns) mask as `{bbox, mask}`; None when it is empty.

    >>> square = np.zeros((90, 120), bool)
    >>> square[20:40, 30:60] = True
    >>> packed = pack_mask(square)
    >>> packed["bbox"]
    [30, 20, 59, 39]
    >>> np.array_equal(unpack_mask(packed["bbox"], packed["mask"], (90, 120)), square)
    True
    """
    mask = np.asarray(mask, bool)
    bbox = _bounds(mask)
    if bbox is None:
        return None
    # On a ragged mask zlib's level 9 takes ten times as long as its default and saves one byte in 25.
    packed = zlib.compress(np.packbits(_inside(mask, bbox)).tobytes())
    return {"bbox": list(bbox), "mask": base64.b64encode(packed).decode("ascii")}


def unpack_mask(bbox: Any, text: Any, shape: tuple[int, int]) -> Mask:
    """The mask of `shape` = (rows, columns) that `pack_mask` packed; empty when `bbox` is None.

    Never inflates more than the bbox holds, whatever `text` would unpack to.

    Raises:
        PackingError: the bbox leaves the picture, or `text` does not hold exactly its pixels.
    """
    mask = np.zeros(shape, dtype=bool)
    if bbox is None:
        return mask
    pixels = _inside(mask, check_bbox(bbox, shape))
    expected = (pixels.size + 7) // 8
    inflater, raw = zlib.decompressobj(), b""
    try:
        # zlib never grows its input by more than this: longer text cannot be a mask of this bbox.
        if len(text) <= (expected + expected // 100 + 64) * 4 // 3 + 4:
            raw = inflater.decompress(base64.b64decode(text, validate=True), expected + 1)
    except (TypeError, ValueError, zlib.error):
        raw = b""
    if len(raw) != expected or not inflater.eof or inflater.unused_data:
        raise PackingError(
            f"Expected a mask as base64 of zlib of {expected} packed bytes ({pixels.shape[0]} x "
            f"{pixels.shape[1]} bits); got something else. Pack the mask as docs/wire.md describes."
        )
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=pixels.size)
    pixels[:] = bits.reshape(pixels.shape)
    return mask


def pack_runs(pixels: Mask) -> dict[str, Any] | None:
    """The true pixels of a (rows, columns) array as `{bbox, runs}`; None when there are none.

    >>> pack_runs(np.array([[False, False, False], [True, True, False], [False, True, True]]))
    {'bbox': [0, 1, 2, 2], 'runs': [0, 2, 2, 2]}
    """
    pixels = np.asarray(pixels, bool)
    bbox = _bounds(pixels)
    if bbox is None:
        return None
    flat = _inside(pixels, bbox).ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return {"bbox": list(bbox), "runs": [0, *lengths] if flat[0] else lengths}


def unpack_runs(bbox: Any, runs: Any, shape: tuple[int, int]) -> Mask:
    """The mask of `shape` = (rows, columns) that `pack_runs` packed.

    Raises:
        PackingError: see `check_runs`.
    """
    mask = np.zeros(shape, dtype=bool)
    pixels = _inside(mask, check_runs(bbox, runs, shape))
    lengths = np.array([*runs, pixels.size - sum(runs)], dtype=np.int64)
    taken = np.arange(len(lengths)) % 2 == 1
    taken[-1] = False
    pixels[:] = np.repeat(taken, lengths).reshape(pixels.shape)
    return mask


def check_runs(bbox: Any, runs: Any, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The bbox of a scribble as four integers.

    Raises:
        PackingError: the bbox leaves a picture of `shape` = (rows, columns), or the runs do not fit in it.
    """
    x0, y0, x1, y1 = check_bbox(bbox, shape)
    size = (y1 - y0 + 1) * (x1 - x0 + 1)
    whole = isinstance(runs, (list, tuple)) and all(type(run) is int and run >= 0 for run in runs)
    if not whole or sum(runs) > size:
        raise PackingError(
            f"Expected runs of whole numbers from 0 up that cover at most their bbox of {size} pixels; got "
            f"{sum(runs) if whole else 'something else'}. Count skip, take, skip, take in the bbox."
        )
    return x0, y0, x1, y1


def check_bbox(bbox: Any, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The bbox as four integers.

    Raises:
        PackingError: it is not four whole numbers in order, inside a picture of `shape` = (rows, columns).
    """
    # type(), as a bool, which is an int too, is no coordinate
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4 or any(type(value) is not int for value in bbox):
        raise PackingError("Expected a bbox of four whole numbers [x0,y0,x1,y1]; got something else.")
    x0, y0, x1, y1 = bbox
    if not (0 <= x0 <= x1 < shape[1] and 0 <= y0 <= y1 < shape[0]):
        raise PackingError(
            f"Expected a bbox [x0,y0,x1,y1] with x0 <= x1 and y0 <= y1 inside the picture of {shape[1]} x "
            f"{shape[0]} pixels (columns x rows); got {list(bbox)}. Check that both ends have the same image."
        )
    return x0, y0, x1, y1


def _bounds(mask: Mask) -> tuple[int, int, int, int] | None:
    """The smallest bbox that holds every true pixel; None when there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])) if rows.size else None


def _inside(mask: Mask, bbox: tuple[int, int, int, int]) -> Mask:
    """A view of the pixels inside a bbox."""
    x0, y0, x1, y1 = bbox
    return mask[y0 : y1 + 1, x0 : x1 + 1]
