"""Reads DICOM stills, cines and volumes as `UltrasoundImage`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uniultra.images.axis import choose_axis_kind
from uniultra.images.dicom.codec import COMPRESSED, check_syntax
from uniultra.images.dicom.colour import picture_reader
from uniultra.images.dicom.file import dicom_damage, read_dicom_file
from uniultra.images.dicom.geometry import read_geometry
from uniultra.images.dicom.layout import PixelLayout, read_layout
from uniultra.images.dicom.pixels import EncapsulatedFrames, NativeFrames
from uniultra.images.dicom.tags import (
    frame_times,
    plane_spacing,
    regions,
    suggested_axis_kind,
    volume_spacing,
)
from uniultra.images.files import content_hash, damaged, decoding
from uniultra.images.frames import ReadFrame, checked_reader
from uniultra.images.types import AxisKind, UltrasoundImage


def open_dicom(path: Path, requested: AxisKind | None) -> UltrasoundImage:
    """Read the header of a DICOM file; pixels are read frame by frame.

    Raises:
        ImageError: damaged, without pixels, or in a transfer syntax that cannot be decoded here.
    """
    file = read_dicom_file(path)
    check_syntax(file.syntax)
    encapsulated = file.syntax in COMPRESSED
    if encapsulated != (file.length is None):
        raise damaged("DICOM")
    with decoding("DICOM", dicom_damage()):
        layout = read_layout(file.dataset)
        source: Any = EncapsulatedFrames(file, layout) if encapsulated else NativeFrames(file, layout)
        read_frame = picture_reader(file.dataset, layout, source.read, encapsulated)
        return _describe(file.dataset, layout, content_hash([path]), requested, read_frame)


def _describe(
    dataset: Any, layout: PixelLayout, digest: str, requested: AxisKind | None, read_frame: ReadFrame
) -> UltrasoundImage:
    kind = choose_axis_kind(layout.frames, suggested_axis_kind(dataset, layout.frames), requested)
    listed = regions(dataset)
    plane = plane_spacing(dataset, listed)
    spacing = volume_spacing(dataset, plane) if kind is AxisKind.VOLUME else plane
    shape = (layout.frames, layout.rows, layout.columns)
    channels = 3 if layout.samples == 3 or layout.photometric == "PALETTE COLOR" else 1
    return UltrasoundImage(
        identity=str(dataset.get("SOPInstanceUID", "") or "") or f"sha256:{digest}",
        content_hash=digest,
        axis_kind=kind,
        shape=shape,
        channels=channels,
        geometry=read_geometry(dataset, layout),
        read_frame=checked_reader(read_frame, shape, channels, "DICOM", dicom_damage()),
        spacing_mm=spacing,
        regions=listed,
        frame_times_ms=frame_times(dataset, layout.frames) if kind is AxisKind.CINE else None,
    )
