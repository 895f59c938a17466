"""The ITK geometry of a DICOM file, without reading its pixels or patient data.

ITK reads a whole cine for its spacing, and refuses some files that pydicom reads. So it reads a temporary
file of one pixel per frame with the same elements of position and scale.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from uniultra.errors import ImageError
from uniultra.images.dicom.codec import US_IMAGE
from uniultra.images.dicom.file import EXPLICIT, dicom_damage, made_dataset
from uniultra.images.dicom.layout import PixelLayout
from uniultra.images.itk import geometry_of, identity_geometry, read_header
from uniultra.images.types import Geometry

SPATIAL = (
    "Modality",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
    "EstimatedRadiographicMagnificationFactor",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameIncrementPointer",
    "GridFrameOffsetVector",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "SequenceOfUltrasoundRegions",
)


def read_geometry(dataset: Any, layout: PixelLayout) -> Geometry:
    """Size, spacing, origin and direction as read by ITK; identity where ITK finds none."""
    size = (layout.frames, layout.rows, layout.columns)
    if not any(keyword in dataset for keyword in SPATIAL[1:]):
        return identity_geometry(*size)
    refused: tuple[type[Exception], ...] = (ImageError, *dicom_damage())
    probe = _probe(dataset, layout.frames)
    try:
        with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
            path = Path(folder) / "header.dcm"
            probe.save_as(path, write_like_original=False)
            return geometry_of(read_header(path, "DICOM"), *size)
    except refused:
        return identity_geometry(*size)


def _probe(dataset: Any, frames: int) -> Any:
    probe = made_dataset(str(dataset.get("SOPClassUID", "") or US_IMAGE), EXPLICIT)
    for keyword in SPATIAL:
        if keyword in dataset:
            probe[keyword] = dataset[keyword]
    probe.Rows = probe.Columns = probe.SamplesPerPixel = 1
    probe.NumberOfFrames = frames
    probe.BitsAllocated = probe.BitsStored = 8
    probe.HighBit, probe.PixelRepresentation = 7, 0
    probe.PhotometricInterpretation = "MONOCHROME2"
    probe.PixelData = bytes(frames + frames % 2)
    probe["PixelData"].VR = "OB"
    return probe
