"""Gain of the second look at small objects (`predict/second_look.py`), on `val` pictures and scenes.

    .venv/bin/python training/closer.py --data DIR --json training/results/closer.json

Generated scenes have 512 x 512 pixels, their targets cover 0.05 to 6 % of them. One network gets the same
clicks (RITM's protocol) and tight boxes with and without the second look.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from uniultra.datasets.manifest import load_pair, read_manifest
from uniultra.metrics.interactive import click_until
from uniultra.metrics.overlap import dice
from uniultra.models import registry
from uniultra.predict import Predictor
from uniultra.predict.still import STILL, Still
from uniultra.prompts.simulation.clicks_boxes import components, tight_box
from uniultra.prompts.types import PromptSet
from uniultra.synthesis.scene import scene
from uniultra.weights import loading

SETS = ("hc18_fetal_head", "dltrack_aponeurosis", "busi_breast")
SIZES = {
    "scenes, 0.05 to 0.4 %": (5e-4, 4e-3),
    "scenes, 0.4 to 2 %": (4e-3, 0.02),
    "scenes, 2 to 6 %": (0.02, 0.06),
}
CLICKS, IOU = 10, 0.85
SEED = 992  # of the scenes; training never drew them


def of_pictures(data: Path, name: str, split: str, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures of a set and their largest components, spread over its rows."""
    rows = read_manifest(data, [name], [split])
    for n in np.unique(np.linspace(0, len(rows) - 1, limit).astype(int)):
        picture, mask = load_pair(rows[n])
        if mask.any():
            yield picture, components(mask)[0]


def of_scenes(least: float, most: float, limit: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scenes with one target each whose area, as a fraction of the picture, is in the range."""
    count = 0
    for n in range(100 * limit):
        drawn = scene(np.random.default_rng([SEED, n]), 512)
        for target in drawn.targets[::-1]:
            if least <= target.mean() < most:
                yield drawn.picture, components(target)[0]
                count += 1
                break
        if count == limit:
            return


def ask(predictor: Predictor, pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Means over the pictures."""
    results: dict[str, list[float]] = {f"dice@{k}": [] for k in (1, 3, 5)} | {"dice_box": [], "noc85": []}
    for picture, truth in pairs:
        source = Still(picture)

        def answer(prompts: PromptSet, source: Still = source) -> np.ndarray:
            return predictor.predict(source, STILL, [prompts])[0].mask

        run = click_until(answer, truth, clicks=CLICKS, until=IOU, at_least=5)
        for k in (1, 3, 5):
            results[f"dice@{k}"].append(dice(run.mask_at(k), truth))
        results["noc85"].append(next((n for n, iou in enumerate(run.ious, 1) if iou >= IOU), CLICKS))
        results["dice_box"].append(dice(answer(PromptSet(box=tight_box(truth))), truth))
    return {key: round(fmean(values), 4) for key, values in results.items()} | {"n": len(pairs)}


def main() -> None:
    """Write the JSON and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--name", default="uniultra_mini", help="a model's name in the registry")
    parser.add_argument("--split", default="val", choices=("train", "val"), help="never test: this selects")
    parser.add_argument("--limit", type=int, default=20, help="pictures of each set, scenes of each size")
    options = parser.parse_args()
    network, digest = loading.load(options.name)
    ways = {
        name: Predictor.of(network, replace(registry.entry(options.name), closer=closer))
        for name, closer in (("once", False), ("closer", True))
    }
    pairs_of = {name: list(of_pictures(options.data, name, options.split, options.limit)) for name in SETS}
    pairs_of |= {name: list(of_scenes(*size, options.limit)) for name, size in SIZES.items()}
    results = {
        name: {way: ask(predictor, pairs) for way, predictor in ways.items()}
        for name, pairs in pairs_of.items()
    }
    result = {"model": options.name, "weights_sha256": digest, "split": options.split, "sets": results}
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
