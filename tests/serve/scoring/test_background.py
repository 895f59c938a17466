"""Scoring in a running server, with a real network."""

import time

import numpy as np
import pytest
from in_process import serving
from PIL import Image

from uniultra.serve.scoring import background as scoring


@pytest.mark.parametrize("asked", [True, False])
def test_scores_come_from_the_served_network(tmp_path, tasks_folder, monkeypatch, asked):
    """With a campaign scoring begins by itself, elsewhere at the first question."""
    monkeypatch.setattr(scoring, "QUIET_S", 0.0)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
    studies = tmp_path / "studies"
    studies.mkdir()
    if not asked:
        (studies / "campaign.yaml").write_text("name: scored\n")
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 255, (24, 32), np.uint8)
        Image.fromarray(pixels).save(studies / f"{n}.png")
    with serving(tmp_path, studies, monkeypatch, models="uniultra_mini", device="cpu") as client:
        from monailabel.interfaces.utils.app import app_instance

        app = app_instance()
        if asked:
            assert client.post("/activelearning/default", json={}).json()["id"] in ("0", "1")
        deadline = time.monotonic() + 60
        units = app.datastore().store.units()
        while any(app.rankings.score(unit) is None for unit in units) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(units) == 2 and all(app.rankings.score(unit) for unit in units)
        app.scoring.stop()
    assert (studies / ".uniultra" / "scores" / "scores.sqlite").is_file()
