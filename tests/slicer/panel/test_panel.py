"""The panel with the real .ui: what it shows, what its buttons and keys do, what it leaves behind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bmode_pictures import BOX, MIDDLE, WITHIN, nodule
from panel_case import PanelCase, make_campaign
from PySide6 import QtCore
from server_process import running_server
from slicer_harness import slicer, volume_node
from UniUltraLib.panel.keys import KEYS
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.scene.export import nrrd_bytes

SPACING = np.diag([-0.4, -0.4, 1.0, 1.0])
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    studies = tmp_path_factory.mktemp("studies")
    for n, seed in enumerate((12, 8)):
        (studies / f"still_{n}.nrrd").write_bytes(nrrd_bytes(nodule(seed), SPACING))
    make_campaign(studies, "Neck nodules", ("nodule", "vessel"), "Outline each nodule at its outer edge.")
    with running_server(studies, tmp_path_factory.mktemp("home")) as running:
        yield running


def own_image(panel: PanelCase, array: np.ndarray | None = None) -> Any:
    """Choose an image of one's own in the scene, as a person does."""
    node = volume_node(nodule(14) if array is None else array, SPACING, "DOE^JANE")
    panel.ui.volumeSelector.setCurrentNode(node)
    panel.click("openButton")
    return node


def test_before_a_connection_there_is_nothing_but_the_connection(panel: PanelCase) -> None:
    sections = [name for name in vars(panel.ui) if name.endswith("Section")]
    assert [name for name in sections if not panel.hidden(name)] == ["connectionSection"]
    assert panel.hidden("problemFrame") and panel.hidden("consentFrame") and panel.hidden("busyBar")
    assert panel.ui.stateLabel.text == "Not connected"


def test_a_server_that_is_not_there_is_named_with_what_to_do(panel: PanelCase) -> None:
    panel.write("addressEdit", NOBODY)
    panel.click("testButton")
    panel.wait(lambda: panel.state.problem is not None)
    text = panel.ui.problemLabel.text
    assert NOBODY in text and "refused" in text and "uniultra serve" in text
    assert not panel.hidden("problemFrame") and panel.hidden("problemRetryButton")
    panel.picture("panel_problem")
    panel.click("problemCloseButton")
    assert panel.hidden("problemFrame")
    panel.write("annotatorEdit", "Dr. A")
    panel.click("connectButton")
    panel.wait(lambda: panel.state.problem is not None and panel.state.connection == "offline")
    assert panel.ui.connectButton.enabled and not panel.ui.connectionSection.collapsed


def test_the_connection_folds_and_what_the_server_lacks_is_hidden(panel: PanelCase, address: str) -> None:
    panel.write("addressEdit", address)
    panel.click("testButton")
    panel.wait(lambda: panel.desktop.status)
    assert "answers" in panel.desktop.status[-1]
    panel.wait(lambda: not panel.hidden("testLabel"), what="the answer")
    assert "answers" in panel.ui.testLabel.text
    panel.write("addressEdit", NOBODY)
    assert panel.hidden("testLabel"), "until the fields change"
    panel.connect(address)
    assert panel.ui.connectionSection.collapsed and "Dr. A" in panel.ui.stateLabel.text
    assert panel.ui.campaignLabel.text == "Neck nodules"
    assert not panel.hidden("nextButton") and not panel.hidden("trainButton")
    # nothing is open yet, and this server has no model without prompts
    assert panel.hidden("promptSection") and panel.hidden("finishSection") and panel.hidden("autoCombo")
    panel.click("disconnectButton")
    assert not panel.ui.connectionSection.collapsed and panel.hidden("campaignFrame")
    assert panel.hidden("trainingSection") and not panel.ui.nextButton.enabled


def test_the_key_is_kept_only_when_asked_and_nothing_of_it_is_in_the_scene(
    panel: PanelCase, address: str, tmp_path: Path, application: Any
) -> None:
    settings = QtCore.QSettings()
    panel.write("keyEdit", "s3cret-key")
    panel.connect(address, "Dr. Keeper")
    settings.sync()
    assert settings.value("UniUltra/annotator") == "Dr. Keeper" and not settings.value("UniUltra/key")
    panel.click("disconnectButton")
    panel.click("keepKeyCheck")
    assert QtCore.QSettings().value("UniUltra/key") == "s3cret-key"
    panel.click("keepKeyCheck")
    assert not QtCore.QSettings().value("UniUltra/key")
    own_image(panel) if panel.ui.openButton.enabled else None
    application.scene.SetURL(str(tmp_path / "scene.mrml"))
    application.scene.Commit()
    saved = (tmp_path / "scene.mrml").read_text("utf-8")
    assert address.partition("://")[2] not in saved and "s3cret" not in saved and "Keeper" not in saved


