"""Text headers of MetaImage and NRRD, checked before ITK opens the file.

ITK follows file names in a header and allocates what it declares; a hostile header could read other files
of the server or exhaust its memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from uniultra.errors import ImageError
from uniultra.images.files import damaged

MAX_HEADER_BYTES = 2**23
MAX_LINE_BYTES = 2**15
# Largest ratio of pixel bytes to stored bytes: of deflate, and of text with one digit per value.
EXPANSION = {"raw": 1, "text": 8, "gzip": 1040}


@dataclass(frozen=True)
class TextHeader:
    """Fields of a header and the file with the pixels.

    Attributes:
        fields: lower-case names to values as written.
        paths: the header file and, for detached pixels, the data file.
        encoding: raw, text, gzip or bzip2.
    """

    fields: dict[str, str]
    paths: tuple[Path, ...]
    encoding: str

    def check_declared(self, needed: int) -> None:
        """Refuse a declared size of `needed` bytes that the file cannot hold.

        Raises:
            ImageError: the declared size is larger than the stored bytes can hold.
        """
        stored = self.paths[-1].stat().st_size
        if self.encoding in EXPANSION and needed > stored * EXPANSION[self.encoding]:
            raise ImageError(
                f"Expected {needed} bytes of pixels as the header declares; the file holds {stored} "
                f"({self.encoding}). Copy or export it again."
            )


def read_meta_header(path: Path) -> TextHeader:
    """The header of a .mha or .mhd.

    Raises:
        ImageError: damaged, more than 4 dimensions, or pixels outside the header's folder.
    """
    fields: dict[str, str] = {}
    for line in _lines(path):
        name, separator, value = line.partition("=")
        if not separator:
            raise damaged("MetaImage")
        fields[name.strip().lower()] = value.strip()
        if name.strip().lower() == "elementdatafile":
            break
    if fields.get("ndims") not in ("2", "3", "4") or "elementdatafile" not in fields:
        raise damaged("MetaImage")
    data = fields["elementdatafile"]
    paths = (path,) if data.upper() == "LOCAL" else (path, _sibling(path, data))
    compressed = fields.get("compresseddata", "false").lower() == "true"
    encoding = "gzip" if compressed else "raw"
    if fields.get("binarydata", "true").lower() == "false":
        encoding = "text"
    for name in ("compresseddatasize", "headersize"):
        size = fields.get(name, "0")
        if not re.fullmatch(r"-?\d+", size) or int(size) > paths[-1].stat().st_size:
            raise damaged("MetaImage")
    return TextHeader(fields, paths, encoding)


def read_nrrd_header(path: Path) -> TextHeader:
    """The header of a .nrrd or .nhdr.

    Raises:
        ImageError: damaged, more than 5 dimensions, or pixels outside the header's folder.
    """
    fields: dict[str, str] = {}
    lines = _lines(path)
    if not lines or not lines[0].startswith("NRRD000"):
        raise damaged("NRRD")
    for line in lines[1:]:
        if not line:
            break
        name, separator, value = line.partition(":")
        if separator and not line.startswith("#"):
            fields[name.strip().lower()] = value.removeprefix("=").strip()
    if fields.get("dimension") not in ("2", "3", "4", "5"):
        raise damaged("NRRD")
    data = fields.get("data file", fields.get("datafile"))
    if data is None and path.suffix.lower() == ".nhdr":
        raise damaged("NRRD")
    paths = (path,) if data is None else (path, _sibling(path, data))
    names = {"gz": "gzip", "bz2": "bzip2", "ascii": "text", "txt": "text", "hex": "text"}
    encoding = fields.get("encoding", "raw").lower()
    return TextHeader(fields, paths, names.get(encoding, encoding))


def _lines(path: Path) -> list[str]:
    """Lines up to the pixels; an overlong line, which binary data is, ends the header."""
    lines: list[str] = []
    total = 0
    with path.open("rb") as handle:
        while line := handle.readline(MAX_LINE_BYTES):
            total += len(line)
            if len(line) >= MAX_LINE_BYTES or total > MAX_HEADER_BYTES:
                break
            lines.append(line.decode("latin-1").rstrip("\r\n"))
            if not lines[-1] or lines[-1].lower().startswith("elementdatafile"):
                break
    return lines


def _sibling(path: Path, name: str) -> Path:
    """The data file beside the header; no other file can be named."""
    if (
        name != Path(name).name
        or "\\" in name
        or ":" in name
        or "%" in name
        or name.split()[0] in (".", "..", "LIST")
    ):
        raise ImageError(
            "Expected the pixels in one file beside the header; the header names another place. Put "
            "header and pixels into one folder, or store both in one file."
        )
    data = path.with_name(name)
    if not data.is_file() or data.is_symlink():
        raise ImageError("Expected the file of pixels beside the header; it is missing. Copy both files.")
    return data
