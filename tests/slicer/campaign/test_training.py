"""Training from the panel: watched, stopped; and one that publishes an adapter, which then answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from campaign_rig import BENCHMARKS, LAUNCH, disk
from server_process import running_server

MODEL = "uniultra_mini"


def test_a_training_is_begun_watched_and_stopped(reader: Any, campaign_server: Any) -> None:
    leo = reader("Leo", campaign_server[0])
    state = leo.training.state
    assert state.offered and state.models == (MODEL,) and state.model == MODEL
    leo.begin("still0", disk(20, 20)).send()
    leo.until(lambda: leo.training.state.can_start)
    leo.training.start({"steps": 500})
    leo.until(lambda: leo.training.state.training.running)
    now = leo.training.state
    assert now.can_stop and not now.can_start and now.training.model == MODEL and now.training.labels >= 1
    leo.training.start()
    leo.until(lambda: leo.state.problem is not None)
    assert "training is running" in leo.state.problem.cause
    leo.training.stop()
    leo.until(lambda: leo.training.state.training.state == "stopped")
    assert leo.training.state.can_start and leo.training.state.adapter is None


@pytest.mark.slow
def test_a_training_publishes_what_then_answers(reader: Any, tmp_path: Path, slice_view: Any) -> None:
    from crashes import made

    studies = tmp_path / "studies"
    made.pictures(studies, 6)
    campaign = {
        "labels": [{"name": "target", "index": 1}],
        "train_after": 0,
        "patients": {"by": "path", "pattern": "(image[0-9]+)"},
    }
    made.small_weights(tmp_path / "weights", blank=True)
    (tmp_path / "launch.py").write_text(LAUNCH)
    script = [str(tmp_path / "launch.py"), str(BENCHMARKS), "serve", "--device", "cpu"]
    conf = {"train_threads": "1", "train_nice": "0"}
    slice_view()
    with running_server(
        studies,
        tmp_path / "home",
        conf=conf,
        weights=tmp_path / "weights",
        campaign=campaign,
        script=script,
    ) as address:
        mia = reader("Mia", address)
        for n in range(4):
            mia.take(f"image{n:03}")
            mia.draw("target", made.distance(n) < 0.25 * made.SIDE)
            mia.send()
        mia.until(lambda: mia.training.state.can_start)
        mia.training.start()
        mia.until(lambda: mia.training.state.training.state == "published", 400)
        now = mia.training.state
        curve = now.training.curve
        assert len(curve) > 2 and any(point.loss for point in curve) and any(point.dice for point in curve)
        mia.until(lambda: mia.training.state.adapter is not None)
        now = mia.training.state
        assert now.new_adapter and "adapter" in "".join(state.notice for state in mia.seen)
        mia.take("image005")
        mia.click("a", 24, 24)
        assert mia.state.adapter == now.adapter, "the adapter that answered is named"
        saved = mia.send().saved
        kept = requests.get(f"{address}/labels/image005", timeout=30).json()["versions"][-1]
        assert (kept["revision"], kept["origin"]["adapter"]) == (saved, now.adapter)
        mia.training.seen()
        assert not mia.training.state.new_adapter
