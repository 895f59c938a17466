"""What the panel does: every decision, without Qt and without knowing MRML.

Everything here is called on the GUI's thread and returns at once; what takes time goes to a worker, and what
comes of it is taken in `poll()`, which a timer calls about every 30 ms.
"""

from __future__ import annotations

from typing import Optional, Tuple

from .core import Settings
from .link import MakeClient, make_client
from .prompt_verbs import PromptVerbs
from .scene_side import SceneSide
from .server_verbs import ServerVerbs


class Controller(ServerVerbs, PromptVerbs):
    """The panel's decisions over one scene and one server.

    Args:
        scene: the side of the panel that is Slicer's scene.
        make: makes the client of an address and a key.
        settings: what is remembered; nothing is by default.
    """

    def __init__(
        self, scene: SceneSide, make: MakeClient = make_client, *, settings: Optional[Settings] = None
    ) -> None:
        super().__init__(scene, make, settings)
        self._offs = [
            scene.on("closed", self._closed),
            scene.on("segments", self.frame_changed),
            scene.on("segment_removed", self._segment_removed),
            scene.on("painted", self._painted),
            scene.on("frame", lambda _frame: self.frame_changed()),
            scene.on("view", self.frame_changed),
        ]
        self._changed()

    def select_segment(self, segment: Optional[str]) -> None:
        """Prompts belong to this segment from now on."""
        self._viewing.segment = segment
        self._changed()

    def add_segment(
        self, name: str = "", colour: Optional[Tuple[float, float, float]] = None
    ) -> Optional[str]:
        """Add a segment and choose it; its id. Without a name, it is the campaign's next structure."""
        made = self._try(lambda: self._viewing.add_segment(name, colour))
        self._changed()
        return made

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts."""
        self._try(lambda: self.scene.remove_segment(segment))
        self._changed()

    def reload_prompts(self, segment: str) -> None:
        """What the scene keeps with a segment was replaced: take that; what could be undone is forgotten."""
        self._editing.forget_segment(segment)
        self._changed()

    def accept(self, done: bool = True) -> None:
        """The frame (of a still or volume: all of it) is done, or with False is not."""
        shown = self._viewing.shown
        if shown is not None:
            self._try(lambda: self.scene.set_done(shown.frame or 0, done))
            self._changed()

    def close(self) -> None:
        """The panel goes: nothing is asked any more, the scene stays as it is."""
        for off in self._offs:
            if callable(off):
                off()
        self._listeners.clear()
        for worker in (self._asks, self._tasks, self._prefetching):
            worker.close()
        self._link.disconnect()

    def _closed(self) -> None:
        self._consent = None
        self._auto.cancel()
        self._editing.forget()
        self._asks.cancel()
        self._images.forget(self._link.client)
        self._prefetching.forget()
        self._viewing.segment = None
        self._changed()

    def _painted(self, segment: str) -> None:
        shown = self._viewing.shown
        if shown is not None:
            self._try(lambda: self._editing.painted(shown, segment))
        self._changed()

    def _segment_removed(self, segment: str) -> None:
        self._editing.forget_segment(segment)
        self._changed()
