"""A studies folder as version 0.2.0 left it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import make_label, make_picture, raising

from uniultra.store.datastore import StudiesDatastore
from uniultra.store.store import LabelStore


@pytest.fixture
def old(studies: Path) -> Path:
    """Three images, one of them added, with ids that the files alone would not give; labels of two tags."""
    make_picture(studies / "one.bmp")
    make_picture(studies / "new.png")
    make_label(_folder(studies / "labels" / "final") / "one.png")
    make_label(studies / "labels" / "final" / "two-before.nrrd", 3)
    make_label(_folder(studies / "labels" / "original") / "one.nrrd", 2)
    (studies / "labels" / "original" / "new.nrrd").write_bytes(b"NRRD0004\nhalf of")
    info = {"ts": 1_700_000_000, "name": "one.png", "client_id": "anna", "user": "admin"}
    body = {
        "version": 1,
        "name": "liver",
        "description": "of 2026",
        "images": {
            "one": {
                "path": "one.png",
                "added": False,
                "info": {"ts": 5, "name": "one.png", "strategy": {"random": {"ts": 6}}},
                "labels": {
                    "final": {"ext": ".png", "info": info},
                    "original": {"ext": ".nrrd", "info": {"ts": 7, "name": "one.nrrd", "model": "m"}},
                },
            },
            "two-before": {
                "path": "deep/er/two.png",
                "added": False,
                "info": {},
                "labels": {"final": {"ext": ".nrrd", "info": {}}},
            },
            "new": {
                "path": "new.png",
                "added": True,
                "info": {"probe": "C5-1"},
                "labels": {"original": {"ext": ".nrrd", "info": {}}},
            },
        },
    }
    (_folder(studies / ".uniultra") / "index.json").write_text(json.dumps(body, indent=1))
    (studies / ".uniultra" / "index.lock").touch()
    return studies


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_ids_infos_and_labels_are_taken_over(old: Path) -> None:
    before = {path: path.read_bytes() for path in (old / "labels" / "final").iterdir()}
    for _ in range(2):
        datastore = StudiesDatastore(old)
        assert datastore.list_images() == ["new", "one", "one.bmp", "two-before"]
        assert datastore.get_image_uri("two-before").endswith("two.png")
        assert datastore.name() == "liver" and datastore.description() == "of 2026"
        assert datastore.get_image_info("one")["strategy"] == {"random": {"ts": 6}}
        assert datastore.get_image_info("new")["probe"] == "C5-1"
        assert datastore.get_labeled_images() == ["one", "two-before"]
        assert datastore.get_label_info("one", "final")["client_id"] == "anna"
        assert datastore.get_label_info("one", "original")["model"] == "m"
        assert {path: path.read_bytes() for path in (old / "labels" / "final").iterdir()} == before
    one = next(v for v in datastore.store.versions("one") if v.tag == "final")
    assert one.annotator == "anna" and one.made == datetime.fromtimestamp(1_700_000_000, UTC)
    assert len(datastore.store.versions()) == 3
    assert [p.reason for p in datastore.store.problems()] == ["label file cannot be decoded"]
    datastore.remove_image("new")  # it is still known that the server added it
    assert (old / ".uniultra" / "index-0.2.0.json").is_file()


def test_a_crash_in_the_middle_takes_nothing_twice(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uniultra.store.quarantine.add", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        LabelStore(old).units()
    monkeypatch.undo()
    store = LabelStore(old)
    store.units()
    assert sorted((v.image, v.tag) for v in store.versions()) == [
        ("one", "final"),
        ("one", "original"),
        ("two-before", "final"),
    ]


def test_a_damaged_index_of_0_2_0_is_put_aside_and_labels_are_adopted(old: Path) -> None:
    index = old / ".uniultra" / "index.json"
    index.write_bytes(index.read_bytes()[:-20])
    (old / "one.bmp").unlink()
    datastore = StudiesDatastore(old)
    assert datastore.get_labeled_images() == ["one"]
    assert set(datastore.get_labels_by_image_id("one")) == {"final", "original"}
    assert (old / ".uniultra" / "index.damaged-0.2.0.json").is_file()
