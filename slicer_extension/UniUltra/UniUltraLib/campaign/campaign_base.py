"""What happens to the campaign's work: answers of the server, events of the scene, and the state of all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from ..control.observable import Observable
from ..control.scene_protocol import SceneSide
from ..control.state import OFFLINE, ONLINE, Problem, State
from ..control.worker import JobCancelled
from ..errors import UniUltraLibError
from ..prompts.shown import Shown
from ..wire.campaign_types import FINAL, Campaign
from ..wire.client import Client
from .annotators import AnnotatorError, checked_name, name_warning
from .current_unit import InHand, Load
from .effort import Effort
from .fetch_unit import Annotator
from .lease import Leasing
from .outbox import Sending, Sent
from .spool import Spool, Unsent
from .state import CampaignState, Conflicted

_WATCHED = ("connection", "info", "annotator", "strategies", "shown", "clicks")


class CampaignCore(Observable[CampaignState]):
    """What the campaign's work rests on: its state, its calls, and what happens to it. See `CampaignWork`."""

    def __init__(
        self,
        controller: Any,
        scene: SceneSide,
        *,
        load: Load,
        downloads: Path,
        spool: Optional[Path] = None,
        unload: Optional[Callable[[Any], None]] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(CampaignState())
        self.controller, self.scene = controller, scene
        self.effort = Effort(clock)
        self.hand = InHand(scene, load, unload)
        self._downloads = downloads
        self._leasing = Leasing(controller, self._lease_ended, clock)
        self._sending = Sending(controller, Spool(spool), self._sent, self._tell, self._changed, clock)
        self._seen: State = controller.state
        self._strategy, self._conflict = "", Conflicted("", 0)
        self._after: Dict[str, Callable[[int], None]] = {}
        self._losses: Dict[str, str] = {}
        self._adopting: Optional[str] = None
        self._opening = self._nothing_left = False
        self._clicks = 0
        self._sources = [
            controller.subscribe(self._controller_changed),
            scene.on("closing", self._keep_draft),
            scene.on("closed", self._scene_closed),
            scene.on("painted", lambda _segment: self.touch()),
            scene.on("frame", lambda _frame: self.touch()),
            scene.on("view", self.touch),
        ]
        self._changed()

    # -- what is shown ----------------------------------------------------------------------------------

    def poll(self) -> None:
        """Renew the lease, send what waits; the timer that polls the controller calls this too."""
        if self._online:
            self._leasing.tick(self.effort.active)
            self._sending.tick(self._seen.address)

    def touch(self) -> None:
        """The person did something: the time counts."""
        self.effort.touch()

    def choose_strategy(self, name: str) -> None:
        """How the next image is chosen from now on."""
        self._strategy = name
        self._changed()

    def unsent(self) -> List[Unsent]:
        """What the server does not have yet; those it refused say why (`refused`)."""
        return self._sending.spool.waiting(self._seen.address)

    @property
    def name(self) -> str:
        """The annotator's; empty while there is none."""
        return self._who.name

    def _adopt(self, image: str, frame: int) -> None:
        """Go on with an image that was opened without our doing."""
        raise NotImplementedError

    def _keep_draft(self) -> bool:
        """Keep unsaved work as a draft."""
        raise NotImplementedError

    # -- inside -----------------------------------------------------------------------------------------

    @property
    def _online(self) -> bool:
        return self._seen.connection == ONLINE

    @property
    def _campaign(self) -> Campaign:
        return self._state.campaign

    @property
    def _who(self) -> Annotator:
        return Annotator(" ".join(self._seen.annotator.split()), self._campaign.readers > 1)

    def _sent(self, sent: Sent) -> None:
        entry, hand = sent.entry, self.hand
        here = entry.image is not None and entry.image == hand.image
        if sent.newer is not None:
            self._conflict = Conflicted(
                entry.key, sent.newer.revision, sent.newer.annotator, sent.newer.made, entry.tag, here
            )
            self._tell(sent.newer)
            return
        if here and sent.revision is not None:
            hand.bases[entry.tag] = max(hand.bases[entry.tag], sent.revision)
            if entry.tag == FINAL:
                hand.saved = sent.revision
                lease, frames = self._leasing.held, entry.params.get("frames")
                any_frame = frames is None or self._campaign.frames == "first"
                if lease is not None and (any_frame or lease.unit.frame in frames):
                    self._leasing.let_go()  # of a later frame of the same cine, it goes on
        saved = f"Saved as revision {sent.revision}."
        self.controller.notify(" ".join((saved, self._losses.pop(entry.key, ""))).strip())
        after = self._after.pop(entry.key, None)
        if after is not None and sent.revision is not None:
            self._changed()
            after(sent.revision)

    def _conflicting(self) -> Optional[Unsent]:
        """The first label that needs a decision."""
        return next((one for one in self.unsent() if one.newer is not None), None)

    def _lease_ended(self) -> None:
        self.controller.notify(
            "Your time for this image is over: somebody else may get it too. You can still submit; should a "
            "newer label stand by then, you will be asked."
        )
        self._changed()

    def _scene_closed(self) -> None:
        self.hand.forget()
        self.effort.stop()
        self._changed()

    def _controller_changed(self, state: State) -> None:
        before, self._seen = self._seen, state
        if state.clicks > self._clicks:
            self.effort.touch(state.clicks - self._clicks)
        self._clicks = state.clicks
        if state.answered_by is not None and state.shown is not None and state.shown.key == self.hand.image:
            self.hand.made_by = (state.answered_by, state.adapter)
        if state.connection == OFFLINE and before.connection != OFFLINE:
            self._sending.forget_call()
            self._opening = False
        self._look_at(state.shown)
        if state.connection == ONLINE and before.connection != ONLINE:
            self._sending.hurry()
            self._sending.flush(state.address)
        if any(getattr(before, name) is not getattr(state, name) for name in _WATCHED):
            self._changed()

    def _look_at(self, shown: Optional[Shown]) -> None:
        """Go on with an image of the campaign that somebody opened without us."""
        image = shown.image_id if shown is not None else None
        if image is None or shown is None:
            self._adopting = None
        elif self._online and self.hand.unit is None and not self._opening and self._adopting != image:
            self._adopting = image
            self._adopt(image, shown.frame or 0)

    def _run(
        self, task: Callable[[Client], Any], done: Callable[[Any], None], failed: Any = None, *, what: str
    ) -> None:
        address = self._seen.address

        def here(value: Any) -> None:
            if address == self._seen.address:
                done(value)
            else:  # the person connected to another server meanwhile
                self._opening = False

        self.controller.run(task, here, failed, what=what)
        self._changed()

    def _try(self, action: Callable[[], Any]) -> bool:
        try:
            action()
        except UniUltraLibError as error:
            self._tell(error)
            return False
        return True

    def _tell(self, error: UniUltraLibError) -> None:
        if not isinstance(error, JobCancelled):
            self.controller.tell(Problem.of(error))

    def _changed(self) -> None:
        state = self._now()
        self._publish(state)

    def _now(self) -> CampaignState:
        seen, hand, name = self._seen, self.hand, self._who.name
        campaign = Campaign.of(seen.info)
        offered = {"leases", "versions", "masks", "geometry"} <= campaign.offers
        problem = _name_problem(name)
        waiting = self.unsent()
        conflicting = next((one for one in waiting if one.newer is not None), None)
        free = offered and self._online and not problem and not self._opening
        leased = self._leasing.held is not None and self._leasing.held.address == seen.address
        return CampaignState(
            campaign=campaign,
            offered=offered,
            name_problem=problem,
            name_warning=name_warning(name) or "",
            strategies=seen.strategies if offered else (),
            strategy=self._strategy if self._strategy in seen.strategies else next(iter(seen.strategies), ""),
            unit=hand.unit,
            position=_position(hand),
            leased=leased and not self._leasing.ended,
            lease_ended=leased and self._leasing.ended,
            opening=self._opening,
            nothing_left=self._nothing_left,
            resumed=hand.resumed,
            proposals=hand.proposals,
            submitted=hand.submitted,
            saved=hand.saved,
            unsent=len(waiting),
            conflict=self._told(conflicting),
            compared=bool(hand.beside.ids),
            can_next=free,
            can_submit=hand.unit is not None and not problem and not self._opening,
            can_skip=free and hand.unit is not None and leased,
            seconds=self.effort.seconds,
            clicks=self.effort.clicks,
        )

    def _told(self, entry: Optional[Unsent]) -> Optional[Conflicted]:
        if entry is None or entry.newer is None:
            return None
        here = entry.image is not None and entry.image == self.hand.image
        known = self._conflict if self._conflict.key == entry.key else Conflicted(entry.key, entry.newer)
        return Conflicted(entry.key, entry.newer, known.annotator, known.made, entry.tag, here)


def _name_problem(name: str) -> str:
    try:
        checked_name(name)
    except AnnotatorError as error:
        return str(error)
    return ""


def _position(hand: InHand) -> str:
    if hand.unit is None or hand.place is None or not hand.cine:
        return ""
    return f"frame {hand.unit.frame + 1} of {hand.place.size[2]}"
