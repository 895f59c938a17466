"""Head circumference from masks, against the reference of HC18 (`hc_mm` of the manifest's test rows).

    .venv/bin/python training/benchmark/measurements.py --data ../shared/data \
        --model uniultra_mini --output training/benchmark/results/measurements.json

The true masks show the error of the measurement itself; predicted masks, from the true mask's tight box, the
error of model and measurement together. The code is the Slicer module's. `radius_mean_px` is the error common
to all heads: HC18's masks are filled to the outer edge of a drawn line, so they are a pixel larger than the
ellipse whose circumference is the reference.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "slicer_extension" / "UniUltra"))

from UniUltraLib.measure.calibration import Calibration  # noqa: E402
from UniUltraLib.measure.mask_measures import MeasureError, measure  # noqa: E402

Draw = Callable[[Path, np.ndarray], np.ndarray]  # a picture's file and its true mask -> the model's mask
SET, SPLIT = "hc18_fetal_head", "test"


def rows(data: Path, limit: int | None) -> Iterator[dict[str, str]]:
    """The manifest's rows with a reference circumference."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = [r for r in csv.DictReader(stream) if r["dataset"] == SET and r["split"] == SPLIT]
    yield from [row for row in rows if row["hc_mm"]][:limit]


def true_mask(data: Path, row: dict[str, str]) -> np.ndarray:
    """(rows, columns) bool."""
    return np.asarray(Image.open(data / row["mask"]).convert("L")) > 0


def predictor(model: str, weights: Path | None, device: str) -> Draw:
    """The mask a model draws into the box around a true mask."""
    from uniultra.images import read_image
    from uniultra.images.types import Plane
    from uniultra.predict import Predictor
    from uniultra.prompts import PromptSet
    from uniultra.prompts.simulation.clicks_boxes import tight_box

    if weights:  # where the library looks first for a person's own
        folder = Path(tempfile.mkdtemp(prefix="uniultra-"))
        (folder / f"{model}.safetensors").symlink_to(weights.resolve())
        os.environ["UNIULTRA_WEIGHTS"] = str(folder)
    predictor = Predictor(model, device=device)

    def draw(image: Path, truth: np.ndarray) -> np.ndarray:
        [answer] = predictor.predict(read_image(image), Plane("k", 0), [PromptSet(box=tight_box(truth))])
        return np.asarray(answer.mask)

    return draw


def pitch(row: dict[str, str]) -> tuple[float, float]:
    """(dy,dx) in mm: the pictures were resized to whole rows, so their pixels are not quite square."""
    dx = float(row["spacing_mm"])
    enlarged = [int(row[f"original_{side}"]) / int(row[side]) for side in ("height", "width")]
    return dx * enlarged[0] / enlarged[1], dx


def compare(data: Path, limit: int | None, draw: Draw | None) -> dict[str, Any]:
    """The errors of the measured circumference in mm, measured minus reference."""
    errors, relative, pixels, failed = [], [], [], 0
    for row in rows(data, limit):
        mask = true_mask(data, row)
        mask = draw(data / row["image"], mask) if draw else mask
        spacing, reference = pitch(row), float(row["hc_mm"])
        try:
            measured = measure(mask, Calibration(spacing, "manifest"), head=True)
        except MeasureError:
            failed += 1
            continue
        errors.append(measured.value("head circumference") - reference)
        relative.append(100 * errors[-1] / reference)
        # A circumference that is e too long belongs to a radius that is e / (2 pi) too long.
        pixels.append(errors[-1] / (2 * np.pi * spacing[1]))
    error = np.array(errors)
    return {
        "heads": len(error),
        "not_measured": failed,
        "mean_mm": round(float(error.mean()), 3),
        "sd_mm": round(float(error.std(ddof=1)), 3),
        "median_mm": round(float(np.median(error)), 3),
        "mean_absolute_mm": round(float(abs(error).mean()), 3),
        "p95_absolute_mm": round(float(np.percentile(abs(error), 95)), 3),
        "largest_absolute_mm": round(float(abs(error).max()), 3),
        "mean_percent": round(float(np.mean(relative)), 3),
        "mean_absolute_percent": round(float(np.mean(np.abs(relative))), 3),
        "radius_mean_px": round(float(np.mean(pixels)), 3),
        "radius_sd_px": round(float(np.std(pixels, ddof=1)), 3),
    }


def predicted(model: str, weights: Path | None, device: str, data: Path, limit: int | None) -> dict[str, Any]:
    """The same of a model's masks, and which weights drew them."""
    from uniultra.weights.loading import find
    from uniultra.weights.tensors import file_sha256

    errors = compare(data, limit, predictor(model, weights, device))
    used = weights or find(model)
    return {**errors, "weights_sha256": file_sha256(used) if used else None}


def main() -> None:
    """Measure and write."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--output", type=Path, required=True, help="the numbers, as JSON")
    parser.add_argument("--model", action="append", default=[], help="also its masks (repeatable)")
    parser.add_argument("--weights", type=Path, help="of the one --model, a file instead of the shipped one")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="at most so many heads")
    options = parser.parse_args()
    if options.weights and len(options.model) != 1:
        parser.error("--weights belongs to one --model; name exactly one")
    result: dict[str, Any] = {
        "made": date.today().isoformat(),
        "set": f"{SET}, {SPLIT} rows with hc_mm",
        "measurement": "direct least squares ellipse on the outer boundary, Ramanujan perimeter",
        "true_masks": compare(options.data, options.limit, None),
        "predicted_from_a_tight_box": {
            name: predicted(name, options.weights, options.device, options.data, options.limit)
            for name in options.model
        },
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
