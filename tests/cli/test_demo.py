"""`make demo`'s command: it serves real ultrasound, and what it says to do next works."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from started_server import free_port

from uniultra.demo import fetch_sample_dicom
from uniultra.errors import UniUltraError
from uniultra.serve.demo import prepare, run_demo


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    try:
        fetch_sample_dicom(folder / "studies")
    except UniUltraError as error:
        pytest.skip(f"the sample files cannot be fetched here: {error}")
    return folder


@pytest.fixture(scope="module")
def demo(samples):
    """The demo in its own process: its address and what it printed once it answered."""
    port = free_port()
    command = [sys.executable, "-m", "uniultra.cli", "demo", "--folder", str(samples), "--port", str(port)]
    environment = {**os.environ, "HOME": str(samples), "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
    log = samples / "log.txt"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    try:
        for _ in range(360):
            text = log.read_text()
            if "Slicer" in text or process.poll() is not None:
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def steps(text: str) -> list[str]:
    """The commands printed, joined over their continuation lines."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.startswith("     ")]


def test_it_says_four_things_to_do_next(demo):
    address, text = demo
    assert address in text
    assert [line[:2] for line in text.splitlines() if line[:1].isdigit() and line[1] == "."] == [
        *("1.", "2.", "3.", "4.")
    ]


def test_the_step_without_slicer_works(demo, samples):
    _, text = demo
    command = shlex.split(next(s for s in steps(text) if " segment " in s))
    done = subprocess.run(
        [sys.executable, "-m", "uniultra.cli", *command[command.index("segment") :]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (samples / "ventricle.nrrd").is_file() and (samples / "ventricle.png").is_file()


def test_the_step_over_http_works(demo):
    _, text = demo
    words = shlex.split(next(s for s in steps(text) if s.startswith("curl")))
    url = next(w for w in words if w.startswith("http"))
    params = words[words.index("-F") + 1].removeprefix("params=")
    answer = requests.post(url, data={"params": params}, timeout=120)
    assert answer.status_code == 200
    assert set(answer.json()) >= {"bbox", "mask", "frame", "score", "model", "adapter", "timings"}
    assert answer.json()["frame"] == json.loads(params)["foreground"][0][2]


def test_the_campaign_page_is_where_it_says(demo):
    address, text = demo
    assert f"{address}/campaign" in text
    page = requests.get(f"{address}/campaign", timeout=60)
    assert page.status_code == 200 and "html" in page.headers["content-type"]


def test_the_studies_are_the_samples_and_the_phantom_without_its_masks(demo):
    address, _ = demo
    listed = requests.get(f"{address}/datastore/?output=all", timeout=60).json()["objects"]
    assert {"examples_ybr_color", "phantom"} <= set(listed) and len(listed) == 6


def test_preparing_again_changes_nothing(samples):
    studies = prepare(samples)
    before = {p.name: p.read_bytes() for p in studies.iterdir() if p.is_file()}
    prepare(samples)
    assert {p.name: p.read_bytes() for p in studies.iterdir() if p.is_file()} == before
    assert len(list((samples / "phantom_masks").glob("*.png"))) >= 2


def test_a_taken_port_is_said_before_anything_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UniUltraError, match=f"make demo PORT={port + 1}"):
            run_demo(tmp_path, "127.0.0.1", port, "uniultra_mini", "cpu")
    assert not list(tmp_path.iterdir())
