"""Conflicts: a label was not saved because a newer version exists; the person compares both and decides."""

from __future__ import annotations

from typing import Callable, Optional

from ..errors import SceneError
from .context import CampaignContext
from .current_unit import CurrentUnit
from .outbox import Outbox, Sent
from .spool import Unsent
from .state import LabelConflict
from .units import Units


class Conflicts:
    """The decision about the oldest label in the outbox that conflicts with a newer version.

    Args:
        show_beside: shows a version, by revision, as additional segments, named after a text.
        hide_beside: removes these segments.
    """

    def __init__(
        self,
        context: CampaignContext,
        current: CurrentUnit,
        outbox: Outbox,
        units: Units,
        show_beside: Callable[[int, str], None],
        hide_beside: Callable[[], None],
    ) -> None:
        self._context, self._current, self._outbox, self._units = context, current, outbox, units
        self._show_beside, self._hide_beside = show_beside, hide_beside
        self._newest = LabelConflict("", 0)

    def came(self, sent: Sent) -> None:
        """The server did not save a label. Who saved the newer one is known in this session only."""
        if sent.newer is not None:
            newer = sent.newer
            self._newest = LabelConflict(sent.entry.key, newer.revision, newer.annotator, newer.made)

    @property
    def state(self) -> Optional[LabelConflict]:
        """The conflict to decide; None without one."""
        entry = self._first
        if entry is None or entry.newer is None:
            return None
        here = entry.image is not None and entry.image == self._current.image
        newest = self._newest if self._newest.key == entry.key else LabelConflict(entry.key, entry.newer)
        return LabelConflict(entry.key, entry.newer, newest.annotator, newest.made, entry.tag, here)

    def show_newer(self) -> None:
        """Show the newer version beside the annotator's own; their image is opened if it is not open."""
        entry, conflict = self._first, self.state
        if entry is None or conflict is None:
            return
        if entry.image is None:
            self._find_image(entry)
        elif entry.image != self._current.image:
            self._units.open(entry.image, then=lambda: self._bring_back(entry))
        else:
            self._show_beside(conflict.revision, f"{conflict.annotator or 'newer'}, r{conflict.revision}")

    def save_on_top(self) -> None:
        """Save the annotator's label as the newest version; the other one stays in the history."""
        entry = self._first
        if entry is not None:
            self._outbox.spool.change(entry.key, base=entry.newer, newer=None)
            self._outbox.flush(self._context.address)
            self._context.changed()

    def discard(self) -> None:
        """Accept the newer version: the annotator's label is not sent, but stays in the scene."""
        entry = self._first
        if entry is not None:
            self._outbox.spool.remove(entry.key)
            if entry.image == self._current.image and entry.newer is not None:
                self._current.bases[entry.tag] = entry.newer
            self._hide_beside()

    @property
    def _first(self) -> Optional[Unsent]:
        unsent = self._outbox.spool.waiting(self._context.address)
        return next((entry for entry in unsent if entry.newer is not None), None)

    def _find_image(self, entry: Unsent) -> None:
        """Look up the image of a label of an earlier session, then show the newer version."""

        def done(resolved: Optional[Unsent]) -> None:
            if resolved is None:
                text = "This server no longer has the image of that label. Discard the label."
                self._context.tell(SceneError(text))
            else:
                self._outbox.spool.change(resolved.key, image=resolved.image)
                self._context.changed()
                self.show_newer()

        self._context.run(
            lambda client: entry.resolved(client.image_ids()), done, what="Looking for the image"
        )

    def _bring_back(self, entry: Unsent) -> None:
        """Put an unsent label into the segments of the open image, and show the newer version beside it."""
        if self._context.attempt(
            lambda: self._current.put_label(self._outbox.spool.label(entry), entry.params)
        ):
            self.show_newer()
