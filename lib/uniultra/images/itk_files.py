"""Reads NRRD, NIfTI and MetaImage as `UltrasoundImage`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.axis import choose_axis_kind
from uniultra.images.files import (
    check_frame,
    check_whole,
    content_hash,
    decoding,
    file_ending,
    truncated,
)
from uniultra.images.frames import Kept, checked_reader
from uniultra.images.headers import TextHeader, read_meta_header, read_nrrd_header
from uniultra.images.itk import geometry_of, read_header, sitk
from uniultra.images.to_uint8 import uint8_reader
from uniultra.images.types import AxisKind, UltrasoundImage

NUMBER_TYPES = (*(f"{sign}Int{bits}" for bits in (8, 16, 32, 64) for sign in ("U", "")), "Float32", "Float64")
SEQUENCE_ENDINGS = (".seq.nrrd", ".seq.nhdr", ".igs.mha", ".igs.mhd")
MILLISECONDS = {"s": 1000.0, "sec": 1000.0, "second": 1000.0, "seconds": 1000.0, "ms": 1.0}


@dataclass(frozen=True)
class Stack:
    """How ITK's array of the file becomes frames.

    Attributes:
        frames, rows, columns: the image's shape.
        channels: stored samples per pixel: 1, 3 or 4.
        over_time: the frames lie on an axis of time, not of space.
        listed: the frames are stored as components of each pixel (Slicer's grey sequences).
        dtype: type of the stored samples.
    """

    frames: int
    rows: int
    columns: int
    channels: int
    over_time: bool
    listed: bool
    dtype: np.dtype[Any]


def open_itk(path: Path, requested: AxisKind | None) -> UltrasoundImage:
    """Read the header; frames of uncompressed MetaImage are read one by one, others all at the first access.

    Raises:
        ImageError: damaged, truncated, hostile, or pixels that are neither grey nor colour.
    """
    text = _text_header(path)
    header = read_header(path, "image")
    stack = _stack(header)
    check_frame(stack.frames, stack.rows, stack.columns, stack.channels)
    needed = stack.frames * stack.rows * stack.columns * stack.channels * stack.dtype.itemsize
    if text is not None:
        text.check_declared(needed)
    else:
        _check_nifti(path, needed)
    check_whole(needed)
    shape, channels = (stack.frames, stack.rows, stack.columns), 3 if stack.channels > 1 else 1
    kind = _axis_kind(path, stack, requested)
    digest = content_hash(text.paths if text else [path])
    read = uint8_reader(_raw_reader(path, stack, text, needed), stack.frames)
    return UltrasoundImage(
        identity=f"sha256:{digest}",
        content_hash=digest,
        axis_kind=kind,
        shape=shape,
        channels=channels,
        geometry=geometry_of(header, *shape),
        read_frame=checked_reader(read, shape, channels, "image"),
        spacing_mm=_calibration(header, kind),
        frame_times_ms=_frame_times(text, header, stack.frames) if kind is AxisKind.CINE else None,
        raw_bytes=needed,
    )


def _text_header(path: Path) -> TextHeader | None:
    ending = file_ending(path)
    if ending in (".mha", ".mhd"):
        return read_meta_header(path)
    return read_nrrd_header(path) if ending in (".nrrd", ".nhdr") else None


def _stack(header: Any) -> Stack:
    size = header.GetSize()
    components = header.GetNumberOfComponents()
    dtype = _number_type(header.GetPixelID())
    listed = (
        "NRRD_kinds[pixel]" in header.GetMetaDataKeys() and header.GetMetaData("NRRD_kinds[pixel]") == "list"
    )
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    frames, over_time = size[2] if len(size) > 2 else 1, False
    if len(size) == 4 and size[2] == 1:
        frames, over_time = size[3], True
    elif len(size) > 3 or (listed and frames != 1):
        raise ImageError(
            "Expected one picture, cine or volume; the file holds volumes over time "
            f"({' x '.join(map(str, size))}). Export one time point."
        )
    if listed:
        frames, components, over_time = components, 1, True
    if components not in (1, 3, 4) or (components > 1 and dtype.kind == "f"):
        raise ImageError(
            f"Expected grey or colour pixels; the file has {components} components of {dtype} per pixel. "
            "Export it as grey or RGB."
        )
    return Stack(frames, size[1], size[0], components, over_time, listed, dtype)


def _number_type(pixel_id: int) -> np.dtype[Any]:
    module = sitk()
    for name in NUMBER_TYPES:
        if pixel_id in (getattr(module, f"sitk{name}"), getattr(module, f"sitkVector{name}")):
            return np.dtype(name.lower())
    raise ImageError(
        "Expected whole or real numbers per pixel; the file has another kind. Export it as grey or RGB."
    )


def _check_nifti(path: Path, needed: int) -> None:
    stored = path.stat().st_size
    if needed > stored * (1040 if file_ending(path) == ".nii.gz" else 1):
        raise truncated()


def _axis_kind(path: Path, stack: Stack, requested: AxisKind | None) -> AxisKind:
    sequence = stack.over_time or path.name.lower().endswith(SEQUENCE_ENDINGS)
    return choose_axis_kind(stack.frames, AxisKind.CINE if sequence else AxisKind.VOLUME, requested)


def _calibration(header: Any, kind: AxisKind) -> tuple[float, ...] | None:
    """`(dy,dx)` or `(dz,dy,dx)`; a spacing of exactly 1 everywhere means that the file has none."""
    spacing = header.GetSpacing()[: 3 if kind is AxisKind.VOLUME else 2][::-1]
    if all(s == 1.0 for s in spacing) or not all(np.isfinite(s) and s > 0 for s in spacing):
        return None
    return tuple(float(s) for s in spacing)


def _frame_times(text: TextHeader | None, header: Any, frames: int) -> tuple[float, ...] | None:
    if text is None or frames < 2:
        return None
    values = [text.fields.get(f"seq_frame{t:04d}_timestamp", "") for t in range(frames)]
    scale = 1000.0
    if not any(values):
        index = next(
            (v for k, v in text.fields.items() if k.startswith("axis ") and k.endswith("index values")), ""
        )
        units = _time_unit(text.fields.get("units", ""))
        values, scale = index.split(), MILLISECONDS.get(units, 0.0)
    try:
        times = np.array([float(v) for v in values]) * scale
    except ValueError:
        return None
    if len(times) != frames or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        return None
    return tuple(float(t) for t in times - times[0])


def _time_unit(units: str) -> str:
    """The last unit of an NRRD `units` field, which is that of the time axis."""
    return units.replace('"', " ").split()[-1].lower() if units.replace('"', " ").split() else ""


def _raw_reader(
    path: Path, stack: Stack, text: TextHeader | None, needed: int
) -> Callable[[int], NDArray[Any]]:
    """Reader of the stored samples of one frame. ITK reads parts of a file for MetaImage only."""
    alone = file_ending(path) in (".mha", ".mhd") and text is not None and text.encoding == "raw"
    if alone and stack.frames > 1 and not stack.over_time:
        return lambda t: _read_slice(path, t)
    kept = Kept(lambda: _read_all(path, stack, needed))
    return lambda t: kept()[t]


def _read_slice(path: Path, t: int) -> NDArray[Any]:
    reader = read_header(path, "image")
    columns, rows = reader.GetSize()[:2]
    reader.SetExtractIndex([0, 0, t])
    reader.SetExtractSize([columns, rows, 1])
    return np.asarray(sitk().GetArrayFromImage(reader.Execute())[0])


def _read_all(path: Path, stack: Stack, needed: int) -> NDArray[Any]:
    if file_ending(path) == ".nii.gz":
        _check_gzip(path, needed)
    array = np.asarray(sitk().GetArrayFromImage(read_header(path, "image").Execute()))
    if stack.listed:
        return np.moveaxis(array, -1, 0).reshape(stack.frames, stack.rows, stack.columns)
    shape = (stack.frames, stack.rows, stack.columns)
    return array.reshape((*shape, stack.channels) if stack.channels > 1 else shape)


def _check_gzip(path: Path, needed: int) -> None:
    """Refuse a truncated compressed NIfTI, which ITK would fill up with zeros."""
    size = 0
    with decoding("NIfTI"), gzip.open(path) as handle:
        while block := handle.read(2**20):
            size += len(block)
    if size < needed:
        raise truncated()
