"""A reviewer at the real server: list, open, approve, return, flag, correct, compare two readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import requests
from campaign_rig import Make, Reader, disk

pytestmark = pytest.mark.usefixtures("many")


def labelled(one: Reader, image: str, x: int, frames: tuple[int, ...] = (0,)) -> int:
    """A final label of a head at `x`."""
    one.take(image, frames[0])
    for frame in frames:
        one.draw("head", disk(x, 20), frame)
        one.scene.set_done(frame)
    saved = one.send().saved
    assert saved is not None
    return saved


def listed(one: Reader, *states: str) -> list[tuple[str, int, str]]:
    one.review.list(states)
    one.until(lambda: not one.review.state.busy)
    return [(item.image, item.revision, item.annotator) for item in one.review.state.items]


def judge(one: Reader, state: str, comment: str = "") -> None:
    one.review.say(state, comment)
    one.until(lambda: not one.review.state.busy and one.review.state.item is None)


def opened(one: Reader, image: str, annotator: str) -> None:
    item = next(i for i in one.review.state.items if (i.image, i.annotator) == (image, annotator))
    one.review.open(item)
    one.until(lambda: one.review.state.item == item)


def test_a_review_goes_round(reader: Make, campaign_server: Any) -> None:
    ada, eva = reader("Ada"), reader("Dr. Eva")
    assert eva.review.state.offered
    revision = labelled(ada, "still0", 20)
    assert ("still0", revision, "Ada") in listed(eva, "final")
    counts = dict(eva.review.state.counts)
    opened(eva, "still0", "Ada")
    np.testing.assert_array_equal(eva.drawn("head"), disk(20, 20))
    assert eva.review.state.version.annotator == "Ada"
    eva.review.say("returned", "  ")
    assert "comment" in eva.state.problem.cause, "nothing goes back without a word"
    judge(eva, "returned", "The left side is missing.")
    assert dict(eva.review.state.counts).get("final", 0) == counts["final"] - 1
    assert ("still0", revision, "Ada") in listed(eva, "returned")

    now = ada.take("still1")
    assert now.unit.image == "still1"
    now = ada.next()
    assert (now.unit.image, now.unit.frame) == ("still0", 0), "what was returned comes first"
    assert now.resumed.state == "returned" and now.resumed.comment == "The left side is missing."
    assert "The left side is missing." in ada.state.notice
    np.testing.assert_array_equal(ada.drawn("head"), disk(20, 20))
    ada.draw("head", disk(24, 20))
    second = ada.send().saved

    assert ("still0", second, "Ada") in listed(eva, "final")
    opened(eva, "still0", "Ada")
    judge(eva, "approved")
    assert ("still0", second, "Ada") in listed(eva, "approved")
    said = requests.get(f"{campaign_server[0]}/labels/still0", timeout=30).json()["versions"]
    reviews = [one["reviews"] for one in said if one["annotator"] == "Ada"]
    assert [[r["reviewer"] for r in one] for one in reviews] == [["Dr. Eva"], ["Dr. Eva"]]


def test_a_correction_is_the_reviewers_own_label(reader: Make, campaign_server: Any) -> None:
    bob, eva = reader("Bob"), reader("Dr. Eva")
    labelled(bob, "cine", 20, frames=(1, 3))
    listed(eva, "final")
    opened(eva, "cine", "Bob")
    assert eva.scene.done_frames() == [1, 3] and eva.scene.image.frame == 1
    eva.draw("head", disk(28, 20), 3)
    judge(eva, "approved", "border")
    kept = requests.get(f"{campaign_server[0]}/labels/cine", timeout=30).json()["versions"]
    own = [one for one in kept if one["annotator"] == "Dr. Eva"]
    assert [(one["state"], one["frames"]) for one in own] == [("approved", [1, 3])]
    assert [one["state"] for one in kept if one["annotator"] == "Bob"] == ["final"]


def test_two_readers_are_compared(reader: Make) -> None:
    cid, dee, eva = reader("Cid"), reader("Dee"), reader("Dr. Eva")
    first, second = labelled(cid, "still6", 20), labelled(dee, "still6", 24)
    listed(eva, "final")
    opened(eva, "still6", "Cid")
    eva.review.compare()
    shown = {f"head (Cid, r{first})", f"head (Dee, r{second})"}
    eva.until(lambda: eva.review.state.agreement is not None and shown <= set(eva.names()))
    pairs = {(one.annotators, one.label): one for one in eva.review.state.agreement}
    pair = pairs[("Cid", "Dee"), "head"]
    both = (disk(20, 20) & disk(24, 20)).sum()
    assert pair.dice == pytest.approx(2 * both / (2 * disk(20, 20).sum()), abs=1e-3)
    assert pair.hd95 is not None and pair.hd95 > 1 and pair.unit == "px"
    assert pair.revisions == (first, second)
    np.testing.assert_array_equal(eva.drawn(f"head (Cid, r{first})"), disk(20, 20))
    np.testing.assert_array_equal(eva.drawn(f"head (Dee, r{second})"), disk(24, 20))
    colours = {one.name: one.colour for one in eva.scene.segments()}
    assert colours[f"head (Cid, r{first})"] != colours[f"head (Dee, r{second})"]
    assert not eva.work.current.dirty, "what is beside is no change"
    judge(eva, "flagged", "Which of the two?")
    assert [name for _, _, name in listed(eva, "flagged")] == ["Cid"]


def test_a_review_is_signed(reader: Make) -> None:
    gil, nobody = reader("Gil"), reader("")
    labelled(gil, "still7", 20)
    listed(nobody, "final")
    opened_before = nobody.review.state.item
    nobody.review.open(nobody.review.state.items[0])
    assert opened_before is None and "name" in nobody.state.problem.cause
