"""Patient identity burned into the pixels, as declared by the file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from uniultra.errors import ImageError
from uniultra.images.dicom.file import read_dicom_file
from uniultra.images.files import DICOM_ENDINGS, file_ending, has_dicom_magic

BurnedIn = Literal["yes", "no", "unknown"]


def burned_in(path: Path) -> BurnedIn:
    """Whether the pixels identify the patient, by Burned In Annotation (0028,0301).

    Scanners write names and dates into the picture itself and often omit the attribute; other formats do
    not have it. Check pictures by eye before they are shared, unless it is `no`.
    """
    if file_ending(path) not in DICOM_ENDINGS and not has_dicom_magic(path):
        return "unknown"
    try:
        declared = str(read_dicom_file(path).dataset.get("BurnedInAnnotation", "") or "").strip().upper()
    except ImageError:
        return "unknown"
    return "yes" if declared == "YES" else "no" if declared == "NO" else "unknown"
