"""From a click in Slicer's scene to a mask in a segment, through the real server, on real ultrasound."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import scene_examples as examples
from server_process import ECHO_CINE as CINE
from server_process import ROOT, echo_cine, running_server
from slicer_harness import volume_node
from UniUltraLib.errors import Refused
from UniUltraLib.prompts.answer import Answer
from UniUltraLib.prompts.nrrd import nrrd_bytes
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.prompts.prompt_set import PromptSet
from UniUltraLib.scene import coordinates, oblique, segments
from UniUltraLib.scene.open_cine import OpenCine
from UniUltraLib.wire.client import Client

MODEL = "uniultra_mini"
PHANTOM = "SpinePhantomFreehandReconstructed"
GENERATED = "generated"
OBLIQUE = np.array([[-0.4, 0.02, 0, 30], [-0.02, -0.4, 0.05, 20], [0, 0.02, 0.6, -9], [0, 0, 0, 1]])
CENTRE, RADII = np.array([52, 40, 25]), np.array([18, 14, 11])


def speckle_with_cyst() -> np.ndarray:
    """A volume (K,J,I) of speckle with a dark ellipsoid."""
    rng = np.random.default_rng(7)
    k, j, i = np.indices((48, 80, 96))
    inside = sum(((a - c) / r) ** 2 for a, c, r in zip((i, j, k), CENTRE, RADII, strict=True)) <= 1
    return np.clip(rng.rayleigh(np.where(inside, 8, 60)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, application: Any) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    echo = echo_cine(tmp_path_factory.mktemp("sample"))
    if echo:
        shutil.copyfile(echo, folder / f"{CINE}.dcm")
    (folder / f"{GENERATED}.nrrd").write_bytes(nrrd_bytes(speckle_with_cyst(), OBLIQUE))
    phantom = ROOT.parent / "shared" / "phantom" / f"{PHANTOM}.mha"
    if phantom.is_file():
        shutil.copyfile(phantom, folder / phantom.name)
    return folder


@pytest.fixture(scope="module")
def address(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(studies, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    made = Client(address)
    yield made
    made.close()


def load(application: Any, studies: Path, image_id: str) -> Any:
    files = [file for file in studies.iterdir() if file.stem == image_id]
    if not files:
        pytest.skip("the phantom volumes (../shared/phantom) are not on this machine")
    return application.load(files[0])


def load_cine(application: Any, scene: Any, studies: Path) -> Any:
    """The cine as the desktop's DICOM reader leaves it: a browser over one-slice colour volumes."""
    if not (studies / f"{CINE}.dcm").is_file():
        pytest.skip("the echo cine is neither in ../shared nor to be had from the package registry")
    stack = application.load(studies / f"{CINE}.dcm")
    frames = coordinates.voxels(stack).copy()
    scene.RemoveNode(stack)
    assert frames.shape == (30, 240, 320, 3)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "echo")
    for n, frame in enumerate(frames):
        node = volume_node(frame[None], np.diag([-0.5, -0.5, 1.0, 1.0]), "echo frame")
        sequence.SetDataNodeAtValue(node, str(n))
        scene.RemoveNode(node)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser


