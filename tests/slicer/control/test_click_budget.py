"""What one click costs on the GUI's thread, counted in calls to the scene."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import scene_examples as examples
from panel_rig import SHAPE, Rig
from scripted_model import ScriptedModel, mask_at
from scripted_server import Scripted
from UniUltraLib.draw.prompt_markers import PromptMarkers

# From the point that Slicer placed until its request is on the way: what is shown is read once, and the mask
# once, for undo.
CLICK = {
    "pause": 1, "view_at": 1, "on_image": 1,
    "shown": 1, "segments": 1, "done_frames": 1,
    "voxel": 1, "read": 1, "save_prompts": 1,
}  # fmt: skip
# From the answer until its mask is in the segment: the mask is read once, as it may have been painted over.
ANSWER = {"read": 1, "write": 1}


class CountingScene:
    """A scene, of which the calls are counted."""

    def __init__(self, scene: Any) -> None:
        self._counted, self.calls = scene, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._counted, name)
        if not callable(value):
            return value

        def call(*values: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return value(*values, **named)

        return call


def test_a_click_reads_the_scene_no_more_than_it_needs(
    scene: Any, application: Any, server: Scripted
) -> None:
    rig = Rig(scene, wrap=CountingScene)
    model, counting = ScriptedModel(server, SHAPE), rig.scene
    markers = PromptMarkers(counting, application.logic, rig.controller.edit, print, print)
    rig.connect(server.address)
    rig.open(examples.still(), "still-1")
    rig.click("first", 20, 20)
    markers.show(rig.state.prompts, rig.state.shown)
    world = counting.to_world(rig.state.shown, [(60, 40, 0)])[0]

    counting.calls.clear()
    markers._points[True].AddControlPointWorld(*world)
    assert counting.calls == CLICK
    counting.calls.clear()
    rig.settle()
    assert counting.calls == ANSWER
    np.testing.assert_array_equal(rig.mask(), mask_at(SHAPE, (20, 20), (60, 40)))
    assert len(model.asked) == 2
    markers.close()
    rig.close()
