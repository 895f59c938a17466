"""Converts stored DICOM samples for display: palette, YBR, window or VOI LUT, inverted grey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.colour import ybr_to_rgb
from uniultra.images.dicom.layout import PixelLayout
from uniultra.images.dicom.tags import functional_group, numbers
from uniultra.images.frames import Kept, RawReader, ReadFrame
from uniultra.images.types import Picture
from uniultra.images.window import Window, percentile_window

ToGrey = Callable[[NDArray[Any]], Picture]


def picture_reader(dataset: Any, layout: PixelLayout, read_raw: RawReader, encapsulated: bool) -> ReadFrame:
    """Reader of uint8 pictures from the reader of stored samples.

    `read_raw` returns RGB for compressed colour and the stored samples for everything else. Grey
    deeper than 8 bits is mapped by the file's window or VOI LUT, else by percentiles of the whole file;
    deeper colour keeps its 8 highest bits.

    Raises:
        ImageError: a palette that is missing or malformed, or colour that cannot be uncompressed.
    """
    if layout.photometric == "PALETTE COLOR":
        table = _palette(dataset, layout)
        return lambda t: table[_index(read_raw(t), layout)]
    if layout.samples == 1:
        return _grey_reader(dataset, layout, read_raw, encapsulated)
    if not encapsulated and layout.photometric in ("YBR_RCT", "YBR_ICT"):
        raise ImageError(
            f"{layout.photometric} exists only inside JPEG 2000; the file is uncompressed. Store it as RGB."
        )
    convert = not encapsulated and layout.photometric != "RGB"
    depth = layout.bits_stored - 8

    def read_frame(t: int) -> Picture:
        samples = read_raw(t)
        if depth:
            samples = samples >> depth if depth > 0 else samples << -depth
        samples = samples.astype(np.uint8)
        return ybr_to_rgb(samples) if convert else np.ascontiguousarray(samples)

    return read_frame


def _lowest(layout: PixelLayout) -> int:
    return -(2 ** (layout.bits_stored - 1)) if layout.signed else 0


def _stored_values(raw: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    """Values of uncompressed words; bits outside the stored ones, which may hold an overlay, are dropped."""
    values = raw.astype(np.int64) >> (layout.high_bit + 1 - layout.bits_stored)
    values &= 2**layout.bits_stored - 1
    if layout.signed:
        values[values >= 2 ** (layout.bits_stored - 1)] -= 2**layout.bits_stored
    return values


def _index(raw: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    return raw.astype(np.int64) & (2**layout.bits_stored - 1)


def _palette(dataset: Any, layout: PixelLayout) -> NDArray[np.uint8]:
    """The colour of every possible sample, `(2**bits, 3)` uint8."""
    from pydicom.pixel_data_handlers.util import apply_color_lut

    if layout.bits_stored > 16:
        raise ImageError(
            f"A palette indexes at most 16 bits; got {layout.bits_stored}. Convert the file to RGB."
        )
    every = np.arange(2**layout.bits_stored, dtype=np.uint16)
    table = apply_color_lut(every.reshape(-1, 1), dataset).reshape(-1, 3)
    # Some writers declare 16-bit entries but store 8-bit ones.
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)


def _grey_reader(dataset: Any, layout: PixelLayout, read_raw: RawReader, encapsulated: bool) -> ReadFrame:
    def values(t: int) -> NDArray[Any]:
        raw = read_raw(t)
        return raw if encapsulated else _stored_values(raw, layout)

    unmapped = layout.bits_stored == 8 and not layout.signed and _mapping(dataset) is None
    to_grey = Kept(lambda: _tabulated(_whole_file_mapping(dataset, layout, values), layout))

    def read_frame(t: int) -> Picture:
        picture = values(t).astype(np.uint8) if unmapped else to_grey()(values(t))
        return np.invert(picture) if layout.photometric == "MONOCHROME1" else picture

    return read_frame


def _whole_file_mapping(dataset: Any, layout: PixelLayout, values: RawReader) -> ToGrey:
    mapping = _mapping(dataset)
    if mapping is not None:
        return mapping
    if layout.bits_stored < 8:
        lowest = _lowest(layout)
        return Window(lowest, lowest + 2**layout.bits_stored - 1).apply
    return percentile_window(values, layout.frames).apply


def _tabulated(mapping: ToGrey, layout: PixelLayout) -> ToGrey:
    """The mapping as a look-up table over all possible values, for up to 16 bits."""
    if layout.bits_stored > 16:
        return mapping
    lowest = _lowest(layout)
    table = mapping(np.arange(lowest, lowest + 2**layout.bits_stored))
    return lambda values: table[np.clip(values.astype(np.int64) - lowest, 0, len(table) - 1)]


def _mapping(dataset: Any) -> ToGrey | None:
    """Stored values to grey by the file's VOI LUT or first window; None when it has neither."""
    from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi

    rescale = functional_group(dataset, "PixelValueTransformationSequence", dataset)
    voi = functional_group(dataset, "FrameVOILUTSequence", dataset)
    if voi.get("VOILUTSequence"):
        bits = int(voi.VOILUTSequence[0].LUTDescriptor[2])
        return lambda v: Window(0, 2**bits - 1).apply(apply_voi(apply_modality_lut(v, rescale), voi))
    centre, width = numbers(voi, "WindowCenter"), numbers(voi, "WindowWidth")
    if not centre or not width or width[0] <= 0:
        return None
    c, w = centre[0], width[0]
    function = str(voi.get("VOILUTFunction", "LINEAR") or "LINEAR")
    if function == "SIGMOID":
        return lambda v: Window(0, 1).apply(1 / (1 + np.exp(-4 * (apply_modality_lut(v, rescale) - c) / w)))
    # PS3.3 C.11.2.1.2: the ends of LINEAR lie half a value further in than those of LINEAR_EXACT.
    half, middle = (w / 2, c) if function == "LINEAR_EXACT" else ((w - 1) / 2, c - 0.5)
    window = Window(middle - half, middle + half)
    return lambda v: window.apply(apply_modality_lut(v, rescale))
