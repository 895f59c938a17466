"""`uniultra evaluate`: a model scored on test pictures, or the suite of published systems."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from uniultra.cli.arguments import Commands, add_device
from uniultra.errors import RequestError


def add_parser(commands: Commands) -> None:
    """Add `evaluate` to the program's commands."""
    parser = commands.add_parser("evaluate", help="score a model on test pictures it never saw")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument(
        "--dataset",
        action="append",
        metavar="NAME",
        help="only this set (repeatable; default: all with test rows)",
    )
    parser.add_argument("--limit", type=int, help="at most so many pictures of each set")
    parser.add_argument("--output", type=Path, help="write the numbers as JSON")
    parser.add_argument("--suite", metavar="NAME", help="instead: train and score all systems alike (seeds)")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="the suite's trainings; goes on from it")
    parser.add_argument(
        "--system", action="append", metavar="NAME", help="only this system of the suite (repeatable)"
    )
    parser.add_argument("--model", default="uniultra_mini", help="see `uniultra models`")
    add_device(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    if options.suite:
        return _run_suite(options)
    from uniultra.evaluate.evaluate import evaluate, report, table
    from uniultra.predict import Predictor

    predictor = Predictor(options.model, device=options.device)
    scores, obedience = evaluate(predictor, options.data, options.dataset, limit=options.limit)
    print(table(scores, obedience))
    if options.output:
        options.output.write_text(json.dumps(report(scores, obedience), indent=2) + "\n", encoding="utf-8")
    return 1 if obedience.failures else 0


def _run_suite(options: argparse.Namespace) -> int:
    """The papers' comparison is a program of the checkout, not of the library."""
    program = Path(__file__).resolve().parents[3] / "training" / "suite"
    if not (program / "__main__.py").is_file():
        raise RequestError(
            "The suite of published systems needs a source checkout. Clone the repository and run it there."
        )
    command = [sys.executable, str(program), options.suite, "--data", str(options.data)]
    for name in ("work", "output", "device"):
        if getattr(options, name) is not None:
            command += [f"--{name}", str(getattr(options, name))]
    for system in options.system or ():
        command += ["--system", system]
    return subprocess.run(command).returncode
