"""Prompt requests: only the newest of each segment and picture is sent, older ones are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ..errors import SceneError, ServerTimeout, ServerUnreachable, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.history import Moment, Timeline
from ..prompts.kinds import MASK
from ..prompts.shown import Shown
from .connection import Link
from .image_reference import ImageReferences
from .scene_protocol import Place, place_of
from .state import ONLINE, Problem
from .worker import Ticket, Worker

# How often a prompt is sent automatically when the connection is lost.
MAX_TRIES = 3


@dataclass(frozen=True, eq=False)
class PromptRequest:
    """Prompts without an answer: where they were placed, and the moment in the history to be answered."""

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
        worker: makes the requests.
        images: how the server names the image.
        answered: called with a request and its answer, unless the request was dropped meanwhile.
        tell: called with a problem.
        ask_consent: called when the image may not be uploaded without consent.

    Attributes:
        model: the model that answers; None without a server.
        annotator: whose lease the server renews at each prompt.
        waiting: the requests without an answer, by `PromptRequest.key`, oldest first.
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
        """Send a request, now or as soon as a server is connected; it replaces an earlier one of its key."""
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
            return reference.ask(client, partial(client.infer, model, params, shape), ticket)

        def done(answer: Answer) -> None:
            if self.waiting.get(request.key) is request:
                del self.waiting[request.key]
                self._answered(request, answer)

        def failed(error: UniUltraLibError) -> None:
            if self.waiting.get(request.key) is request:
                self._failed(request, error)

        self._worker.submit(job, done, failed, what="Asking the model", key=request.key)

    def again(self, all_of_them: bool = False) -> None:
        """Send unanswered requests again.

        Args:
            all_of_them: also those that were sent `MAX_TRIES` times, because the person asks for it.
        """
        waiting = list(self.waiting.values())
        for request in waiting:
            if all_of_them:
                request.moment.tries = 0
            if request.moment.tries < MAX_TRIES:
                self.send(request)
        if any(request.moment.tries >= MAX_TRIES for request in waiting):
            cause = f"the last prompt got no answer in {MAX_TRIES} tries."
            step = "Look at the server's log, try again, or change the prompt."
            self._tell(Problem(self._link.address, cause, step))

    def drop(self, wanted: Callable[[PromptRequest], bool]) -> List[PromptRequest]:
        """Drop the requests for which `wanted` is true, and return them; late answers are ignored."""
        dropped = {key: request for key, request in self.waiting.items() if wanted(request)}
        for key in dropped:
            del self.waiting[key]
        self._worker.cancel(lambda ticket: ticket.key in dropped)
        return list(dropped.values())

    def _params(self, request: PromptRequest, kinds: FrozenSet[str]) -> Dict[str, Any]:
        prompts = request.moment.prompts.only(kinds)  # they may have been placed for another model
        base = request.timeline.base_for(request.moment.prompts)
        if base is not None and base.mask is not None and MASK in kinds:
            prompts = prompts.with_previous(base.mask.array())
        who = {"annotator": self.annotator} if self.annotator else {}
        return {**prompts.to_params(), **who}

    def _failed(self, request: PromptRequest, error: UniUltraLibError) -> None:
        request.moment.tries += 1
        last_try = request.moment.tries >= MAX_TRIES
        if isinstance(error, ServerUnreachable) or (isinstance(error, ServerTimeout) and not last_try):
            self._link.lost(error)
        else:
            self._tell(Problem.of(error))

    def _tell_why_not(self) -> None:
        if self._link.client is None:
            self._tell(Problem("", "No server is connected.", "Connect to one; your prompt is sent then."))
        elif self._link.connection == ONLINE:
            cause = "the server has no model that takes prompts."
            step = "Start it with one, for example `--models uniultra_mini`."
            self._tell(Problem(self._link.address, cause, step))
