"""Frames encoded before they are clicked on, one after the other, when the device is idle."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from pathlib import Path

from uniultra.images.types import AxisKind, Plane
from uniultra.predict import Predictor
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.shutdown import unbroken

logger = logging.getLogger(__name__)
# Beyond this, the oldest wishes are of users who have scrolled on.
MOST = 16
_Wish = tuple[str, Path, AxisKind | None, Plane]


class Prefetch:
    """Wishes for frames, the newest fulfilled first, on a thread that no request waits for.

    Args:
        images: where opened images are kept.
    """

    def __init__(self, images: OpenImages) -> None:
        self._images = images
        self._wishes: OrderedDict[_Wish, Predictor] = OrderedDict()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def wish(self, predictor: Predictor, path: Path, axis_kind: AxisKind | None, plane: Plane) -> bool:
        """Ask for a frame; True when it is encoded already. One that cannot be encoded fails at its click."""
        image = self._images.peek(path, axis_kind)
        if image is not None and predictor.cached(image, plane):
            return True
        with self._wake:
            wish = (predictor.entry.name, path, axis_kind, plane)
            self._wishes[wish] = predictor
            self._wishes.move_to_end(wish)
            while len(self._wishes) > MOST:
                self._wishes.popitem(last=False)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
                self._thread.start()
            self._wake.notify()
        return False

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: bool(self._wishes))
                (_, path, axis_kind, plane), predictor = self._wishes.popitem()
            try:
                with unbroken():
                    predictor.prefetch(self._images.open(path, axis_kind), plane)
            except Exception as error:  # one picture that cannot be encoded stops no other
                logger.info("A picture could not be encoded ahead (%s).", type(error).__name__)
