"""Dice of one click by both policies of `ModelEntry.lone_click`, to decide which one a model ships with.

.venv/bin/python training/policies.py --model FILE.safetensors --data DIR [--name uniultra_mini] [--split val]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.datasets.samples import Row, manifest
from uniultra.evaluate.evaluate import LINES
from uniultra.evaluate.policies import compare, table
from uniultra.models.registry import entry
from uniultra.weights import loading


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
    for row in manifest(given.data, given.sets, [given.split]):
        count = sum(other.dataset == row.dataset for other in rows)
        if row.dataset not in LINES and (given.limit is None or count < given.limit):
            rows.append(row)
    network = loading.load_file(given.name, given.model)
    found = compare(network, entry(given.name), rows, device=given.device, progress="pictures")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
