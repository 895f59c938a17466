"""Pictures with a right way up, and DICOM files made to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from uniultra.demo import fetch_sample_dicom
from uniultra.errors import UniUltraError

ROWS, COLUMNS = 48, 72


@pytest.fixture(scope="session")
def grey() -> NDArray[np.uint8]:
    """(48,72): brighter to the right, a white block in the top left corner only."""
    picture = np.tile(np.linspace(10, 200, COLUMNS), (ROWS, 1)).astype(np.uint8)
    picture[:12, :20] = 255
    return picture


@pytest.fixture(scope="session")
def colour(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(48,72,3): the same with a red strip at the bottom and a blue one at the right."""
    picture = np.repeat(grey[..., np.newaxis], 3, axis=2)
    picture[-12:] = (200, 40, 30)
    picture[:, -16:] = (20, 60, 210)
    return picture


@pytest.fixture(scope="session")
def cine(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(6,48,72): the grey picture rolled down by 4 rows per frame."""
    return np.stack([np.roll(grey, 4 * t, axis=0) for t in range(6)])


@pytest.fixture
def make_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write a DICOM ultrasound file: pixels (or compressed frames), then any element by keyword."""

    def make(
        pixels: NDArray | None = None,
        *,
        frames: list[bytes] | None = None,
        syntax: str = ExplicitVRLittleEndian,
        implicit: bool = False,
        little: bool = True,
        data: bytes | None = None,
        rle: bool = False,
        name: str = "made.dcm",
        **elements: object,
    ) -> Path:
        path = tmp_path / name
        dataset = FileDataset(str(path), {}, preamble=bytes(128))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.is_implicit_VR, dataset.is_little_endian = implicit, little
        dataset.Modality, dataset.PatientName, dataset.PatientID = "US", "Secret^Name", "SECRET-ID"
        if pixels is not None:
            multi = pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] != 3)
            shape = pixels.shape[1:] if multi else pixels.shape
            dataset.Rows, dataset.Columns = shape[:2]
            dataset.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
            if multi:
                dataset.NumberOfFrames = len(pixels)
            bits = pixels.dtype.itemsize * 8
            dataset.BitsAllocated = dataset.BitsStored = bits
            dataset.HighBit = bits - 1
            dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
            dataset.PhotometricInterpretation = "RGB" if dataset.SamplesPerPixel == 3 else "MONOCHROME2"
            if dataset.SamplesPerPixel == 3:
                dataset.PlanarConfiguration = 0
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        if frames is not None:
            dataset.PixelData = encapsulate(frames)
            dataset["PixelData"].is_undefined_length = True
            dataset["PixelData"].VR = "OB"
        elif data is not None or pixels is not None:
            order = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")) if data is None else None
            raw = data if order is None else order.tobytes()
            dataset.PixelData = raw + b"\0" * (len(raw) % 2)
            dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
        if rle:
            dataset.compress(RLELossless)
        dataset.save_as(path, write_like_original=False)
        return path

    return make


@pytest.fixture(scope="session")
def wheel_samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The five ultrasound files of the pydicom 3.0.2 wheel."""
    try:
        return fetch_sample_dicom(tmp_path_factory.mktemp("wheel"))
    except UniUltraError as error:
        pytest.skip(f"the sample files cannot be fetched here: {error}")
