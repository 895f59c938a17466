"""Scores of units are kept on the disk, by generation."""

import pytest
from made_scores import memory, score

from uniultra.active.score_store import FILE, Scored, ScoreStore


def test_until_half_is_scored_anew_the_old_scores_count(tmp_path):
    scores = ScoreStore(tmp_path)
    units = [Scored(str(n), 0) for n in range(4)]
    for unit in units:
        scores.put(unit, "old", score())
    scores.put(units[0], "new", score())
    assert scores.generation(units) == "old"
    scores.put(units[1], "new", score())
    assert scores.generation(units) == "new"
    assert scores.generation([Scored("9", 0)]) is None and scores.generation([]) is None


@pytest.mark.parametrize("damage", [b"not a database", b""])
def test_damaged_scores_are_made_again(tmp_path, damage, caplog):
    memory({"a": score(0.1)}, tmp_path)
    (tmp_path / FILE).write_bytes(damage)
    again = ScoreStore(tmp_path)
    assert again.get(Scored("a", 0), "g") is None
    again.put(Scored("a", 0), "g", score(0.2))
    assert ScoreStore(tmp_path).get(Scored("a", 0), "g").summary.entropy == 0.2


def test_scores_survive_on_the_disk(tmp_path):
    memory({"a": score(0.1, (1.0, 2.0, 3.0), head=0.4)}, tmp_path)
    found = ScoreStore(tmp_path).get(Scored("a", 0), "g")
    assert found.summary == score(0.1, head=0.4).summary
    assert found.features.tolist() == [1, 2, 3]


def test_a_folder_that_takes_no_writes(tmp_path):
    (tmp_path / "scores").write_text("a file where the folder should be")
    scores = ScoreStore(tmp_path / "scores")
    scores.put(Scored("a", 0), "g", score(0.1))
    assert scores.get(Scored("a", 0), "g") is not None
