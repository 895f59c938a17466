"""Division of data sets into training, validation and held-out rows, without a patient in two parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ImageError, ModelError

VALIDATES = 0.2  # fraction for validation of the groups that a holdout leaves


class Division(NamedTuple):
    """Rows of each part; `measured` has only the rows that a holdout keeps for evaluation."""

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
    """Divide the rows of data sets by their use.

    A data set without training rows (an organ absent from the training data) is divided at random by
    `holdout`, group by group, in the same way for every model and every seed of training.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     lines = ["dataset,id,split,image,mask,group"]
    ...     lines += [f"liver,{n},test,{n}.png,{n}_mask.png,patient{n // 2}" for n in range(20)]
    ...     _ = Path(name, "manifest.csv").write_text("\\n".join(lines))
    ...     parts = divide(Path(name), ["liver"], holdout=0.5)
    >>> [len(rows) for rows in parts]
    [8, 2, 10]

    Args:
        data: folder with manifest.csv.
        datasets: names of the data sets.
        train_split, val_split: names of the splits for training and validation.
        holdout: fraction of the groups of a data set without training rows that is kept for evaluation.
        seed: seed of that division.

    Raises:
        ImageError: there is no manifest, or it has no rows of a data set.
        ModelError: a data set has no training rows and there is no holdout, or it has too few groups.
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
