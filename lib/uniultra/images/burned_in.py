"""What a file says about a patient's identity that is drawn into its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from uniultra.errors import ImageError
from uniultra.images.dicom.file import read_dicom_file
from uniultra.images.files import DICOM_ENDINGS, file_ending, has_dicom_magic

BurnedIn = Literal["yes", "no", "unknown"]


def burned_in(path: Path) -> BurnedIn:
    """Whether the pixels show who the patient is, by Burned In Annotation (0028,0301).

    Scanners write names and dates into the picture itself, and leave the attribute out as often as not; a
    file of another format never says. Pictures to be passed on need a look unless it is `no`.
    """
    if file_ending(path) not in DICOM_ENDINGS and not has_dicom_magic(path):
        return "unknown"
    try:
        said = str(read_dicom_file(path).dataset.get("BurnedInAnnotation", "") or "").strip().upper()
    except ImageError:
        return "unknown"
    return "yes" if said == "YES" else "no" if said == "NO" else "unknown"
