"""What `GET /datastore/image/info` tells about millimetres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import serving


@pytest.fixture(scope="module")
def client(tiny_studies: Any, tmp_path_factory: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("info")
    studies = tiny_studies(folder / "studies")
    (studies / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    shared = Path(__file__).resolve().parents[4] / "shared" / "dicom" / "OBXXXX1A.dcm"
    if shared.is_file():
        shutil.copy(shared, studies / "scanner.dcm")
    with pytest.MonkeyPatch.context() as patch, serving(folder, studies, patch, preload="false") as running:
        yield running


def told(client: Any, image: str) -> Any:
    answer = client.get("/datastore/image/info", params={"image": image})
    assert answer.status_code == 200, answer.text
    return answer.json()["calibration"]


def test_the_spacing_of_a_volume(client: Any) -> None:
    found = told(client, "volume")
    assert found == {"spacing_mm": pytest.approx([2.0, 0.6, 0.5]), "axis_kind": "volume", "regions": []}


@pytest.mark.parametrize(("image", "kind"), [("grey", "still"), ("cine", "cine")])
def test_a_file_without_a_calibration_has_none(client: Any, image: str, kind: str) -> None:
    assert told(client, image) == {"spacing_mm": None, "axis_kind": kind, "regions": []}


def test_what_was_noted_about_the_image_stays(client: Any) -> None:
    client.put("/datastore/image/info", params={"image": "grey"}, data={"info": '{"probe": "C5-1"}'})
    answer = client.get("/datastore/image/info", params={"image": "grey"}).json()
    assert answer["probe"] == "C5-1"
    assert answer["calibration"]["spacing_mm"] is None


def test_a_file_that_cannot_be_read(client: Any) -> None:
    assert told(client, "broken") is None


def test_no_such_image(client: Any) -> None:
    assert client.get("/datastore/image/info", params={"image": "none"}).status_code == 404


def test_each_region_has_its_own_scale(client: Any, shared_dir: Path) -> None:
    first, second = told(client, "scanner")["regions"]
    assert first["bbox"] == [120, 60, 800, 518]
    assert first["spacing_mm"] == pytest.approx([0.262288, 0.262288], rel=1e-4)
    assert (first["spatial_format"], first["data_type"]) == (1, 1)
    assert second["spacing_mm"] is None
