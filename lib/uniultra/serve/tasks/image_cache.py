"""Opened images, kept while people click on them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from uniultra.errors import ImageError
from uniultra.images import is_ultrasound_file, read_image
from uniultra.images.types import AxisKind, UltrasoundImage
from uniultra.store.errors import NotFoundError

_Key = tuple[Path, int, int, AxisKind | None]


class OpenImages:
    """The images opened last, bounded by the bytes their frames may take.

    An image opens once for all who ask at the same time, and again when its file has changed.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._images: OrderedDict[_Key, UltrasoundImage] = OrderedDict()
        self._opening: dict[_Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._images)

    def open(self, path: Path, axis_kind: AxisKind | None = None) -> UltrasoundImage:
        """The image in a file, or the only one in the folder of an upload.

        Raises:
            NotFoundError: the file is gone.
            ImageError: it cannot be read as ultrasound, or the folder holds several.
        """
        try:
            path = image_file(path)
            stat = path.stat()
        except OSError:
            raise NotFoundError("The image's file is gone. Ask /datastore/?output=all again.") from None
        key = (path, stat.st_mtime_ns, stat.st_size, axis_kind)
        with self._lock:
            if found := self._found(key):
                return found
            turn = self._opening.setdefault(key, threading.Lock())
        with turn:
            try:
                with self._lock:
                    if found := self._found(key):
                        return found
                image = read_image(path, axis_kind=axis_kind)
                self._keep(key, image)
                return image
            finally:
                with self._lock:
                    self._opening.pop(key, None)

    def peek(self, path: Path, axis_kind: AxisKind | None = None) -> UltrasoundImage | None:
        """The image in a file or in the folder of an upload, if it is open."""
        try:
            path = image_file(path)
            stat = path.stat()
        except (OSError, ImageError):
            return None
        with self._lock:
            return self._images.get((path, stat.st_mtime_ns, stat.st_size, axis_kind))

    def forget(self, path: Path) -> None:
        """Drop a file that will not be needed again."""
        with self._lock:
            for key in [k for k in self._images if k[0] == path]:
                del self._images[key]

    def _found(self, key: _Key) -> UltrasoundImage | None:
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def _keep(self, key: _Key, image: UltrasoundImage) -> None:
        with self._lock:
            self._images[key] = image
            total = sum(map(_bytes, self._images.values()))
            while total > self._max_bytes and len(self._images) > 1:
                total -= _bytes(self._images.popitem(last=False)[1])


def _bytes(image: UltrasoundImage) -> int:
    t, h, w = image.shape
    # the frames as 8 bits, which planes across them need, beside what was read of the file
    return t * h * w * image.channels + image.raw_bytes


def image_file(path: Path) -> Path:
    """The file itself, or the one readable image of an uploaded folder (a header and its data file make one).

    Raises:
        ImageError: the folder holds no image, or several.
    """
    if not path.is_dir():
        return path
    images = [file for file in sorted(path.iterdir()) if file.is_file() and is_ultrasound_file(file)]
    if len(images) != 1:
        raise ImageError(
            f"Expected one image in the upload; found {len(images)}. Upload one image for each session."
        )
    return images[0]
