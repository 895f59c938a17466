"""Small pictures of units, through the readers of all formats."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from uniultra.errors import ImageError
from uniultra.images import AxisKind, UltrasoundImage, read_image
from uniultra.images.types import Picture, Plane

SIDE = 360  # pixels of the longer side, at most
KEPT = 600
_Key = tuple[Path, int, int, int]


class Thumbnails:
    """JPEG pictures, the last ones kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, frame: int) -> tuple[str, bytes]:
        """ETag and JPEG of one frame; of a volume frame 0 is the middle, because all of it is one unit.

        Raises:
            ImageError: the file cannot be read, or has no such frame.
        """
        try:
            stat = path.stat()
        except OSError:
            raise ImageError("The image's file is gone. Load the page again.") from None
        key = (path, stat.st_mtime_ns, stat.st_size, frame)
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = encode(cropped(read_image(path), frame))
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return f'"{hashlib.sha256(found).hexdigest()[:32]}"', found


def cropped(image: UltrasoundImage, frame: int) -> Picture:
    """A frame, without what lies outside the ultrasound where the file says where that is.

    The margin is where scanners write names and dates.
    """
    if image.axis_kind is AxisKind.VOLUME and frame == 0:
        frame = image.shape[0] // 2
    picture = image.picture(Plane("k", frame))
    regions = [one for one in image.regions if one.x1 > one.x0 and one.y1 > one.y0]
    if not regions:
        return picture
    x0, y0 = max(0, min(one.x0 for one in regions)), max(0, min(one.y0 for one in regions))
    x1, y1 = max(one.x1 for one in regions), max(one.y1 for one in regions)
    part = picture[y0 : y1 + 1, x0 : x1 + 1]
    return np.ascontiguousarray(part) if part.size else picture


def encode(picture: Picture) -> bytes:
    """A small JPEG of a picture `(H,W)` or `(H,W,3)`."""
    from PIL import Image

    small = Image.fromarray(picture)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82, optimize=True)
    return file.getvalue()
