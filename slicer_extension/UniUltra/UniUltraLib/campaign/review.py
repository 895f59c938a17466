"""Reviewing: list labels, open one on its image, give a verdict, compare two readers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, List, Sequence, Tuple

from ..control.observable import Observable
from ..control.state import State
from ..errors import AnsweredError, SceneError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_types import APPROVED, FINAL, RETURNED, Agreement, Campaign, ToReview
from ..wire.client import Client
from .campaign import CampaignWork
from .state import ReviewState


class ReviewWork(Observable[ReviewState]):
    """A reviewer's work, on the same scene and server as the campaign's.

    Args:
        work: the campaign's work; it opens the images.
    """

    def __init__(self, work: CampaignWork) -> None:
        super().__init__(ReviewState())
        self._work, self.controller, self._tell = work, work.controller, work.context.tell
        self._address, self._refused = "", False
        self._sources = [
            self.controller.subscribe(self._controller_changed),
            work.scene.on("closed", lambda: self._set(item=None, version=None, agreement=None)),
        ]
        self._controller_changed(self.controller.state)

    def list(self, states: Sequence[str] = (FINAL,)) -> None:
        """List the labels in these states: `final` (not reviewed), `returned`, `approved`, `flagged`."""
        states = tuple(states)

        def done(answer: Tuple[List[ToReview], Any]) -> None:
            items, counts = answer
            self._set(busy=False, states=states, items=tuple(items), counts=tuple(sorted(counts.items())))

        self._run(lambda client: campaign_calls.to_review(client, states), done, "Listing labels to review")

    def open(self, item: ToReview) -> None:
        """Open a label on its image: its masks in the segments, its comments in the state."""
        frame = item.frames[0] if item.frames else 0

        def opened() -> None:
            self._set(item=item, version=self._work.current.resumed, agreement=None)

        self._work.units.open(item.image, frame, revision=item.revision, then=opened)

    def say(self, state: str, comment: str = "") -> None:
        """Give a verdict on the open label: `approved`, `returned` (with a comment), `flagged`, or `final`
        to withdraw an earlier one.

        If the reviewer has corrected the masks, an approval saves them as the reviewer's own label and
        approves that.
        """
        item, name, comment = self._state.item, self._work.context.annotator.name, comment.strip()
        if item is None:
            self._tell(SceneError("No label is open. Choose one in the list, and open it."))
        elif not name:
            self._tell(SceneError("A review is signed with a name. Enter your own name."))
        elif state == RETURNED and not comment:
            self._tell(SceneError("A label is returned with a comment. Write what is to be corrected."))
        elif state == APPROVED and self._work.current.image == item.image and self._work.current.dirty:
            self._work.submit(FINAL, then=lambda revision: self._judge(item, revision, state, comment))
        else:
            self._judge(item, item.revision, state, comment)

    def compare(self) -> None:
        """Measure the agreement between the readers of the open image, and show their labels."""
        image = self._work.current.image
        if image is None:
            self._tell(SceneError("No image of the campaign is open. Open a label of the list first."))
            return

        def done(pairs: List[Agreement]) -> None:
            self._set(busy=False, agreement=tuple(pairs))
            readers = {pair.revisions[n]: pair.annotators[n] for pair in pairs for n in (0, 1)}
            if image == self._work.current.image:
                self._work.hide_beside()
                for revision, name in sorted(readers.items()):
                    self._work.show_beside(revision, f"{name}, r{revision}")

        self._run(lambda client: campaign_calls.agreement(client, image), done, "Comparing the readers")

    def _judge(self, item: ToReview, revision: int, state: str, comment: str) -> None:
        name = self._work.context.annotator.name

        def done(_: Any) -> None:
            left = tuple(other for other in self._state.items if other != item)
            self._set(busy=False, item=None, version=None, items=left)
            self.controller.notify(f"Revision {revision} is now {state}.")
            self.list(self._state.states)

        self._run(
            lambda client: campaign_calls.review(client, item.image, revision, state, name, comment),
            done,
            "Saving the review",
        )

    def _run(self, task: Callable[[Client], Any], done: Callable[[Any], None], what: str) -> None:
        def failed(error: UniUltraLibError) -> None:
            self._refused = self._refused or (isinstance(error, AnsweredError) and error.status in (401, 403))
            self._set(busy=False)
            self._controller_changed(self.controller.state)
            self._tell(error)

        self._set(busy=True)
        self.controller.run(task, done, failed, what=what)

    def _controller_changed(self, state: State) -> None:
        if state.address != self._address:
            self._address, self._refused = state.address, False
            self._set(items=(), counts=(), item=None, version=None, agreement=None, busy=False)
        self._set(offered="review" in Campaign.of(state.info).offers and not self._refused)

    def _set(self, **values: Any) -> None:
        self._publish(replace(self._state, **values))
