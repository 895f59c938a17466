"""The same store over a real PostgreSQL server."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from factories import Clock, make_label, make_picture, make_pictures
from many_annotators import share
from postgres_server import PASSWORD

from uniultra.store.errors import ConflictError, NotFoundError, StoreError
from uniultra.store.store import LabelStore
from uniultra.store.types import Unit


def test_versions_reviews_leases_and_skips(postgres: str, studies: Path, label: Path, clock: Clock) -> None:
    store = LabelStore(studies, postgres, now=clock)
    assert store.units() == [Unit("deep__er__two", 0), Unit("one", 0)]
    first = store.save("one", label, annotator="anna", info={"idempotency_key": "k"})
    assert store.save("one", label, annotator="anna", info={"idempotency_key": "k"}) == first
    store.save("one", label, annotator="ben", base=1)
    with pytest.raises(ConflictError):
        store.save("one", label, annotator="anna", base=1)
    store.review("one", 2, "returned", "rita")
    lease = store.claim(store.unlabelled(), "ben")
    assert lease is not None and lease.unit == Unit("one", 0)
    clock.tick(29)
    store.touch("one", "ben")
    clock.tick(29)
    assert store.renew(lease.unit, "ben").until > lease.until
    clock.tick(31)
    with pytest.raises(NotFoundError):
        store.renew(lease.unit, "ben")
    store.skip(Unit("deep__er__two", 0), "ben", "unsure")
    make_picture(studies / "three.png")
    store.images.refresh()
    assert {unit.image for unit in LabelStore(studies, postgres).units()} == {"one", "deep__er__two", "three"}
    store.remove("one", "final")
    assert store.versions() == []
    assert not (studies / ".uniultra" / "index.sqlite").exists()


def test_the_index_is_built_again_and_two_folders_share_a_database(
    postgres: str, studies: Path, tmp_path: Path, label: Path
) -> None:
    store = LabelStore(studies, postgres)
    store.save("one", label, annotator="anna")
    store.review("one", 1, "approved", "rita")
    store.skip(Unit("deep__er__two", 0), "ben", "unsure")
    make_picture(tmp_path / "other" / "one.png")
    other = LabelStore(tmp_path / "other", postgres)
    other.save("one", label, annotator="eve")
    assert [v.annotator for v in store.versions()] == ["anna"]
    before = (store.versions(), store.states(), store.skipped())
    with store.index.writing() as connection:
        store.index.set_value(connection, "schema", "0")
    again = LabelStore(studies, postgres)
    assert (again.versions(), again.states(), again.skipped()) == before
    store.rebuild()
    assert (store.versions(), store.states(), store.skipped()) == before
    assert [v.annotator for v in other.versions()] == ["eve"]


def test_eight_annotators_share_a_hundred_images(postgres: str, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    share(make_pictures(tmp_path / "s", 100), postgres, make_label(tmp_path / "l.png"))


def test_no_password_is_in_an_error_or_a_log(
    postgres: str, studies: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (postgres.replace(":5", ":1", 1) + "x", postgres.replace(PASSWORD, f"{PASSWORD}-wrong")):
        with pytest.raises(StoreError) as refusal:
            LabelStore(studies, url).units()
        chain: BaseException | None = refusal.value
        while chain is not None:
            assert PASSWORD not in str(chain) and "anna" not in str(chain)
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert PASSWORD not in caplog.text


def test_a_database_that_goes_away_loses_no_label(
    postgres: str, studies: Path, label: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LabelStore(studies, postgres)
    store.save("one", label, annotator="anna")
    with store.index.writing() as connection:
        # what a restart of the server does to everybody's connections
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND usename = current_user"
        )
    for _ in range(3):
        assert store.versions()
    assert store.save("one", label, annotator="anna").revision == 2
