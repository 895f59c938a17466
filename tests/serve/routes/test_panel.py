"""What a panel asks for: labels to review, a version's masks, an image's place, a training's curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from in_process import png, put_label, serving

from uniultra.adapt.job import FOLDER, Ended, Job, JobFolder, Progress
from uniultra.adapt.settings import FitSettings
from uniultra.files import atomic
from uniultra.serve.wire.packing import unpack_mask

CAMPAIGN = {
    "labels": [{"name": "head", "index": 1, "color": "#ff0000"}, {"name": "femur", "index": 5}],
    "readers": 2,
    "train_after": 0,
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, tiny_studies: Callable[[Path], Path]) -> Path:
    folder = tiny_studies(tmp_path_factory.mktemp("panel") / "studies")
    (folder / "campaign.yaml").write_text(yaml.safe_dump(CAMPAIGN))
    return folder


@pytest.fixture(scope="module")
def panel(studies: Path, tasks_folder: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
        conf = {"models": "uniultra_mini", "preload": "false"}
        with serving(studies.parent, studies, patch, **conf) as running:
            yield running


def save(client: Any, image: str, name: str, data: bytes, annotator: str, **params: Any) -> int:
    tag = params.pop("tag", "final")
    answer = put_label(client, image, data, {"annotator": annotator, **params}, tag=tag, name=name)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["revision"])


def drawn(first: int = 1, second: int = 5) -> np.ndarray:
    values = np.zeros((60, 80), np.uint8)
    values[10:30, 5:25], values[40:50, 60:] = first, second
    return values


def test_masks_of_a_version_come_packed(panel: Any) -> None:
    revision = save(panel, "grey", "label.png", png(drawn()), "anna")
    told = panel.get(f"/labels/grey/{revision}/masks").json()
    assert (told["size"], told["axis_kind"], told["frames"]) == ([80, 60, 1], "still", None)
    found = [(one["label"], one["index"], one["frame"]) for one in told["masks"]]
    assert found == [("head", 1, 0), ("femur", 5, 0)]
    for one in told["masks"]:
        mask = unpack_mask(one["bbox"], one["mask"], (60, 80))
        np.testing.assert_array_equal(mask, drawn() == one["index"])
    assert panel.get("/labels/grey/99/masks").status_code == 404
    assert panel.get("/labels/nothing/1/masks").status_code == 404


def test_masks_of_a_cine_name_their_frames(panel: Any) -> None:
    cine = panel.get("/datastore/image", params={"image": "cine"}).content
    revision = save(panel, "cine", "label.nrrd", cine, "anna", tag="draft", frames=[1])
    told = panel.get(f"/labels/cine/{revision}/masks").json()
    assert (told["axis_kind"], told["frames"], told["size"][2]) == ("cine", [1], 4)
    assert {one["frame"] for one in told["masks"]} == {0, 1, 2, 3}
    assert {one["label"] for one in told["masks"]} > {"head", "structure 7"}, "also what has no name"


def test_the_place_of_an_image_is_the_stored_files(panel: Any) -> None:
    told = panel.get("/datastore/image/geometry", params={"image": "volume"}).json()
    assert told["size"] == [80, 60, 5] and told["axis_kind"] == "volume"
    assert told["spacing"] == pytest.approx([0.5, 0.6, 2.0]) and told["origin"] == pytest.approx([1, -2, 3])
    assert told["direction"] == pytest.approx([0, -1, 0, 1, 0, 0, 0, 0, 1], abs=1e-6)
    still = panel.get("/datastore/image/geometry", params={"image": "ward 3__colour"}).json()
    assert (still["size"], still["spacing_mm"]) == ([80, 60, 1], None)
    assert panel.get("/datastore/image/geometry", params={"image": "no"}).status_code == 404


def test_each_readers_newest_label_is_listed_by_state(panel: Any) -> None:
    mine = save(panel, "ward 3__colour", "label.png", png(drawn()), "anna")
    newest = save(panel, "ward 3__colour", "label.png", png(drawn(second=0)), "anna")
    other = save(panel, "ward 3__colour", "label.png", png(drawn()), "ben")
    save(panel, "ward 3__colour", "label.png", png(drawn()), "ben", tag="draft")

    def listed(**query: Any) -> list[tuple[str, int, str]]:
        found = panel.get("/labels", params=query)
        assert found.status_code == 200, found.text
        return [(one["image"], one["revision"], one["state"]) for one in found.json()["labels"]]

    colour = [("ward 3__colour", newest, "final"), ("ward 3__colour", other, "final")]
    assert mine < newest and listed()[-2:] == colour and all(one[0] != "cine" for one in listed())
    said = {"state": "returned", "reviewer": "rita", "comment": "left side"}
    assert panel.post(f"/labels/ward 3__colour/{newest}/review", json=said).status_code == 200
    assert listed(state="returned") == [("ward 3__colour", newest, "returned")]
    assert listed()[-1] == ("ward 3__colour", other, "final")
    assert len(listed(state=["final", "returned"])) == len(listed()) + 1
    assert listed(limit=1) == listed()[:1] and listed(limit=1, offset=1) == listed()[1:2]
    counts = panel.get("/labels").json()["counts"]
    assert counts["returned"] == 1 and counts["final"] == len(listed())
    for bad in ({"state": "draft"}, {"limit": 0}, {"limit": 501}, {"offset": -1}):
        assert panel.get("/labels", params=bad).status_code == 422


def test_a_trainings_curve_is_told_with_what_answers(panel: Any, studies: Path) -> None:
    assert panel.get("/train/curve").json()["state"] == "none"
    job = Job(
        id="20260101-000000-aa", model="uniultra_mini", made=datetime.now(UTC), base_sha256="0" * 64,
        settings=FitSettings(), seed=1, labels=(),
    )  # fmt: skip
    folder = JobFolder(studies / FOLDER / job.id)
    atomic.write(folder.path / "job.json", job.model_dump_json().encode())
    for epoch in range(3):
        folder.note(phase="fold-0", epoch=epoch, total_epochs=3, loss=1.0 - 0.1 * epoch)
    folder.tell(Progress(phase="fold-0", epoch=2, total_epochs=3, loss=0.8, best_metric=0.7))
    told = panel.get("/train/curve").json()
    assert (told["state"], told["epoch"], told["epochs"], told["dice"]) == ("waiting", 2, 3, 0.7)
    assert [point["loss"] for point in told["curve"]] == [1.0, 0.9, 0.8] and told["adapter"] is None
    folder.end(Ended(status="ERROR", when=datetime.now(UTC), error="The disk is full."))
    told = panel.get("/train/curve").json()
    assert (told["state"], told["message"]) == ("failed", "The disk is full.")


def test_info_says_that_all_this_is_there(panel: Any) -> None:
    offers = panel.get("/info/").json()["campaign"]["offers"]
    assert {"review", "masks", "geometry", "curve"} <= set(offers)
