"""`uniultra evaluate --suite`: trains and scores all systems alike; writes JSON, a page and figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TRAINING = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(TRAINING)  # Python puts this folder there; the package `suite` lies in its parent

from suite.page import render
from suite.picture import draw_clicks
from suite.plan import SuitePlan
from suite.runner import SuiteRun
from uniultra.errors import ModelError, RequestError, UniUltraError
from uniultra.predict.device import choose_device


def run(options: argparse.Namespace) -> None:
    """Run a suite and write `OUTPUT.json`, `OUTPUT.md` and a figure per test set.

    Raises:
        RequestError: no work folder or output file was given.
        ModelError, ImageError: the suite or the data cannot be used.
    """
    file = suite_file(options.suite)
    if options.work is None or options.output is None:
        raise RequestError("A suite needs --work, a folder for its trainings, and --output, a .json file.")
    device = str(choose_device(options.device))
    plan = SuitePlan.read(file, device)
    suite = SuiteRun(plan, options.data, options.work, device).run(options.system)
    output: Path = options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for task in suite.tasks:
        for dataset in suite.scored(task.name):
            picture = output.with_name(f"{output.stem}_{dataset}.svg")
            if draw_clicks(suite, task.name, dataset, picture):
                pictures[task.name, dataset] = picture.name
    output.write_text(suite.model_dump_json(indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(render(suite, pictures), encoding="utf-8")
    print(f"{len(suite.runs)} runs of {len(suite.systems)} systems: {output.with_suffix('.md').name}")


def suite_file(name: str) -> Path:
    """The suite's YAML file: `name` itself, or `training/suite_NAME.yaml` of this checkout.

    Raises:
        ModelError: unknown suite.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    names = sorted(path.stem.removeprefix("suite_") for path in TRAINING.glob("suite_*.yaml"))
    if name not in names:
        raise ModelError(f"Unknown suite; expected one of {', '.join(names)}, or a YAML file.")
    return TRAINING / f"suite_{name}.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns 0, 2 on an error, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog="uniultra evaluate --suite", description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--system", action="append")
    try:
        run(parser.parse_args(arguments))
    except UniUltraError as error:
        print(f"uniultra evaluate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
