"""What the campaign trains on; agreement and consensus of readers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import files_opened, make_cine, make_label, make_picture, write_campaign
from PIL import Image

from uniultra.images.itk import sitk
from uniultra.store import progress, queries
from uniultra.store.review import consensus
from uniultra.store.review.readings import readings
from uniultra.store.store import LabelStore
from uniultra.store.types import TrainingLabel

LABELS = [{"name": "head", "index": 1}, {"name": "femur", "index": 2}]


def chosen(store: LabelStore) -> list[tuple[str, int, tuple[int, ...] | None]]:
    return [(t.image, t.revision, t.frames) for t in store.trainable()]


def test_the_newest_good_version_trains(store: LabelStore, studies: Path, label: Path) -> None:
    assert store.trainable() == []
    store.save("one", label, tag="draft")
    store.save("one", label, tag="original")
    assert store.trainable() == []
    for _ in range(2):
        store.save("one", label, annotator="anna")
    store.save("deep__er__two", label, annotator="ben")
    assert chosen(store) == [("deep__er__two", 1, None), ("one", 4, None)]
    trained = store.trainable()[1]
    image, mask = trained.paths(studies)
    assert image == studies / "one.png" and mask.read_bytes() == label.read_bytes()
    assert trained.names == {1: "structure"} and len(trained.group) == 32
    assert TrainingLabel.model_validate_json(trained.model_dump_json()) == trained
    for state, expected in (("returned", []), ("flagged", []), ("approved", [("one", 4, None)])):
        store.review("one", 4, state, "rita")
        assert chosen(store)[1:] == expected, "a returned label hides what its annotator drew before"


def test_a_label_saved_while_the_labels_are_chosen_loses_no_image(
    store: LabelStore, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("one", label, annotator="anna")
    real = queries.versions

    def then_another_is_saved(*arguments: Any) -> Any:
        rows = real(*arguments)
        monkeypatch.setattr(queries, "versions", real)
        store.save("one", label, annotator="anna")
        return rows

    monkeypatch.setattr(queries, "versions", then_another_is_saved)
    assert chosen(store) == [("one", 1, None)] and chosen(store) == [("one", 2, None)]


def test_each_frame_of_a_cine_trains_by_its_newest_version(
    store: LabelStore, studies: Path, tmp_path: Path
) -> None:
    make_cine(studies / "clip.seq.nrrd")
    for frames in ({0, 1}, {1, 2}, {4}):
        store.save("clip", make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), frames), annotator="anna")
    assert chosen(store) == [("clip", 1, (0,)), ("clip", 2, (1, 2)), ("clip", 3, (4,))]


@pytest.mark.parametrize("trains", ["newest", "adjudicated", "consensus"])
def test_what_trains_is_known_without_opening_or_hashing_a_file(
    store: LabelStore, studies: Path, tmp_path: Path, trains: str
) -> None:
    write_campaign(studies, readers=2, trains=trains)
    make_cine(studies / "clip.seq.nrrd")
    for who, frames in (("anna", {0, 1}), ("ben", {1, 2})):
        store.save("clip", make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), frames), annotator=who)
        store.save("one", make_label(tmp_path / "l.png"), annotator=who)
    store.review("clip", 2, "approved", "rita")
    store.save("deep__er__two", make_label(tmp_path / "l.png"), annotator="anna", tag="draft")
    expected = {(label.image, label.revision) for label in store.trainable()}
    assert expected and store.trainable_revisions() == expected
    with files_opened(studies) as opened:
        store.trainable_revisions()
    assert opened == []
    with files_opened(studies) as opened:
        store.trainable()
    assert len({path for _, path in opened if path.parts[:2] == (".uniultra", "versions")}) == len(expected)


def test_a_consensus_that_has_yet_to_be_made_is_new(store: LabelStore, studies: Path, tmp_path: Path) -> None:
    write_campaign(studies, readers=2, trains="consensus")
    make_cine(studies / "clip.seq.nrrd")
    for image, who, frames in (("one", "anna", None), ("one", "ben", None), ("clip", "anna", {0})):
        shape = (6, 8) if frames is None else (5, 6, 8)
        store.save(image, make_label(tmp_path / "l.nrrd", 1, shape, frames), annotator=who)
    store.save("clip", make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), {3}), annotator="ben")
    assert store.trainable_revisions() == {("one", 0)}, "the readers of the cine have no frame in common"
    assert chosen(store) == [("one", 3, None)] and store.trainable_revisions() == {("one", 3)}
    make_picture(studies / "one.png").write_bytes(b"no picture any more")
    store.save("one", make_label(tmp_path / "l.nrrd"), annotator="anna")
    assert store.trainable_revisions() == {("one", 0)}
    assert store.trainable() == [] == list(store.trainable_revisions()), "it was found impossible"


def test_an_image_that_is_gone_does_not_train(store: LabelStore, studies: Path, label: Path) -> None:
    store.save("one", label)
    (studies / "one.png").unlink()
    store.images.refresh()
    assert store.trainable() == [] and len(store.versions()) == 1


def test_with_several_readers_only_what_was_adjudicated(
    store: LabelStore, studies: Path, label: Path
) -> None:
    write_campaign(studies, readers=2, trains="adjudicated")
    store.save("one", label, annotator="anna")
    store.save("one", label, annotator="ben")
    assert store.trainable() == []
    store.review("one", 1, "approved", "rita")
    assert chosen(store) == [("one", 1, None)]
    own = store.save("one", label, annotator="rita")
    assert chosen(store) == [("one", 1, None)]
    store.review("one", own.revision, "approved", "rita")
    assert chosen(store) == [("one", 3, None)]
    write_campaign(studies, readers=2, trains="newest")
    assert chosen(store) == [("one", 3, None)]


def square(path: Path, top: int, left: int, size: int = 20, value: int = 1) -> Path:
    voxels = np.zeros((40, 60), np.uint8)
    voxels[top : top + size, left : left + size] = value
    Image.fromarray(voxels).save(path)
    return path


@pytest.fixture
def readers(studies: Path, tmp_path: Path) -> LabelStore:
    """Three readers of a picture of 40 x 60, who differ by a shift."""
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(studies / "wide.png")
    write_campaign(studies, readers=3, trains="consensus", labels=LABELS)
    store = LabelStore(studies)
    for who, left in (("anna", 10), ("ben", 12), ("cleo", 11)):
        store.save("wide", square(tmp_path / "l.png", 5, left), annotator=who)
    return store


def test_a_consensus_is_a_version_of_its_own_and_follows_its_readers(
    readers: LabelStore, tmp_path: Path
) -> None:
    (trained,) = readers.trainable()
    version = readers.version("wide", trained.revision)
    assert (version.annotator, version.tag, version.info["of"]) == ("consensus", "consensus", [1, 2, 3])
    assert trained.names == {1: "head", 2: "femur"}
    found = sitk().GetArrayFromImage(sitk().ReadImage(str(readers.path(version))))[0]
    middle = np.zeros((40, 60), bool)
    middle[5:25, 11:31] = True
    assert np.array_equal(found > 0, middle), "what two of three say"
    assert chosen(readers) == [("wide", 4, None)], "made once"
    readers.save("wide", square(tmp_path / "l.png", 6, 11), annotator="ben")
    (again,) = readers.trainable()
    assert readers.version("wide", again.revision).info["of"] == [1, 3, 5]
    readers.review("wide", 3, "returned", "rita")
    assert readers.trainable() == [], "two of three are not enough"


def test_a_consensus_goes_by_names_however_clients_number_them(readers: LabelStore, tmp_path: Path) -> None:
    ways = (
        ("anna", 1, {"head": 1, "femur": 2}),
        ("ben", 2, {"femur": 1, "head": 2}),
        ("cleo", 3, {"head": 3}),
    )
    for who, value, labels in ways:
        file = square(tmp_path / "l.png", 5, 10, value=value)
        readers.save("wide", file, annotator=who, labels=labels)
    (trained,) = readers.trainable()
    found = sitk().GetArrayFromImage(sitk().ReadImage(str(readers.studies / trained.file)))
    assert trained.names == {1: "head", 2: "femur"}
    assert np.array_equal(np.unique(found, return_counts=True), [[0, 1], [2000, 400]])


def test_staple_of_several_structures_and_of_none() -> None:
    one, two = np.zeros((2, 16, 16), np.uint8)
    one[2:8, 2:8], one[9:14, 9:14] = 1, 2
    two[2:8, 2:8], two[9:14, 9:14] = 1, 2
    third = one.copy()
    third[2:8, 2:8] = 0
    found = consensus.staple(np.stack([one, two, third]))
    assert np.array_equal(found, one)
    assert not consensus.staple(np.zeros((3, 4, 4), np.uint8)).any()


def test_agreement_of_two_readers_by_structure(readers: LabelStore, tmp_path: Path) -> None:
    pairs = readers.agreement("wide")
    assert [pair.annotators for pair in pairs[::2]] == [("anna", "ben"), ("anna", "cleo"), ("ben", "cleo")]
    assert [pair.label for pair in pairs[:2]] == ["femur", "head"]
    femur, head = pairs[:2]
    assert math.isclose(head.dice, 18 / 20) and head.hd95 == 2.0 and head.unit == "px"
    assert femur.dice == 1.0 and femur.hd95 is None
    readers.save("wide", square(tmp_path / "l.png", 5, 10, value=2), annotator="ben")
    femur, head = readers.agreement("wide")[:2]
    assert (femur.dice, head.dice, head.hd95) == (0.0, 0.0, None)
    assert readers.agreement("one") == []


def test_labels_that_do_not_fit_each_other_have_no_consensus(
    readers: LabelStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    readers.save("wide", make_label(tmp_path / "small.png"), annotator="cleo")
    assert readers.trainable() == [] and "do not fit" in caplog.text
    assert "wide" not in caplog.text


@pytest.fixture
def cine(studies: Path, tmp_path: Path) -> Any:
    """A campaign with two readers of a cine of five frames, and how one of them saves frames."""
    make_cine(studies / "clip.seq.nrrd")
    write_campaign(studies, readers=2, trains="consensus", frames="all", labels=LABELS[:1])
    store = LabelStore(studies)

    def save(who: str, *frames: int, shape: tuple[int, int, int] = (5, 6, 8)) -> int:
        file = make_label(tmp_path / "l.nrrd", 1, shape, frames)
        return store.save("clip", file, annotator=who, frames=frames).revision

    return store, save


def test_readers_without_a_common_frame_are_not_compared(cine: Any) -> None:
    store, save = cine
    save("anna", 0)
    for frames in ((3,), ()):
        save("ben", *frames)
        assert store.agreement("clip") == []
        assert progress.status(store, {})["agreement"]["images"] == 0
    save("ben", 0, 3)
    (pair,) = store.agreement("clip")
    assert (pair.annotators, pair.revisions, pair.dice) == (("anna", "ben"), (1, 4), 1.0)


def test_agreement_and_consensus_know_the_earlier_frames_of_a_reader(cine: Any, tmp_path: Path) -> None:
    store, save = cine
    save("anna", 0)
    save("anna", 3)
    empty = make_label(tmp_path / "empty.nrrd", 0, (5, 6, 8))
    store.save("clip", empty, annotator="ben", frames=[0, 3, 4])
    save("ben", 3)
    (pair,) = store.agreement("clip")
    # of frame 0 ben's first label counts, of frame 3 his second: one of two squares is in both
    assert pair.revisions == (2, 4) and math.isclose(pair.dice, 2 / 3)
    ((image, _, frames),) = chosen(store)
    assert (image, frames) == ("clip", (0, 3))
    assert store.versions("clip")[-1].info["of"] == [1, 2, 3, 4]


def test_a_frame_whose_newest_label_was_returned_leaves_the_consensus(cine: Any) -> None:
    store, save = cine
    for who in ("anna", "ben"):
        save(who, 0, 3)
    ((_, made, frames),) = chosen(store)
    assert (made, frames) == (3, (0, 3))
    again = save("ben", 3)
    store.review("clip", again, "returned", "rita")
    assert chosen(store) == [("clip", made, (0,))]
    assert [(one.revision, one.frames) for one in readings(store)["clip"]] == [(1, (0, 3)), (2, (0,))]
