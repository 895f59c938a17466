"""What would be uploaded: all of the open image, in its place; blanked when asked; with a fair warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from PIL import Image, ImageDraw
from slicer_harness import slicer, volume_node
from UniUltraLib.errors import SceneError
from UniUltraLib.scene import coordinates, oblique
from UniUltraLib.scene.scene import SlicerScene

NAME = "DOE^JANE"


def screen(seed: int = 0) -> np.ndarray:
    """(200,260) uint8: a name above a rectangle of speckle."""
    page = Image.new("L", (260, 200))
    ImageDraw.Draw(page).text((10, 8), f"{NAME} 1970-01-02 {NAME}", fill=255)
    picture = np.array(page)
    picture[50:180, 40:220] = np.clip(np.random.default_rng(seed).rayleigh(40, (130, 180)) + 1, 0, 255)
    return picture


def sent(application: Any, data: bytes, tmp_path: Path) -> np.ndarray:
    (tmp_path / "sent.nrrd").write_bytes(data)
    return coordinates.voxels(application.load(tmp_path / "sent.nrrd", "sent")).copy()


@pytest.mark.parametrize("kind", ["still", "cine", "volume"])
def test_the_whole_image_goes_and_no_header(
    scene: Any, application: Any, side: SlicerScene, tmp_path: Path, kind: str
) -> None:
    node = {"still": examples.still, "volume": examples.volume, "cine": lambda: examples.cine(scene)}[kind]()
    examples.slice_node(scene, shows=node if kind != "cine" else None)
    for named in (node, node.GetMasterSequenceNode() if kind == "cine" else node):
        named.SetName(NAME)
        named.SetAttribute("DICOM.instanceUIDs", "1.2.3.4")
    side.open(node)
    data = side.content(side.shown())
    assert NAME.encode() not in data and b"1.2.3.4" not in data
    np.testing.assert_array_equal(sent(application, data, tmp_path), side.image.pictures())
    assert side.content(side.shown()) == data


def test_the_key_is_of_the_voxels(scene: Any, side: SlicerScene) -> None:
    keys = []
    for array, place in ((screen(), np.eye(4)), (screen(), examples.SHEARED), (screen(1), np.eye(4))):
        side.open(volume_node(array[None], place))
        keys.append(side.shown().key)
    assert keys[0] == keys[1] != keys[2]
    changed = side.volume
    slicer.util.updateVolumeFromArray(changed, screen(2)[None])
    assert side.shown().key not in keys, "other voxels are another image"
    side.open(changed, "campaign-1")
    assert side.shown().key == side.shown().image_id == "campaign-1"


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("colour", [False, True])
def test_blanking_takes_the_name_and_leaves_the_ultrasound(
    scene: Any, application: Any, side: SlicerScene, tmp_path: Path, frames: int, colour: bool
) -> None:
    pictures = np.stack([screen(n) for n in range(frames)])
    pictures = np.stack([pictures] * 3, -1) if colour else pictures
    node = volume_node(pictures, examples.LPS)
    examples.slice_node(scene, shows=node)
    side.open(node)
    assert "may" in side.warning() and "writing stands outside" in side.warning()
    got = sent(application, side.content(side.shown(), blanked=True), tmp_path)
    assert not got[:, :30].any() and got.dtype == pictures.dtype
    np.testing.assert_array_equal(got[:, 60:170, 50:210], pictures[:, 60:170, 50:210])
    np.testing.assert_array_equal(coordinates.voxels(side.volume), pictures)


def test_an_oblique_cut_is_blanked_like_its_volume(
    scene: Any, application: Any, side: SlicerScene, tmp_path: Path
) -> None:
    node = volume_node(np.stack([screen(n) for n in range(30)]), examples.LPS)
    view = examples.slice_node(scene, shows=node)
    side.open(node)
    view.SetOrientation("Axial")
    centre = coordinates.ijk_to_world(node, [(130, 60, 15)])[0]
    view.SetSliceToRASByNTP(0.02, 0.03, 1, 1, 0, -0.02, *centre, 0)
    shown = side.shown()
    assert shown.oblique
    plain = sent(application, side.content(side.shown()), tmp_path)[0]
    assert plain.shape == shown.shape
    blanked = sent(application, side.content(side.shown(), blanked=True), tmp_path)[0]
    assert blanked.shape == plain.shape and 0 < (blanked != plain).sum() < plain.size / 2
    cut = oblique.reslice_view(view, node)
    j = cut.ijk[..., 1]
    assert plain[j < 25].any() and not blanked[j < 25].any()
    inner = cut.inside & (j > 60) & (j < 170)
    assert (blanked == plain)[inner].mean() > 0.9


def test_what_cannot_be_blanked_is_refused(scene: Any, side: SlicerScene) -> None:
    page = np.zeros((1, 200, 260), np.uint8)
    page[0, :40] = screen()[:40]
    side.open(volume_node(page))
    with pytest.raises(SceneError, match="stands out"):
        side.content(side.shown(), blanked=True)
    assert "may" in side.warning()
    assert side.content(side.shown())
    side.open(volume_node(np.where(np.arange(200)[:, None] >= 45, screen(), 0)[None]))
    assert "not certain" in side.warning()
