"""Encoder time of a student compared with its teachers, in one run on one machine.

    .venv/bin/python training/benchmark/encoders.py --output training/benchmark/results/encoders.json

Random weights: they time the same as trained ones. The networks take turns, so that machine noise
affects all of them; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uniultra.evaluate.machine import this_machine
from uniultra.metrics.cost import count_work, measure_latency
from uniultra.models import build
from uniultra.models.counting import on_meta
from uniultra.predict.device import choose_device

STUDENT = ("uniultra_mini", 256)
TEACHERS = (("uniultra_t", 256), ("uniultra_l", 256), ("uniultra_l", 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    options = parser.parse_args()
    device = choose_device(options.device)
    result = {"date": str(date.today()), "machine": this_machine(device).model_dump(mode="json")}
    result |= compare(options.rounds, device)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["encoders"]))


def compare(rounds: int, device: torch.device) -> dict[str, Any]:
    """Every encoder once a round: the median of three encodings after one that warms up."""
    networks = {(name, side): build(name, side).to(device) for name, side in (STUDENT, *TEACHERS)}
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in networks}
    for _ in range(rounds):
        for key, network in networks.items():
            taken[key].append(measure_latency(network, repeats=3, warm_up=1).seconds_encode)
    seconds = {key: np.array(took) for key, took in taken.items()}
    rows = [
        {
            "model": name,
            "side": side,
            "seconds": round(float(np.median(seconds[name, side])), 4),
            "gmacs": round(count_work(on_meta(name, side)).gmac_encode, 2),
            "over_student": round(float(np.median(seconds[name, side] / seconds[STUDENT])), 1),
        }
        for name, side in networks
    ]
    return {"rounds": rounds, "encoders": rows}


if __name__ == "__main__":
    main()
