"""Work in a campaign: submit labels, keep drafts, show other versions; without Qt and MRML.

All methods are called on the GUI's thread; calls to the server run on the controller's worker.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..control.observable import Observable
from ..control.scene_protocol import SceneSide
from ..control.state import OFFLINE, ONLINE, State
from ..errors import SceneError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_types import DRAFT, FINAL, Masks, Version
from ..wire.client import Client
from . import provenance
from .annotators import AnnotatorError, checked_name, name_warning
from .conflicts import Conflicts
from .context import CampaignContext
from .current_unit import CurrentUnit, Load
from .effort import Effort
from .label_map import LabelMap
from .lease import LeaseKeeper, while_closing
from .outbox import Outbox, Sent
from .spool import Spool, Unsent
from .state import CampaignState
from .units import Units

CLOSING_S = 3.0
_WATCHED = ("connection", "info", "annotator", "strategies", "shown", "clicks")


class CampaignWork(Observable[CampaignState]):
    """One person's work in the campaign of the connected server.

    Attributes:
        units: opens and skips units.
        current: the open unit.
        effort: the time and clicks spent on it.
        spool: the labels that the server does not have yet; `refused` says why it rejected one.
        conflicts: decides about labels that were not saved because a newer version exists.

    Args:
        controller: the panel's; its worker makes the calls.
        scene: the controller's scene.
        load: loads an image file: `load(file, id, kind)` returns the volume, or the sequence browser of a
            cine; kind is `still`, `cine` or `volume`. Raises `SceneError` if it cannot be loaded.
        downloads: a folder for images while they are loaded.
        spool: the folder of the labels that wait to be sent.
        unload: removes the node of an image that is no longer open.
    """

    def __init__(
        self,
        controller: Any,
        scene: SceneSide,
        *,
        load: Load,
        downloads: Path,
        spool: Path,
        unload: Callable[[Any], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(CampaignState())
        self.controller, self.scene = controller, scene
        self.context = context = CampaignContext(controller, scene)
        self.effort = Effort(clock)
        self.current = CurrentUnit(scene, load, unload)
        self._leases = LeaseKeeper(controller, self._lease_ended, clock)
        self.spool = Spool(spool)
        self._outbox = Outbox(controller, self.spool, self._settled, context.tell, self._changed, clock)
        self.units = Units(context, self.current, self._leases, self.effort, downloads, self._keep_draft)
        self.conflicts = Conflicts(
            context, self.current, self._outbox, self.units, self.show_beside, self.hide_beside
        )
        self._strategy = ""
        # By the key of an unsent label: what to add to the notice that it is saved, and what to call then.
        self._after: Dict[str, Tuple[str, Optional[Callable[[int], None]]]] = {}
        self._sources = [
            controller.subscribe(self._controller_changed),
            scene.on("closing", self._keep_draft),
            scene.on("closed", self._scene_closed),
            scene.on("painted", lambda _segment: self.effort.touch()),
            scene.on("frame", lambda _frame: self.effort.touch()),
            scene.on("view", self.effort.touch),
        ]
        context.changed = self._changed
        self._changed()

    def tick(self) -> None:
        """Renew the lease and send waiting labels when it is time; a timer calls this."""
        if self.context.online:
            self._leases.tick(self.effort.active)
            self._outbox.tick(self.context.address)

    def choose_strategy(self, name: str) -> None:
        """Choose the query strategy that picks the next image."""
        self._strategy = name
        self._changed()

    def close(self) -> None:
        """The panel closes: keep unsaved work as a draft, end the lease, send unsent labels.

        This waits for the server `CLOSING_S` at most. Close the controller after it.
        """
        self._keep_draft()
        lease, address = self._leases.let_go(), self.context.address
        if self.current.drafted or self.current.submitted:
            lease = None

        def last(client: Client) -> None:
            self._outbox.flush_on_closing(client, address)
            if lease is not None:
                lease.on(client, campaign_calls.release)

        client = self.controller.client
        if client is not None and self.context.online and (self._outbox.ready(address) or lease is not None):
            while_closing(client, last, CLOSING_S)
        super().close()

    # -- labels -----------------------------------------------------------------------------------------

    def submit(
        self, tag: str = FINAL, then_next: bool = False, then: Optional[Callable[[int], None]] = None
    ) -> bool:
        """Store the segments as a label and send it, now or as soon as the server answers.

        Args:
            tag: `final`, or `draft` to resume later, here or elsewhere.
            then_next: ask for the next unit once the server has the label.
            then: called with the revision once the server has the label.

        Returns:
            Whether the label is stored on this machine; if not, the problem says why.
        """
        current = self.current
        try:
            if current.unit is None:
                raise SceneError("No image of the campaign is open. Get the next one first.")
            label, frames = current.collected(tag)
            if tag == FINAL and self._submitted_already(label):
                self.controller.notify("This label was submitted already; nothing has changed since.")
                if then_next and current.saved is not None:
                    self.units.next()
                return True
            entry = self._add(tag, label, frames)
        except UniUltraLibError as error:
            self.context.tell(error)
            return False
        if label.loss:
            self.controller.notify(label.loss)
        if tag == FINAL:
            current.submit(label, frames)
        else:
            current.drafted = True
            current.keep(label)
        self._after[entry.key] = label.loss, then or ((lambda _: self.units.next()) if then_next else None)
        if self.context.online and current.address == self.context.address:
            self._outbox.flush(current.address)
        else:
            self.controller.notify("Kept on this machine. It is sent when its server answers again.")
        self._changed()
        return True

    def unsent(self) -> List[Unsent]:
        """The labels that the server does not have yet; `refused` says why it rejected one."""
        return self.spool.waiting(self.context.address)

    def discard(self, key: str) -> None:
        """Delete an unsent label."""
        self.spool.remove(key)
        self._changed()

    # -- other versions -----------------------------------------------------------------------------------

    def load_proposal(self, version: Optional[Version] = None) -> None:
        """Replace the segments' masks by a model's proposal, by default the newest, to correct it."""
        proposal = version or next(iter(reversed(self.current.proposals)), None)
        if proposal is None:
            return

        def put(masks: Masks) -> None:
            self.current.put(masks, over=True)
            self.current.made_by = (proposal.model, proposal.adapter)

        self._with_masks(proposal.revision, put, "Loading the proposal")

    def show_beside(self, revision: int, whose: str) -> None:
        """Show a version of the open image as additional segments, which are never saved."""
        place, labels = self.current.place, self.context.campaign.labels
        if place is not None:
            beside = self.current.beside
            self._with_masks(
                revision, lambda masks: beside.show(place, masks, whose, labels), "Loading a version"
            )

    def hide_beside(self) -> None:
        """Remove the segments that show other versions."""
        self.context.attempt(self.current.beside.hide)
        self._changed()

    # -- inside -------------------------------------------------------------------------------------------

    def _with_masks(self, revision: int, use: Callable[[Masks], None], what: str) -> None:
        image = self.units.have
        if image is None:
            return

        def done(masks: Masks) -> None:
            if image == self.current.image:
                self.context.attempt(use, masks)
                self._changed()

        self.context.run(lambda client: campaign_calls.masks(client, image, revision), done, what=what)

    def _keep_draft(self) -> bool:
        """Keep unsaved work as a draft; returns whether another image may be opened."""
        try:
            return not self.current.dirty or self.submit(DRAFT)
        except UniUltraLibError:
            return True  # the image was removed together with its node

    def _submitted_already(self, label: LabelMap) -> bool:
        """Whether `label` is the one submitted last, and the server has it or it is about to be sent."""
        current = self.current
        if not current.submitted or current.changed(label):
            return False
        ready = self._outbox.ready(current.address)
        return current.saved is not None or any(
            entry.names(current.image or "") and entry.tag == FINAL for entry in ready
        )

    def _add(self, tag: str, label: LabelMap, frames: Optional[List[int]]) -> Unsent:
        current, name = self.current, checked_name(self.context.annotator.name)
        image = current.image or ""
        model, adapter = current.made_by
        params = provenance.params_of(
            name,
            label,
            frames,
            seen_revision=current.bases[FINAL],
            seconds=round(self.effort.seconds, 1),
            clicks=self.effort.clicks,
            prompts=provenance.prompts_of(self.scene, current.segments(), image),
            model=model or None,
            adapter=adapter or None,
        )
        return self._outbox.add(current.address, image, tag, current.bases[tag], current.file(label), params)

    def _settled(self, sent: Sent) -> None:
        entry, current = sent.entry, self.current
        if sent.newer is not None:
            self.conflicts.came(sent)
            self.context.tell(sent.newer)
            return
        if sent.revision is None:
            return
        if entry.image is not None and entry.image == current.image:
            current.bases[entry.tag] = max(current.bases[entry.tag], sent.revision)
            if entry.tag == FINAL:
                current.saved = sent.revision
                lease, frames = self._leases.held, entry.params.get("frames")
                any_frame = frames is None or self.context.campaign.frames == "first"
                if lease is not None and (any_frame or lease.unit.frame in frames):
                    self._leases.let_go()  # a lease on a later frame of the same cine continues
        loss, then = self._after.pop(entry.key, ("", None))
        self.controller.notify(f"Saved as revision {sent.revision}. {loss}".strip())
        if then is not None:
            self._changed()
            then(sent.revision)

    def _lease_ended(self) -> None:
        self.controller.notify(
            "Your lease on this image has ended, so it may be given to someone else too. You can still "
            "submit. If a newer label is saved by then, you will be asked."
        )
        self._changed()

    def _scene_closed(self) -> None:
        self.current.forget()
        self.effort.stop()
        self._changed()

    def _controller_changed(self, state: State) -> None:
        before, self.context.seen = self.context.seen, state
        if state.clicks > before.clicks:
            self.effort.touch(state.clicks - before.clicks)
        here = state.shown is not None and state.shown.key == self.current.image
        if here and state.answered_by is not None:
            self.current.made_by = (state.answered_by, state.adapter)
        if state.connection == OFFLINE and before.connection != OFFLINE:
            self._outbox.forget_call()
            self.units.opening = False
        self.units.adopt(state.shown)
        if state.connection == ONLINE and before.connection != ONLINE:
            self._outbox.hurry()
            self._outbox.flush(state.address)
        if any(getattr(before, name) is not getattr(state, name) for name in _WATCHED):
            self._changed()

    def _changed(self) -> None:
        seen, current, name = self.context.seen, self.current, self.context.annotator.name
        campaign, units, lease = self.context.campaign, self.units, self._leases
        offered = {"leases", "versions", "masks", "geometry"} <= campaign.offers
        chosen = self._strategy in seen.strategies
        units.strategy = self._strategy if chosen else next(iter(seen.strategies), "")
        problem = _name_problem(name)
        free = offered and self.context.online and not problem and not units.opening
        leased = lease.held is not None and lease.held.address == seen.address
        self._publish(
            CampaignState(
                campaign=campaign,
                offered=offered,
                name_problem=problem,
                name_warning=name_warning(name) or "",
                strategies=seen.strategies if offered else (),
                strategy=units.strategy,
                unit=current.unit,
                position=current.position,
                leased=leased and not lease.ended,
                lease_ended=leased and lease.ended,
                opening=units.opening,
                nothing_left=units.nothing_left,
                resumed=current.resumed,
                proposals=current.proposals,
                submitted=current.submitted,
                saved=current.saved,
                unsent=len(self.unsent()),
                conflict=self.conflicts.state,
                compared=bool(current.beside.ids),
                can_next=free,
                can_submit=current.unit is not None and not problem and not units.opening,
                can_skip=free and current.unit is not None and leased,
                seconds=self.effort.seconds,
                clicks=self.effort.clicks,
            )
        )


def _name_problem(name: str) -> str:
    try:
        checked_name(name)
    except AnnotatorError as error:
        return str(error)
    return ""
