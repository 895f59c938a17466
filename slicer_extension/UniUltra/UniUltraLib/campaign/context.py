"""What the parts of the campaign's work share: the controller, its newest state, calls to the server."""

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
        scene: the same scene.
    """

    def __init__(self, controller: Any, scene: SceneSide) -> None:
        self.controller, self.scene = controller, scene
        self.seen: State = controller.state
        self.changed: Callable[[], None] = lambda: None

    @property
    def online(self) -> bool:
        """The server answers."""
        return self.seen.connection == ONLINE

    @property
    def address(self) -> str:
        """Of the server."""
        return self.seen.address

    @property
    def campaign(self) -> Campaign:
        """What the server says of its campaign; an empty one where there is none."""
        return Campaign.of(self.seen.info)

    @property
    def annotator(self) -> Annotator:
        """Who works; the name is empty while none is given."""
        return Annotator(" ".join(self.seen.annotator.split()), self.campaign.readers > 1)

    def can_work(self) -> bool:
        """Whether the server can be asked for work; if not, the problem says why."""
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
        """See `ServerTasks.run`. `done` is never called after the person connected to another server."""
        self.controller.run(task, done, failed, what=what)
        self.changed()

    def attempt(self, action: Callable[..., Any], *values: Any) -> bool:
        """Whether an action succeeds; if not, the problem says why."""
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
