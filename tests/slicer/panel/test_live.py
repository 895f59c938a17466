"""The panel with what only some servers have: a model without prompts, and trainings; both are real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from campaign_rig import BENCHMARKS, LAUNCH
from panel_case import PanelCase, opened_panel
from PIL import Image
from server_process import running_server
from UniUltraLib.scene.export import nrrd_bytes

BASE, AUTO = "uniultra_mini", "autosamus_mini.breast"
CAMPAIGN = {
    "labels": [{"name": "target", "index": 1}],
    "train_after": 0,
    "patients": {"by": "path", "pattern": "(image[0-9]+)"},
}
# A small base that finds nothing yet, and a task on it with random weights.
WEIGHTS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from crashes import made
from uniultra.adapters import apg
from uniultra.weights import loading, tensors
folder = Path(sys.argv[2])
made.small_weights(folder, blank=True)
network = apg.inject(loading.load("uniultra_mini")[0])
for parameter in network.apg.parameters():
    torch.nn.init.normal_(parameter, std=0.05)
tensors.save(folder / f"{sys.argv[3]}.safetensors", network, {})
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a small base, a task of AutoSAMUS on it, and trainings of twelve steps."""
    from crashes import made

    folder = tmp_path_factory.mktemp("live")
    for image in made.pictures(folder / "studies", 6):  # as NRRD: Slicer's libraries alone read no PNG
        picture = folder / "studies" / f"{image}.png"
        voxels = np.asarray(Image.open(picture))[None]
        picture.with_suffix(".nrrd").write_bytes(nrrd_bytes(voxels, examples.LPS))
        picture.unlink()
    variables = {**os.environ, "UNIULTRA_WEIGHTS": str(folder / "weights")}
    # In a process of its own: one that has rendered by Mesa's LLVM may not load Triton's, which comes along.
    command = [sys.executable, "-c", WEIGHTS, str(BENCHMARKS), str(folder / "weights"), AUTO]
    subprocess.run(command, env=variables, check=True)
    (folder / "launch.py").write_text(LAUNCH)
    with running_server(
        folder / "studies",
        folder / "home",
        conf={"models": f"{BASE},{AUTO}", "train_threads": "1", "train_nice": "0"},
        weights=folder / "weights",
        campaign=CAMPAIGN,
        script=[str(folder / "launch.py"), str(BENCHMARKS), "serve", "--device", "cpu"],
    ) as running:
        yield running


@pytest.fixture
def panel(application: Any, scene: Any, tmp_path: Path, address: str) -> Iterator[PanelCase]:
    with opened_panel(application, tmp_path, (320, 320)) as opened:
        opened.connect(address, "Dr. A")
        yield opened


def label(panel: PanelCase, image: str) -> None:
    """Outline an image of the campaign and submit it."""
    from crashes import made

    panel.session.campaign.units.open(image)
    panel.wait(
        lambda: panel.state.shown is not None and panel.state.shown.image_id == image and panel.quiet()
    )
    target = made.distance(int(image[-3:])) < 0.25 * made.SIDE
    panel.session.scene.write(panel.state.segment, panel.state.shown, target)
    if panel.ui.thenNextCheck.checked:
        panel.click("thenNextCheck")
    panel.click("submitButton")
    panel.wait(lambda: panel.session.campaign.state.saved is not None and panel.quiet(), what="the label")


def test_a_model_without_prompts_proposes_masks(panel: PanelCase, scene: Any) -> None:
    assert panel.hidden("autoButton"), "there is no image yet"
    panel.ui.volumeSelector.setCurrentNode(examples.cine(scene, rgb=False))
    panel.click("openButton")
    panel.press("U")
    panel.click("consentYesButton")
    panel.wait(lambda: panel.quiet() and panel.state.answered_by is not None, what="the proposal")
    assert panel.ui.adapterLabel.text.startswith(AUTO) and panel.ui.autoCombo.currentText == AUTO
    panel.press("Ctrl+Z")
    assert panel.state.answered_by is None, "a proposal is undone as a prompt is"
    panel.click("autoAllButton")
    panel.wait(lambda: panel.quiet() and panel.state.answered_by == AUTO, what="all frames")
    panel.press(".")
    panel.wait(lambda: panel.state.shown.frame == 1)
    assert panel.state.answered_by == AUTO and not panel.state.done, "proposed, and accepted by nobody"


def test_a_training_is_begun_and_stopped(panel: PanelCase) -> None:
    label(panel, "image000")
    panel.wait(lambda: panel.session.training.state.can_start)
    panel.click("trainButton")
    panel.wait(lambda: not panel.hidden("trainingBar"), what="the training")
    assert f"Training {BASE}" in panel.ui.trainingLabel.text and not panel.ui.trainButton.enabled
    panel.click("stopTrainingButton")
    panel.wait(lambda: panel.session.training.state.training.state == "stopped", what="its end")
    panel.settle()
    assert panel.hidden("trainingBar") and panel.hidden("stopTrainingButton") and panel.ui.trainButton.enabled


@pytest.mark.slow
def test_a_training_shows_its_curve_and_what_it_made_answers(panel: PanelCase) -> None:
    for n in range(4):
        label(panel, f"image{n:03}")
    panel.wait(lambda: panel.session.training.state.can_start)
    panel.click("trainButton")
    panel.wait(lambda: panel.session.training.state.training.state == "published", 500, "the adapter")
    panel.wait(lambda: panel.session.training.state.adapter is not None)
    assert not panel.hidden("curveLabel") and not panel.get("curveLabel").pixmap().isNull()
    assert "A new adapter answers now" in panel.ui.trainingLabel.text
    panel.session.campaign.units.open("image005")
    panel.wait(lambda: panel.state.shown.image_id == "image005" and panel.quiet())
    panel.press("D")
    panel.mouse((24, 24))
    panel.wait(lambda: panel.quiet() and panel.state.answered_by is not None, what="its answer")
    assert panel.session.training.state.adapter in panel.ui.adapterLabel.text
