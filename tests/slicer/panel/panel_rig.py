"""A controller over Slicer's scene and any server, driven as the panel's timer does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer_harness  # noqa: F401  (skips the tests where slicer-core is missing)
from UniUltraLib.control.controller import Controller
from UniUltraLib.control.state import ONLINE, State
from UniUltraLib.prompts.shown import Edit
from UniUltraLib.scene.scene import SlicerScene
from UniUltraLib.wire.client import Client

SHAPE = (90, 120)


class Rig:
    """One panel; `seen` are all states that it was told."""

    def __init__(
        self,
        scene: Any,
        timeout: tuple[float, float] = (2.0, 30.0),
        settings: Any = None,
        wrap: Callable[[SlicerScene], Any] = lambda side: side,
    ) -> None:
        self.scene = wrap(SlicerScene(scene))
        self.clients: list[Client] = []
        self.timeout = timeout
        self.controller = Controller(self.scene, self.make, settings=settings)
        self.seen: list[State] = []
        self.controller.subscribe(self.seen.append)

    def make(self, address: str, key: str) -> Client:
        self.clients.append(Client(address, api_key=key or None, timeout=self.timeout))
        return self.clients[-1]

    @property
    def state(self) -> State:
        return self.controller.state

    def open(self, node: Any, image_id: str | None = None) -> None:
        self.scene.open(node, image_id)
        self.controller.frame_changed()

    def connect(self, address: str, key: str = "") -> None:
        self.controller.connect(address, key, "Dr. A")
        self.until(lambda: self.state.connection == ONLINE)

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        """Poll until it is so."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.state
            self.controller.poll()
            time.sleep(0.003)

    def settle(self) -> None:
        """Poll until nothing is under way or waits."""
        self.until(lambda: not self.state.can_cancel)

    def polls(self, seconds: float) -> None:
        """Poll for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.controller.poll()
            time.sleep(0.003)

    def point(self, key: str, x: int, y: int, positive: bool = True) -> None:
        """Place a point on what is shown, where a person would: in the world."""
        shown = self.scene.shown()
        world = self.scene.to_world(shown, [shown.plane.to_ijk(x, y)])[0]
        self.controller.point(key, world, positive)

    def click(self, key: str, x: int, y: int, positive: bool = True) -> None:
        self.point(key, x, y, positive)
        self.settle()

    def stroke(self, kind: str, *xy: tuple[float, float], positive: bool = True, width: float = 0.0) -> None:
        """Draw a prompt through pixels of what is shown."""
        shown = self.scene.shown()
        world = self.scene.to_world(shown, [shown.plane.to_ijk(x, y) for x, y in xy])
        self.controller.edit(Edit(kind, positive, world, width))
        self.settle()

    def mask(self, segment: str | None = None) -> np.ndarray:
        """What the segment holds on what is shown."""
        return self.scene.read(segment or self.state.segment, self.scene.shown())

    def paint(self, y: slice, x: slice, value: bool = True) -> None:
        """Paint into the chosen segment as Slicer's tools do, behind the panel's back."""
        shown, mask = self.scene.shown(), self.mask()
        mask[y, x] = value
        self.scene.image.write(self.state.segment, shown.plane, mask)

    def close(self) -> None:
        self.controller.close()
        self.scene.close()
