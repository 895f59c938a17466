"""Prompts on their way to a mask: the newest of each segment and picture is sent, older ones are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ..errors import SceneError, ServerError, ServerTimeout, ServerUnreachable, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.history import Moment, Timeline
from ..prompts.kinds import MASK
from ..prompts.shown import Shown
from .connection import Link
from .image_reference import ImageReferences
from .scene_protocol import Place, place_of
from .state import ONLINE, Problem
from .worker import Ticket, Worker

# How often a prompt is sent again without the person after a lost connection.
MAX_TRIES = 3


@dataclass(frozen=True, eq=False)
class PromptRequest:
    """Prompts without an answer: where they were given, and the moment that the answer belongs to."""

    shown: Shown
    segment: str
    timeline: Timeline
    moment: Moment

    @property
    def key(self) -> Tuple[Place, str]:
        """Only the newest request of a key is answered."""
        return place_of(self.shown), self.segment


class PromptRequests:
    """Sends prompts, and keeps those that have no answer yet.

    Args:
        link: the server.
        worker: where requests wait for their answers.
        images: how the server knows the image.
        answered: called with a request and its answer, if it is still wanted.
        tell: called with a problem.
        ask_consent: called when the person must agree before the image is sent.
    """

    def __init__(
        self,
        link: Link,
        worker: Worker,
        images: ImageReferences,
        answered: Callable[[PromptRequest, Answer], None],
        tell: Callable[[Problem], None],
        ask_consent: Callable[[], None],
    ) -> None:
        self._link, self._worker, self._images = link, worker, images
        self._answered, self._tell, self._ask_consent = answered, tell, ask_consent
        self.model: Optional[str] = None
        self.annotator = ""
        self.waiting: Dict[Tuple[Place, str], PromptRequest] = {}

    def send(self, request: PromptRequest) -> None:
        """Send, now or as soon as it is possible; an earlier request of the same place is dropped."""
        self.waiting.pop(request.key, None)
        self.waiting[request.key] = request
        client, model = self._link.client, self.model
        if self._link.connection != ONLINE or client is None or model is None:
            self._worker.cancel(lambda ticket: ticket.key == request.key)
            self._tell_why_not()
            return
        if not self._images.may_be_sent(request.shown, self._link.address):
            self._ask_consent()
            return
        try:
            reference = self._images.reference(request.shown)
        except SceneError as error:
            self._tell(Problem.of(error))
            return
        params = self._params(request, self._link.offers.kinds[model])
        shape = request.shown.shape

        def job(ticket: Ticket) -> Answer:
            source = reference.ready(client, ticket)
            return client.infer(model, params, shape, report=ticket.report, **source)

        def done(answer: Answer) -> None:
            if self.waiting.get(request.key) is request:
                del self.waiting[request.key]
                self._answered(request, answer)

        def failed(error: UniUltraLibError) -> None:
            if self.waiting.get(request.key) is request:
                self._failed(request, error)

        self._worker.submit(job, done, failed, what="Asking the model", key=request.key)

    def again(self, all_of_them: bool = False) -> None:
        """Send what has no answer: after a lost connection, or (`all_of_them`) at the person's wish."""
        waiting = list(self.waiting.values())
        for request in waiting:
            if all_of_them:
                request.moment.tries = 0
            if request.moment.tries < MAX_TRIES:
                self.send(request)
        if any(request.moment.tries >= MAX_TRIES for request in waiting):
            self._tell(
                Problem(
                    self._link.address,
                    f"the last prompt got no answer in {MAX_TRIES} tries.",
                    "Look at the server's log, try again, or change the prompt.",
                )
            )

    def drop(self, wanted: Callable[[PromptRequest], bool]) -> List[PromptRequest]:
        """Take back the requests for which `wanted` is true; answers that still come are dropped."""
        gone = [request for request in self.waiting.values() if wanted(request)]
        for request in gone:
            del self.waiting[request.key]
        keys = {request.key for request in gone}
        self._worker.cancel(lambda ticket: ticket.key in keys)
        return gone

    def _params(self, request: PromptRequest, kinds: FrozenSet[str]) -> Dict[str, Any]:
        prompts = request.moment.prompts.only(kinds)  # they may come from a time with another model
        base = request.timeline.base_for(request.moment.prompts)
        if base is not None and base.mask is not None and MASK in kinds:
            prompts = prompts.with_previous(base.mask.array())
        who = {"annotator": self.annotator} if self.annotator else {}
        return {**prompts.to_params(), **who}

    def _failed(self, request: PromptRequest, error: UniUltraLibError) -> None:
        request.moment.tries += 1
        unanswered = isinstance(error, (ServerUnreachable, ServerTimeout)) and isinstance(error, ServerError)
        if unanswered and not (isinstance(error, ServerTimeout) and request.moment.tries >= MAX_TRIES):
            self._link.lost(error)  # type: ignore[arg-type]
        else:
            self._tell(Problem.of(error))

    def _tell_why_not(self) -> None:
        if self._link.client is None:
            self._tell(Problem("", "No server is connected.", "Connect to one; your prompt is request then."))
        elif self._link.connection == ONLINE:
            self._tell(
                Problem(
                    self._link.address,
                    "the server has no model that takes prompts.",
                    "Start it with one, for example `--models uniultra_mini`.",
                )
            )
