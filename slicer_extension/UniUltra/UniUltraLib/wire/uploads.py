"""An image as the body of an upload: one multipart form, read in blocks so that progress can be reported."""

from __future__ import annotations

import io
from typing import Callable, Optional

Report = Callable[[float], None]

_BOUNDARY = "uniultra-3f7c0d6b1e5a4982"
# The name says nothing about the image; the server reads the format from its extension.
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="image.nrrd"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
BLOCK = 64 * 1024


class Form:
    """The body of a request with one NRRD file.

    Args:
        content: the file.
        report: called with the fraction (0..1) read so far; an exception ends the request.
    """

    content_type = f"multipart/form-data; boundary={_BOUNDARY}"

    def __init__(self, content: bytes, report: Optional[Report] = None) -> None:
        self._parts = [io.BytesIO(part) for part in (_HEAD, content, _TAIL)]
        self._size = len(_HEAD) + len(content) + len(_TAIL)
        self._read = 0
        self._report = report

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `BLOCK`; empty at the end."""
        if self._report is not None:
            self._report(self._read / self._size)
        size = BLOCK if size < 0 else min(size, BLOCK)
        while self._parts:
            block = self._parts[0].read(size)
            if block:
                self._read += len(block)
                return block
            self._parts.pop(0)
        return b""
