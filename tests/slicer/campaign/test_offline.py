"""The line is cut, answers are lost, the program ends: no label is lost, and none is saved twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaign_rig import Make, disk
from leaky_line import LeakyLine, leaky_line


@pytest.fixture
def address(line: LeakyLine) -> str:
    return line.address


@pytest.fixture
def line(campaign_server: tuple[str, Path]) -> Iterator[LeakyLine]:
    with leaky_line(campaign_server[0]) as made:
        yield made


def test_a_label_waits_for_the_line_and_is_sent_then(reader: Make, line: LeakyLine, mine: Any) -> None:
    tom = reader("Tom").begin("still0", disk(20, 20))
    line.cut()
    assert tom.work.submit("final")
    tom.until(lambda: tom.state.connection == "lost")
    assert tom.now.unsent == 1 and tom.now.submitted and tom.now.saved is None
    tom.draw("head", disk(26, 20))
    assert tom.work.submit("final") and tom.now.unsent == 2, "work goes on"
    tom.work.units.next()
    assert not tom.now.opening and "does not answer" in tom.state.problem.cause
    np.testing.assert_array_equal(tom.drawn("head"), disk(26, 20))
    line.mend()
    tom.controller.retry()
    tom.sent()
    found = mine("still0", "Tom")
    assert len(found) == 2 and found[1]["base"] == found[0]["revision"], "in order, each on the one before"
    assert tom.now.conflict is None and tom.now.saved == found[1]["revision"]
    assert list(tom.spool.iterdir()) == []


def test_an_answer_that_is_lost_makes_no_second_version(reader: Make, line: LeakyLine, mine: Any) -> None:
    una = reader("Una").begin("still1", disk(20, 20))
    line.lose_answers = True
    assert una.work.submit("final")
    una.until(lambda: line.lost > 0 and len(mine("still1", "Una")) == 1)
    assert una.now.unsent == 1
    line.lose_answers = False
    una.controller.retry()
    una.sent()
    assert len(mine("still1", "Una")) == 1 and una.now.saved == mine("still1", "Una")[0]["revision"]


def test_what_was_not_sent_is_sent_by_the_next_session(reader: Make, line: LeakyLine, mine: Any) -> None:
    vic = reader("Vic").begin("still2")
    vic.draw("femur", disk(20, 20))
    line.cut()
    vic.work.submit("final")
    vic.draw("femur", disk(30, 20))
    vic.close()
    [*files] = vic.spool.iterdir()
    assert len(files) == 4, "the label, and a draft of what came after it"
    for file in files:
        assert "still2" not in file.name and b"still2" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0, "for this person's eyes only"
    assert mine("still2", "Vic") == []
    line.mend()
    again = reader("Vic")
    again.sent()
    assert [one["tag"] for one in mine("still2", "Vic")] == ["final", "draft"]
    assert list(again.spool.iterdir()) == []


def test_a_conflict_of_another_image_waits_for_its_person(reader: Make, line: LeakyLine, mine: Any) -> None:
    wim, xan = reader("Wim"), reader("Xan")
    for one in (wim, xan):
        one.take("still3")
    wim.draw("head", disk(20, 20))
    xan.draw("head", disk(40, 20))
    first = xan.send().saved
    wim.work.submit("final")
    wim.until(lambda: wim.now.conflict is not None)
    wim.take("still4")
    assert not wim.now.conflict.here and wim.now.unsent == 1
    wim.close()

    again = reader("Wim")
    again.until(lambda: again.now.conflict is not None)
    assert again.now.conflict.revision == first
    again.take("still4")
    again.work.conflicts.show_newer()
    again.until(lambda: again.now.compared)
    assert again.now.unit.image == "still3" and again.now.conflict.here
    np.testing.assert_array_equal(again.drawn("head"), disk(20, 20))
    other = next(name for name in again.names() if name.startswith("head ("))
    np.testing.assert_array_equal(again.drawn(other), disk(40, 20))
    again.work.conflicts.save_on_top()
    again.sent()
    assert again.now.conflict is None


def test_a_label_that_the_server_refuses_is_kept_with_its_words(
    reader: Make, line: LeakyLine, mine: Any
) -> None:
    yan = reader("Yan").begin("still5", disk(20, 20))
    line.cut()
    yan.work.submit("final")
    [entry] = yan.work.unsent()
    yan.work.spool.change(entry.key, params={**entry.params, "seconds": -1})
    line.mend()
    yan.controller.retry()
    yan.until(lambda: any(one.refused for one in yan.work.unsent()))
    assert "seconds" in yan.work.unsent()[0].refused and "seconds" in yan.state.problem.cause
    yan.draw("head", disk(22, 20))
    yan.send()
    assert len(mine("still5", "Yan")) == 1 and yan.now.unsent == 0, "the new one takes its place"


def test_an_image_that_cannot_be_loaded_is_given_back(reader: Make, many: None, leases: Any) -> None:
    zoe = reader("Zoe")
    zoe.cannot_load = True
    zoe.next()
    zoe.until(lambda: not zoe.controller.state.can_cancel)
    assert not zoe.now.nothing_left and zoe.now.unit is None and "cannot read" in zoe.state.problem.cause
    zoe.until(lambda: "Zoe" not in leases())
