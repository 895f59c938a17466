"""Three people at one server, as `training/benchmark/annotators.py` has eight."""

from pathlib import Path

import pytest
from annotators import campaign


@pytest.mark.parametrize("readers", [1, 2])
def test_nothing_is_given_twice_lost_or_crossed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    found = campaign(tmp_path, annotators=3, images=18 // readers, readers=readers, small=True)
    assert found.errors == []
    assert (found.twice, found.again, found.forgotten, found.lost, found.crossed) == (0, 0, 0, 0, 0)
    assert found.given == found.labels == found.versions == 18