def test_nobody_connects_without_a_name_and_a_shared_one_is_warned_of(panel: PanelCase, address: str) -> None:
    panel.write("addressEdit", address)
    panel.click("connectButton")
    assert panel.state.connection == "offline" and "Enter your own name" in panel.ui.problemLabel.text
    panel.connect(address, "user")
    assert not panel.hidden("nameLabel") and "several people" in panel.ui.nameLabel.text


def test_an_own_image_is_sent_only_after_a_yes(online: PanelCase, address: str) -> None:
    own_image(online)
    assert online.hidden("submitButton") and online.hidden("skipButton")
    online.click("includeButton")
    online.mouse(MIDDLE)
    assert not online.hidden("consentFrame")
    online.picture("panel_consent")
    text = online.ui.consentLabel.text
    assert address in text and "DICOM" in text and "JANE" not in text
    online.click("consentNoButton")
    assert online.hidden("consentFrame") and not online.state.has_prompts
    online.mouse(MIDDLE)
    online.click("blankCheck")
    online.click("consentYesButton")
    online.wait(lambda: online.quiet() and online.state.score is not None, what="the mask")
    shown = online.session.scene.shown()
    assert online.session.scene.read(online.state.segment, shown)[MIDDLE[1], MIDDLE[0]]
    assert not online.hidden("scoreLabel") and online.ui.adapterLabel.text.startswith("uniultra_mini")
    # agreed once, not asked again
    online.mouse(WITHIN)
    online.wait(lambda: online.quiet() and len(online.state.prompts.of("point")) == 2)
    assert online.hidden("consentFrame")


def test_tools_are_one_at_a_time_and_go_down_by_button_escape_or_slicers_own(online: PanelCase) -> None:
    own_image(online)
    tools = online.session.tools
    online.click("boxButton")
    online.click("lassoButton")
    assert online.ui.lassoButton.checked and not online.ui.boxButton.checked
    assert "Draw around" in online.ui.hintLabel.text
    online.click("lassoButton")
    assert tools.current is None and not online.ui.lassoButton.checked and online.hidden("hintLabel")
    online.press("S")
    online.press("S")
    assert tools.current == "scribbleButton", "a key takes a tool in hand, again and again"
    interactor = online.desktop.view.interactor
    interactor.SetKeySym("Escape")
    interactor.KeyPressEvent()
    online.settle()
    assert tools.current is None
    online.press("D")
    assert tools.current == "includeButton"
    online.ui.segmentEditor.mrmlSegmentEditorNode().SetActiveEffectName("Paint")
    online.settle()
    assert tools.current is None and not online.ui.includeButton.checked


def test_keys_work_while_the_panel_is_open_and_never_after(panel: PanelCase, address: str) -> None:
    sequences = dict(KEYS)
    for name in ("includeButton", "undoButton", "nextButton"):
        assert f"({sequences[name]})" in getattr(panel.ui, name).text
    panel.connect(address)
    panel.press("E")
    assert panel.session.tools.current is None, "what is hidden must not act"
    own_image(panel)
    panel.press("E")
    assert panel.session.tools.current == "boxButton"
    panel.widget.exit()
    assert panel.session.tools.current is None
    panel.press("L")
    assert panel.session.tools.current is None
    panel.widget.enter()
    panel.press("L")
    assert panel.session.tools.current == "lassoButton"
    # a letter typed into a field is a letter
    panel.click("disconnectButton")
    panel.write("keyEdit", "dens")
    assert panel.ui.keyEdit.text == "dens" and panel.session.tools.current == "lassoButton"


def test_leaving_gives_back_layout_toolbar_and_mouse(panel: PanelCase, address: str) -> None:
    before = panel.desktop.layouts.layout
    panel.connect(address)
    own_image(panel)
    assert panel.desktop.layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert panel.get("segmentEditor").observing
    panel.widget.exit()
    assert panel.desktop.layouts.layout == before and not panel.desktop.toolbar.visible
    assert panel.desktop.layouts.slots == []
    assert not panel.get("segmentEditor").observing


def test_closing_the_scene_keeps_the_connection_and_begins_anew(online: PanelCase, application: Any) -> None:
    own_image(online)
    online.click("includeButton")
    application.scene.Clear(0)
    application.fill()
    online.settle()
    assert online.state.connection == "online" and online.state.shown is None
    assert online.hidden("promptSection") and online.session.tools.current is None
    online.desktop.view.node.SetOrientation("Axial")


