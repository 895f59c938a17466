"""What was drawn, who holds what, and which server a label is for, when things happen in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign_rig import HEIGHT, WIDTH, Make, disk
from leaky_line import leaky_line
from UniUltraLib.campaign import label_map
from UniUltraLib.prompts.shown import SegmentInfo, Shown
from UniUltraLib.wire.campaign_types import Label


@pytest.fixture
def tags(mine: Any) -> Callable[[str, str], list[str]]:
    """The tags of a person's versions of an image."""
    return lambda image, name: [version["tag"] for version in mine(image, name)]


def test_a_label_goes_to_the_server_it_was_made_for(reader: Make, address: str, tags: Any) -> None:
    with leaky_line(address) as line:
        zed = reader("Zed", line.address).begin("still0", disk(20, 20))
        zed.work.submit("final")
        zed.draw("head", disk(30, 20))
        zed.work.submit("final")
        zed.at(address)
        zed.polls(0.5)
        assert len(tags("still0", "Zed")) <= 1, "what was under way at most"
        left = zed.work.spool.waiting(line.address)
        assert left and zed.now.unsent == 0, "the other waits for its own server"
        zed.close()
        assert len(tags("still0", "Zed")) <= 1, "also at the end"
        zed.at(line.address)
        zed.sent()


def test_a_double_click_submits_once(reader: Make, tags: Any) -> None:
    bob = reader("Bob").begin("still1", disk(20, 20))
    assert bob.work.submit("final") and bob.work.submit("final")
    bob.sent()
    assert bob.work.submit("final"), "nothing is new"
    bob.until(lambda: bob.now.unsent == 0 and not bob.state.can_cancel)
    assert tags("still1", "Bob") == ["final"]
    bob.draw("head", disk(22, 20))
    bob.send()
    assert tags("still1", "Bob") == ["final", "final"]


def test_what_is_drawn_while_the_next_image_comes_is_a_draft(reader: Make, tags: Any) -> None:
    cat = reader("Cat").begin("still2")
    cat.work.units.open("still3")
    cat.draw("head", disk(20, 20))
    cat.until(lambda: not cat.now.opening)
    cat.sent()
    assert cat.now.unit.image == "still3" and tags("still2", "Cat") == ["draft"]


def test_what_is_drawn_when_the_scene_is_closed_is_a_draft(reader: Make, tags: Any, scene: Any) -> None:
    dan = reader("Dan").begin("still4", disk(20, 20))
    scene.Clear(0)
    assert dan.now.unit is None
    dan.sent()
    assert tags("still4", "Dan") == ["draft"]


def test_who_cannot_get_the_next_image_keeps_the_present_one(reader: Make, many: None, leases: Any) -> None:
    eve = reader("Eve")
    first = eve.next().unit
    eve.cannot_load = True
    eve.draw("head", disk(20, 20))
    eve.next()
    eve.until(lambda: not eve.state.can_cancel)
    assert eve.now.unit == first and eve.now.leased and "cannot read" in eve.state.problem.cause
    eve.until(lambda: "Eve" in leases() and leases()["Eve"].unit.image == first.image)


def test_a_lease_is_given_back_by_whoever_had_it(reader: Make, many: None, address: str, leases: Any) -> None:
    fay = reader("Fay")
    fay.next()
    fay.name = "Gil"
    fay.at(address)
    fay.next()
    fay.until(lambda: leases().keys() & {"Fay", "Gil"} == {"Gil"})


def test_an_image_that_goes_while_its_past_is_asked_for(
    reader: Make, slice_view: Any, campaign_server: Any
) -> None:
    slice_view()
    hal = reader("Hal")
    hal.open(hal.load(campaign_server[1] / "still3.png", "still3", "still"), "still3")
    hal.scene.close()
    hal.polls(0.5)
    assert hal.now.unit is None and hal.scene.image_id is None


def test_overlap_that_is_too_much_to_send_is_told(reader: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ida = reader("Ida").begin("still5")
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    ida.draw("head", noise)
    ida.draw("femur", noise)
    monkeypatch.setattr(label_map, "MAX_HIDDEN", 200)
    for tag in ("draft", "final"):
        assert ida.work.submit(tag)
        assert "head" in ida.state.notice and "femur" not in ida.state.notice
        assert "not be kept" in ida.state.notice, ida.state.notice
        ida.sent()
        assert "Saved" in ida.state.notice and "not be kept" in ida.state.notice, "still there"
    ida.sent()


def test_a_disk_without_room_ends_no_work(reader: Make, tmp_path: Path) -> None:
    (tmp_path / "Jon").mkdir()
    (tmp_path / "Jon" / "downloads").write_bytes(b"")
    jon = reader("Jon").begin("still6")
    assert not jon.now.opening and "disk" in jon.state.problem.cause
    assert "still6" not in str(jon.state.problem) and str(tmp_path) not in str(jon.state.problem)


def test_what_three_structures_claim_is_hidden_of_two() -> None:
    labels = [Label(name, n) for n, name in enumerate("abc", 1)]
    masks = {"a": [1, 1, 1, 0], "b": [0, 1, 1, 1], "c": [0, 0, 1, 1]}

    class Scene:
        def segments(self) -> list[SegmentInfo]:
            return [SegmentInfo(name, name, (1, 0, 0)) for name in masks]

        def read(self, segment: str, shown: Shown) -> np.ndarray:
            return np.array([masks[segment]], bool)

    found = label_map.collect(Scene(), label_map.Place("x", "still", (4, 1, 1)), labels)  # type: ignore[arg-type]
    assert found.values.ravel().tolist() == [1, 2, 3, 3]
    assert {name: mask.astype(int).tolist() for (name, _), mask in found.hidden.items()} == {
        "a": [[0, 1, 1, 0]],
        "b": [[0, 0, 1, 1]],
    }
