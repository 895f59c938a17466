"""Fully automatic segmentation of the shown picture, or of every frame or slice in turn."""

from __future__ import annotations

import time
from functools import partial
from typing import Callable, List, Optional

from ..errors import SceneError, ServerUnreachable, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.shown import Shown
from .connection import Link
from .editing import Editing
from .image_reference import ImageReferences
from .scene_protocol import at, planes_along
from .state import ONLINE, Problem
from .worker import Ticket, Worker

_KEY = "auto"


class AutoSegmentation:
    """Asks a fully automatic model, one frame per request, so that clicks are answered in between and a
    cancellation takes effect at once.

    Args:
        tell: called with a problem.
    """

    def __init__(
        self,
        link: Link,
        worker: Worker,
        images: ImageReferences,
        editing: Editing,
        tell: Callable[[Problem], None],
    ) -> None:
        self._link, self._worker, self._images = link, worker, images
        self._editing, self._tell = editing, tell
        self.model: Optional[str] = None
        self._left: List[Shown] = []
        self._total = 0
        self._since = 0.0

    def start(self, shown: Shown, segment: str, all_frames: bool, changed: Callable[[], None]) -> None:
        """Segment the shown picture, or every frame or slice along its axis; `changed` is called after each.

        Raises:
            SceneError: no server with a fully automatic model is connected, or the image cannot be exported.
        """
        if self.model is None or self._link.connection != ONLINE:
            raise SceneError("No server with a fully automatic model is connected. Connect to one.")
        pictures = [at(shown, index) for index in range(planes_along(shown))] if all_frames else [shown]
        self._left = [picture for picture in pictures if picture is not None] or [shown]
        self._total, self._since = len(self._left), time.monotonic()
        self._next(segment, changed)

    def cancel(self) -> None:
        """Stop; the frames that are left stay as they are."""
        self._left = []
        self._worker.cancel(lambda ticket: ticket.key == _KEY)

    def _next(self, segment: str, changed: Callable[[], None]) -> None:
        shown, client, model = self._left[0], self._link.client, self.model
        if client is None or model is None:
            self._left = []
            return
        reference = self._images.reference(shown)

        def job(ticket: Ticket) -> Answer:
            params = {"plane": shown.plane.to_dict()}
            return reference.ask(client, partial(client.infer, model, params, shown.shape), ticket)

        def done(answer: Answer) -> None:
            self._left = self._left[1:]
            try:
                self._editing.take(shown, segment, answer)
                if self._left:
                    self._next(segment, changed)
            except UniUltraLibError as error:
                failed(error)
            changed()

        def failed(error: UniUltraLibError) -> None:
            self._left = []
            if isinstance(error, ServerUnreachable):
                self._link.lost(error)
            else:
                self._tell(Problem.of(error))

        ticket = self._worker.submit(job, done, failed, what="Segmenting", key=_KEY)
        ticket.since = self._since
        if self._total > 1:
            ticket.progress = 1 - len(self._left) / self._total
