r"""Gain from ten labels of an organ absent from the training data, by the server's own training job.

    .venv/bin/python training/benchmark/adaptation.py --data ../shared/data \
        --output training/benchmark/results/adaptation.json

For each set and draw ten pictures are labelled, recording by recording; the job cross-validates and, if it
passes its gate, publishes; then one click and a box are scored on all pictures of the other recordings,
before and after, and on test pictures of the organs that the weights were trained on. If nothing was
published, after equals before. A recording is the manifest's group, or the part of the picture's name
before `_slice_`. The intervals are of the mean gain over pictures and draws (after minus before of the same
draw), with recordings and draws resampled. These sets were not used for any choice.
The job gets the old organs as `train_known`, as an administrator sets it: it rehearses their `train` pictures
and its gate measures on `val`; the loss is measured on `test`. `--unknown` leaves them out, as by default.
Sets measured in an earlier run stay in the file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from uniultra.adapt import job as jobs
from uniultra.adapt import process
from uniultra.adapt.scoring import cases_of, scores
from uniultra.adapt.settings import FitSettings
from uniultra.adapt.training_labels import known_pictures
from uniultra.datasets.manifest import Row, read_manifest
from uniultra.evaluate.machine import this_machine
from uniultra.metrics.intervals import Estimate, mean_interval
from uniultra.models import registry
from uniultra.predict.device import choose_device
from uniultra.store.types import TrainingLabel
from uniultra.weights import loading
from uniultra.weights.deployed import Published

MODEL = "uniultra_mini"
NEW = ("liver_mass", "carotid_lumen")
OLD = ("hc18_fetal_head", "busi_breast", "dltrack_aponeurosis")
WANTED, SHARE, HIGH, GOAL = 0.10, 0.40, 0.80, 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="a .safetensors file; default: those on this machine")
    parser.add_argument("--sets", nargs="+", default=NEW)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--old", type=int, default=40, help="pictures of each old organ")
    parser.add_argument("--unknown", action="store_true", help="name no old organs to the job")
    parser.add_argument("--steps", type=int, help="of each fit, for a quick look")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        if options.weights:
            os.environ["UNIULTRA_WEIGHTS"] = str(Path(name) / "weights")
            (Path(name) / "weights").mkdir()
            shutil.copy(options.weights, Path(name) / "weights" / f"{MODEL}.safetensors")
        result = measure(options, Path(name))
    if options.output.is_file():
        result["sets"] = json.loads(options.output.read_bytes())["sets"] | result["sets"]
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    network, digest = loading.load(MODEL)
    network = network.to(choose_device(options.device))
    old = {
        name: [c for p in known_pictures(spread(options.data, name, options.old)) for c in cases_of(p)]
        for name in OLD
    }
    old_start = {name: scores(network, registry.entry(MODEL), cases) for name, cases in old.items()}
    result: dict[str, Any] = {
        "date": str(date.today()),
        "machine": this_machine(choose_device(options.device)).model_dump(mode="json"),
        "weights_sha256": digest,
        "threads": options.threads,
        "known": None if options.unknown else list(OLD),
        "settings": settings_of(options).model_dump(mode="json"),
        "sets": {},
    }
    for name in options.sets:
        rows = read_manifest(options.data, [name], ["test"])
        result["sets"][name] = measure_set(options, folder, name, rows, network, old, old_start)
    return result


def settings_of(options: argparse.Namespace) -> FitSettings:
    plain = FitSettings.of(MODEL)
    return plain.model_copy(update={"steps": options.steps}) if options.steps else plain


def spread(data: Path, name: str, count: int) -> list[Row]:
    rows = read_manifest(data, [name], ["test"])
    return [rows[int(n)] for n in np.linspace(0, len(rows) - 1, min(count, len(rows))).round()]


def measure_set(
    options: argparse.Namespace,
    folder: Path,
    name: str,
    rows: Sequence[Row],
    network: Any,
    old: dict[str, Any],
    old_start: dict[str, Any],
) -> dict[str, Any]:
    rows = [row for row in rows if known_pictures([row])]
    cases = [cases_of(known_pictures([row])[0])[0] for row in rows]
    start = scores(network, registry.entry(MODEL), cases)
    recordings = np.array([recording(row) for row in rows])
    gains, draws = [], []
    for draw in range(options.draws):
        chosen, rest = drawn(recordings, options.labels, draw)
        studies = folder / f"{name}-{draw}"
        labels = [make_label(studies, rows[int(n)]) for n in chosen]
        ended, seconds = run_job(options, studies, labels, draw)
        after, old_after = start, old_start
        if ended.adapter:
            device = next(network.parameters()).device
            adapted = loading.assemble(Published(studies).path(ended.adapter))[0].to(device)
            after, *of_old = (scores(adapted, registry.entry(MODEL), c) for c in (cases, *old.values()))
            old_after = dict(zip(old, of_old, strict=True))
        gains.append(np.where(rest[:, None], after - start, np.nan))
        result = {
            "seconds": round(seconds, 1),
            "published": ended.adapter is not None,
            "verdict": ended.verdict.model_dump(mode="json") if ended.verdict else None,
            "error": ended.error,
            "left": int(rest.sum()),
            **{
                f"{prompt}_{when}": mean_of(dice[rest, n])
                for n, prompt in enumerate(("click", "box"))
                for when, dice in (("before", start), ("after", after))
            },
            "pictures": {
                rows[n].id: np.round([*start[n], *after[n]], 4).tolist() for n in np.flatnonzero(rest)
            },
            "old_lost": {organ: lost(old_start[organ], old_after[organ]) for organ in old_start},
        }
        draws.append(result)
        shutil.rmtree(studies)
        shown = {key: value for key, value in result.items() if key not in ("verdict", "pictures")}
        print(name, draw, json.dumps(shown), flush=True)
    return summary(np.array(gains), recordings.tolist(), draws)


def run_job(
    options: argparse.Namespace, studies: Path, labels: list[TrainingLabel], draw: int
) -> tuple[Any, float]:
    """Run the server's training job on the labels; returns its end and its seconds."""
    old_organs = jobs.Known(folder=options.data.resolve(), sets=OLD)
    job = jobs.create(
        studies, MODEL, labels, settings_of(options), seed=draw, threads=options.threads, nice=0,
        device=options.device, known=None if options.unknown else old_organs,
    )  # fmt: skip
    began = time.monotonic()
    process.main([str(job.path)])
    return job.ended(), time.monotonic() - began


