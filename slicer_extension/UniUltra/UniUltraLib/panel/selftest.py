"""Self-test in a running Slicer, without a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from .keys import KEYS


class SelfTestError(Exception):
    """A check failed."""


def check_panel() -> None:
    """The module opens, takes a still image, shows its tools, and leaves Slicer as it was.

    Raises:
        SelfTestError: one of the checks failed; the text says which.
    """
    layout = slicer.app.layoutManager().layout
    slicer.util.selectModule("UniUltra")
    widget = slicer.modules.uniultra.widgetRepresentation().self()
    _check(widget.ui is not None and widget.panel is not None, "the panel was made")
    _check(len(widget.panel.shortcuts.made) == len(KEYS), "every key is made on entering")
    _check(widget.panel.timer.active, "the timer runs")
    image = np.tile(np.arange(80, dtype=np.uint8), (1, 60, 1))
    volume = slicer.util.addVolumeFromArray(image, name="UniUltra self-test")
    session = widget.logic.session
    session.open(volume)
    session.poll()
    state = session.controller.state
    _check(state.shown is not None and state.shown.size == (80, 60, 1), "the image is shown")
    one = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    _check(slicer.app.layoutManager().layout == one, "a still has one slice view")
    _check(not widget.ui.promptSection.isHidden(), "the section of the prompts is there")
    _check(widget.ui.includeButton.isHidden(), "without a server no tool is offered")
    _check_segment(session, widget.ui.segmentEditor)
    slicer.util.selectModule("Data")
    _check(not widget.panel.shortcuts.made, "no key is left on leaving")
    _check(slicer.app.layoutManager().layout == layout, "the layout is as it was")
    slicer.mrmlScene.Clear(0)
    _check(not session.scene.is_open, "closing the scene closes the image")


def _check_segment(session: Any, editor: Any) -> None:
    segment = session.controller.add_segment("self-test")
    shown = session.scene.shown()
    mask = np.zeros(shown.shape, bool)
    mask[10:20, 30:50] = True
    session.scene.write(segment, shown, mask)
    _check(
        bool((session.scene.read(segment, shown) == mask).all()), "a mask comes back from the segmentation"
    )
    session.poll()
    _check(editor.segmentationNode() is session.scene.segmentation, "Slicer's editor has the segmentation")
    _check(editor.currentSegmentID() == segment, "and the segment")


def _check(good: bool, what: str) -> None:
    if not good:
        raise SelfTestError(f"Expected that {what}; it does not hold.")
