"""Opens every supported format, chosen by the DICOM magic bytes, then by the file's ending."""

from __future__ import annotations

import os
from pathlib import Path

from uniultra.errors import ImageError
from uniultra.images import files
from uniultra.images.types import AxisKind, UltrasoundImage


def is_ultrasound_file(path: str | os.PathLike[str]) -> bool:
    """Whether `read_image` supports this kind of file; reads at most 132 bytes.

    True for a known ending (any case) and for DICOM under any other name. False for folders and
    unreadable files. The content of a file with a known ending is not checked.
    """
    path = Path(path)
    if not path.is_file():
        return False
    return files.file_ending(path) in files.ENDINGS or files.has_dicom_magic(path)


def read_image(path: str | os.PathLike[str], *, axis_kind: str | None = None) -> UltrasoundImage:
    """Open an ultrasound file (`uniultra.open`): reads its header and hash; frames are decoded on access.

    Pixels that the file stores as colour stay colour (`channels` 3), even where they look grey, so
    that Doppler is never lost. Transparent parts of a picture become black. The stored order of rows
    and columns is kept; an EXIF orientation is not applied.

    Args:
        path: PNG, JPEG, BMP, TIFF, NRRD, NIfTI, MetaImage, MP4, AVI, MOV, MKV or DICOM.
        axis_kind: `still`, `cine` or `volume`; None (default) takes what the file suggests.

    Raises:
        ImageError: no such file, a format or transfer syntax that is not supported, a damaged file, or
            an `axis_kind` that does not fit. Damage inside a compressed frame is found when it is read.

    A grey PNG of 48 x 64 pixels:

        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (64, 48), 90).save(folder / "still.png")
        >>> image = read_image(folder / "still.png")
        >>> image.axis_kind.value, image.shape, image.channels, image.spacing_mm
        ('still', (1, 48, 64), 1, None)
        >>> int(image.read_frame(0).max())
        90
    """
    path = Path(path)
    kind = _parse_axis_kind(axis_kind)
    if not path.is_file():
        raise ImageError("Expected an ultrasound file; the file does not exist. Check its name and folder.")
    try:
        return _open(path, kind)
    except OSError:
        raise ImageError(
            "Expected a readable file; the system denies access. Check its permissions."
        ) from None


def _open(path: Path, kind: AxisKind | None) -> UltrasoundImage:
    # Each format's libraries are imported with its first file.
    ending = files.file_ending(path)
    if path.stat().st_size == 0:
        raise ImageError("Expected an ultrasound file; it is empty. Copy or export it again.")
    if ending in files.DICOM_ENDINGS or files.has_dicom_magic(path):
        from uniultra.images.dicom.open import open_dicom

        return open_dicom(path, kind)
    if ending in files.PICTURE_ENDINGS:
        from uniultra.images.pictures import open_picture

        return open_picture(path, kind)
    if ending in files.ITK_ENDINGS:
        from uniultra.images.itk_files import open_itk

        return open_itk(path, kind)
    if ending in files.VIDEO_ENDINGS:
        from uniultra.images.video import open_video

        return open_video(path, kind)
    raise ImageError(
        "Expected DICOM or a file ending in "
        + ", ".join(sorted(files.ENDINGS))
        + ". Convert the file to one of these."
    )


def _parse_axis_kind(axis_kind: str | None) -> AxisKind | None:
    if axis_kind is None:
        return None
    try:
        return AxisKind(axis_kind)
    except ValueError:
        raise ImageError(
            "axis_kind must be still, cine or volume. Send one of them, or leave it out."
        ) from None
