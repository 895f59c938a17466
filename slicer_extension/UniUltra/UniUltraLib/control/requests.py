"""Prompts on their way to a mask: the newest of each segment and picture is asked, older ones are dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

from ..errors import SceneError, ServerError, ServerTimeout, ServerUnreachable, UniUltraLibError
from ..prompts.history import Moment, Timeline
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import Shown
from ..wire.client import Answer
from .connection import Link
from .image_reference import OwnImages
from .scene_protocol import Place, place_of
from .state import ONLINE, Problem
from .worker import Ticket, Worker

# How often a prompt is asked again by itself after a lost connection.
MAX_TRIES = 3


@dataclass(frozen=True, eq=False)
class Asked:
    """A prompt without an answer: where it was given, and the moment that the answer belongs to."""

    shown: Shown
    segment: str
    timeline: Timeline
    moment: Moment

    @property
    def key(self) -> Tuple[Place, str]:
        """The newest of these is the one that is answered."""
        return place_of(self.shown), self.segment


class Asking:
    """Asks, and keeps what has no answer yet.

    Args:
        link: the server.
        worker: where requests wait for their answers.
        images: how the server knows the image.
        answered: called with what was asked and its answer, if it is still wanted.
        told: called with a problem.
        consent: called when somebody must agree before the image is sent.
    """

    def __init__(
        self,
        link: Link,
        worker: Worker,
        images: OwnImages,
        answered: Callable[[Asked, Answer], None],
        told: Callable[[Problem], None],
        consent: Callable[[], None],
    ) -> None:
        self._link, self._worker, self._images = link, worker, images
        self._answered, self._told, self._consent = answered, told, consent
        self.model: Optional[str] = None
        self.annotator = ""
        self.waiting: Dict[Tuple[Place, str], Asked] = {}

    def ask(self, asked: Asked) -> None:
        """Ask, now or as soon as it is possible; an earlier one of the same place is dropped."""
        self.waiting.pop(asked.key, None)
        self.waiting[asked.key] = asked
        client, model = self._link.client, self.model
        if self._link.connection != ONLINE or client is None or model is None:
            self._worker.cancel(lambda ticket: ticket.key == asked.key)
            self._told_why_not()
            return
        if not self._images.may_be_sent(asked.shown, self._link.address):
            self._consent()
            return
        try:
            reference = self._images.reference(asked.shown)
        except SceneError as error:
            self._told(Problem.of(error))
            return
        params = self._params(asked, self._link.offers.kinds[model])
        shape = asked.shown.shape

        def job(ticket: Ticket) -> Answer:
            source = reference.ready(client, ticket)
            return client.infer(model, params, shape, report=ticket.report, **source)

        def done(answer: Answer) -> None:
            if self.waiting.get(asked.key) is asked:
                del self.waiting[asked.key]
                self._answered(asked, answer)

        def failed(error: UniUltraLibError) -> None:
            if self.waiting.get(asked.key) is asked:
                self._failed(asked, error)

        self._worker.submit(job, done, failed, what="Asking the model", key=asked.key)

    def again(self, all_of_them: bool = False) -> None:
        """Ask what has no answer: after a lost connection, or (`all_of_them`) because somebody wants it."""
        waiting = list(self.waiting.values())
        for asked in waiting:
            if all_of_them:
                asked.moment.tries = 0
            if asked.moment.tries < MAX_TRIES:
                self.ask(asked)
        if any(asked.moment.tries >= MAX_TRIES for asked in waiting):
            self._told(
                Problem(
                    self._link.address,
                    f"the last prompt got no answer in {MAX_TRIES} tries.",
                    "Look at the server's log, try again, or change the prompt.",
                )
            )

    def drop(self, wanted: Callable[[Asked], bool]) -> List[Asked]:
        """Take back what was asked where `wanted` says so; answers that still come are dropped."""
        gone = [asked for asked in self.waiting.values() if wanted(asked)]
        for asked in gone:
            del self.waiting[asked.key]
        keys = {asked.key for asked in gone}
        self._worker.cancel(lambda ticket: ticket.key in keys)
        return gone

    def _params(self, asked: Asked, kinds: FrozenSet[str]) -> Dict[str, Any]:
        prompts = _only(asked.moment.prompts, kinds)
        base = asked.timeline.base_for(asked.moment.prompts)
        if base is not None and base.mask is not None and "mask" in kinds:
            prompts = prompts.with_previous(base.mask.array())
        who = {"annotator": self.annotator} if self.annotator else {}
        return {**prompts.to_params(), **who}

    def _failed(self, asked: Asked, error: UniUltraLibError) -> None:
        asked.moment.tries += 1
        unanswered = isinstance(error, (ServerUnreachable, ServerTimeout)) and isinstance(error, ServerError)
        if unanswered and not (isinstance(error, ServerTimeout) and asked.moment.tries >= MAX_TRIES):
            self._link.lost(error)  # type: ignore[arg-type]
        else:
            self._told(Problem.of(error))

    def _told_why_not(self) -> None:
        if self._link.client is None:
            self._told(Problem("", "No server is connected.", "Connect to one; your prompt is asked then."))
        elif self._link.connection == ONLINE:
            self._told(
                Problem(
                    self._link.address,
                    "the server has no model that takes prompts.",
                    "Start it with one, for example `--models uniultra_mini`.",
                )
            )


def _only(prompts: PromptSet, kinds: FrozenSet[str]) -> PromptSet:
    """Without what a model does not take; prompts may come from a time with another model."""
    return replace(
        prompts,
        points=prompts.points if "point" in kinds else (),
        box=prompts.box if "box" in kinds else None,
        scribbles=prompts.scribbles if "scribble" in kinds else (),
        lasso=prompts.lasso if "lasso" in kinds else None,
    )
