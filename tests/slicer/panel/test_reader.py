"""A reader at work, scripted: an echo cine of a campaign, through the whole panel, with mouse and keyboard.

Slicer's libraries, Qt, the panel and the server are real. Set UNIULTRA_PICTURES to a folder to have the
pictures of docs/slicer.md saved there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from panel_case import PanelCase, make_campaign, opened_panel
from server_process import ECHO_CINE as CINE
from server_process import echo_cine, running_server
from slicer_harness import needs_rendering, slicer

VENTRICLE, ATRIUM = "left ventricle", "left atrium"
# Pixels (x,y) of the apical four-chamber view: the cavity of the ventricle, its wall, the bright septum.
BOX = ((150, 62), (180, 100), (210, 146))
INSIDE, WALL = (182, 100), (150, 70)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs_rendering()
    file = echo_cine(tmp_path_factory.mktemp("sample"))
    if file is None:
        pytest.skip("the echo cine is neither in ../shared nor to be had from the package registry")
    studies = tmp_path_factory.mktemp("studies")
    shutil.copyfile(file, studies / f"{CINE}.dcm")
    instructions = "Outline the cavity at the inner edge of the wall; leave papillary muscles in."
    make_campaign(studies, "Echo pilot", (VENTRICLE, ATRIUM), instructions, "--frames", "all")
    with running_server(studies, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def panel(application: Any, scene: Any, tmp_path: Path, address: str) -> Iterator[PanelCase]:
    with opened_panel(application, tmp_path, (700, 760)) as opened:
        opened.connect(address, "Dr. A")
        yield opened


def mask(panel: PanelCase, segment: str = VENTRICLE) -> np.ndarray:
    name = next(info.id for info in panel.state.segments if info.name == segment)
    return panel.session.scene.read(name, panel.session.scene.shown())


def first_image(panel: PanelCase) -> None:
    """Take the first unit: the cine, one slice view, the toolbar to step through it."""
    panel.picture("panel_connected")
    panel.press("N")
    panel.wait(lambda: panel.state.shown is not None and panel.quiet(), what="the first image")
    first = panel.state.shown
    assert first.image_id == CINE and first.kind == "cine" and first.frames == 30
    assert [segment.name for segment in panel.state.segments] == [VENTRICLE, ATRIUM]
    assert panel.desktop.layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert panel.desktop.toolbar.visible and panel.desktop.toolbar.browser is not None


def box(panel: PanelCase) -> None:
    """Drag a box around the ventricle."""
    panel.press("E")
    panel.mouse(*BOX)
    panel.wait(lambda: panel.quiet() and mask(panel).any(), what="the mask of the box")


def two_corrections(panel: PanelCase) -> np.ndarray:
    """Click into the cavity and beside it; the mask after that."""
    boxed = mask(panel)
    for number, (key, place) in enumerate((("D", INSIDE), ("Shift+D", WALL)), start=1):
        panel.press(key)
        panel.mouse(place)
        panel.wait(
            lambda number=number: panel.quiet() and len(panel.state.prompts.of("point")) == number,
            what=f"correction {number}",
        )
    corrected = mask(panel)
    assert corrected[INSIDE[1], INSIDE[0]] and not corrected[WALL[1], WALL[0]]
    assert (corrected != boxed).any()
    return corrected


def undo_and_redo(panel: PanelCase, corrected: np.ndarray) -> None:
    """A correction goes and comes back together with its mask."""
    panel.press("Ctrl+Z")
    panel.wait(lambda: panel.quiet() and len(panel.state.prompts.of("point")) == 1, what="undo")
    assert (mask(panel) != corrected).any()
    panel.press("Ctrl+Shift+Z")
    panel.wait(lambda: panel.quiet() and len(panel.state.prompts.of("point")) == 2, what="redo")
    np.testing.assert_array_equal(mask(panel), corrected)


def next_frame(panel: PanelCase) -> None:
    """The next frame has a mask and prompts of its own."""
    before = panel.state.shown.frame
    panel.press(".")
    panel.wait(lambda: panel.state.shown.frame != before, what="the next frame")
    assert not mask(panel).any() and not panel.state.has_prompts


def submit(panel: PanelCase) -> None:
    """Send the label; the next unit comes."""
    given = panel.session.campaign.state.unit
    panel.press("Shift+K")
    panel.wait(
        lambda: (
            panel.session.campaign.state.unit not in (given, None)
            and not panel.session.campaign.state.opening
            and panel.quiet()
        ),
        what="the next unit",
    )


def test_a_reader_labels_frames_of_an_echo_cine(panel: PanelCase, address: str) -> None:
    first_image(panel)
    box(panel)
    panel.picture("panel_box")
    corrected = two_corrections(panel)
    panel.picture("panel_work")
    undo_and_redo(panel, corrected)
    panel.press("K")
    assert panel.state.done and panel.ui.doneCheck.checked
    for _ in range(2):
        next_frame(panel)
        box(panel)
        panel.press("K")
    assert len(panel.state.done_frames) == 3
    panel.picture("panel_frames")
    submit(panel)

    (version,) = requests.get(f"{address}/labels/{CINE}", timeout=10).json()["versions"]
    assert version["annotator"] == "Dr. A" and version["tag"] == "final" and len(version["frames"]) == 3
    answer = requests.get(f"{address}/labels/{CINE}/{version['revision']}/masks", timeout=10).json()
    assert [mask["label"] for mask in answer["masks"]] == [VENTRICLE] * 3
    assert panel.session.campaign.state.unit.frame not in version["frames"]
    panel.picture("panel_next")
    assert panel.state.problem is None
