"""Label files: accepted formats, and the files in `labels/`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from uniultra.errors import ImageError, RequestError
from uniultra.images.headers import read_meta_header, read_nrrd_header
from uniultra.images.itk import sitk
from uniultra.store.catalogue.ids import is_tag, split_name
from uniultra.store.paths import LABELS

# lossless, and decodable by ITK
EXTENSIONS = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".mha", ".png", ".bmp", ".tif", ".tiff")
_MAX_VOXELS = 1 << 31
# these headers may name another file that holds the voxels: any file beside them
_HEADERS = {".nrrd": read_nrrd_header, ".mha": read_meta_header}


def label_extension(name: str) -> str:
    """The extension of a label file's name, in lower case.

    Raises:
        RequestError: not a lossless format that labels may have.
    """
    ext = split_name(name)[1].lower()
    if ext not in EXTENSIONS:
        raise RequestError(
            f"A label is one of {', '.join(EXTENSIONS)}; got another file type. Export it as .nrrd."
        )
    return ext


def check_decodable(path: Path) -> Any:
    """Decode a label file completely; SimpleITK's image of it.

    Raises:
        RequestError: ITK cannot read it, its voxels are in another file, or its header declares too many.
    """
    refusal = RequestError(
        "Expected a label map that can be decoded; this file is damaged or of another format. "
        "Export it again as .nrrd."
    )
    try:
        if path.suffix in _HEADERS and len(_HEADERS[path.suffix](path).paths) > 1:
            raise refusal
        reader = sitk().ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        if math.prod(reader.GetSize()) * reader.GetNumberOfComponents() > _MAX_VOXELS:
            raise RequestError(f"A label may have {_MAX_VOXELS:,} voxels; its header declares more.")
        return reader.Execute()
    except (ImageError, RuntimeError):  # ITK's message contains the path
        raise refusal from None


def found_on_disk(studies: Path) -> dict[str, dict[str, str]]:
    """Label files in `labels/`: id -> tag -> extension, the newest file of each."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    root = studies / LABELS
    for folder in root.iterdir() if root.is_dir() else ():
        if not is_tag(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        for file in folder.iterdir():
            stem, ext = split_name(file.name)
            if file.name.startswith(".") or ext.lower() not in EXTENSIONS or file.is_symlink():
                continue
            key, age = (stem, folder.name), file.stat().st_mtime_ns
            if key not in newest or newest[key][0] < age:
                newest[key] = (age, ext)
    labels: dict[str, dict[str, str]] = {}
    for (image_id, tag), (_, ext) in sorted(newest.items()):
        labels.setdefault(image_id, {})[tag] = ext
    return labels
