"""`uniultra evaluate --suite`: all systems trained and scored alike, as JSON, a page and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.errors import ModelError, RequestError


def run_suite(options: argparse.Namespace) -> None:
    """Work through a suite and write `OUTPUT.json`, `OUTPUT.md` and a picture per test set.

    Raises:
        RequestError: no work folder or output file was named.
        ModelError, ImageError: the suite or the data cannot be used.
    """
    from uniultra.learn.page import render
    from uniultra.learn.page_picture import draw_clicks
    from uniultra.learn.suite import SuiteRun
    from uniultra.learn.suite_plan import Plan
    from uniultra.predict.device import choose_device

    file = _plan(options.suite)
    if options.work is None or options.output is None:
        raise RequestError("A suite needs --work, a folder for its trainings, and --output, a .json file.")
    device = str(choose_device(options.device))
    plan = Plan.read(file, device)
    suite = SuiteRun(plan, options.data, options.work, device).run(options.system)
    output: Path = options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for task in suite.tasks:
        for dataset in plan.scored:
            picture = output.with_name(f"{output.stem}_{dataset}.svg")
            if draw_clicks(suite, task.name, dataset, picture):
                pictures[task.name, dataset] = picture.name
    output.write_text(suite.model_dump_json(indent=1) + "\n", encoding="utf-8")
    output.with_suffix(".md").write_text(render(suite, pictures), encoding="utf-8")
    print(f"{len(suite.runs)} runs of {len(suite.systems)} systems: {output.with_suffix('.md').name}")


def _plan(name: str) -> Path:
    """A suite's file: as named, or `training/suite_NAME.yaml` of the source tree."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    folder = Path(__file__).resolve().parents[2] / "training"
    known = sorted(path.stem.removeprefix("suite_") for path in folder.glob("suite_*.yaml"))
    if name not in known:
        raise ModelError(f"Unknown suite; expected one of {', '.join(known)}, or a YAML file.")
    return folder / f"suite_{name}.yaml"
