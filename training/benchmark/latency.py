"""Click latency over HTTP, against stock MONAI Label's SAM2 task, in one run on one machine.

    .venv/bin/python training/benchmark/latency.py --output training/benchmark/results/latency.json

Both servers run at the same time, each in its own process; clicks alternate between them, so that
machine noise affects both. Stock gets a temporary HOME, because its SAM2 module deletes a cache
folder on import, and random weights: they time the same as trained ones. Three comparisons:

a. the same network at the same size: SAM2.1 Hiera-T at 1024 px (ours with its CH-Adapters);
b. the shipped mini against the network stock chooses by default (SAM2 Hiera-L);
c. `/info/` while three users click.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import requests

ROOT = Path(__file__).resolve().parents[2]
ROWS, COLUMNS, FRAMES = 480, 640, 24
STOCK_APP = """
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferType
from monailabel.sam2.infer import Sam2InferTask

class Stock(MONAILabelApp):
    def __init__(self, app_dir, studies, conf):
        self.folder = app_dir + "/model"
        super().__init__(app_dir, studies, conf, name="stock")
    def init_infers(self):
        return {"sam_2d": Sam2InferTask(model_dir=self.folder, type=InferType.DEEPGROW, dimension=2)}
    def init_strategies(self):
        return {}
"""
# SAM2 configuration of the package; checkpoint and configuration names passed to stock.
NETWORKS = {
    "t": ("configs/sam2.1/sam2.1_hiera_t.yaml", "sam2.1_hiera_tiny.pt"),
    "l": ("configs/sam2/sam2_hiera_l.yaml", "sam2_hiera_large.pt"),
}


def write_studies(folder: Path) -> None:
    """A stack of generated pictures as the one kind of file both servers read: a grey volume."""
    import SimpleITK as sitk

    from uniultra.synthesis.scene import scene

    frames = [scene(np.random.default_rng(n), 512).picture for n in range(FRAMES)]
    stack = np.stack([np.pad(f[:ROWS], ((0, 0), (0, COLUMNS - 512))) for f in frames])
    sitk.WriteImage(sitk.GetImageFromArray(stack), str(folder / "stack.nrrd"), True)


def write_stock_app(folder: Path, size: str) -> dict[str, str]:
    """Stock's SAM2 with random weights of a network; returns the settings that point to it."""
    import sam2
    import torch
    from sam2.build_sam import build_sam2

    configuration, checkpoint = NETWORKS[size]
    (folder / "model").mkdir(parents=True)
    (folder / "main.py").write_text(STOCK_APP)
    source = Path(sam2.__file__).parent / configuration
    (folder / "model" / source.name).write_bytes(source.read_bytes())
    torch.manual_seed(0)
    network = build_sam2(configuration, ckpt_path=None, device="cpu")
    torch.save({"model": network.state_dict()}, folder / "model" / checkpoint)
    return {"MONAI_SAM_MODEL_PT": f"x/{checkpoint}", "MONAI_SAM_MODEL_CFG": f"x/{source.name}"}


def write_our_weights(folder: Path, stock: Path) -> None:
    """The same Hiera-T numbers as stock's for ours; its adapters start at zero."""
    import torch

    from uniultra.models import build
    from uniultra.weights import loading, tensors

    network = build("uniultra_t")
    official = torch.load(stock / "model" / NETWORKS["t"][1], weights_only=True)["model"]
    ours = network.state_dict()
    loading.load_into(network, {k: official.get(k, v) for k, v in ours.items()})
    tensors.save(folder / "uniultra_t.safetensors", network, {}, torch.float32)


@contextlib.contextmanager
def server(app: Path, studies: Path, home: Path, models: str, extra: dict[str, str]) -> Iterator[str]:
    """A MONAI Label server in its own process; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home), "MONAI_LABEL_SESSION_PATH": str(home / "sessions")}
    environment = {**os.environ, **own, **extra}
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app), "--studies"]
    command += [str(studies), "--host", "127.0.0.1", "--port", str(port), "--conf", "models", models]
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{address}/info/", timeout=5).ok:
                    break
            if process.poll() is not None:
                raise SystemExit(f"the server stopped:\n{(home / 'log.txt').read_text()[-3000:]}")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


class User:
    """One client that keeps its connection, as Slicer's would."""

    def __init__(self, address: str, model: str, *, packed: bool) -> None:
        self.session, self.packed = requests.Session(), packed
        self.url = f"{address}/infer/{model}?image=stack&output={'json' if packed else 'all'}"

    def click(self, frame: int, seed: int = 0, cached: bool | None = None) -> tuple[float, int]:
        """Seconds and bytes of one click; `cached` is what our server must say of the embedding."""
        x, y = np.random.default_rng([frame, seed]).integers(100, 400, 2).tolist()
        params: dict[str, Any] = {
            "foreground": [[x, y, frame]],
            "background": [],
            "roi": [],
            "slice": frame,
            "result_extension": ".nrrd",
            "result_dtype": "uint8",
            "device": "cpu",
        }
        if self.packed:
            params["result"] = "packed"
        start = time.perf_counter()
        answer = self.session.post(self.url, data={"params": json.dumps(params)}, timeout=600)
        seconds = time.perf_counter() - start
        answer.raise_for_status()
        if self.packed and cached is not None and answer.json()["timings"]["cached"] != cached:
            raise SystemExit(f"a click was expected to find the embedding {'there' if cached else 'missing'}")
        return seconds, len(answer.content)


