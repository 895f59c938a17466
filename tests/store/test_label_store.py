"""Versions, lines, conflicts, frames and reviews."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories import Clock, make_cine, make_label, make_picture, raising, write_campaign
from PIL import Image

from uniultra.errors import RequestError
from uniultra.images import read_image
from uniultra.images.itk import sitk
from uniultra.store.errors import ConflictError, NotFoundError, StoreError
from uniultra.store.labels import records
from uniultra.store.labels.labelmap import read_labelmap
from uniultra.store.paths import record_path
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Origin, Unit


def test_a_version_keeps_all_that_is_known_about_it(
    store: LabelStore, studies: Path, label: Path, clock: Clock
) -> None:
    origin = Origin(
        model="uniultra_mini", adapter="b1", prompts=({"foreground": [[1, 2, 0]]},), clicks=3, seconds=4.5
    )
    saved = store.save("one", label, annotator="anna", origin=origin, info={"note": "left"})
    assert (saved.revision, saved.tag, saved.annotator, saved.made) == (1, "final", "anna", clock())
    assert saved.sha256 == hashlib.sha256(label.read_bytes()).hexdigest()
    assert saved.labels == {"structure": 1} and saved.source == "one.png" and saved.frames is None
    again = LabelStore(studies)
    assert again.versions("one") == [saved] == again.versions()
    assert again.path(saved).read_bytes() == label.read_bytes() == again.verified(saved).read_bytes()
    assert again.state(saved) == "final"
    assert saved.origin == origin and saved.info == {"note": "left"}


def test_nothing_is_ever_overwritten(store: LabelStore, studies: Path, tmp_path: Path) -> None:
    kept = {}
    for value in (1, 2, 3):
        saved = store.save("one", make_label(tmp_path / "l.png", value), annotator="anna")
        kept[saved.revision] = store.path(saved).read_bytes()
    assert list(kept) == [1, 2, 3]
    assert {v.revision: store.path(v).read_bytes() for v in store.versions("one")} == kept
    assert (studies / "labels" / "final" / "one.png").read_bytes() == kept[3]
    record = record_path(studies, "one", 2)
    with pytest.raises(FileExistsError):
        records.write(record, store.version("one", 1))


def test_who_began_from_an_older_revision_is_told_which_one_stands(
    store: LabelStore, label: Path, clock: Clock
) -> None:
    first = store.save("one", label, annotator="anna", base=0)
    clock.tick(1)
    second = store.save("one", label, annotator="ben", base=first.revision)
    with pytest.raises(ConflictError) as refusal:
        store.save("one", label, annotator="anna", base=first.revision)
    assert refusal.value.newer == second
    assert [v.revision for v in store.versions("one")] == [1, 2]
    # stock clients do not know about revisions
    assert store.save("one", label, annotator="anna").revision == 3


def test_a_draft_is_no_ones_line_but_its_annotators(store: LabelStore, label: Path) -> None:
    store.save("one", label, tag="draft", annotator="anna", base=0)
    store.save("one", label, tag="draft", annotator="ben", base=0)
    done = store.save("one", label, annotator="anna", base=1)
    assert done.revision == 3
    assert [store.state(v) for v in store.versions("one")] == ["draft", "draft", "final"]


def test_with_two_readers_each_has_a_line(studies: Path, store: LabelStore, label: Path) -> None:
    write_campaign(studies, readers=2)
    store.save("one", label, annotator="anna", base=0)
    store.save("one", label, annotator="ben", base=0)
    with pytest.raises(ConflictError):
        store.save("one", label, annotator="ben", base=1)
    assert store.save("one", label, annotator="anna", base=1).revision == 3


def test_a_request_that_comes_twice_is_one_version(store: LabelStore, label: Path) -> None:
    info = {"idempotency_key": "k-1"}
    first = store.save("one", label, base=0, info=info)
    assert store.save("one", label, base=0, info=info) == first
    assert LabelStore(store.studies).save("one", label, base=0, info=info) == first
    assert store.save("deep__er__two", label, info=info).image == "deep__er__two"
    assert len(store.versions("one")) == 1


def test_a_review_makes_the_state_and_stays(store: LabelStore, studies: Path, label: Path) -> None:
    saved = store.save("one", label, annotator="anna")
    for state in ("returned", "flagged", "approved"):
        store.review("one", 1, state, "rita", f"it is {state}")
        assert store.state(saved) == state
    again = LabelStore(studies)
    assert again.state(saved) == "approved"
    assert [r.comment for r in again.reviews("one", 1)] == [
        "it is returned",
        "it is flagged",
        "it is approved",
    ]
    with pytest.raises(RequestError, match="approved or flagged"):
        store.review("one", 1, "excellent", "rita")
    with pytest.raises(NotFoundError):
        store.review("one", 9, "approved", "rita")
    draft = store.save("one", label, tag="draft")
    with pytest.raises(RequestError, match="draft"):
        store.review("one", draft.revision, "approved", "rita")


def test_frames_of_a_cine_are_those_with_something_in_them_unless_they_are_named(
    store: LabelStore, studies: Path, tmp_path: Path
) -> None:
    make_cine(studies / "clip.seq.nrrd")
    label = make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), {1, 3})
    assert store.save("clip", label).frames == (1, 3)
    assert store.save("clip", label, frames=[4, 1, 1]).frames == (1, 4)
    assert store.save("clip", make_label(tmp_path / "e.nrrd", 0, (5, 6, 8))).frames == ()
    for bad in ([5], [-1], [True]):
        with pytest.raises(RequestError, match="0 to 4"):
            store.save("clip", label, frames=bad)
    still = store.save("one", make_label(tmp_path / "e.png", 0), frames=[0])
    assert still.frames is None, "an empty label of a still says that there is nothing"


def test_labels_of_other_frames_stand_beside_each_other(
    store: LabelStore, studies: Path, tmp_path: Path
) -> None:
    write_campaign(studies, frames="all")
    make_cine(studies / "clip.seq.nrrd")

    def save(annotator: str, base: int, *frames: int, tag: str = "final") -> int:
        file = make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), frames)
        return store.save("clip", file, annotator=annotator, base=base, frames=frames, tag=tag).revision

    assert save("anna", 0, 0, 1) == 1 and save("ben", 0, 4) == 2
    assert [(t.revision, t.frames) for t in store.trainable()] == [(1, (0, 1)), (2, (4,))]
    with pytest.raises(ConflictError) as refusal:
        save("ben", 0, 1, 2)
    assert refusal.value.newer.revision == 1, "the one that has frame 1, not the newest"
    assert save("ben", 1, 1, 2) == 3
    assert [(t.revision, t.frames) for t in store.trainable()] == [(1, (0,)), (2, (4,)), (3, (1, 2))]
    assert save("anna", 0, 3, tag="draft") == 4
    with pytest.raises(ConflictError):
        save("anna", 0, 2, tag="draft")


def grey(path: Path, marked: np.ndarray) -> None:
    Image.fromarray(np.where(marked, np.uint8(7), np.uint8(0))).convert("RGB").save(path)


def palette(path: Path, marked: np.ndarray) -> None:
    picture = Image.fromarray(np.where(marked, np.uint8(3), np.uint8(0)))
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(path)


def white(path: Path, marked: np.ndarray) -> None:
    sitk().WriteImage(sitk().GetImageFromArray(np.where(marked, np.uint8(255), np.uint8(0))), str(path))


def pages(path: Path, marked: np.ndarray) -> None:
    page = Image.fromarray(np.where(marked, np.uint8(255), np.uint8(0)))
    page.save(path, save_all=True, append_images=[page])


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("l.nrrd", white),
        ("l.mha", white),
        ("l.nii", white),
        ("l.png", white),
        ("l.png", grey),
        ("l.png", palette),
        ("l.tif", pages),
    ],
)
def test_a_structure_has_the_value_that_a_training_reads(
    store: LabelStore, studies: Path, tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], None]
) -> None:
    page = Image.fromarray(np.zeros((6, 8), np.uint8))
    page.save(studies / "two.tif", save_all=True, append_images=[page])
    marked = np.indices((6, 8)).sum(0) < 5
    write(tmp_path / name, marked)
    image = "two" if write is pages else "one"
    store.save(image, tmp_path / name)
    (trained,) = store.trainable()
    source, file = trained.paths(studies)
    assert list(trained.names.values()) == ["structure"]
    (value,) = trained.names
    assert (read_labelmap(file, read_image(source)) == np.where(marked, value, 0)).all()


def test_a_file_without_one_value_for_each_pixel_is_kept(
    store: LabelStore, studies: Path, tmp_path: Path
) -> None:
    make_cine(studies / "clip.seq.nrrd")
    voxels = np.zeros((5, 6, 8, 2), np.uint8)
    voxels[2, :3, :3, 1] = 9
    sitk().WriteImage(sitk().GetImageFromArray(voxels, isVector=True), str(tmp_path / "l.nrrd"))
    saved = store.save("clip", tmp_path / "l.nrrd")
    assert (saved.frames, saved.labels) == ((2,), {"structure": 1})


def test_names_are_the_requests_then_the_campaigns(store: LabelStore, studies: Path, tmp_path: Path) -> None:
    labels = [{"name": "head", "index": 1}, {"name": "femur", "index": 2}]
    two = make_label(tmp_path / "two.nrrd", 2)
    assert store.save("one", two).labels == {"structure": 2}
    write_campaign(studies, labels=labels)
    assert store.save("one", two).labels == {"head": 1, "femur": 2}
    assert store.save("one", two, labels={"cyst": 2}).labels == {"cyst": 2}
    write_campaign(studies, labels=labels[:1])
    black_and_white = make_label(tmp_path / "bw.png", 255)
    assert store.save("one", black_and_white).labels == {"head": 1}


def test_a_label_that_was_removed_counts_no_more_but_is_not_gone(
    store: LabelStore, saved: LabelVersion, studies: Path, label: Path
) -> None:
    assert Unit("one", 0) not in store.unlabelled()
    store.remove("one", "final")
    assert store.versions("one") == [] and store.trainable() == []
    assert Unit("one", 0) in store.unlabelled()
    assert not (studies / "labels" / "final" / "one.png").exists()
    assert store.path(saved).is_file()
    store.rebuild()
    assert store.versions("one") == []
    assert store.save("one", label).revision == 2
    with pytest.raises(NotFoundError):
        store.remove("one", "original")


def set_schema(studies: Path, schema: dict[str, object]) -> Path:
    """Rewrite the first record of `one` as another program would, without a checksum."""
    path = record_path(studies, "one", 1)
    body = json.loads(path.read_bytes())
    del body["record_sha256"], body["schema_version"]
    path.write_text(json.dumps(body | schema))
    return path


@pytest.mark.parametrize("schema", [{}, {"schema_version": "1"}, {"schema_version": 0}])
def test_a_record_of_no_schema_is_damaged(
    store: LabelStore, studies: Path, label: Path, schema: dict[str, object]
) -> None:
    store.save("one", label)
    set_schema(studies, schema)
    store.rebuild()
    assert store.versions() == [] and [problem.reason for problem in store.problems()] == ["record damaged"]


def test_a_record_of_a_newer_program_is_left_alone(store: LabelStore, studies: Path, label: Path) -> None:
    store.save("one", label)
    path = set_schema(studies, {"schema_version": 99})
    store.rebuild()
    assert store.versions() == [] and store.problems() == []
    assert path.is_file()
    assert store.save("one", label).revision == 2


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    labelled: LabelStore, studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_picture(studies / "three.png")
    read_only = raising(OSError(30, "Read-only file system"))
    monkeypatch.setattr("uniultra.files.lock.FileLock.acquire", read_only)
    again = LabelStore(studies)
    assert [unit.image for unit in again.units()] == ["deep__er__two", "one", "three"]
    assert [v.annotator for v in again.versions()] == ["anna"]
    assert [unit.image for unit in again.unlabelled()] == ["deep__er__two", "three"]
    with pytest.raises(OSError, match="Read-only"):
        again.save("one", label)
    assert [v.revision for v in LabelStore(studies).versions()] == [1]


def test_a_name_is_kept_with_the_folder(store: LabelStore, studies: Path) -> None:
    store.describe(name="liver", description="of 2026")
    again = LabelStore(studies)
    assert (again.identity.name, again.identity.description) == ("liver", "of 2026")
    (studies / ".uniultra" / "store.json").write_text("{")
    with pytest.raises(StoreError, match="backup"):
        LabelStore(studies).identity  # noqa: B018
