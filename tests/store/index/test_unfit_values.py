"""Values that no database, JSON or file name can hold: refused at the door, passed over where they are."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from factories import raising
from sqlalchemy import exc

from uniultra.errors import RequestError
from uniultra.store.errors import NotFoundError, StoreError
from uniultra.store.index import events as events_module
from uniultra.store.index import savepoint
from uniultra.store.index.journal import Journal
from uniultra.store.labels import records
from uniultra.store.paths import record_path
from uniultra.store.store import LabelStore
from uniultra.store.types import Origin, Unit

ONE = Unit("one", 0)
HALF = "\ud800"
BAD_NAMES = ("x\0", "two\nlines", "\x85", HALF, "x" * 201)


def deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


def skip_line(frame: int = 0, annotator: str = "anna", **more: Any) -> dict[str, Any]:
    known = {
        "kind": "skip",
        "image": "one",
        "frame": frame,
        "annotator": annotator,
        "reason": "r",
        "made": 1.0,
    }
    return {**known, **more}


@pytest.mark.parametrize("frame", [-1, 2**31, 2**63])
def test_a_frame_that_no_database_holds_is_refused_and_nothing_is_kept(store: LabelStore, frame: int) -> None:
    before = store.units() and Journal(store.private).length()
    for ask in (store.renew, store.release, lambda unit, who: store.skip(unit, who, "why")):
        with pytest.raises(RequestError, match="frame"):
            ask(Unit("one", frame), "anna")
    assert Journal(store.private).length() == before
    store.skip(ONE, "anna", "why")
    assert set(LabelStore(store.studies).skipped()) == {ONE}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_plain_text_is_refused_everywhere(studies: Path, label: Path, name: str) -> None:
    store = LabelStore(studies)
    before = store.units() and Journal(store.private).length()
    for ask in (
        lambda: store.claim([ONE], name),
        lambda: store.renew(ONE, name),
        lambda: store.release(ONE, name),
        lambda: store.touch("one", name),
        lambda: store.skip(ONE, name, "why"),
        lambda: store.save("one", label, annotator=name),
        lambda: store.save("one", label, info={"idempotency_key": name}),
    ):
        with pytest.raises(RequestError, match=r"200 characters|in Unicode"):
            ask()
    assert Journal(store.private).length() == before and store.versions() == []
    assert not list((store.private / "versions").glob("*/*"))
    store.save("one", label, annotator="Zoë Müller-李")
    with pytest.raises(RequestError, match="200 characters"):
        store.review("one", 1, "approved", name)
    assert store.reviews("one") == [] and not list(store.private.glob("versions/*/*review*"))


def test_a_bad_line_of_the_journal_blocks_nothing_after_it(
    store: LabelStore, studies: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.units()
    journal = Journal(store.private)
    bad = [skip_line(2**63), skip_line(annotator=["anna"]), skip_line(made=None), {"kind": "image removed"}]
    with store.lock:
        journal.add([*bad, skip_line(annotator="ben")])
    caplog.set_level(logging.DEBUG, "uniultra")
    store.skip(ONE, "cleo", "why")
    assert store.skipped()[ONE].keys() == {"ben", "cleo"}
    told = [one.getMessage() for one in caplog.records if "journal" in one.getMessage()]
    assert len(told) == 1 and told[0].startswith("4 entries of the journal")
    again = LabelStore(studies)
    again.rebuild()
    assert again.skipped()[ONE].keys() == {"ben", "cleo"} and len(again.units()) == 2


def test_a_database_that_fails_is_no_bad_line(store: LabelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.units()
    away = raising(exc.OperationalError("update", None, Exception("the server closed the connection")))
    monkeypatch.setitem(events_module._CHANGES, "skip", away)
    with pytest.raises(StoreError):
        store.skip(ONE, "anna", "why")
    monkeypatch.undo()
    store.skip(ONE, "ben", "why")
    assert store.skipped()[ONE].keys() == {"anna", "ben"}, "what the journal holds is applied later"
    with store.index.writing() as connection, pytest.raises(exc.OperationalError):
        savepoint.fits(connection, lambda: connection.exec_driver_sql("SELECT * FROM nowhere"))


@pytest.mark.parametrize("bad", [{"x": HALF}, {HALF: 1}, {"x": deep(200)}, {"x": deep(500)}, {"x": {1, 2}}])
def test_what_cannot_be_read_back_is_refused_before_anything_is_written(
    store: LabelStore, label: Path, bad: dict[str, Any]
) -> None:
    before = store.units() and Journal(store.private).length()
    for more in ({"info": bad}, {"origin": Origin(prompts=(bad,))}):
        with pytest.raises(RequestError, match="Nothing was saved"):
            store.save("one", label, **more)
    with pytest.raises((RequestError, TypeError)):
        store.events.note([{"kind": "image info", "image": "one", "info": bad}])
    assert Journal(store.private).length() == before and store.problems() == []
    assert not list((store.private / "versions").glob("*/*"))
    kept = store.save("one", label, info={"x": deep(199)}, origin=Origin(prompts=({"x": deep(197)},)))
    store.rebuild()
    assert store.versions() == [kept] and store.problems() == [], "the deepest that is taken comes back"


def test_numbers_beyond_the_columns_are_refused(store: LabelStore, label: Path) -> None:
    for more in ({"base": 2**63}, {"labels": {"head": 2**31}}, {"origin": Origin(clicks=2**40)}):
        with pytest.raises(RequestError, match="Nothing was saved"):
            store.save("one", label, **more)
    assert store.versions() == [] and not list((store.private / "versions").glob("*/*"))
    for revision in (2**63, -(2**63) - 1):
        with pytest.raises(NotFoundError):
            store.version("one", revision)


def test_a_comment_that_is_no_text_is_refused(store: LabelStore, label: Path) -> None:
    store.save("one", label)
    with pytest.raises(RequestError, match="comment"):
        store.review("one", 1, "returned", "rita", HALF)
    assert store.reviews("one") == [] and store.problems() == []
    assert store.review("one", 1, "returned", "rita", "two\nlines").comment == "two\nlines"


def test_a_file_whose_name_is_not_utf8_is_left_out_and_counted(
    studies: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = os.fsencode(studies)
    picture = (studies / "one.png").read_bytes()
    try:
        Path(os.fsdecode(root + b"/St\xf6r")).mkdir()
        for name in (b"/M\xfcller.png", b"/St\xf6r/a.png"):
            Path(os.fsdecode(root + name)).write_bytes(picture)
    except OSError:
        pytest.skip("this file system takes no such name")
    store = LabelStore(studies)
    store.ready()
    for _ in range(2):
        store.images.refresh()
        assert {unit.image for unit in store.units()} == {"one", "deep__er__two"}
    told = [one.getMessage() for one in caplog.records if "UTF-8" in one.getMessage()]
    assert len(told) == 1 and told[0].startswith("2 names") and "ller" not in told[0]


def test_a_path_without_an_id_empties_no_list(store: LabelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = events_module._CHANGES["image"]

    def refuse(connection: Any, event: dict[str, Any]) -> None:
        if event["image"] == "one":
            raise OverflowError
        real(connection, event)

    monkeypatch.setitem(events_module._CHANGES, "image", refuse)
    assert [unit.image for unit in store.units()] == ["deep__er__two"]


def test_an_index_of_0_2_0_with_a_name_that_is_not_utf8_is_taken_over(studies: Path) -> None:
    images = {"one": {"path": "one.png", "info": {}}, "M_ller": {"path": "M\udcfcller.png", "info": {}}}
    (studies / ".uniultra").mkdir()
    (studies / ".uniultra" / "index.json").write_text(json.dumps({"images": images}))
    store = LabelStore(studies)
    assert Unit("one", 0) in store.units() and len(store.units()) == 2


def test_a_record_that_the_database_refuses_is_put_aside_alone(
    studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniultra.store.index import rows

    store = LabelStore(studies)
    store.save("one", label, annotator="anna")
    store.save("deep__er__two", label, annotator="ben")
    real = rows.insert_version

    def refuse(connection: Any, folder: Path, version: Any) -> None:
        real(connection, folder, version)
        if version.image == "one":
            raise exc.DataError("insert", None, Exception("NUL"))

    monkeypatch.setattr(rows, "insert_version", refuse)
    store.rebuild()
    assert [version.image for version in store.versions()] == ["deep__er__two"]
    assert [(one.reason, one.image, one.revision) for one in store.problems()] == [
        ("record damaged", "one", 1)
    ]
    monkeypatch.undo()
    assert store.save("one", label, annotator="anna").revision == 2


def test_postgresql_goes_on_after_lines_and_records_that_it_refuses(
    postgres: str, studies: Path, label: Path
) -> None:
    store = LabelStore(studies, postgres)
    store.units()
    with store.lock:
        Journal(store.private).add([skip_line(2**31), skip_line(annotator="x\0"), skip_line(annotator="ben")])
    store.skip(ONE, "cleo", "why")
    assert store.skipped()[ONE].keys() == {"ben", "cleo"}
    kept = store.save("one", label, annotator="anna")
    # a record as older versions wrote it
    path = record_path(studies, "deep__er__two", 1)
    mask = path.with_name(f"1{kept.ext}")
    path.parent.mkdir(parents=True)
    mask.write_bytes(store.path(kept).read_bytes())
    records.write(path, kept.model_copy(update={"image": "deep__er__two", "annotator": "x\0"}))
    again = LabelStore(studies, postgres)
    assert again.save("deep__er__two", label, tag="draft").revision == 2
    again.remove("deep__er__two", "draft")
    assert again.versions() == [kept] and [one.reason for one in again.problems()] == ["record damaged"]
    again.rebuild()
    assert again.versions() == [kept] and again.skipped()[ONE].keys() == {"ben", "cleo"}