def summary(values: list[float]) -> dict[str, float | int]:
    """Percentiles of seconds."""
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {"n": len(values), "p50_s": round(p50, 4), "p95_s": round(p95, 4), "p99_s": round(p99, 4)}


def compare(ours: User, stock: User, rounds: int, clicks: int) -> dict[str, Any]:
    """First and later clicks: each round is a new frame on both servers, clicked 1 + `clicks` times."""
    times: dict[str, list[float]] = {k: [] for k in ("our_first", "our_later", "stock_first", "stock_later")}
    sizes: dict[str, list[int]] = {"ours": [], "stock": []}
    ours.click(FRAMES - 1)
    stock.click(FRAMES - 1)  # both have their weights loaded now
    for frame in range(rounds):
        for who, user, most in (("stock", stock, min(clicks, 2)), ("our", ours, clicks)):
            seconds, size = user.click(frame, cached=False)
            times[f"{who}_first"].append(seconds)
            for n in range(most):
                seconds, size = user.click(frame, n + 1, cached=True)
                times[f"{who}_later"].append(seconds)
                sizes["ours" if who == "our" else who].append(size)
    result: dict[str, Any] = {name: summary(v) for name, v in times.items()}
    result["our_answer_bytes_max"], result["stock_answer_bytes_max"] = max(sizes["ours"]), max(sizes["stock"])
    for kind in ("first", "later"):
        ratio = np.median(times[f"stock_{kind}"]) / np.median(times[f"our_{kind}"])
        result[f"{kind}_click_ratio"] = round(float(ratio), 1)
    return result


def alone(user: User, frames: range, clicks: int) -> dict[str, Any]:
    """First and later clicks of one user with the server to itself, on frames without earlier clicks."""
    first, later, sizes = [], [], []
    for frame in frames:
        first.append(user.click(frame, cached=False)[0])
        for n in range(clicks):
            seconds, size = user.click(frame, n + 1, cached=True)
            later.append(seconds)
            sizes.append(size)
    return {"first": summary(first), "later": summary(later), "answer_bytes_max": max(sizes)}


def info_under_load(address: str, model: str, *, packed: bool, seconds: float) -> dict[str, Any]:
    """`/info/` while three users click on frames of their own, every fifth click on a new one."""
    stop = threading.Event()
    clicks: list[float] = []

    def click(number: int) -> None:
        user, count = User(address, model, packed=packed), 0
        while not stop.is_set():
            clicks.append(user.click((number * 7 + count // 5) % FRAMES, count)[0])
            count += 1

    users = [threading.Thread(target=click, args=(n,)) for n in range(3)]
    for user in users:
        user.start()
    info, end = [], time.perf_counter() + seconds
    with requests.Session() as session:
        while time.perf_counter() < end:
            start = time.perf_counter()
            session.get(f"{address}/info/", timeout=600).raise_for_status()
            info.append(time.perf_counter() - start)
            time.sleep(0.05)
    stop.set()
    for user in users:
        user.join()
    return {"info": summary(info), "clicks_of_three_users": summary(clicks)}


def run(rounds: int, clicks: int) -> dict[str, Any]:
    """All comparisons."""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        for name in ("studies", "stock_studies", "weights"):
            (folder / name).mkdir()
        write_studies(folder / "studies")
        write_studies(folder / "stock_studies")
        settings = {size: write_stock_app(folder / f"stock_{size}", size) for size in NETWORKS}
        write_our_weights(folder / "weights", folder / "stock_t")
        ours = stack.enter_context(
            server(
                ROOT / "apps" / "uniultra",
                folder / "studies",
                folder / "our_home",
                "uniultra_mini,uniultra_t",
                {"UNIULTRA_WEIGHTS": str(folder / "weights")},
            )
        )

        def stock(size: str) -> contextlib.AbstractContextManager[str]:
            home = folder / f"home_{size}"
            return server(folder / f"stock_{size}", folder / "stock_studies", home, "x", settings[size])

        mini = User(ours, "uniultra_mini", packed=True)
        print("b: the shipped mini against stock's default", flush=True)
        with stock("l") as address:
            result["b_mini_against_stock_default"] = compare(
                mini, User(address, "sam_2d", packed=False), 2, clicks
            )
        result["b_mini_alone"] = alone(mini, range(2, 2 + rounds), clicks)
        with stock("t") as address:
            print("a: the same network, Hiera-T at 1024", flush=True)
            tiny, theirs = User(ours, "uniultra_t", packed=True), User(address, "sam_2d", packed=False)
            result["a_same_network_t_1024"] = compare(tiny, theirs, 3, clicks)
            print("c: /info/ under three users", flush=True)
            result["c_info_while_three_click"] = {
                "ours_mini": info_under_load(ours, "uniultra_mini", packed=True, seconds=20),
                "stock_t": info_under_load(address, "sam_2d", packed=False, seconds=20),
            }
    return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=18, help="frames for the mini alone")
    parser.add_argument("--clicks", type=int, default=10, help="later clicks per frame")
    options = parser.parse_args()
    measured = run(options.rounds, options.clicks)
    import monailabel
    import torch

    measured["conditions"] = {
        "date": date.today().isoformat(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "torch": torch.__version__,
        "monailabel": monailabel.__version__,
        "picture": [ROWS, COLUMNS, FRAMES],
    }
    options.output.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
