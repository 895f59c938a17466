"""Models that segment of their own accord, and models whose weights are not here, as clients see them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import itk
import numpy as np
import pytest
from in_process import infer, make_task

from uniultra.images import read_image
from uniultra.images.types import Plane
from uniultra.models import registry
from uniultra.predict import Predictor
from uniultra.prompts import PromptSet
from uniultra.serve.wire.packing import unpack_mask
from uniultra.weights import loading
from uniultra.weights import tensors as weights

AUTO = "autosamus_mini"
SHAPE = (60, 80)


@pytest.fixture(scope="module")
def expected(studies: Path, tasks: Any) -> dict[str, np.ndarray]:
    """The masks (T,H,W) that the network gives when nobody serves it."""
    predictor = Predictor(AUTO, device="cpu")
    found = {}
    for name in ("grey.png", "cine.seq.nrrd", "volume.nii.gz"):
        image = read_image(studies / name)
        planes = [Plane("k", k) for k in range(image.shape[0])]
        masks = [predictor.predict(image, plane, [PromptSet()])[0].mask for plane in planes]
        found[name.partition(".")[0]] = np.stack(masks)
    assert all(0 < masks.mean() < 1 for masks in found.values()), "masks that say something"
    return found


def mask_of(answer: Any, folder: Path) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    path = folder / "mask.nrrd"
    path.write_bytes(answer.content)
    values: np.ndarray = itk.array_from_image(itk.imread(str(path)))
    return values


def test_stock_clients_find_it_under_auto_segmentation(tasks: Any) -> None:
    info = tasks.get("/info/").json()
    assert info["models"][AUTO]["type"] == "segmentation"
    assert info["models"]["uniultra_mini"]["type"] == "deepgrow"
    here = {"uniultra_mini", AUTO, *loading.variants()}
    assert info["models"].keys() == here, "what stock clients offer can be used"


def test_models_without_weights_are_listed_with_the_command(tasks: Any) -> None:
    info = tasks.get("/info/").json()
    served = info["models"].keys() | info["unavailable"].keys()
    assert served == {*registry.names(), *loading.variants()}
    missing = info["unavailable"]["sam2_t"]
    assert missing["command"] == "uniultra weights get sam2_t" and missing["type"] == "deepgrow"
    assert "uniultra train" in info["unavailable"]["autosamus_t"]["command"]
    assert info["unavailable"]["autosamus_t"]["type"] == "segmentation"
    for output in ("json", "image"):
        refused = infer(tasks, "sam2_t", "grey", {"output": output}, foreground=[[40, 30, 0]])
        assert refused.status_code == 503 and "`uniultra weights get sam2_t`" in refused.json()["detail"]


def test_weights_put_there_are_served_without_a_restart(tasks: Any, tasks_folder: Path) -> None:
    target = tasks_folder / "lora_mini.safetensors"
    assert "lora_mini" in tasks.get("/info/").json()["unavailable"]
    from uniultra.models import build

    weights.save(target, build("lora_mini"), {})
    try:
        assert "lora_mini" in tasks.get("/info/").json()["models"]
        answer = infer(tasks, "lora_mini", "grey", foreground=[[40, 30, 0]], result="packed")
        assert answer.status_code == 200 and answer.json()["model"] == "lora_mini"
    finally:
        target.unlink()


@pytest.mark.parametrize("as_bundle", [False, True])
def test_a_new_task_on_the_same_base_is_served_and_shares_it(
    tasks: Any, tasks_folder: Path, as_bundle: bool
) -> None:
    task = f"t{as_bundle:d}"
    name = f"{AUTO}.{task}"
    assert infer(tasks, name, "grey").status_code == 404
    make_task(tasks_folder, task, as_bundle=as_bundle)
    try:
        assert tasks.get("/info/").json()["models"][name]["labels"] == [task]
        click = {"foreground": [[4, 4, 3]], "result": "packed", "axis_kind": "volume"}
        assert infer(tasks, "uniultra_mini", "cine", **click).status_code == 200
        answer = infer(tasks, name, "cine", slice=3, result="packed", axis_kind="volume").json()
        assert answer["timings"]["cached"] == 1, "the click encoded it"
        answer = infer(tasks, name, "cine", {"output": "json"}, slice=3).json()
        assert answer["label_names"] == {task: 1} and answer["model"] == name
    finally:
        made = tasks_folder / name
        shutil.rmtree(made) if as_bundle else made.with_name(f"{name}.safetensors").unlink()
    assert infer(tasks, name, "grey").status_code in (200, 503)
    assert name in tasks.get("/info/").json()["unavailable"]


@pytest.mark.parametrize("image", ["grey", "cine", "volume"])
def test_a_whole_image_without_a_word(
    tasks: Any, tmp_path: Path, expected: dict[str, np.ndarray], image: str
) -> None:
    # what the Slicer plugin sends from Auto Segmentation
    params = {"result_extension": ".nrrd", "result_dtype": "uint8", "label_info": [], "client_id": "user-xyz"}
    answer = infer(tasks, AUTO, image, {"output": "image"}, **params)
    assert np.array_equal(mask_of(answer, tmp_path), expected[image])
    said = infer(tasks, AUTO, image, {"output": "json"}, **params).json()
    frames = len(expected[image])
    assert said["label_names"] == {"structure": 1} and 0 <= said["score"] <= 1
    assert said["plane"] == ({"axis": "k", "index": 0} if frames == 1 else None)
    assert said["latencies"]["total"] > 0


@pytest.mark.parametrize("where", [{"slice": 2}, {"plane": {"axis": "k", "index": 2}}])
def test_one_frame_when_it_is_named(
    tasks: Any, tmp_path: Path, expected: dict[str, np.ndarray], where: dict[str, Any]
) -> None:
    values = mask_of(infer(tasks, AUTO, "cine", {"output": "image"}, **where), tmp_path)
    assert np.array_equal(values[2], expected["cine"][2]) and not values[[0, 1, 3]].any()
    packed = infer(tasks, AUTO, "cine", result="packed", **where).json()
    assert packed["frame"] == 2 and packed["plane"] == {"axis": "k", "index": 2}
    assert np.array_equal(unpack_mask(packed["bbox"], packed["mask"], SHAPE), expected["cine"][2])
    across = infer(tasks, AUTO, "volume", result="packed", plane={"axis": "j", "index": 7}).json()
    assert across["plane"] == {"axis": "j", "index": 7} and across["frame"] is None


def test_all_frames_packed(tasks: Any, expected: dict[str, np.ndarray]) -> None:
    packed = infer(tasks, AUTO, "cine", result="packed").json()
    assert packed["plane"] is None and packed["frame"] is None and packed["model"] == AUTO
    assert [frame["frame"] for frame in packed["frames"]] == [0, 1, 2, 3]
    for frame, mask in zip(packed["frames"], expected["cine"], strict=True):
        assert np.array_equal(unpack_mask(frame["bbox"], frame["mask"], SHAPE), mask)


def test_a_whole_image_leaves_the_embeddings_of_others(tasks: Any) -> None:
    from monailabel.interfaces.utils.app import app_instance

    click = {"foreground": [[40, 30, 1]], "result": "packed"}
    infer(tasks, "uniultra_mini", "volume", **click)
    embeddings = app_instance().task(AUTO).predictor.cache
    before = len(embeddings)
    assert infer(tasks, AUTO, "volume", result="packed").status_code == 200
    assert len(embeddings) == before
    assert infer(tasks, "uniultra_mini", "volume", **click).json()["timings"]["cached"] == 1


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"foreground": [[40, 30, 0]]}, 422, "no prompt"),
        ({"roi": [1, 20, 1, 20, 0, 0]}, 422, "no prompt"),
        ({"objects": [{"foreground": [[4, 4, 0]]}]}, 422, "no prompt"),
        ({"slice": 4}, 422, "0 to 3"),
        ({"plane": {"axis": "i", "index": 0}}, 422, "axis_kind"),
        ({"result_extension": ".exe"}, 422, "result_extension"),
        ({"model": "uniultra_mini"}, 422, "the request names none"),
    ],
)
def test_what_it_does_not_do_is_refused(tasks: Any, params: dict[str, Any], status: int, words: str) -> None:
    answer = infer(tasks, AUTO, "cine", **params)
    assert answer.status_code == status and words in answer.json()["detail"], answer.text


def test_it_is_asked_at_its_own_address(tasks: Any) -> None:
    answer = infer(tasks, "uniultra_mini", "cine", model=AUTO)
    assert answer.status_code == 422 and "own address" in answer.json()["detail"]


def test_an_image_with_too_many_frames_for_one_answer(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from monailabel.config import settings

    monkeypatch.setattr(settings, "MONAI_LABEL_INFER_TIMEOUT", -1)
    answer = infer(tasks, AUTO, "cine")
    assert answer.status_code == 413 and "/batch/infer" in answer.json()["detail"]
    click = infer(tasks, "uniultra_mini", "cine", foreground=[[4, 4, 0]], result="packed")
    assert click.status_code == 200


def test_a_whole_image_may_be_saved_as_a_label(
    tasks: Any, expected: dict[str, np.ndarray], tmp_path: Path
) -> None:
    answer = infer(tasks, AUTO, "volume", {"output": "json"}, save_label=True, label_tag="auto")
    assert answer.status_code == 200, answer.text
    label = tasks.get("/datastore/label", params={"label": "volume", "tag": "auto"})
    assert np.array_equal(mask_of(label, tmp_path), expected["volume"])
