"""Shared by the parts of the campaign's work: the controller, its newest state, calls to the server."""

from __future__ import annotations

from typing import Any, Callable

from ..control.scene_protocol import SceneSide
from ..control.state import ONLINE, Problem, State
from ..control.worker import JobCancelled
from ..errors import SceneError, UniUltraLibError
from ..wire.campaign_types import Campaign
from ..wire.client import Client
from .annotators import AnnotatorError, checked_name
from .fetch_unit import Annotator


class CampaignContext:
    """The connected server's campaign, as one annotator sees it.

    Args:
        controller: the panel's; its worker makes the calls.
        scene: the controller's scene.

    Attributes:
        seen: the controller's newest state.
        changed: called when the campaign's state may have changed.
    """

    def __init__(self, controller: Any, scene: SceneSide) -> None:
        self.controller, self.scene = controller, scene
        self.seen: State = controller.state
        self.changed: Callable[[], None] = lambda: None

    @property
    def online(self) -> bool:
        """Whether the server answers."""
        return self.seen.connection == ONLINE

    @property
    def address(self) -> str:
        """The server's address."""
        return self.seen.address

    @property
    def campaign(self) -> Campaign:
        """The server's campaign; empty if it has none."""
        return Campaign.of(self.seen.info)

    @property
    def annotator(self) -> Annotator:
        """Who labels; the name is empty while none is entered."""
        return Annotator(" ".join(self.seen.annotator.split()), self.campaign.readers > 1)

    def can_work(self) -> bool:
        """Whether units can be requested; if not, the problem says why."""
        try:
            checked_name(self.annotator.name)
            if not self.online:
                raise SceneError("The server does not answer now. Your work is kept; try again later.")
        except (AnnotatorError, SceneError) as error:
            self.tell(error)
            return False
        return True

    def run(
        self, task: Callable[[Client], Any], done: Callable[[Any], None], failed: Any = None, *, what: str
    ) -> None:
        """Run a call; see `Link.run`. `done` is never called after the person connected to another server."""
        self.controller.run(task, done, failed, what=what)
        self.changed()

    def attempt(self, action: Callable[..., Any], *values: Any) -> bool:
        """Call an action; returns whether it succeeded. If not, the problem says why."""
        try:
            action(*values)
        except UniUltraLibError as error:
            self.tell(error)
            return False
        return True

    def tell(self, error: UniUltraLibError) -> None:
        """Show an error as the problem, unless the person cancelled."""
        if not isinstance(error, JobCancelled):
            self.controller.tell(Problem.of(error))
