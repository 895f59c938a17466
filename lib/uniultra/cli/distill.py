"""`uniultra distill`, and the papers' percentages of `uniultra models --published`."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `distill` to the program's commands."""
    distill = commands.add_parser(
        "distill", help="teach a small model what a large one knows; goes on where it was stopped"
    )
    distill.add_argument("recipe", type=Path)
    distill.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    distill.add_argument("--output", type=Path, required=True, help="folder for both stages and the result")
    distill.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting of the recipe, for example transfer.images=1000 (repeatable)",
    )
    distill.add_argument("--workers", type=int, metavar="N", help="processes that draw batches ahead")
    distill.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    distill.set_defaults(run=_distill)


def show_published(*, as_json: bool) -> None:
    """Print what the UniUltra paper publishes as percentages, with what they are of."""
    from uniultra.models.paper_counts import smaller_shares, trained_shares

    groups = {"trained": trained_shares(), "smaller": smaller_shares()}
    if as_json:
        print(
            json.dumps({name: [asdict(share) for share in group] for name, group in groups.items()}, indent=2)
        )
        return
    for name, group in groups.items():
        for share in group:
            sizes = f"{share.part / 1e6:.3f} M of {share.whole / 1e6:.3f} M"
            whose = "the paper's" if share.published else ""
            print(f"{share.percent:6.2f} % {name}  {sizes:26} {share.name} {f'({whose})' if whose else ''}")


def _distill(options: argparse.Namespace) -> None:
    from uniultra.predict.device import choose_device
    from uniultra.train.distill_run import DistillRecipe, distill

    recipe = DistillRecipe.read(options.recipe, options.set)
    device = str(choose_device(options.device))
    made = distill(recipe, options.data, options.output, device, options.workers)
    if os.environ.get("RANK", "0") == "0":
        print(f"weights: {made.relative_to(options.output)} in the output folder")
