"""Masks on the wire: a bounding box and its bits, zlib, base64. One to two kB for a fetal head."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import PromptError

Mask = NDArray[np.bool_]


def pack_mask(mask: Mask) -> dict[str, Any]:
    """`{"bbox": [x0,y0,x1,y1] inclusive or None, "mask": base64}` of a (H,W) mask."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return {"bbox": None, "mask": ""}
    x0, y0, x1, y1 = int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])
    bits = np.packbits(mask[y0 : y1 + 1, x0 : x1 + 1])
    # on a ragged mask zlib's level 9 takes ten times as long as its own choice and saves one byte in 25
    return {"bbox": [x0, y0, x1, y1], "mask": base64.b64encode(zlib.compress(bits.tobytes())).decode()}


def unpack_mask(bbox: Sequence[int], mask: str, shape: tuple[int, int]) -> Mask:
    """The (H,W) mask of `shape` that `pack_mask` packed; never inflates more than its box holds.

    Raises:
        PromptError: a box outside the picture, or bits that are damaged or of another length.
    """
    rows, columns = box_size(bbox, shape)
    expected = (rows * columns + 7) // 8
    damaged = PromptError(
        f"Expected a mask as base64 of zlib of {expected} packed bytes ({rows} x {columns} bits); "
        "got something else. Send the mask as an earlier answer packed it."
    )
    # zlib never grows its input by more than this; more text cannot be a mask of this box
    if len(mask) > (expected + expected // 100 + 64) * 4 // 3 + 4:
        raise damaged
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(mask, validate=True), expected + 1)
    except (binascii.Error, zlib.error, ValueError):
        raise damaged from None
    if len(data) != expected or not inflater.eof or inflater.unused_data:
        raise damaged
    full = np.zeros(shape, dtype=bool)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * columns)
    full[bbox[1] : bbox[3] + 1, bbox[0] : bbox[2] + 1] = bits.reshape(rows, columns)
    return full


def unpack_runs(bbox: Sequence[int], runs: Sequence[int], shape: tuple[int, int]) -> Mask:
    """The (H,W) mask of `shape` whose box is filled by run lengths: skip, take, skip, take, row by row.

    Raises:
        PromptError: a box outside the picture, or runs longer than the box.
    """
    rows, columns = box_size(bbox, shape)
    if sum(runs) > rows * columns:
        raise PromptError(
            f"A scribble's runs cover at most its box of {rows * columns} pixels; these cover {sum(runs)}. "
            "Count skip, take, skip, take row by row inside the box."
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, np.asarray(runs, dtype=np.int64))
    inside = np.zeros(rows * columns, dtype=bool)
    inside[: len(flat)] = flat
    full = np.zeros(shape, dtype=bool)
    full[bbox[1] : bbox[3] + 1, bbox[0] : bbox[2] + 1] = inside.reshape(rows, columns)
    return full


def box_size(bbox: Sequence[int], shape: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of an inclusive box inside a picture of `shape`.

    Raises:
        PromptError: the box is turned around or leaves the picture.
    """
    x0, y0, x1, y1 = bbox
    if not (0 <= x0 <= x1 < shape[1] and 0 <= y0 <= y1 < shape[0]):
        raise PromptError(
            f"Expected a bbox [x0,y0,x1,y1] with x0 <= x1 and y0 <= y1 inside the picture of {shape[1]} x "
            f"{shape[0]} pixels (columns x rows); got {list(bbox)}."
        )
    return y1 - y0 + 1, x1 - x0 + 1