def recording(row: Row) -> str:
    """The recording that a picture belongs to."""
    slice_of = re.match(r"(.+)_slice_", row.id)
    return slice_of[1] if slice_of else row.group or row.id


def drawn(recordings: Any, labels: int, draw: int) -> tuple[Any, Any]:
    """Indices of the pictures to label, recording by recording; mask of the other recordings' pictures."""
    names = np.unique(recordings)
    mixed = np.random.default_rng([draw, len(recordings)]).permutation(names)
    order = np.concatenate([np.flatnonzero(recordings == name) for name in mixed])
    chosen = order[:labels]
    return chosen, ~np.isin(recordings, recordings[chosen])


def make_label(studies: Path, row: Row) -> TrainingLabel:
    (studies / "labels").mkdir(parents=True, exist_ok=True)
    shutil.copy(row.image, studies / f"{row.id}{row.image.suffix}")
    file = studies / "labels" / f"{row.id}.png"
    with Image.open(row.mask) as mask:
        Image.fromarray(np.asarray(mask.convert("1")).astype(np.uint8)).save(file)
    return TrainingLabel(
        image=row.id,
        revision=1,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        source=f"{row.id}{row.image.suffix}",
        file=f"labels/{row.id}.png",
        frames=None,
        names={1: row.dataset},
        group=hashlib.sha256(recording(row).encode()).hexdigest(),
    )


def summary(gains: Any, recordings: list[str], draws: list[dict[str, Any]]) -> dict[str, Any]:
    """`gains` is `(draws,pictures,2)`, click and box; NaN where a picture was not held out."""
    click, box = (mean_interval(gains[..., n], recordings) for n in range(2))
    before, box_before = (mean_of([v[n] for d in draws for v in d["pictures"].values()]) for n in range(2))
    closed = click.mean / (GOAL - before)
    reached = click.mean >= WANTED or (before > HIGH and closed >= SHARE)
    lost = {name: [d["old_lost"][name]["click"] for d in draws] for name in draws[0]["old_lost"]}
    return {
        "click_before": before,
        "click_after": round(before + click.mean, 4),
        "gain": rounded(click),
        "box_before": box_before,
        "box_gain": rounded(box),
        "gap_closed": round(closed, 3),
        "target_reached": bool(reached),
        "old_lost": {name: mean_of(values) for name, values in lost.items()},
        "old_lost_most": {name: max(values) for name, values in lost.items()},
        "published": sum(d["published"] for d in draws),
        "seconds_most": max(d["seconds"] for d in draws),
        "draws": draws,
    }


def rounded(estimate: Estimate) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(estimate).items()}


def lost(before: Any, after: Any) -> dict[str, float]:
    click, box = (before - after).mean(0)
    return {"click": round(float(click), 4), "box": round(float(box), 4)}


def mean_of(values: Any) -> float:
    return round(float(np.nanmean(values)), 4)


if __name__ == "__main__":
    main()
