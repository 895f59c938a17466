"""Frame readers: checks of index and shape, and values that are decoded once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.files import DAMAGE, damaged, decoding
from uniultra.images.types import Picture

ReadFrame = Callable[[int], Picture]


def checked_reader(
    read: ReadFrame,
    shape: tuple[int, int, int],
    channels: int,
    kind: str,
    damage: tuple[type[Exception], ...] = DAMAGE,
) -> ReadFrame:
    """Wrap `read` so that it checks the frame's index, and the picture against `shape` and `channels`.

    Exceptions in `damage`, which decoders raise, become an `ImageError` about a `kind` of file.
    """
    frames, *plane = shape
    expected = (*plane, 3) if channels == 3 else tuple(plane)

    def read_frame(t: int) -> Picture:
        if not 0 <= t < frames:
            raise ImageError(
                f"Frame {t} does not exist: the image has frames 0 to {frames - 1}. Send one of these."
            )
        with decoding(kind, damage):
            picture = read(t)
        if picture.shape != expected:
            raise damaged(kind)
        return picture

    return read_frame


class Kept:
    """A value computed at the first call and kept; computed once even if several threads call."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load, self._lock = load, threading.Lock()
        self._value: Any = None

    def __call__(self) -> Any:
        if self._value is None:
            with self._lock:
                if self._value is None:
                    self._value = self._load()
        return self._value


RawReader = Callable[[int], NDArray[Any]]
