"""What a crash leaves: every label that was acknowledged, and nothing half-written that is trusted."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories import lose_index, make_label, raising
from PIL import Image

from uniultra.files import atomic
from uniultra.store.catalogue import images
from uniultra.store.errors import StoreError
from uniultra.store.paths import record_path
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Unit

DAMAGES = {
    "garbage": b"no database at all " * 500,
    "zeros": b"\0" * 4096,
    "header only": b"SQLite format 3\0" + b"x" * 4096,
}


def copy_of(store: LabelStore, version: LabelVersion) -> Path:
    """Where clients find the newest version."""
    return store.studies / "labels" / version.tag / f"{version.image}{version.ext}"


def sound(store: LabelStore) -> dict[tuple[str, int], bytes]:
    """The masks of all versions, after each was checked in every way."""
    found = {}
    for version in store.versions():
        mask = store.verified(version).read_bytes()
        if store.current()[version.image, version.tag] == version:
            assert copy_of(store, version).read_bytes() == mask, "what clients see is the newest version"
        found[version.image, version.revision] = mask
    assert {(t.image, t.revision) for t in store.trainable()} <= set(found)
    return found


def snapshots(
    studies: Path, folder: Path, patch: pytest.MonkeyPatch, work: Callable[[], object]
) -> list[Path]:
    """The studies folder as it is on the disk before each durable step of some work."""
    taken: list[Path] = []
    real = os.fsync

    def step(handle: int) -> None:
        taken.append(folder / f"step{len(taken)}")
        shutil.copytree(studies, taken[-1])
        real(handle)

    patch.setattr(atomic.os, "fsync", step)
    work()
    patch.undo()
    return taken


def test_a_crash_at_any_step_of_a_save_loses_nothing_that_was_acknowledged(
    store: LabelStore, studies: Path, tmp_path: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("one", label, annotator="anna", info={"idempotency_key": "a"})
    before, after = label.read_bytes(), make_label(tmp_path / "l2.png", 2).read_bytes()
    steps = snapshots(
        studies, tmp_path / "crash", monkeypatch, lambda: store.save("one", tmp_path / "l2.png")
    )
    assert len(steps) >= 6
    seen = set()
    for step in steps:
        again = LabelStore(step)
        found = sound(again)
        assert found["one", 1] == before
        assert found.get(("one", 2), after) == after
        seen.add(("one", 2) in found)
        problems = {problem.reason for problem in again.problems()}
        assert problems <= {"half written", "mask without a record"}
        assert not list(step.rglob("*.part")) or all("quarantine" in p.parts for p in step.rglob("*.part"))
        saved = again.save("one", label, annotator="anna", base=None)
        assert saved.revision > max(revision for _, revision in found)
    assert seen == {True, False}, "the record is the commit point"


def test_a_crash_at_any_step_of_a_review_a_skip_and_a_removal(
    store: LabelStore, saved: LabelVersion, tmp_path: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        store.review("one", 1, "approved", "rita")
        store.skip(Unit("one", 0), "ben", "unsure")
        store.remove("one", "final")

    for step in snapshots(store.studies, tmp_path / "crash", monkeypatch, work):
        again = LabelStore(step)
        assert sound(again) in ({}, {("one", 1): label.read_bytes()})
        if again.versions():
            assert again.state(saved) in ("final", "approved")
    assert store.skipped() == {Unit("one", 0): {"ben": "unsure"}} and store.versions() == []


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    if kind == "flip":
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    elif kind == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()


@pytest.mark.parametrize("kind", ["flip", "truncate", "delete"])
@pytest.mark.parametrize("what", ["mask", "record"])
@pytest.mark.parametrize("running", [True, False])
def test_a_damaged_version_is_put_aside_with_its_reason_and_never_trained_on(
    labelled: LabelStore, label: Path, what: str, kind: str, running: bool, caplog: pytest.LogCaptureFixture
) -> None:
    labelled.save("deep__er__two", label, annotator="ben")
    second = labelled.save("one", label, annotator="anna")
    path = labelled.path(second) if what == "mask" else record_path(labelled.studies, "one", 2)
    damage(path, kind)
    if what == "mask":
        copy_of(labelled, second).unlink()
    if what == "record" and kind == "flip":
        path.write_text(path.read_text().replace(second.sha256, "0" * 64))
    again = labelled if running else LabelStore(labelled.studies)
    if running and what == "record":
        again.rebuild()
    trained = [(t.image, t.revision) for t in again.trainable()]
    assert trained == [("deep__er__two", 1), ("one", 1)]
    sound(again)
    (problem,) = again.problems()
    assert (problem.image, problem.revision) == ("one", 2)
    assert all((labelled.studies / ".uniultra" / "quarantine" / name).is_file() for name in problem.files)
    assert again.save("one", label).revision == 3
    assert "one" not in caplog.text and "anna" not in caplog.text


@pytest.mark.parametrize("kind", ["flip", "truncate", "delete"])
@pytest.mark.parametrize("running", [True, False])
def test_a_damaged_mask_is_put_right_from_its_whole_copy(
    store: LabelStore, studies: Path, label: Path, tmp_path: Path, running: bool, kind: str
) -> None:
    store.save("one", make_label(tmp_path / "older.png", 2), annotator="anna")
    second = store.save("one", label, annotator="anna")
    store.review("one", 2, "approved", "rita")
    damage(store.path(second), kind)
    again = store if running else LabelStore(studies)
    assert [(t.image, t.revision) for t in again.trainable()] == [("one", 2)]
    assert again.path(second).read_bytes() == label.read_bytes() == copy_of(again, second).read_bytes()
    assert again.problems() == [] and again.state(second) == "approved"
    assert sound(LabelStore(studies)).keys() == {("one", 1), ("one", 2)}


def test_a_damaged_mask_is_not_put_right_from_another_label(
    store: LabelStore, saved: LabelVersion, tmp_path: Path
) -> None:
    damage(store.path(saved), "flip")
    by_hand = make_label(copy_of(store, saved), 3).read_bytes()
    assert store.trainable() == []
    assert copy_of(store, saved).read_bytes() == by_hand
    store.images.refresh()
    (adopted,) = store.versions("one")
    assert adopted.info == {"by_hand": True} and store.path(adopted).read_bytes() == by_hand


@pytest.fixture
def saved_over(studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LabelStore, bytes]:
    """A store whose copy of a label somebody saved over in place, and what they saved."""
    monkeypatch.setattr(images, "FRESH_S", 0.0)
    store = LabelStore(studies)
    saved = store.save("one", label, annotator="anna")
    long_ago = time.time() - 3600
    for folder in (studies, *(path for path in studies.rglob("*") if path.is_dir())):
        os.utime(folder, (long_ago, long_ago))
    store.units()
    by_hand = make_label(copy_of(store, saved), 3).read_bytes()
    assert copy_of(store, saved).parent.stat().st_mtime < time.time() - 3000, "its folder does not show it"
    return store, by_hand


def test_what_was_saved_over_a_copy_is_kept_when_a_label_of_another_format_comes(
    saved_over: tuple[LabelStore, bytes], tmp_path: Path
) -> None:
    store, by_hand = saved_over
    store.save("one", make_label(tmp_path / "next.nrrd", 2), annotator="anna")
    store.units()
    newest = store.versions("one")[-1]
    assert [version.info.get("by_hand", False) for version in store.versions("one")] == [False, False, True]
    assert store.path(newest).read_bytes() == by_hand == copy_of(store, newest).read_bytes()
    assert [file.name for file in copy_of(store, newest).parent.iterdir()] == ["one.png"]
    sound(store)


def test_what_was_saved_over_a_copy_is_a_version_before_the_label_is_removed(
    saved_over: tuple[LabelStore, bytes], studies: Path
) -> None:
    store, by_hand = saved_over
    store.remove("one", "final")
    assert store.versions() == [] and not list((studies / "labels" / "final").iterdir())
    assert (store.private / "versions" / "one" / "2.png").read_bytes() == by_hand


def test_what_cannot_be_read_as_a_label_is_not_deleted_with_it(store: LabelStore, label: Path) -> None:
    copy = copy_of(store, store.save("one", label, annotator="anna"))
    copy.write_bytes(b"half of a label, on its way")
    store.remove("one", "final")
    assert copy.read_bytes() == b"half of a label, on its way"


@pytest.mark.parametrize("kind", ["deleted", "empty", *DAMAGES, "truncated", "other schema", "foreign"])
def test_the_index_is_built_again_from_the_files(store: LabelStore, label: Path, kind: str) -> None:
    store.save("one", label, annotator="anna")
    store.save("one", label, annotator="anna", info={"note": "left"})
    store.save("deep__er__two", label, tag="original")
    store.review("one", 2, "approved", "rita")
    store.skip(Unit("deep__er__two", 0), "ben", "unsure")
    before = (store.versions(), store.states(), store.skipped(), store.images.records(), store.identity)
    store.index.close()
    index = store.studies / ".uniultra" / "index.sqlite"
    if kind == "deleted":
        index.unlink()
    elif kind == "empty":
        index.write_bytes(b"")
    elif kind in DAMAGES:
        index.write_bytes(DAMAGES[kind])
    elif kind == "truncated":
        index.write_bytes(index.read_bytes()[:-5000])
    elif kind == "other schema":
        with sqlite3.connect(index) as connection:
            connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema'")
    else:
        index.unlink()
        with sqlite3.connect(index) as connection:
            connection.execute("CREATE TABLE songs (title TEXT)")
    again = LabelStore(store.studies)
    after = (again.versions(), again.states(), again.skipped(), again.images.records(), again.identity)
    assert after == before
    aside = list(index.parent.glob("index.damaged-*.sqlite"))
    assert len(aside) == (kind not in ("deleted", "empty"))
    sound(again)


def test_an_index_that_is_deleted_or_damaged_under_a_running_store_is_built_again(
    store: LabelStore, studies: Path, label: Path
) -> None:
    store.save("one", label)
    without_index(studies)
    assert [v.revision for v in store.versions()] == [1]
    assert store.save("one", label).revision == 2
    assert len(LabelStore(studies).versions()) == 2


def test_a_version_that_the_index_never_heard_of_is_found(
    store: LabelStore, studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("one", label)
    lost = raising(StoreError("The database went away."))
    monkeypatch.setattr("uniultra.store.index.rows.insert_version", lost)
    with pytest.raises(StoreError):
        store.save("one", label, annotator="anna")
    monkeypatch.undo()
    other = LabelStore(studies)
    assert [v.revision for v in other.versions("one")] == [1, 2]
    assert store.save("one", label).revision == 3


def test_ids_survive_the_loss_of_the_journal_by_the_paths_in_the_records(studies: Path, label: Path) -> None:
    store = LabelStore(studies)
    store.units()
    Image.new("L", (8, 6)).save(studies / "one.bmp")
    store.images.refresh()
    store.save("one", label)
    (studies / ".uniultra" / "journal.jsonl").unlink()
    again = without_index(studies)
    again.units()
    assert again.images.path("one").name == "one.png"
    assert again.images.path("one.bmp").name == "one.bmp"


def test_whole_files_put_in_by_hand_are_adopted_and_broken_ones_wait_a_minute(
    store: LabelStore, studies: Path, label: Path, tmp_path: Path
) -> None:
    store.save("one", label, annotator="anna")
    folder = studies / "labels" / "final"
    make_label(folder / "deep__er__two.nrrd")
    make_label(folder / "one.png", 2)
    (folder / "nobody.png").write_bytes(label.read_bytes())
    store.images.refresh()
    assert [(v.image, v.revision) for v in store.versions()] == [
        ("deep__er__two", 1),
        ("one", 1),
        ("one", 2),
    ]
    assert store.version("one", 1).annotator == "anna" and store.version("one", 2).info == {"by_hand": True}
    sound(store)
    broken = folder / "deep__er__two.nrrd"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-20])
    store.images.refresh()
    assert store.problems() == [] and broken.is_file(), "it may still be on its way"
    old = time.time() - 61
    os.utime(broken, (old, old))
    store.images.refresh()
    assert [p.reason for p in store.problems()] == ["label file cannot be decoded"]
    assert broken.read_bytes() == whole, "the version that stood there is back"
    store.images.refresh()
    assert len(store.versions()) == 3 and len(store.problems()) == 1


def test_a_file_put_in_by_hand_is_not_overwritten_while_the_index_is_lost(studies: Path, label: Path) -> None:
    store = LabelStore(studies)
    store.save("one", label, annotator="anna")
    store.index.close()
    (studies / ".uniultra" / "index.sqlite").unlink()
    by_hand = make_label(studies / "labels" / "final" / "one.png", 2).read_bytes()
    again = LabelStore(studies)
    again.units()
    assert [again.path(v).read_bytes() for v in again.versions("one")] == [label.read_bytes(), by_hand]
    make_label(studies / "labels" / "final" / "one.png", 3)
    again.save("one", label, annotator="anna")  # before anybody has looked
    again.images.refresh()
    assert [v.info.get("by_hand", False) for v in again.versions("one")] == [False, True, False, True]
    sound(again)


def test_copies_that_are_deleted_by_hand_come_back(store: LabelStore, studies: Path, label: Path) -> None:
    store.save("one", label)
    shutil.rmtree(studies / "labels")
    store.images.refresh()
    assert (studies / "labels" / "final" / "one.png").read_bytes() == label.read_bytes()


def test_problems_are_dealt_with_when_their_files_are_deleted(store: LabelStore, label: Path) -> None:
    saved = store.save("one", label)
    damage(store.path(saved), "truncate")
    copy_of(store, saved).unlink()
    assert store.trainable() == [] and len(store.problems()) == 1
    for file in (store.studies / ".uniultra" / "quarantine").iterdir():
        if file.suffix != ".json" or "-" in file.name:
            file.unlink()
    assert store.problems() == []


def test_a_torn_line_of_the_journal_is_passed_over(store: LabelStore, studies: Path) -> None:
    store.skip(Unit("one", 0), "anna", "unsure")
    journal = studies / ".uniultra" / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"kind": "skip", "image": "one", "fr')
    store.skip(Unit("deep__er__two", 0), "anna", "unsure")
    store.rebuild()
    assert set(store.skipped()) == {Unit("one", 0), Unit("deep__er__two", 0)}
    assert json.loads(journal.read_bytes().splitlines()[-1])["image"] == "deep__er__two"


_CHILD = """
import sys
from pathlib import Path
from uniultra.store.store import LabelStore
store = LabelStore(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(1000):
    version = store.save("one", Path(sys.argv[2]), annotator="anna", info={"n": n})
    print(version.revision, version.sha256, flush=True)
"""


def test_killing_a_process_that_saves_loses_nothing_it_acknowledged(
    studies: Path, label: Path, tmp_path: Path
) -> None:
    chance = random.Random(5)
    acknowledged: dict[int, str] = {}
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(studies), str(label)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        first = child.stdout.readline()  # on a busy machine a save takes longer than any pause here
        time.sleep(chance.random() * 0.5)
        child.send_signal(signal.SIGKILL)
        said = [first, *child.stdout.read().splitlines()]
        lines = [line.split() for line in said if line.count(" ") == 1]
        child.wait()
        acknowledged |= {int(revision): digest for revision, digest in lines if len(digest) == 64}
        store = LabelStore(studies)
        there = {version.revision: version.sha256 for version in store.versions("one")}
        assert acknowledged.items() <= there.items()
        sound(store)
    assert len(acknowledged) >= 3
    assert np.array_equal(
        np.asarray(Image.open(store.path(store.versions("one")[-1]))), np.asarray(Image.open(label))
    )


@pytest.mark.parametrize("words", [b"anna", b"approved", b"unsure", b"VARCHAR"])
def test_a_flipped_bit_in_any_value_of_the_index_is_found_and_the_index_built_again(
    labelled: LabelStore, studies: Path, tmp_path: Path, words: bytes
) -> None:
    labelled.review("one", 1, "approved", "rita")
    labelled.skip(Unit("one", 0), "ben", "unsure")

    def told(of: LabelStore) -> tuple[object, ...]:
        return of.versions(), of.states(), of.reviews("one"), of.skipped(), of.units()

    before = told(labelled)
    labelled.index.close()
    data = (labelled.private / "index.sqlite").read_bytes()
    places = [place for place in range(len(data)) if data.startswith(words, place)]
    assert len(places) >= 2
    for n, place in enumerate(places):
        hurt = tmp_path / str(n)
        shutil.copytree(studies, hurt)
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        (hurt / ".uniultra" / "index.sqlite").write_bytes(flipped)
        again = LabelStore(hurt)
        assert told(again) == before
        assert list(again.private.glob("index.damaged-*"))
        again.index.close()


def flip(path: Path, words: bytes) -> None:
    """Flip a bit of a word in a file."""
    data = path.read_bytes()
    place = data.index(words)
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def without_index(studies: Path) -> LabelStore:
    lose_index(studies)
    return LabelStore(studies)


def test_a_label_whose_newest_review_is_damaged_is_not_trained_on_until_it_is_reviewed_again(
    store: LabelStore, saved: LabelVersion, studies: Path
) -> None:
    for state in ("approved", "returned"):
        store.review("one", 1, state, "rita")
    flip(store.private / "versions" / "one" / "1.review-2.json", b"returned")
    again = without_index(studies)
    assert again.state(saved) == "flagged" and again.trainable() == []
    assert [problem.reason for problem in again.problems()] == ["record damaged"]
    assert without_index(studies).state(saved) == "flagged", "also after the next start"
    again = LabelStore(studies)
    again.review("one", 1, "approved", "rita")
    assert again.state(saved) == "approved" and len(again.trainable()) == 1
    assert without_index(studies).state(saved) == "approved"


def test_a_later_review_counts_though_an_earlier_one_is_damaged(studies: Path, label: Path) -> None:
    store = LabelStore(studies)
    saved = store.save("one", label, annotator="anna")
    for state in ("returned", "approved"):
        store.review("one", 1, state, "rita")
    flip(store.private / "versions" / "one" / "1.review-1.json", b"returned")
    again = without_index(studies)
    assert again.state(saved) == "approved" and again.problems()
    again.review("one", 1, "returned", "rita")
    assert without_index(studies).state(saved) == "returned", "the place of the damaged one is not taken"


def test_a_damaged_line_of_the_journal_is_put_aside_and_the_others_count(store: LabelStore) -> None:
    for who in ("ben", "carl", "dora"):
        store.skip(Unit("one", 0), who, "unsure")
    journal = store.private / "journal.jsonl"
    lines = journal.read_bytes().count(b"\n")
    flip(journal, b"carl")
    again = without_index(store.studies)
    assert again.skipped() == {Unit("one", 0): {"ben": "unsure", "dora": "unsure"}}
    assert [problem.reason for problem in again.problems()] == ["journal damaged"]
    assert journal.read_bytes().count(b"\n") == lines - 1
    again.skip(Unit("one", 0), "emil", "unsure")
    third = without_index(store.studies)
    assert set(third.skipped()[Unit("one", 0)]) == {"ben", "dora", "emil"} and len(third.problems()) == 1
