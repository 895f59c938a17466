"""`uniultra train`: one recipe, or a plan of several stages."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from uniultra.cli.arguments import Commands, add_changes, add_device


def add_parser(commands: Commands) -> None:
    """Add `train` to the program's commands."""
    parser = commands.add_parser("train", help="train a model by a recipe; goes on where it was stopped")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and the result")
    add_changes(parser, "change a setting of the recipe, for example optimizer.rate=1e-4 (repeatable)")
    parser.add_argument("--stage", metavar="NAME", help="of a plan of stages only this one and its basis")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that draw batches ahead")
    add_device(parser)
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    from uniultra.predict.device import choose_device
    from uniultra.train import plan
    from uniultra.train.recipe import Recipe
    from uniultra.train.trainer import Trainer

    device = str(choose_device(options.device))
    if plan.is_plan(options.recipe):
        stages = plan.TrainingPlan.read(options.recipe, options.set)
        results = plan.run(stages, options.data, options.output, device, options.workers, options.stage)
        lines = [f"{name}: {path.name} in its folder of the output" for name, path in results.items()]
    else:
        recipe = Recipe.read(options.recipe, options.set)
        result = Trainer(recipe, options.data, options.output, device, options.workers).run()
        lines = [f"weights: {result.name} in the output folder; try them with UNIULTRA_WEIGHTS set to it"]
    if os.environ.get("RANK", "0") == "0":  # one process speaks for all of a distributed training
        print(*lines, sep="\n")
