"""Opening units: the next one with its lease, any image by its ID, the image of a saved scene; skipping."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

from ..errors import SceneError, UniUltraLibError
from ..prompts.shown import Shown
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit
from ..wire.campaign_types import DRAFT, RETURNED
from . import fetch_unit
from .context import CampaignContext
from .current_unit import CurrentUnit
from .effort import Effort
from .fetch_unit import Fetched
from .lease import Lease, LeaseKeeper


class Units:
    """Fetches units on the worker's thread, opens them in the scene, and keeps the lease.

    Args:
        downloads: a folder for images while they are loaded.
        keep_draft: keeps unsaved work as a draft; returns whether another image may be opened.

    Attributes:
        opening: an image is being fetched.
        nothing_left: the server has no more units for this annotator.
        strategy: query strategy that picks the next unit.
    """

    def __init__(
        self,
        context: CampaignContext,
        current: CurrentUnit,
        leases: LeaseKeeper,
        effort: Effort,
        downloads: Path,
        keep_draft: Callable[[], bool],
    ) -> None:
        self._context, self._current, self._leases, self._effort = context, current, leases, effort
        self._downloads, self._keep_draft = downloads, keep_draft
        self._adopting: Optional[str] = None
        self.opening = self.nothing_left = False
        self.strategy = ""

    @property
    def have(self) -> Optional[str]:
        """The ID of the open image, if it is of the connected server; else None."""
        return self._current.image if self._current.address == self._context.address else None

    def next(self) -> None:
        """Ask for the next unit and open it; unsaved work is kept as a draft first."""
        if self.opening or not self._context.can_work() or not self._keep_draft():
            return
        who, have, folder, strategy = self._context.annotator, self.have, self._downloads, self.strategy
        self.opening, self.nothing_left = True, False

        def done(fetched: Optional[Fetched]) -> None:
            if fetched is None:
                self.nothing_left = True
                self._context.controller.notify("Nothing is left to label for you in this campaign.")
            else:
                self._take(fetched)
            self.opening = False
            self._context.changed()

        self._context.run(
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
        """Open any image of the campaign, without a lease; unsaved work is kept as a draft first.

        Args:
            revision: the version to show; by default the one to resume from.
            then: called when the image is open.
        """
        if self.opening or not self._context.can_work() or not self._keep_draft():
            return
        unit, who, folder, have = Unit(image, frame), self._context.annotator, self._downloads, self.have
        self.opening = True

        def done(fetched: Fetched) -> None:
            opened = self._take(fetched, leased=False)
            self.opening = False
            self._context.changed()
            if opened:
                then()

        self._context.run(
            lambda client: fetch_unit.fetch(client, unit, who, folder, have=image == have, revision=revision),
            done,
            self._not_opened,
            what="Opening the image",
        )

    def skip(self, reason: str, then_next: bool = True) -> None:
        """Skip the unit for good, with a reason; nothing that was drawn on it is saved."""
        unit, name = self._current.unit, self._context.annotator.name
        if unit is None or self.have is None or not self._context.can_work():
            return
        if not reason.strip():
            self._context.tell(SceneError("Skipping needs a reason. Choose one, or write it in a few words."))
            return

        def done(_: Any) -> None:
            if self._current.unit is unit:
                self._leases.let_go()
                self._current.keep()
            self._context.controller.notify("Skipped. You will not be asked for it again.")
            self._context.changed()
            if then_next:
                self.next()

        self._context.run(
            lambda client: campaign_calls.skip(client, unit, name, reason), done, what="Skipping"
        )

    def adopt(self, shown: Optional[Shown]) -> None:
        """Make an image that was opened otherwise, as with a saved scene, the current unit."""
        image = shown.image_id if shown is not None else None
        if image is None or shown is None:
            self._adopting = None
            return
        handled = self._current.unit is not None or self._adopting == image
        if handled or self.opening or not self._context.online:
            return
        self._adopting = image
        unit, who, folder = Unit(image, shown.frame or 0), self._context.annotator, self._downloads

        def done(fetched: Fetched) -> None:
            if self._current.unit is None and self._context.scene.image_id == image:
                labels = self._context.campaign.labels
                self._context.attempt(self._current.adopt, fetched, who, labels)
                self._current.address = self._context.address
                self._effort.start(0.0, self._context.seen.clicks)
                self._context.changed()

        def failed(_: UniUltraLibError) -> None:
            self._adopting = None  # the image is another server's, or the connection broke

        self._context.controller.run(
            lambda client: fetch_unit.fetch(client, unit, who, folder, have=True), done, failed, quiet=True
        )

    def _take(self, fetched: Fetched, leased: bool = True) -> bool:
        """Open a fetched unit, and end the lease of the one before unless a label or draft was made of it."""
        current, leases, name = self._current, self._leases, self._context.annotator.name
        # What was drawn while the unit was fetched is kept as a draft too.
        safe, kept = self._keep_draft(), current.drafted or current.submitted
        opened = safe and self._context.attempt(self._open, fetched)
        if leases.held is not None and (opened or current.unit is None):
            before = leases.let_go()
            if before is not None and not kept and not (opened and before.of(fetched.unit, name)):
                leases.give_back(before)
        lease = Lease(fetched.unit, name, self._context.address) if leased else None
        if opened:
            current.address = self._context.address
            current.asked = leased and self._context.campaign.frames != "first"
            if lease is not None:
                leases.hold(lease, self._context.campaign.lease_minutes)
        elif lease is not None and not (leases.held and leases.held.of(fetched.unit, name)):
            leases.give_back(lease)
        return opened

    def _open(self, fetched: Fetched) -> None:
        who, controller = self._context.annotator, self._context.controller
        for segment in self._current.open(fetched, who, self._context.campaign.labels):
            controller.reload_prompts(segment)
        resume = fetched.resume if fetched.masks is not None else None
        own = resume is not None and resume.annotator == who.name
        draft = resume if own and resume is not None and resume.tag == DRAFT else None
        self._effort.start(draft.seconds if draft else 0.0, draft.clicks if draft else 0)
        if own and resume is not None and resume.state == RETURNED:
            controller.notify(f"Returned by a reviewer: {resume.comment or 'without a word'}")
        elif draft is not None:
            controller.notify("Your draft is back.")

    def _not_opened(self, error: UniUltraLibError) -> None:
        self.opening = False
        self._context.tell(error)
        self._context.changed()