def test_a_label_goes_from_the_annotator_through_the_review(
    online: PanelCase, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online.click("nextButton")
    online.wait(lambda: online.state.shown is not None and online.quiet(), what="the first image")
    assert online.get("labelsList").count() == 2 and not online.hidden("labelsList")
    online.click("boxButton")
    online.mouse(*BOX)
    online.wait(lambda: online.quiet() and online.state.score is not None, what="the mask")
    online.click("acceptButton")
    online.click("measureButton")
    table = online.get("measureTable")
    online.wait(lambda: table.rowCount() > 0, what="a measurement")
    assert "area" in {table.item(row, 0).text().lower() for row in range(table.rowCount())}
    assert "Research use" in online.ui.measureNote.text
    assert online.hidden("annulusSelector") and online.hidden("diastoleButton")
    online.unfold(online.get("exportButton"))
    online.picture("panel_measure")
    file = tmp_path / "measurements.csv"
    # PythonQt gives the name alone
    monkeypatch.setattr(
        sys.modules["qt"], "QFileDialog", SimpleNamespace(getSaveFileName=lambda *_: str(file))
    )
    online.click("exportButton")
    assert "not for diagnosis" in file.read_text("utf-8-sig") and "still_" not in file.read_text("utf-8-sig")
    online.click("thenNextCheck")
    online.click("submitButton")
    online.wait(lambda: online.session.campaign.state.saved is not None, what="the saved label")
    assert "revision" in online.ui.effortLabel.text

    online.click("disconnectButton")
    online.connect(address, "Dr. B")
    online.unfold(online.get("reviewTable"))  # which asks for the list by itself
    online.wait(lambda: online.get("reviewTable").rowCount() == 1 and online.quiet(), what="the list")
    assert online.get("reviewTable").item(0, 1).text() == "Dr. A"
    online.get("reviewTable").selectRow(0)
    online.click("reviewOpenButton")
    online.wait(lambda: online.session.review.state.item is not None and online.quiet(), what="the label")
    online.write("commentEdit", "Too wide at the left.")
    online.picture("panel_review")
    online.click("returnButton")
    online.wait(lambda: online.get("reviewTable").rowCount() == 0, what="the verdict")
    online.click("disconnectButton")
    online.connect(address, "Dr. A")
    online.click("nextButton")
    online.wait(lambda: "Too wide" in online.ui.unitLabel.text, what="the returned label")


def test_only_the_masks_of_the_image_in_hand_are_shown(online: PanelCase) -> None:
    seen = []
    for _ in range(2):
        own_image(online)
        online.session.controller.add_segment("nodule")
        online.settle()
        seen.append(online.session.scene.segmentation)
    assert seen[0] is not seen[1]
    assert [segmentation.GetDisplayNode().GetVisibility() for segmentation in seen] == [0, 1]


def test_a_label_that_meets_a_newer_one_is_asked_about(panel: PanelCase, address: str) -> None:
    panel.connect(address, "Dr. F")
    work = panel.session.campaign
    work.units.open("still_0")
    panel.wait(lambda: work.state.unit and not work.state.opening and panel.quiet(), what="the image")
    panel.click("boxButton")
    panel.mouse((76, 88), MIDDLE, (180, 168))  # not the box that came with the label of somebody before
    panel.wait(lambda: panel.quiet() and panel.state.score is not None, what="the mask")
    bases = dict(work.current.bases)
    panel.click("thenNextCheck")
    panel.click("submitButton")
    panel.wait(lambda: work.state.saved is not None and panel.quiet(), what="the first label")
    work.current.bases.update(bases)  # as on another computer, which knows of no newer label
    panel.mouse((90, 100), MIDDLE, (170, 160))
    panel.wait(lambda: panel.quiet(), what="another mask")
    panel.click("submitButton")
    panel.wait(lambda: not panel.hidden("conflictFrame"), what="the question")
    assert "Dr. F saved a newer label" in panel.ui.conflictLabel.text
    assert panel.hidden("problemFrame"), "it is said once"
    assert "waiting" not in panel.ui.effortLabel.text, "it waits for an answer, not for the server"
    panel.click("conflictLookButton")
    panel.wait(lambda: not panel.hidden("besideFrame") and panel.quiet(), what="the newer one")
    assert "nodule (Dr. F, r" in panel.ui.besideLabel.text and "<font color" in panel.ui.besideLabel.text
    panel.click("conflictMineButton")
    panel.wait(lambda: panel.hidden("conflictFrame") and work.state.unsent == 0, what="mine on top")


def test_the_panel_fits_a_narrow_dock_and_looks_more_often_while_it_waits(
    panel: PanelCase, address: str
) -> None:
    from UniUltraLib.panel.panel import AWAITING_MS, POLL_MS

    panel.connect(address, "Professor Long-Name")
    own_image(panel, nodule(14, frames=4))
    for name in vars(panel.ui):
        if name.endswith(("Section", "Box")):
            getattr(panel.ui, name).collapsed = False
    for kind in range(panel.get("measureCombo").count()):
        panel.get("measureCombo").setCurrentIndex(kind)
        panel.get("measureCombo").activated.emit(kind)
        panel.settle()
    # A dock of 420 pixels, less its scroll bar.
    assert panel.desktop.scroll.widget().minimumSizeHint().width() <= 400
    timer, intervals = panel.widget.panel.timer, set()
    timer.connect("timeout()", lambda: intervals.add(timer.interval))
    panel.press("D")
    panel.mouse(MIDDLE)
    panel.click("consentYesButton")
    panel.wait(lambda: panel.quiet() and timer.interval == POLL_MS and panel.state.score is not None)
    assert intervals == {AWAITING_MS, POLL_MS}


def test_a_volume_is_outlined_in_the_slice_that_is_shown(online: PanelCase) -> None:
    own_image(online, nodule(14, frames=12))
    assert online.desktop.layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert online.hidden("framesSection") and online.state.shown.kind == "volume"
    index = online.state.shown.plane.index
    online.press("E")
    online.mouse(*BOX)
    online.click("consentYesButton")
    online.wait(lambda: online.quiet() and online.state.score is not None, what="the mask")
    segment, planes = online.state.segment, [Plane("k", k) for k in range(12)]
    pictures = [replace(online.state.shown, plane=plane) for plane in planes]
    held = [online.session.scene.read(segment, picture).any() for picture in pictures]
    assert held == [k == index for k in range(12)]


def test_pictures_that_the_panel_paints_itself(panel: PanelCase) -> None:
    import qt
    from UniUltraLib.panel.curve import curve, frame_strip

    def image(pixmap: Any) -> np.ndarray:
        made = pixmap.toImage().convertToFormat(qt.QImage.Format_RGBA8888)
        return np.frombuffer(made.constBits(), np.uint8).reshape(made.height(), made.width(), 4)

    strip = image(frame_strip(300, 10, {0, 3}, 3))
    green = (strip[8, :, 1] > strip[8, :, 0] + 40) & (strip[8, :, 3] > 200)
    assert green[:56].mean() > 0.9 and not green[62:178].any() and green[182:236].mean() > 0.9
    rising = image(
        curve(300, [(1, 0.2), (5, 0.9), (9, 0.6)], qt.QColor(0, 0, 0), panel.get("curveLabel").font())
    )
    blue = (rising[..., 2] > 150) & (rising[..., 0] < 120) & (rising[..., 3] > 150)
    rows = [np.nonzero(blue[:, x])[0].mean() for x in (100, 300)]
    assert rows[1] < rows[0], "a better Dice is drawn higher"


def test_the_self_test_of_the_desktop_passes_here_too(
    panel: PanelCase, monkeypatch: pytest.MonkeyPatch, application: Any
) -> None:
    from UniUltraLib.panel.selftest import check_panel

    panel.widget.exit()
    turns = {"UniUltra": panel.widget.enter}
    monkeypatch.setattr(
        slicer.util, "selectModule", lambda name: turns.get(name, panel.widget.exit)(), raising=False
    )
    module = SimpleNamespace(widgetRepresentation=lambda: SimpleNamespace(self=lambda: panel.widget))
    monkeypatch.setattr(slicer.modules, "uniultra", module, raising=False)
    for _ in range(2):
        check_panel()
        application.fill()
        panel.desktop.view.node.SetOrientation("Axial")


def test_the_local_server_says_what_it_needs_before_anything_is_downloaded(
    panel: PanelCase, tmp_path: Path
) -> None:
    panel.unfold(panel.get("localServerButton"))
    panel.ui.environmentPath.currentPath = str(tmp_path / "new")
    panel.ui.studiesPath.currentPath = str(tmp_path / "images")
    panel.click("localServerButton")
    panel.wait(lambda: not panel.session.local.state.busy, what="the question")
    if panel.session.local.state.kind == "asking":
        assert "Downloads" in panel.ui.localQuestionLabel.text
        panel.click("localNoButton")
        assert panel.hidden("localQuestionFrame")
    else:  # no room on the disk, or no Python to make one from: that is said
        assert panel.session.local.state.problem is not None and panel.ui.localServerLabel.text
    assert not (tmp_path / "new").exists()
    assert shutil.which("python3")
