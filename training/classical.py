"""Tunes GrabCut and the random walker, the alternatives of the accuracy benchmark, on `val` pictures.

    .venv/bin/python training/classical.py --data ../shared/data --json training/results/classical.json

One setting is varied at a time, the others stay as in `uniultra.evaluate.accuracy.classical`; mean
Dice of a tight box and of one click in the middle of the object, by set.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

from uniultra.datasets.manifest import Row, load_pair, read_manifest
from uniultra.evaluate.accuracy import classical
from uniultra.metrics.overlap import dice
from uniultra.prompts.simulation.clicks_boxes import center_click, components, tight_box
from uniultra.prompts.types import PromptSet

SETS = ("hc18_fetal_head", "dltrack_aponeurosis", "busi_breast")
TRIED = {"SMOOTHING": (0.0, 1.5, 2.5), "MIDDLE": (0.6, 0.7, 0.8, 0.9), "NEAR": (20, 30, 40, 60)}
METHODS = {"grabcut": classical.grabcut, "random_walker": classical.random_walker}
PLAIN = {name: getattr(classical, name) for name in TRIED}


def one(row: Row) -> dict[str, float]:
    """Dice by setting, method and prompt."""
    picture, label = load_pair(row)
    truth = components(label)[0]
    prompts = {"box": PromptSet(box=tight_box(truth)), "click": PromptSet(points=(center_click(truth),))}
    scores = {}
    for setting, values in TRIED.items():
        for value in values:
            vars(classical).update(PLAIN | {setting: value})
            for method, run in METHODS.items():
                for prompt, prompt_set in prompts.items():
                    matters = {"MIDDLE": prompt == "box", "NEAR": prompt == "click" and method == "grabcut"}
                    if matters.get(setting, True):
                        key = f"{setting}={value} {method} {prompt}"
                        scores[key] = dice(run(picture, prompt_set), truth)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24, help="pictures of each set")
    options = parser.parse_args()
    result: dict[str, Any] = {"used": PLAIN, "split": "val", "sets": {}}
    with ProcessPoolExecutor() as pool:
        for name in SETS:
            rows = [row for row in read_manifest(options.data, [name], ["val"]) if load_pair(row)[1].any()]
            scores = list(pool.map(one, rows[: options.limit]))
            means = {key: round(fmean(score[key] for score in scores), 3) for key in scores[0]}
            result["sets"][name] = {"n": len(scores), "dice": means}
            print(name, json.dumps(means, indent=1))
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
