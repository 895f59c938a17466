"""Who gets which unit, for how long."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import Clock, make_cine, make_label, make_pictures, write_campaign
from many_annotators import share

from uniultra.errors import RequestError
from uniultra.store.errors import NotFoundError
from uniultra.store.store import LabelStore
from uniultra.store.types import Unit

ONE, TWO = Unit("one", 0), Unit("deep__er__two", 0)


def claim(store: LabelStore, annotator: str) -> Unit | None:
    lease = store.claim(store.unlabelled(annotator), annotator)
    return None if lease is None else lease.unit


def test_a_unit_is_one_annotators_at_a_time(store: LabelStore) -> None:
    assert store.units() == [TWO, ONE] == store.unlabelled()
    assert claim(store, "anna") == TWO
    assert store.unlabelled() == [ONE]
    assert store.claim([TWO, ONE], "ben") is not None
    assert [lease.unit for lease in store.leases()] == [TWO, ONE] or len(store.leases()) == 2
    assert claim(store, "cleo") is None
    assert claim(store, "anna") == TWO, "who has one already gets it again when nothing is free"


def test_an_abandoned_lease_comes_back_and_work_keeps_it(store: LabelStore, clock: Clock) -> None:
    lease = store.claim([ONE], "anna")
    assert lease is not None and (lease.until - lease.since).total_seconds() == 30 * 60
    clock.tick(29)
    store.touch("one", "anna")
    clock.tick(29)
    assert store.renew(ONE, "anna").until > clock()
    clock.tick(31)
    with pytest.raises(NotFoundError, match="ended"):
        store.renew(ONE, "anna")
    assert store.claim([ONE], "ben") is not None
    store.touch("one", "anna")  # of a lease that has ended: nothing
    assert [lease.annotator for lease in store.leases()] == ["ben"]


def test_nothing_renews_a_lease_beyond_its_end(store: LabelStore, clock: Clock) -> None:
    lease = store.claim([ONE], "anna")
    assert lease is not None
    for _ in range(19):
        clock.tick(25)
        store.touch("one", "anna")
    assert store.leases()[0].until == lease.ends
    clock.tick(6)
    assert store.leases() == []


def test_saving_ends_the_lease_and_a_draft_renews_it(store: LabelStore, label: Path, clock: Clock) -> None:
    store.claim([ONE], "anna")
    clock.tick(20)
    store.save("one", label, tag="draft", annotator="anna")
    assert (store.leases()[0].until - clock()).total_seconds() == 30 * 60
    store.save("one", label, annotator="anna")
    assert store.leases() == [] and store.unlabelled() == [TWO]


def test_a_unit_can_be_given_back_or_skipped_with_a_reason(store: LabelStore, clock: Clock) -> None:
    store.claim([ONE], "anna")
    store.release(ONE, "anna")
    assert claim(store, "anna") is not None
    for bad in ("", "  ", "x" * 501):
        with pytest.raises(RequestError, match="reason"):
            store.skip(ONE, "anna", bad)
    store.skip(ONE, "anna", "poor picture")
    assert ONE not in store.unlabelled("anna") and ONE in store.unlabelled("ben")
    store.rebuild()
    assert store.skipped() == {ONE: {"anna": "poor picture"}}
    with pytest.raises(NotFoundError):
        store.skip(Unit("nowhere", 0), "anna", "not there")


def test_what_was_returned_goes_to_its_annotator_first(labelled: LabelStore) -> None:
    assert labelled.unlabelled() == [TWO]
    labelled.review("one", 1, "returned", "rita", "too large")
    assert labelled.unlabelled() == [TWO, ONE]
    assert labelled.claim([TWO, ONE], "ben").unit == TWO  # type: ignore[union-attr]
    labelled.release(TWO, "ben")
    assert labelled.claim([ONE, TWO], "ben").unit == TWO, "to others last"  # type: ignore[union-attr]
    labelled.release(TWO, "ben")
    assert labelled.claim([TWO, ONE], "anna").unit == ONE  # type: ignore[union-attr]


def test_two_readers_of_a_unit_are_two_people(studies: Path, store: LabelStore, label: Path) -> None:
    write_campaign(studies, readers=2)
    assert store.claim([ONE], "anna") and store.claim([ONE], "ben")
    assert store.claim([ONE], "cleo") is None
    store.save("one", label, annotator="anna")
    assert ONE not in store.unlabelled("anna") and claim(store, "anna") == TWO
    assert ONE not in store.unlabelled("cleo"), "ben has it"
    store.save("one", label, annotator="ben")
    assert ONE not in store.unlabelled()
    store.review("one", 1, "returned", "rita")
    assert ONE in store.unlabelled("anna") and ONE not in store.unlabelled("ben")


def test_units_of_cines_are_those_the_campaign_names(
    studies: Path, store: LabelStore, tmp_path: Path
) -> None:
    make_cine(studies / "clip.seq.nrrd")
    assert Unit("clip", 0) in store.units() and len(store.units()) == 3
    label = make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), {2})
    write_campaign(studies, frames="every 2")
    assert [unit.frame for unit in store.units() if unit.image == "clip"] == [0, 2, 4]
    store.save("clip", label)
    assert [unit.frame for unit in store.unlabelled() if unit.image == "clip"] == [0, 4]
    write_campaign(studies, frames="all")
    assert [unit.frame for unit in store.unlabelled() if unit.image == "clip"] == [0, 1, 3, 4]
    write_campaign(studies, frames="first")
    assert [unit for unit in store.unlabelled() if unit.image == "clip"] == [], "one frame is enough"


@pytest.mark.parametrize(("readers", "images"), [(1, 100), (2, 20)])
def test_eight_annotators_share_a_hundred_images(tmp_path: Path, readers: int, images: int) -> None:
    share(make_pictures(tmp_path / "s", images), None, make_label(tmp_path / "l.png"), readers)


def test_any_frame_of_a_cine_ends_its_lease_where_only_one_is_asked_for(
    studies: Path, store: LabelStore, tmp_path: Path
) -> None:
    make_cine(studies / "clip.seq.nrrd")
    clip, third = Unit("clip", 0), make_label(tmp_path / "l.nrrd", 1, (5, 6, 8), {3})
    assert store.claim([clip], "anna")
    assert store.save("clip", third, annotator="anna").frames == (3,)
    assert store.leases() == [] and store.claim([clip], "anna") is None
    write_campaign(studies, frames="all")
    assert store.claim([clip], "anna")
    store.save("clip", third, annotator="anna")
    assert [lease.unit for lease in store.leases()] == [clip], "frame 0 is still to be labelled"


def test_a_unit_that_somebody_else_finished_is_not_given_again(store: LabelStore, label: Path) -> None:
    assert store.claim([ONE], "anna")
    store.save("one", label, annotator="ben")
    assert store.claim([ONE], "anna") is None
    store.review("one", 1, "returned", "rita")
    assert store.claim([ONE], "anna").unit == ONE  # type: ignore[union-attr]