def as_other_clients_see_it(
    application: Any, address: str, image_id: str, prompts: PromptSet, tmp_path: Path
) -> np.ndarray:
    """The file that a stock client gets for the same prompts, read by Slicer: (K,J,I) bool."""
    answer = requests.post(
        f"{address}/infer/{MODEL}",
        params={"image": image_id, "output": "image"},
        data={"params": json.dumps(prompts.to_params())},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    (tmp_path / "mask.nrrd").write_bytes(answer.content)
    return coordinates.voxels(application.load(tmp_path / "mask.nrrd", "stock")).astype(bool)


def along(array: np.ndarray, plane: Plane) -> np.ndarray:
    return np.moveaxis(array, 2 - plane.normal, 0)[plane.index]


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def ask(client: Client, prompts: PromptSet, **image: Any) -> Answer:
    answer = client.infer(MODEL, prompts.to_params(), prompts.shape, **image)
    assert answer.model == MODEL and answer.timings
    return answer


def test_the_server_offers_the_model_and_the_images(client: Client, studies: Path) -> None:
    assert client.info()["models"][MODEL]["type"] == "deepgrow"
    assert set(client.image_ids()) == {
        file.stem for file in studies.iterdir() if file.suffix in (".dcm", ".nrrd", ".mha")
    }


def test_a_click_on_a_cine_frame_masks_that_frame_only(
    scene: Any, application: Any, client: Client, address: str, studies: Path, tmp_path: Path
) -> None:
    cine = OpenCine(scene, load_cine(application, scene, studies))
    ventricle, kept = (cine.add_segment(name, (1, 0, 0)) for name in ("ventricle", "kept"))
    diagonal = np.eye(240, 320, dtype=bool)
    frames = [Plane("k", frame) for frame in range(30)]
    for frame in frames:
        cine.write(kept, frame, diagonal)
    cine.show(12)
    prompts = PromptSet(cine.size, frames[12]).with_prompt("point", (178, 90, 12), "a")
    answer = ask(client, prompts, image_id=CINE)
    assert answer.mask.any()
    cine.write(ventricle, frames[12], answer.mask)

    stock = as_other_clients_see_it(application, address, CINE, prompts, tmp_path)
    for frame in frames:
        held = cine.read(ventricle, frame)
        np.testing.assert_array_equal(held, stock[frame.index])
        assert held.any() == (frame.index == 12)
        np.testing.assert_array_equal(cine.read(kept, frame), diagonal)


@pytest.mark.parametrize("image_id", [PHANTOM, GENERATED])
@pytest.mark.parametrize("axis", ["k", "j", "i"])
@pytest.mark.parametrize("moved", [False, True], ids=["in place", "under a transform"])
def test_a_click_on_a_volume_masks_that_slice_only(
    scene: Any, application: Any, client: Client, address: str, studies: Path, tmp_path: Path,
    image_id: str, axis: str, moved: bool,
) -> None:  # fmt: skip
    volume = load(application, studies, image_id)
    if moved:
        examples.move(scene, volume)
    segmentation = segments.new_segmentation(scene, volume, "answer")
    target, kept = (segmentation.GetSegmentation().AddEmptySegment(name) for name in ("target", "kept"))
    size = coordinates.image_size(volume)
    everything = (0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    before = np.random.default_rng(0).random(size[::-1]) < 0.02
    for segment in (target, kept):
        segments.write_block(segmentation, segment, volume, everything, before)

    voxel = (52, 40, 25)
    prompts = PromptSet(size, Plane(axis, voxel[Plane(axis, 0).normal])).with_prompt("point", voxel, "a")
    answer = ask(client, prompts, image_id=image_id)
    assert answer.mask.any()
    segments.write_plane(segmentation, target, volume, prompts.plane, answer.mask)

    stock = as_other_clients_see_it(application, address, image_id, prompts, tmp_path)
    expected = before.copy()
    along(expected, prompts.plane)[:] = along(stock, prompts.plane)
    np.testing.assert_array_equal(examples.whole(segmentation, target, volume), expected)
    np.testing.assert_array_equal(examples.whole(segmentation, kept, volume), before)
    along(stock, prompts.plane)[:] = False
    assert not stock.any()


def test_every_kind_of_prompt_is_understood_and_refines(client: Client) -> None:
    plane = Plane("k", int(CENTRE[2]))
    empty = PromptSet((96, 80, 48), plane)
    rows, columns = np.indices(empty.shape)
    truth = ((columns - CENTRE[0]) / RADII[0]) ** 2 + ((rows - CENTRE[1]) / RADII[1]) ** 2 <= 1
    inside, outside = (52, 40, 25), (10, 70, 25)
    stroke = np.zeros(empty.shape, bool)
    stroke[40, 44:60] = True
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.c_[CENTRE[0] + 17 * np.cos(turn), CENTRE[1] + 13 * np.sin(turn)]
    beside = np.roll(stroke, 30, axis=0)
    click, scribble = empty.with_prompt("point", inside, "a"), empty.with_prompt("scribble", stroke, "s")
    sets = {
        "click": click,
        "two clicks": click.with_prompt("point", outside, "b", positive=False),
        "box": empty.with_prompt("box", (34, 26, 70, 54)),
        "scribbles": scribble.with_prompt("scribble", beside, "t", positive=False),
        "lasso": empty.with_prompt("lasso", outline.tolist()),
        "previous mask": empty.with_previous(truth).with_prompt("point", inside, "a"),
    }
    answers = {name: ask(client, prompts, image_id=GENERATED) for name, prompts in sets.items()}
    masks = {name: answer.mask.tobytes() for name, answer in answers.items()}
    assert len(set(masks.values())) == len(sets), "each prompt must change the answer"
    overlap = {name: dice(answer.mask, truth) for name, answer in answers.items()}
    assert min(overlap[name] for name in ("box", "lasso", "previous mask")) > 0.7, overlap


def test_an_own_volume_is_uploaded_and_answered_like_the_campaigns(
    scene: Any, client: Client, address: str
) -> None:
    volume = volume_node(speckle_with_cyst(), OBLIQUE, "DOE^JANE")
    session = client.upload(nrrd_bytes(coordinates.voxels(volume), OBLIQUE))
    prompts = PromptSet((96, 80, 48), Plane("j", 40)).with_prompt("point", (52, 40, 25), "a")
    own, of_campaign = ask(client, prompts, session_id=session), ask(client, prompts, image_id=GENERATED)
    np.testing.assert_array_equal(own.mask, of_campaign.mask)
    with pytest.raises(Refused, match="A cine has only frames"):
        client.infer("uniultra_mini", prompts.to_params(), (48, 96), session_id=session, axis_kind="cine")
    assert set(client.image_ids()).isdisjoint({session, "DOE^JANE"})
    assert requests.delete(f"{address}/session/{session}", timeout=10).status_code == 200
    with pytest.raises(Refused, match="404"):
        ask(client, prompts, session_id=session)


def test_an_oblique_view_is_answered_as_a_still(scene: Any, client: Client) -> None:
    volume = volume_node(speckle_with_cyst(), OBLIQUE)
    centre = coordinates.ijk_to_world(volume, [CENTRE])[0]
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    view.SetSliceToRASByNTP(0.3, -0.4, 0.86, 0.94, 0, -0.33, *centre, 0)
    assert coordinates.shown_plane(view, volume) is None
    still = oblique.reslice_view(view, volume)
    session = client.upload(nrrd_bytes(still.picture[None], np.eye(4)))
    rows, columns = still.inside.shape
    empty = PromptSet((columns, rows, 1), Plane("k", 0))
    prompts = empty.with_prompt("point", (*still.xy_of(centre), 0), "a")
    answer = ask(client, prompts, session_id=session)
    segmentation = segments.new_segmentation(scene, volume, "answer")
    segment = segmentation.GetSegmentation().AddEmptySegment("cyst")
    oblique.write_view(segmentation, segment, volume, still, answer.mask)
    assert (answer.mask & still.inside).any()
    assert dice(oblique.read_view(segmentation, segment, volume, still), answer.mask & still.inside) > 0.9


def test_what_the_server_refuses_is_told_in_its_words(client: Client) -> None:
    prompts = PromptSet((96, 80, 999), Plane("k", 500)).with_prompt("point", (52, 40, 500), "a")
    with pytest.raises(Refused, match="0 to 47"):
        ask(client, prompts, image_id=GENERATED)
    for image in ({"image_id": "no-such-image"}, {"session_id": "no-such-session"}):
        with pytest.raises(Refused) as caught:
            ask(client, PromptSet((9, 9, 1), Plane("k", 0)).with_prompt("point", (1, 1, 0), "a"), **image)
        assert caught.value.status in (404, 422) and caught.value.detail
    with pytest.raises(Refused, match="404"):
        client.infer("no-such-model", prompts.to_params(), (80, 96), image_id=GENERATED)
