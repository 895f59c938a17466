"""Label files: where they lie and which ones are taken."""

from __future__ import annotations

import re
from pathlib import Path

from uniultra.errors import RequestError
from uniultra.store.ids import is_tag, split_name
from uniultra.store.scan import LABELS

# lossless, and decodable by ITK
EXTENSIONS = (".nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".mha", ".png", ".bmp", ".tif", ".tiff")
_MAX_BYTES = 4 << 30
# NRRD and MetaImage headers may name another file that holds the voxels: any file of the server
_NRRD_HEADER = re.compile(rb".*?\r?\n\r?\n", re.DOTALL)
_NRRD_DATA_FILE = re.compile(rb"^data ?file\s*:", re.IGNORECASE | re.MULTILINE)
_META_DATA_FILE = re.compile(rb"^\s*ElementDataFile\s*=\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_MAX_HEADER = 1 << 20


def label_path(studies: Path, image_id: str, tag: str, ext: str) -> Path:
    """`<studies>/labels/<tag>/<id><ext>`, where MONAI Label's own store keeps it too."""
    return studies / LABELS / tag / f"{image_id}{ext}"


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


def check_decodable(path: Path) -> None:
    """Refuse a label file that cannot be read back whole.

    Raises:
        RequestError: ITK cannot read it, its voxels lie in another file, or its header asks for more
            than 4 GiB.
    """
    import itk

    refusal = RequestError(
        "Expected a label map that can be decoded; this file is damaged or of another format. "
        "Export it again as .nrrd."
    )
    if _voxels_elsewhere(path):
        raise refusal
    reader = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if reader is None:
        raise refusal
    try:
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        if int(reader.GetImageSizeInBytes()) > _MAX_BYTES:
            raise RequestError(f"A label may hold {_MAX_BYTES >> 30} GiB; its header asks for more.")
        itk.imread(str(path))
    except (RuntimeError, KeyError):  # ITK's text holds the path; KeyError: a pixel type without a wrapper
        raise refusal from None


def _voxels_elsewhere(path: Path) -> bool:
    if path.suffix not in (".nrrd", ".mha"):
        return False
    with path.open("rb") as file:
        start = file.read(_MAX_HEADER)
    if path.suffix == ".nrrd":
        header = _NRRD_HEADER.match(start)
        return header is None or _NRRD_DATA_FILE.search(header[0]) is not None
    named = _META_DATA_FILE.search(start)
    return named is None or named[1] != b"LOCAL"


def found_on_disk(studies: Path) -> dict[str, dict[str, str]]:
    """Labels that lie in the folder: id -> tag -> extension, the newest file of each."""
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
    found: dict[str, dict[str, str]] = {}
    for (image_id, tag), (_, ext) in sorted(newest.items()):
        found.setdefault(image_id, {})[tag] = ext
    return found
