"""Waiting time at the panel, from a click to its mask in the segment: controller and server.

    .venv/bin/python training/benchmark/panel_latency.py \\
        --output training/benchmark/results/panel_latency.json

The panel's controller works on a scene of Slicer's own libraries, with a timer of 30 ms as in the panel; the
real server runs in a process of its own, with the shipped default model, on the processor. Per round:

- first click: on a frame that is not encoded yet;
- later click: on the same frame, each refining the previous mask;
- frame change: to the next frame, and the click there, after a pause for looking at the mask in which the
  server prefetches the next frame;
- the alternative: the same clicks in the same run on the same server as MONAI Label's own plugin sends them
  (`output=all`, answered with a compressed file). Loading that file into the scene is not counted.

`served` is the server's own time for the later clicks, without HTTP, timer and scene.
`held` is how long each call of the controller blocked the GUI thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from latency import COLUMNS, ROOT, ROWS, User, server, summary

sys.path[:0] = [str(ROOT / "slicer_extension" / "UniUltra"), str(ROOT / "tests" / "slicer")]
MODEL = "uniultra_mini"
IMAGE = "stack"
LOOKS_S = 0.6


def write_studies(folder: Path, frames: int) -> None:
    """A stack of generated pictures: a grey volume."""
    import SimpleITK as sitk

    from uniultra.synthesis.scene import scene

    pictures = [scene(np.random.default_rng(n), 512).picture for n in range(frames)]
    stack = np.stack([np.pad(p[:ROWS], ((0, 0), (0, COLUMNS - 512))) for p in pictures])
    sitk.WriteImage(sitk.GetImageFromArray(stack), str(folder / f"{IMAGE}.nrrd"), True)


class Panel:
    """The controller over Slicer's scene, with the panel's timer."""

    def __init__(self, address: str, file: Path, tick: float) -> None:
        from slicer_harness import SlicerApplication
        from UniUltraLib.control.controller import Controller
        from UniUltraLib.scene.scene import SlicerScene

        application = SlicerApplication()
        volume = application.load(file)
        view = application.scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
        view.SetLayoutName("Red")
        self.scene = SlicerScene(application.scene)
        self.controller = Controller(self.scene)
        self.tick, self.held, self.served = tick, [], []
        self.controller.connect(address, annotator="benchmark")
        self.wait(lambda: self.controller.state.connection == "online")
        self.scene.open(volume, IMAGE)
        self.scene.set_view(view)
        self.controller.frame_changed()

    def do(self, action: Any, *values: Any) -> None:
        """One call on the GUI's thread."""
        start = time.perf_counter()
        action(*values)
        self.held.append(time.perf_counter() - start)

    def wait(self, condition: Any) -> None:
        """Poll at every tick of the timer until it is so."""
        end = time.monotonic() + 120
        while not condition():
            if time.monotonic() > end or self.controller.state.problem:
                raise SystemExit(f"the panel got no mask: {self.controller.state.problem}")
            time.sleep(self.tick)
            self.do(self.controller.poll)

    def look(self) -> None:
        """Nothing is done for a while."""
        end = time.monotonic() + LOOKS_S
        self.wait(lambda: time.monotonic() > end)

    def click(self, seed: int, cached: bool | None) -> float:
        """Seconds from a click to its mask; `cached` is what the server must say of the embedding."""
        shown = self.scene.shown()
        x, y = np.random.default_rng([shown.plane.index, seed]).integers(100, 400, 2).tolist()
        world = self.scene.to_world(shown, [(x, y, shown.plane.index)])[0]
        start = time.perf_counter()
        self.do(self.controller.point, f"p{seed}", world)
        self.wait(lambda: not self.controller.state.waiting)
        seconds = time.perf_counter() - start
        segment = self.controller.state.segment
        timings = self.controller._editing.timeline(shown, segment).now.answer.timings
        if cached and seed:
            self.served.append(timings["total"])
        if cached is not None and timings["cached"] != cached:
            raise SystemExit(f"a click was expected to find the embedding {'there' if cached else 'missing'}")
        return seconds

    def go_to(self, frame: int) -> None:
        """Another frame; what the controller does at once counts."""
        self.do(self.scene.go_to, frame)


def run(rounds: int, clicks: int, tick: float) -> dict[str, Any]:
    """All of it."""
    times: dict[str, list[float]] = {
        name: []
        for name in ("first_click", "later_click", "frame_change", "file_first_click", "file_later_click")
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "studies").mkdir()
        write_studies(folder / "studies", 3 * rounds + 1)
        app, home = ROOT / "apps" / "uniultra", folder / "home"
        with server(
            app, folder / "studies", home, MODEL, {"OMP_NUM_THREADS": str(os.cpu_count())}
        ) as address:
            panel = Panel(address, folder / "studies" / f"{IMAGE}.nrrd", tick)
            stock = User(address, MODEL, packed=False)
            panel.go_to(3 * rounds)
            panel.click(0, None)
            stock.click(3 * rounds)  # both have met the loaded network now
            for number in range(rounds):
                frame = 3 * number
                panel.look()
                panel.go_to(frame)
                times["first_click"].append(panel.click(0, cached=False))
                times["later_click"] += [panel.click(n, cached=True) for n in range(1, clicks + 1)]
                panel.look()
                start = time.perf_counter()
                panel.go_to(frame + 1)
                change = time.perf_counter() - start
                times["frame_change"].append(change + panel.click(0, cached=True))
                times["file_first_click"].append(stock.click(frame + 2)[0])
                times["file_later_click"] += [stock.click(frame + 2, n)[0] for n in range(1, clicks + 1)]
            panel.controller.close()
    result: dict[str, Any] = {name: summary(values) for name, values in times.items()}
    result["served"] = summary(panel.served)
    result["held"] = {**summary(panel.held), "longest_s": round(max(panel.held), 4)}
    for kind, other in (("first_click", "first"), ("later_click", "later"), ("frame_change", "first")):
        ratio = np.median(times[f"file_{other}_click"]) / np.median(times[kind])
        result[f"{kind}_ratio"] = round(float(ratio), 2)
    return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20, help="frames of each kind")
    parser.add_argument("--clicks", type=int, default=10, help="later clicks per frame")
    parser.add_argument("--tick", type=float, default=0.03, help="seconds between two looks of the timer")
    options = parser.parse_args()
    measured = run(options.rounds, options.clicks, options.tick)
    import torch

    commit = ["git", "rev-parse", "--short", "HEAD"]
    measured["alternative"] = "MONAI Label's file answer (output=all) for the same click on the same server"
    measured["conditions"] = {
        "date": date.today().isoformat(),
        "commit": subprocess.run(
            commit, cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "torch": torch.__version__,
        "model": MODEL,
        "picture": [ROWS, COLUMNS],
        "timer_s": options.tick,
    }
    options.output.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
