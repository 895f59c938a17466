"""An image on its way to the server: one multipart form, read piece by piece so that progress shows."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Callable, Optional, Union

Source = Union[bytes, str, Path]
Report = Callable[[float], None]

_ENDINGS = re.compile(
    r"((?:\.nii|\.seq|\.igs)?\.(?:nrrd|nii|gz|mha|mhd|dcm|png|jpe?g|bmp|tiff?|mp4|avi))$", re.IGNORECASE
)
_BOUNDARY = "uniultra-3f7c0d6b1e5a4982"
BLOCK = 64 * 1024


class Form:
    """The body of a request with one file; `report` gets the share (0..1) that was read of it.

    What `report` raises ends the request.
    """

    content_type = f"multipart/form-data; boundary={_BOUNDARY}"

    def __init__(self, name: str, file: io.BufferedIOBase, report: Optional[Report] = None) -> None:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        tail = f"\r\n--{_BOUNDARY}--\r\n"
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._parts = [io.BytesIO(head.encode("ascii")), file, io.BytesIO(tail.encode("ascii"))]
        self._size = len(head) + size + len(tail)
        self._read = 0
        self._report = report

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `BLOCK`; none at the end."""
        if self._report is not None:
            self._report(self._read / self._size)
        size = BLOCK if size < 0 else min(size, BLOCK)
        while self._parts:
            found = self._parts[0].read(size)
            if found:
                self._read += len(found)
                return found
            self._parts.pop(0)
        return b""


def hash_of(image: Source) -> str:
    """The name of an image: SHA-256 of its bytes, hex."""
    digest = hashlib.sha256()
    if isinstance(image, bytes):
        digest.update(image)
    else:
        with Path(image).open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def ending_of(image: Source) -> str:
    """The ending of an image's file; bytes are what `export` makes, NRRD."""
    if isinstance(image, bytes):
        return ".nrrd"
    found = _ENDINGS.search(Path(image).name)
    return found.group(1).lower() if found else ""
