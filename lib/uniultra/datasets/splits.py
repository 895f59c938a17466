"""Which pictures train, which validate and which are kept for measuring; no patient in two parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ImageError, ModelError

VALIDATES = 0.2  # of what a set without training rows leaves for training


class Division(NamedTuple):
    """Rows of each part; `measured` has only those that a holdout kept back."""

    train: list[Row]
    val: list[Row]
    measured: list[Row]


def divide(
    data: Path,
    datasets: Iterable[str],
    *,
    train_split: str = "train",
    val_split: str = "val",
    holdout: float | None = None,
    seed: int = 0,
) -> Division:
    """The rows of data sets in the folder `data`, by what they are for.

    A set without training rows (an organ never trained on) is divided at random by `holdout`, group
    by group, the same way for every model and every seed of training.

    Args:
        data: folder with manifest.csv.
        datasets: names of the sets.
        train_split, val_split: names of the splits that train and validate.
        holdout: share of the groups of a set without training rows that is kept for measuring.
        seed: draws that division.

    Raises:
        ImageError: there is no manifest, or it has nothing of a set.
        ModelError: a set has no training rows and there is no holdout, or it has too few groups.
    """
    train: list[Row] = []
    val: list[Row] = []
    measured: list[Row] = []
    for name in datasets:
        own = _rows(data, name, train_split)
        if own:
            train += own
            val += _rows(data, name, val_split)
            continue
        if holdout is None:
            raise ModelError(
                f"The set {name} has no rows to train on. Give the recipe a `holdout`, the share of its "
                "pictures to keep for measuring, or take the set out."
            )
        rest = read_manifest(data, [name], ["test"])
        groups = _shuffled(sorted({_group(row) for row in rest}), seed, name)
        kept = max(1, round(holdout * len(groups)))
        checks = max(1, round(VALIDATES * (len(groups) - kept)))
        if len(groups) < kept + checks + 1:
            raise ModelError(f"The set {name} has too few patients ({len(groups)}) to divide; take it out.")
        part = {group: n for n, group in enumerate(groups)}
        measured += [row for row in rest if part[_group(row)] < kept]
        val += [row for row in rest if kept <= part[_group(row)] < kept + checks]
        train += [row for row in rest if part[_group(row)] >= kept + checks]
    return Division(train, val, measured)


def _rows(data: Path, name: str, split: str) -> list[Row]:
    try:
        return read_manifest(data, [name], [split])
    except ImageError:
        if not (data / "manifest.csv").is_file():
            raise
        return []


def _group(row: Row) -> str:
    return row.group or row.id


def _shuffled(groups: list[str], seed: int, name: str) -> list[str]:
    order = np.random.default_rng([seed, *name.encode()]).permutation(len(groups))
    return [groups[n] for n in order]
