"""Masks without prompts: of what is shown, or of one frame after the other."""

from __future__ import annotations

import time
from typing import Callable, List, Optional

from ..errors import SceneError, ServerError, ServerUnreachable, UniUltraLibError
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
    """Asks a model without prompts, a frame at a time so that clicks go between and cancel is prompt.

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
        """Segment what is shown, or every frame or slice along its axis; `changed` is called at each mask.

        Raises:
            SceneError: there is no server with such a model, or the image cannot be exported.
        """
        if self.model is None or self._link.connection != ONLINE:
            raise SceneError("No server with a model that needs no prompt is connected. Connect to one.")
        every = [at(shown, index) for index in range(planes_along(shown))] if all_frames else [shown]
        self._left = [picture for picture in every if picture is not None] or [shown]
        self._total, self._since = len(self._left), time.monotonic()
        self._next(segment, changed)

    def cancel(self) -> None:
        """Leave the rest as it is."""
        self._left = []
        self._worker.cancel(lambda ticket: ticket.key == _KEY)

    def _next(self, segment: str, changed: Callable[[], None]) -> None:
        shown, client, model = self._left[0], self._link.client, self.model
        if client is None or model is None:
            self._left = []
            return
        reference = self._images.reference(shown)

        def job(ticket: Ticket) -> Answer:
            source = reference.ready(client, ticket)
            return client.infer(model, {"plane": shown.plane.to_dict()}, shown.shape, **source)

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
            if isinstance(error, ServerUnreachable) and isinstance(error, ServerError):
                self._link.lost(error)
            else:
                self._tell(Problem.of(error))

        ticket = self._worker.submit(job, done, failed, what="Segmenting", key=_KEY)
        ticket.since = self._since
        if self._total > 1:
            ticket.progress = 1 - len(self._left) / self._total
