"""Compares the masks that can answer a single click: the single-mask output, or the best multimask output.

    .venv/bin/python training/policies.py --model FILE.safetensors --data DIR [--name NAME] [--split val]

Dice of one click by both policies of `ModelEntry.lone_click`, to decide which one a model ships with.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from tqdm import tqdm

from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ImageError
from uniultra.evaluate.evaluate import ONCE
from uniultra.evaluate.scoring import LINES, Question, score
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.weights import loading


@dataclass(frozen=True)
class Policies:
    """Mean Dice of the answers to one click in the middle of the largest component.

    Attributes:
        n: pictures with a label.
        single, best: of the two policies of `ModelEntry.lone_click`.
        gained: fraction of the pictures on which `best` is better, ties left out.
    """

    n: int
    single: float
    best: float
    gained: float


def compare(
    network: PromptNetwork,
    model: ModelEntry,
    rows: Sequence[Row],
    *,
    device: str = "auto",
    progress: str | None = None,
) -> dict[str, Policies]:
    """Both policies on the pictures of a manifest, by data set; `all` is the mean over all pictures.

    Raises:
        ImageError: no picture has anything to click on.
    """
    single, best = (
        Predictor.of(network, replace(model, lone_click=kind), device=device) for kind in ("single", "best")
    )
    best.cache = single.cache  # one network: encoded once for both
    question = {"@1": Question()}
    pairs: dict[str, list[tuple[float, ...]]] = {"all": []}
    for row in tqdm(rows, desc=progress, disable=progress is None):
        both = [score(p, [row], ("point",), ONCE, question, lines=())[0] for p in (single, best)]
        pair = tuple(dice for picture in both if (dice := picture.values.get("dice@1")) is not None)
        if pair:
            pairs.setdefault(row.dataset, []).append(pair)
            pairs["all"].append(pair)
    if not pairs["all"]:
        raise ImageError("None of these pictures has a mask to click on. Choose other sets or another split.")
    return {name: _mean(some) for name, some in pairs.items()}


def _mean(pairs: list[tuple[float, ...]]) -> Policies:
    apart = [best > single for single, best in pairs if single != best]
    single, best = map(fmean, zip(*pairs, strict=True))
    return Policies(len(pairs), single, best, fmean(apart) if apart else 0.0)


def table(policies: dict[str, Policies]) -> list[str]:
    """The comparison as lines of text."""
    lines = [f"{'set':24}{'n':>5}{'single':>9}{'best':>9}{'gained':>9}"]
    return lines + [
        f"{name:24}{p.n:5}{p.single:9.4f}{p.best:9.4f}{p.gained:9.2f}" for name, p in policies.items()
    ]


def main() -> None:
    """Print one line for each data set that has rows of the split."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="weights to look at")
    parser.add_argument("--name", default="uniultra_mini", help="its name in the registry")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--split", default="val", choices=("train", "val"), help="never test: this selects")
    parser.add_argument("--sets", nargs="*", help="data sets; all but those of lines when left out")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each set")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    rows: list[Row] = []
    for row in read_manifest(given.data, given.sets, [given.split]):
        count = sum(other.dataset == row.dataset for other in rows)
        if row.dataset not in LINES and (given.limit is None or count < given.limit):
            rows.append(row)
    network = loading.load_file(given.name, given.model)
    policies = compare(network, entry(given.name), rows, device=given.device, progress="pictures")
    print("\n".join(table(policies)))


if __name__ == "__main__":
    main()
