"""Pictures with a right way up, and DICOM files made to measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from numpy.typing import NDArray

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
    """Writes a DICOM file of a patient whose name and number are secret."""

    def make(pixels: NDArray | None = None, *, name: str = "made.dcm", **how: Any) -> Path:
        patient = {"PatientName": "Secret^Name", "PatientID": "SECRET-ID"}
        return factories.make_dicom(tmp_path / name, pixels, **{**patient, **how})

    return make


@pytest.fixture(scope="session")
def wheel_samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The five ultrasound files of the pydicom 3.0.2 wheel."""
    try:
        return fetch_sample_dicom(tmp_path_factory.mktemp("wheel"))
    except UniUltraError as error:
        pytest.skip(f"the sample files cannot be fetched here: {error}")
