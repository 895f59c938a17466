"""Copies a plan's results into the app's model folder: fp16, tasks folded, within the size limit.

    .venv/bin/python training/ship.py OUT

OUT is the output folder of `uniultra train training/default.yaml`. The SHA-256 of whole files go into
`SHA256SUMS` beside them; a bundle's manifest has its own. The cards are written by hand, their tables by
`training/tables.py`. The settings and results of each stage's training are written to
`training/results/trainings.json`; entries of stages missing in OUT are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from uniultra.adapters import apg
from uniultra.weights import bundle, loading, tensors

LIMIT = 48_000_000  # bytes of all shipped files together
WHOLE = {"default": "uniultra_mini", "without_busi": "uniultra_mini.nobusi"}
SUMMARIES = Path(__file__).parent / "results" / "trainings.json"
SPAN = 100  # optimiser steps that share a point of a loss curve
TASKS = {"head": "autosamus_mini.fetal_head", "breast": "autosamus_mini.breast_lesion"}


def ship(output: Path, folder: Path) -> None:
    """Copy the base weights and fold the tasks."""
    sums = {}
    for stage, name in WHOLE.items():
        made = folder / f"{name}{tensors.SUFFIX}"
        shutil.copyfile(output / stage / f"uniultra_mini{tensors.SUFFIX}", made)
        sums[made.name] = tensors.file_sha256(made)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / loading.SUMS).write_text(lines, encoding="ascii")
    base = loading.load_file("uniultra_mini", folder / f"uniultra_mini{tensors.SUFFIX}")
    for stage, name in TASKS.items():
        network = apg.inject(base)
        manifest = bundle.load(output / stage / "autosamus_mini", network)
        folded = apg.fold(network.eval())
        notes = manifest.model_dump(include={"data", "metrics"})
        bundle.save(
            folder / name, folded, "autosamus_mini", config=folded.config, dtype=torch.float16, **notes
        )


def summaries(output: Path, file: Path) -> None:
    """Write the results of the stages' trainings."""
    results = json.loads(file.read_bytes()) if file.is_file() else {}
    for result in sorted(output.glob("*/result.json")):
        results[result.parent.name] = json.loads(result.read_bytes()) | curves(result.with_name("log.jsonl"))
    file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def curves(log: Path) -> dict[str, Any]:
    """A training's loss, the mean over each `SPAN` steps, and its score on `val`, against the step."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spans: dict[int, list[float]] = {}
    for line in lines:
        if "loss" in line:
            spans.setdefault(-(-line["step"] // SPAN) * SPAN, []).append(line["loss"])
    return {
        "loss_curve": [[step, round(sum(values) / len(values), 4)] for step, values in spans.items()],
        "score_curve": [[line["step"], line["score"]] for line in lines if "score" in line],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="folder of a finished plan")
    options = parser.parse_args()
    folder = loading.shipped_folder()
    ship(options.output, folder)
    summaries(options.output, SUMMARIES)
    size = sum(path.stat().st_size for path in folder.rglob(f"*{tensors.SUFFIX}"))
    print(f"{size / 1e6:.1f} MB of {LIMIT / 1e6:.0f}")
    return 0 if size <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
