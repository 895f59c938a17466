r"""Click latency while the server trains, compared with the idle server: over HTTP, on one machine.

    .venv/bin/python training/benchmark/training_load.py \
        --output training/benchmark/results/training_load.json

The server is started with the user's command. Clicks go to encoded pictures (later clicks) and to new
pictures (first clicks); idle, then while a training job of ten labels runs in its own process.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from uniultra.adapt import job as jobs
from uniultra.adapt.settings import FitSettings
from uniultra.evaluate.machine import this_machine
from uniultra.predict.device import choose_device
from uniultra.store.types import TrainingLabel
from uniultra.synthesis.scene import scene

MODEL = "uniultra_mini"
LABELS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--clicks", type=int, default=200, help="later clicks of each part")
    parser.add_argument("--first", type=int, default=40, help="first clicks of each part")
    parser.add_argument(
        "--steps", type=int, default=2000, help="of the training, so that it outlasts the clicks"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure(options, Path(name))
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["ratio_p95"]))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    studies = folder / "studies"
    labels = make_studies(studies, 2 * options.first + LABELS + 20)
    url, server = start(studies, folder)
    try:
        warm = [f"image{n}" for n in range(20)]
        for image in warm:
            click(url, image)
        new = [f"image{n}" for n in range(20, 20 + 2 * options.first)]
        idle = part(url, warm, new[: options.first], options.clicks)
        settings = FitSettings.of(MODEL).model_copy(update={"steps": options.steps})
        # The job is created here and not over HTTP, so that it is long enough; POST /train resumes it.
        jobs.create(studies, MODEL, labels, settings, nice=10, threads=os.cpu_count() or 1)
        requests.post(f"{url}/train/{MODEL}", json={}, timeout=60).raise_for_status()
        while stats(url).get("phase") != "fold-0" or not stats(url).get("loss"):
            time.sleep(0.5)
        busy = part(url, warm, new[options.first :], options.clicks)
        running = requests.get(f"{url}/train/", params={"check_if_running": True}, timeout=60)
        still = running.ok and running.json()["status"] == "RUNNING"
        requests.delete(f"{url}/train/", timeout=60)
    finally:
        server.terminate()
        server.wait(30)
    return {
        "date": str(date.today()),
        "machine": this_machine(choose_device("auto")).model_dump(mode="json"),
        "idle": idle,
        "training": busy,
        "training_ran_throughout": bool(still),
        "ratio_p95": {kind: round(busy[kind]["p95_s"] / idle[kind]["p95_s"], 2) for kind in idle},
    }


def part(url: str, warm: list[str], new: list[str], clicks: int) -> dict[str, Any]:
    later = [click(url, warm[n % len(warm)]) for n in range(clicks)]
    return {"later": quantiles(later), "first": quantiles([click(url, image) for image in new])}


def click(url: str, image: str) -> float:
    params = {"foreground": [[128, 128, 0]], "background": [], "result": "packed"}
    began = time.perf_counter()
    answer = requests.post(
        f"{url}/infer/{MODEL}", params={"image": image}, data={"params": json.dumps(params)}, timeout=120
    )
    answer.raise_for_status()
    return time.perf_counter() - began


def quantiles(seconds: list[float]) -> dict[str, float]:
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return {"n": len(seconds), "p50_s": round(float(p50), 4), "p95_s": round(float(p95), 4)}


def stats(url: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{url}/info/", timeout=60).json()["train_stats"].get(MODEL, {})
    return found


def make_studies(studies: Path, count: int) -> list[TrainingLabel]:
    (studies / ".uniultra" / "made").mkdir(parents=True)
    labels = []
    for n in range(count):
        drawn = scene(np.random.default_rng([7, n]), 256)
        Image.fromarray(drawn.picture).save(studies / f"image{n}.png")
        if n < count - LABELS:
            continue
        packed = io.BytesIO()
        Image.fromarray(drawn.targets[0].astype(np.uint8)).save(packed, "png")
        file = f".uniultra/made/{n}.png"
        (studies / file).write_bytes(packed.getvalue())
        labels.append(
            TrainingLabel(
                image=f"image{n}",
                revision=1,
                sha256=hashlib.sha256(packed.getvalue()).hexdigest(),
                source=f"image{n}.png",
                file=file,
                frames=None,
                names={1: "structure"},
                group=hashlib.sha256(str(n).encode()).hexdigest(),
            )
        )
    return labels


def start(studies: Path, folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uniultra.cli", "serve", "--studies", str(studies), "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MONAI_LABEL")}
    environment |= {"HOME": str(folder)}
    with (folder / "output.txt").open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            requests.get(f"{url}/info/", timeout=5).raise_for_status()
            return url, server
        except requests.RequestException:
            if server.poll() is not None:
                break
            time.sleep(0.5)
    raise SystemExit((folder / "output.txt").read_text()[-3000:])


if __name__ == "__main__":
    main()
