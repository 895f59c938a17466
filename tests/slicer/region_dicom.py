"""DICOM headers with ultrasound regions, as scanners write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

TWO_SIDES = [  # two pictures side by side, of different scale, the right one's y axis pointing up
    {"bounds": (0, 0, 49, 59), "delta": (0.02, 0.01)},
    {"bounds": (50, 0, 99, 59), "delta": (-0.03, 0.05)},
]


def write_dicom(file: Path, regions: list[dict[str, Any]], **elements: Any) -> Path:
    """A header with ultrasound regions: bounds, `delta` (y,x) in `units` (3 is cm), format and type."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = pydicom.uid.generate_uid()
    header.is_little_endian, header.is_implicit_VR = True, False
    header.PatientName = "Doe^Jane"
    header.SequenceOfUltrasoundRegions = []
    for told in regions:
        item = Dataset()
        keys = ("MinX0", "MinY0", "MaxX1", "MaxY1")
        for key, value in zip(keys, told["bounds"], strict=True):
            setattr(item, f"RegionLocation{key}", value)
        item.RegionSpatialFormat, item.RegionDataType = told.get("format", 1), told.get("type", 1)
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = told.get("units", 3)
        item.PhysicalDeltaY, item.PhysicalDeltaX = told["delta"]
        header.SequenceOfUltrasoundRegions.append(item)
    if not regions:
        del header.SequenceOfUltrasoundRegions
    for key, value in elements.items():
        setattr(header, key, value)
    header.save_as(file, write_like_original=False)
    return file
