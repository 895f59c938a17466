"""`uniultra distill`: a small model taught by a large one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from uniultra.cli.arguments import Commands, add_changes, add_device


def add_parser(commands: Commands) -> None:
    """Add `distill` to the program's commands."""
    distill = commands.add_parser(
        "distill", help="teach a small model what a large one knows; goes on where it was stopped"
    )
    distill.add_argument("recipe", type=Path)
    distill.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    distill.add_argument("--output", type=Path, required=True, help="folder for both stages and the result")
    add_changes(distill, "change a setting of the recipe, for example transfer.images=1000 (repeatable)")
    distill.add_argument("--workers", type=int, metavar="N", help="processes that draw batches ahead")
    add_device(distill)
    distill.set_defaults(run=_distill)


def _distill(options: argparse.Namespace) -> None:
    from uniultra.predict.device import choose_device
    from uniultra.train.distill_run import DistillRecipe, distill

    recipe = DistillRecipe.read(options.recipe, options.set)
    device = str(choose_device(options.device))
    made = distill(recipe, options.data, options.output, device, options.workers)
    if os.environ.get("RANK", "0") == "0":
        print(f"weights: {made.relative_to(options.output)} in the output folder")
