"""Work in a campaign: the next image, its lease, drafts and labels, conflicts; without Qt, without MRML.

Called on the GUI's thread; what takes time is done by the controller's worker. What is submitted is on the
disk before it is sent, and leaves it when the server has it.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, List, Optional

from ..errors import SceneError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit
from ..wire.campaign_types import DRAFT, FINAL, RETURNED, Masks, Version
from ..wire.client import Client
from . import fetch_unit, provenance
from .annotators import AnnotatorError, checked_name
from .campaign_base import CampaignCore
from .fetch_unit import Fetched
from .label_map import LabelMap
from .lease import Lease, while_closing
from .outbox import deliver
from .spool import Unsent

CLOSING_S = 3.0


class CampaignWork(CampaignCore):
    """One person's work in the campaign of the connected server.

    Args:
        controller: the panel's; its worker makes the calls.
        scene: the same scene.
        load: makes the node (volume, or sequence browser of a cine) of an image file: `load(file, id, kind)`,
            kind being `still`, `cine` or `volume`. Raises `SceneError` when it cannot.
        downloads: a folder for images while they are loaded.
        spool: a folder for labels that wait to be sent; None keeps them in memory.
        unload: called with the node of an image that is finished with; nothing is removed without it.
    """

    # -- units ------------------------------------------------------------------------------------------

    def next(self) -> None:
        """Ask for the next unit and open it; what was drawn since the last save is kept as a draft first."""
        if self._opening or not self._may_work() or not self._keep_draft():
            return
        who, have, folder, strategy = self._who, self._have, self._downloads, self._state.strategy
        self._opening, self._nothing_left = True, False

        def done(fetched: Optional[Fetched]) -> None:
            if fetched is None:
                self._nothing_left = True
                self.controller.notify("Nothing is left to label for you in this campaign.")
            else:
                self._take(fetched)
            self._opening = False
            self._changed()

        self._run(
            lambda client: fetch_unit.next_unit(client, strategy, who, have, folder),
            done,
            self._not_opened,
            what="Getting the next image",
        )

    def open(
        self,
        image: str,
        frame: int = 0,
        *,
        revision: Optional[int] = None,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Open any image of the campaign, without a lease; with `revision`, as that version has it.

        `then` is called when it is open. What was drawn since the last save is kept as a draft first.
        """
        if self._opening or not self._may_work() or not self._keep_draft():
            return
        unit, who, folder, have = Unit(image, frame), self._who, self._downloads, image == self._have
        self._opening = True

        def done(fetched: Fetched) -> None:
            opened = self._take(fetched, leased=False)
            self._opening = False
            self._changed()
            if opened:
                then()

        self._run(
            lambda client: fetch_unit.fetch(client, unit, who, folder, have=have, revision=revision),
            done,
            self._not_opened,
            what="Opening the image",
        )

    def skip(self, reason: str, then_next: bool = True) -> None:
        """Give the unit back for good, and say why; nothing that was drawn on it is saved."""
        unit, who = self.hand.unit, self._who
        if unit is None or self._have is None or not self._may_work():
            return
        if not reason.strip():
            self._tell(SceneError("Skipping needs a reason. Choose one, or say it in a few words."))
            return

        def done(_: Any) -> None:
            if self.hand.unit is unit:
                self._leasing.let_go()
                self.hand.keep()
            self.controller.notify("Skipped. You will not be asked for it again.")
            self._changed()
            if then_next:
                self.next()

        self._run(lambda client: campaign_calls.skip(client, unit, who.name, reason), done, what="Skipping")

    # -- labels -----------------------------------------------------------------------------------------

    def submit(
        self, tag: str = FINAL, then_next: bool = False, then: Optional[Callable[[int], None]] = None
    ) -> bool:
        """Keep what is drawn as a label and send it, now or as soon as the server answers.

        Args:
            tag: `final`, or `draft` to go on later, here or elsewhere.
            then_next: ask for the next unit once the server has it.
            then: called with its revision then.

        Returns:
            Whether it is kept; if not, the problem says why.
        """
        hand = self.hand
        if hand.unit is None:
            self._tell(SceneError("No image of the campaign is open. Get the next one first."))
            return False
        try:
            label, frames = hand.collected(tag)
            if tag == FINAL and self._submitted_already(label):
                self.controller.notify("This is submitted already; nothing was changed since.")
                if then_next and hand.saved is not None:
                    self.next()
                return True
            entry = self._add(tag, label, frames)
        except UniUltraLibError as error:
            self._tell(error)
            return False
        if label.loss:
            self._losses[entry.key] = label.loss
            self.controller.notify(label.loss)
        if tag == FINAL:
            hand.submit(label, frames)
        else:
            hand.drafted = True
            hand.keep(label)
        if then is not None or then_next:
            self._after[entry.key] = then or (lambda _: self.next())
        if self._online and hand.address == self._seen.address:
            self._sending.flush(hand.address)
        else:
            self.controller.notify("Kept on this machine. It is sent when its server answers again.")
        self._changed()
        return True

    def load_proposal(self, version: Optional[Version] = None) -> None:
        """Take a model's proposal, by default the newest, in place of what is drawn, to correct it."""
        found = version or next(iter(reversed(self.hand.proposals)), None)
        image = self._have
        if found is None or image is None:
            return

        def done(masks: Masks) -> None:
            if image == self.hand.image and self._try(lambda: self.hand.put(masks, over=True)):
                self.hand.made_by = (found.model, found.adapter)
                self._changed()

        self._run(
            lambda client: campaign_calls.masks(client, image, found.revision),
            done,
            what="Loading the proposal",
        )

    def show_newer(self) -> None:
        """Show the version that stands in the way beside mine, opening its image if that is not open."""
        entry, conflict = self._conflicting(), self._state.conflict
        if entry is None or conflict is None:
            return
        if entry.image is None:
            self._find(entry, self.show_newer)
            return
        if entry.image != self.hand.image:
            self.open(entry.image, then=lambda: self._bring_back(entry))
            return
        self.show_beside(conflict.revision, f"{conflict.annotator or 'newer'}, r{conflict.revision}")

    def save_on_top(self) -> None:
        """Save my label as the newest after all; the other version stays in the history."""
        entry = self._conflicting()
        if entry is not None:
            self._sending.spool.change(entry.key, base=entry.newer, newer=None)
            self._sending.flush(self._seen.address)
            self._changed()

    def give_up_mine(self) -> None:
        """Let the newer version stand: mine is not sent. What is drawn stays in the scene."""
        entry = self._conflicting()
        if entry is not None:
            self._sending.spool.remove(entry.key)
            if entry.image == self.hand.image and entry.newer is not None:
                self.hand.bases[entry.tag] = entry.newer
            self.hide_beside()

    def discard(self, key: str) -> None:
        """Give up an unsent label for good."""
        self._sending.spool.remove(key)
        self._changed()

    def show_beside(self, revision: int, whose: str) -> None:
        """Show a version of the open image beside the own segments, as segments that are never saved."""
        image, place, labels = self._have, self.hand.place, self._campaign.labels
        if image is None or place is None:
            return

        def done(masks: Masks) -> None:
            if image == self.hand.image:
                self._try(lambda: self.hand.beside.show(place, masks, whose, labels))
                self._changed()

        self._run(
            lambda client: campaign_calls.masks(client, image, revision), done, what="Loading a version"
        )

    def hide_beside(self) -> None:
        """Remove what was shown beside the own segments."""
        self._try(self.hand.beside.hide)
        self._changed()

    def close(self) -> None:
        """The panel goes: what is drawn is kept as a draft, the lease given back, unsent labels are sent.

        This waits for the server `CLOSING_S` at most. Close the controller after it.
        """
        self._keep_draft()
        lease, spool = self._leasing.let_go(), self._sending.spool
        if self.hand.drafted or self.hand.submitted:
            lease = None
        waiting = [one for one in self.unsent() if not one.refused and one.newer is None]

        def last(client: Client) -> None:
            for entry in waiting:
                with contextlib.suppress(UniUltraLibError):  # it is on the disk
                    if deliver(client, spool, entry, spool.label(entry)).revision is not None:
                        spool.remove(entry.key)
            if lease is not None:
                lease.on(client, campaign_calls.release)

        client = self.controller.client
        if client is not None and self._online and (waiting or lease is not None):
            while_closing(client, last, CLOSING_S)
        super().close()

    # -- inside -----------------------------------------------------------------------------------------

    @property
    def _have(self) -> Optional[str]:
        """The image of this server that is open here."""
        return self.hand.image if self.hand.address == self._seen.address else None

    def _may_work(self) -> bool:
        """Whether the server can be asked for work; if not, the problem says why."""
        try:
            checked_name(self._who.name)
        except AnnotatorError as error:
            self._tell(error)
            return False
        if not self._online:
            self._tell(SceneError("The server does not answer now. Your work is kept; try again later."))
            return False
        return True

    def _take(self, fetched: Fetched, leased: bool = True) -> bool:
        """Open what was fetched, and give back what was in hand before, where nothing was made of it."""
        # What was drawn while it was on its way is kept too.
        safe, kept = self._keep_draft(), self.hand.drafted or self.hand.submitted
        opened = safe and self._try(lambda: self._opened(fetched))
        before = self._leasing.held
        if before is not None and (opened or self.hand.unit is None):
            before = self._leasing.let_go()
            if before is not None and not kept and not (opened and before.of(fetched.unit, self._who.name)):
                self._leasing.give_back(before)
        lease = Lease(fetched.unit, self._who.name, self._seen.address) if leased else None
        if opened:
            self.hand.address = self._seen.address
            self.hand.asked = leased and self._campaign.frames != "first"
            if lease is not None:
                self._leasing.hold(lease, self._campaign.lease_minutes)
        elif lease is not None and not (
            self._leasing.held and self._leasing.held.of(fetched.unit, self._who.name)
        ):
            self._leasing.give_back(lease)
        return opened

    def _opened(self, fetched: Fetched) -> None:
        for segment in self.hand.open(fetched, self._who, self._campaign.labels):
            self.controller.reload_prompts(segment)
        resume = fetched.resume if fetched.masks is not None else None
        goes_on = resume is not None and resume.tag == DRAFT and resume.annotator == self._who.name
        seconds, clicks = (resume.seconds, resume.clicks) if resume is not None and goes_on else (0.0, 0)
        self._clicks = self.controller.state.clicks
        self.effort.start(seconds, clicks)
        if resume is not None and resume.state == RETURNED and resume.annotator == self.name:
            self.controller.notify(f"Returned by a reviewer: {resume.comment or 'without a word'}")
        elif goes_on:
            self.controller.notify("Your draft is back.")

    def _adopt(self, image: str, frame: int) -> None:
        unit, who, folder = Unit(image, frame), self._who, self._downloads

        def done(fetched: Fetched) -> None:
            if self.hand.unit is None and self.scene.image_id == image:
                self._try(lambda: self.hand.adopt(fetched, who, self._campaign.labels))
                self.hand.address = self._seen.address
                self.effort.start(0.0, self._seen.clicks)
                self._changed()

        def failed(_: UniUltraLibError) -> None:
            self._adopting = None  # it is another server's, or the connection broke

        self.controller.run(
            lambda client: fetch_unit.fetch(client, unit, who, folder, have=True), done, failed, quiet=True
        )

    def _keep_draft(self) -> bool:
        """Keep unsaved work as a draft; whether it is safe to open something else."""
        hand = self.hand
        try:
            dirty = hand.dirty
        except UniUltraLibError:
            return True  # the image went with its node
        return self.submit(DRAFT) if dirty else True

    def _submitted_already(self, label: LabelMap) -> bool:
        """Whether the label is the one that was submitted last, which the server has or will get."""
        hand = self.hand
        if not hand.submitted or hand.changed(label):
            return False
        on_its_way = any(
            one.names(hand.image or "") and one.tag == FINAL and not one.refused and one.newer is None
            for one in self._sending.spool.waiting(hand.address)
        )
        return on_its_way or hand.saved is not None

    def _add(self, tag: str, label: LabelMap, frames: Optional[List[int]]) -> Unsent:
        hand, name = self.hand, checked_name(self._who.name)
        image = hand.image or ""
        for old in self._sending.spool.waiting(hand.address):
            if old.names(image) and old.tag == tag and (old.refused or old.newer is not None):
                self._sending.spool.remove(old.key)  # this one takes its place
        model, adapter = hand.made_by
        params = provenance.params_of(
            annotator=name,
            frames=frames,
            names=label.names,
            hidden=label.packed_hidden()[0],
            seen=hand.bases[FINAL],
            seconds=self.effort.seconds,
            clicks=self.effort.clicks,
            model=model,
            adapter=adapter,
            prompts=provenance.prompts_of(self.scene, hand.segments(), image),
        )
        return self._sending.spool.add(hand.address, image, tag, hand.bases[tag], hand.file(label), params)

    def _find(self, entry: Unsent, then: Callable[[], None]) -> None:
        """Find out which image a label of an earlier session is of."""

        def done(found: Optional[Unsent]) -> None:
            if found is None:
                self._tell(
                    SceneError("This server no longer has the image of that label. Discard the label.")
                )
            else:
                spool.change(found.key, image=found.image)
                self._changed()
                then()

        spool = self._sending.spool
        self._run(lambda client: spool.resolve(entry, client.image_ids()), done, what="Looking for the image")

    def _bring_back(self, entry: Unsent) -> None:
        """Put an unsent label into the open image's segments, and show what stands in its way beside it."""
        if self._try(lambda: self.hand.put_label(self._sending.spool.label(entry), entry.params)):
            self.show_newer()

    def _not_opened(self, error: UniUltraLibError) -> None:
        self._opening = False
        self._tell(error)
        self._changed()
