"""The whole loop over HTTP: labels in, a better adapter out, nobody waits; and back again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crashes import made
from in_process import put_label
from started_server import Running, free_port, started

MODEL = "uniultra_mini"
BENCHMARKS = Path(__file__).parents[2] / "training" / "benchmark"
# The server with trainings of twelve steps in the place of a hundred; their process is the real one.
LAUNCH = """
import functools, sys
sys.path.insert(0, sys.argv.pop(1))
from crashes.made import TINY
from uniultra.adapt import job, settings
settings.FitSettings.of = classmethod(lambda cls, model: TINY)
job.create = functools.partial(job.create, folds=2, scenes=2)
from uniultra.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server over a campaign that trains after four labels."""
    studies, port = tmp_path / "studies", free_port()
    made.pictures(studies, 6)
    (studies / "campaign.yaml").write_text(
        "labels: [{name: target, index: 1}]\ntrain_after: 4\npatients: {by: path, pattern: '(image[0-9]+)'}\n"
    )
    made.small_weights(tmp_path / "weights", blank=True)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    launch = tmp_path / "launch.py"
    launch.write_text(LAUNCH)
    command = [sys.executable, str(launch), str(BENCHMARKS), "serve", "--device", "cpu"]
    command += ["--model", MODEL, "--studies", str(studies), "--port", str(port)]
    command += ["--conf", "train_threads", "1", "--conf", "train_nice", "0"]
    with started(command, studies, tmp_path / "home", port, tmp_path / "weights") as running:
        yield running


def click(server: Running) -> dict[str, Any]:
    """The answer to a click in the middle of a picture that nobody labels."""
    answer = server.infer("image005", {"foreground": [[24, 24, 0]], "background": [], "result": "packed"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def adapter_after(server: Running, wanted: Any) -> tuple[dict[str, Any], int]:
    """Click until another adapter answers; that answer, and how many clicks were answered before."""
    end, clicks = time.monotonic() + 240, 0
    while wanted(found := click(server)) is False:
        assert time.monotonic() < end, server.get("/train/").text
        clicks += 1
        time.sleep(0.05)
    return found, clicks


def adapters(server: Running, *words: str) -> str:
    """What `uniultra adapters` prints."""
    command = [sys.executable, "-m", "uniultra.cli", "adapters", words[0], "--studies", str(server.studies)]
    done = subprocess.run([*command, *words[1:]], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_labels_train_an_adapter_that_answers_until_it_is_rolled_back(learning: Running) -> None:
    before = click(learning)
    assert before["adapter"] is None
    for n in range(4):
        assert learning.get("/train/").status_code == 404, "too early"
        image, by = f"image{n:03}", {"annotator": "anna", "base_revision": 0}
        answer = put_label(learning, image, made.mask(n, (n,)), by, name=f"{image}.png")
        assert answer.status_code == 200, answer.text
    after, clicks = adapter_after(learning, lambda found: found["adapter"] is not None)
    assert clicks >= 3, "clicks are answered while the server trains"
    assert (after["mask"], after["bbox"]) != (before["mask"], before["bbox"])

    told = learning.get("/train/").json()
    assert told["status"] == "DONE" and told["adapter"] == after["adapter"]
    assert told["request"]["automatic"] is True
    verdict = told["verdict"]
    assert verdict["publish"] and verdict["rule"] == "folds" and verdict["n"] >= 4 and verdict["gain"] > 0
    known = learning.get("/info/").json()
    assert known["adapters"][MODEL] == {"adapter": after["adapter"], "problem": None}

    [line] = adapters(learning, "list").splitlines()
    assert line.startswith(after["adapter"]) and line.endswith("answers")
    assert "its own weights" in adapters(learning, "rollback")
    back, _ = adapter_after(learning, lambda found: found["adapter"] is None)
    assert (back["mask"], back["bbox"]) == (before["mask"], before["bbox"])
