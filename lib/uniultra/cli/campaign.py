"""`uniultra campaign …`: a campaign from its first file to its last export."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from uniultra.cli import campaign_files
from uniultra.cli.arguments import Commands, add_device
from uniultra.cli.simulate import add_simulate
from uniultra.cli.studies import add_studies, listed, open_store
from uniultra.errors import RequestError


def add_parser(commands: Commands) -> None:
    """Add `campaign` with its actions to the program's commands."""
    campaign = commands.add_parser("campaign", help="set up, follow, export and keep a labelling campaign")
    actions = campaign.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_init(actions)
    _add_status(actions)
    _add_prelabel(actions)
    campaign_files.add_actions(actions)
    add_simulate(actions)


def _add_init(actions: Commands) -> None:
    init = actions.add_parser("init", help="write campaign.yaml for a folder of images")
    add_studies(init)
    init.add_argument("--name", help="of the campaign (default: the folder's)")
    init.add_argument("--instructions", metavar="TEXT", help="what all annotators read")
    init.add_argument(
        "--label", action="append", default=[], metavar="NAME", help="a structure to label (repeatable)"
    )
    init.add_argument(
        "--schema", type=Path, metavar="FILE", help="instead: labels of a YAML, JSON or .ctbl file"
    )
    init.add_argument("--readers", type=int, metavar="N", help="how many label each image (default: 1)")
    init.add_argument("--trains", choices=("newest", "adjudicated", "consensus"), help="with several readers")
    init.add_argument("--frames", metavar="first|all|every N", help="frames of a cine to label")
    init.add_argument(
        "--patients",
        choices=("dicom", "path", "manifest", "folder"),
        help="how images are grouped by patient (default: dicom where there is any, else folder)",
    )
    init.add_argument("--pattern", metavar="REGEX", help="with path: its first group is the patient")
    init.add_argument("--file", metavar="CSV", help="with manifest: in the studies folder")
    init.add_argument("--column", help="of the patient in it (default: patient)")
    init.add_argument("--path-column", help="of the image's path in it (default: path)")
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> None:
    from uniultra.store.campaign import initial
    from uniultra.store.campaign.file import FILE
    from uniultra.store.survey import survey

    if (options.studies / FILE).exists():
        raise RequestError(
            f"Expected a studies folder without {FILE}; there is one already. Edit it, or move it away first."
        )
    if options.label and options.schema:
        raise RequestError("Expected --label or --schema; got both. Leave one out.")
    labels = initial.schema(options.schema) if options.schema else initial.labels_of(options.label)
    store = open_store(options)
    found = survey(store, _patients(options))
    chosen = {
        "name": options.name or options.studies.resolve().name,
        "instructions": options.instructions,
        "labels": labels,
        "readers": options.readers,
        "trains": options.trains,
        "frames": options.frames,
        "patients": found.patients,
    }
    initial.write(options.studies, initial.made({k: v for k, v in chosen.items() if v is not None}))
    print(f"{FILE}: written; every setting is explained there")
    print(f"images: {found.images}, {found.cines} of them cines of {found.frames} frames")
    print(f"patients: {found.groups}, by {found.patients.by}")
    if found.ungrouped:
        print(
            f"!! {found.ungrouped} images have no patient by that rule: they are grouped by folder, outside "
            "of one each by itself. A patient in two groups may be trained on and validated with. Name a "
            "better rule under patients.",
            file=sys.stderr,
        )
    if not labels:
        print("no structures yet: name them under labels before the first label is saved", file=sys.stderr)


def _patients(options: argparse.Namespace) -> dict[str, Any] | None:
    given = {
        "by": options.patients,
        "pattern": options.pattern,
        "file": options.file,
        "column": options.column,
        "path_column": options.path_column,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if given and "by" not in given:
        raise RequestError("Expected --patients with --pattern, --file or a column; it is missing.")
    return given or None


def _add_status(actions: Commands) -> None:
    status = actions.add_parser("status", help="how far the campaign is, and what is wrong")
    add_studies(status)
    status.add_argument("--json", action="store_true", help="as one object")
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from uniultra.errors import ModelError
    from uniultra.store.progress import status
    from uniultra.weights.deployed import Published

    try:
        adapters = Published(options.studies).read().models
    except ModelError:
        adapters = None
    campaign = status(open_store(options), adapters)
    print(json.dumps(campaign, indent=2) if options.json else "\n".join(_status_lines(campaign)))
    return 1 if campaign["problems"] else 0


def _status_lines(campaign: dict[str, Any]) -> Iterator[str]:
    yield f"{campaign['campaign']}: {', '.join(campaign['structures']) or 'no structures named yet'}"
    yield (
        "{units} units of {images} images: {labelled} labelled, {leased} in work, {started} started, "
        "{left} left; {skipped} skipped"
    ).format(**campaign)
    states = ", ".join(f"{count} {state}" for state, count in campaign["states"].items())
    yield f"versions: {states or 'none'}; images to train on: {campaign['trainable']}"
    yield from map(_annotator_line, campaign["annotators"])
    if campaign["agreement"]["images"]:
        yield _agreement_line(**campaign["agreement"])
    if campaign["adapters"] is None:
        yield "!! the list of adapters is damaged; see `uniultra adapters list`"
    for model, adapter in (campaign["adapters"] or {}).items():
        yield f"{model} answers with {adapter or 'its own weights'}"
    for problem in campaign["problems"]:
        place = f"{problem['image']} revision {problem['revision']}" if problem["image"] else "a file"
        yield f"!! {place}: {problem['reason']}; see .uniultra/quarantine"


def _annotator_line(person: dict[str, Any]) -> str:
    costs = [f"{person[unit]:g} {unit}" for unit in ("seconds", "clicks") if person[unit] is not None]
    parts = [f"{person['labelled']} labelled"]
    if person["leased"]:
        parts.append(f"{person['leased']} in work")
    if costs:
        parts.append(f"median {' and '.join(costs)}")
    return f"  {person['name'] or '(no name)':20} {', '.join(parts)}"


def _agreement_line(images: int, dice: float, hd95: dict[str, float]) -> str:
    medians = [f"Dice {dice:.3f}", *(f"HD95 {distance:.1f} {unit}" for unit, distance in hd95.items())]
    return f"agreement: median {', '.join(medians)} on {images} images"


def _add_prelabel(actions: Commands) -> None:
    prelabel = actions.add_parser("prelabel", help="let a model without prompts propose labels")
    add_studies(prelabel)
    prelabel.add_argument("--model", required=True, metavar="NAME", help="such as autosamus_mini.TASK")
    prelabel.add_argument("--label", metavar="NAME", help="the structure it marks (default: its task's)")
    prelabel.add_argument("--images", choices=("unlabeled", "all"), default="unlabeled")
    prelabel.add_argument("--limit", type=int, metavar="N", help="at most so many images")
    add_device(prelabel)
    prelabel.set_defaults(run=_prelabel)


def _prelabel(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from uniultra.serve.tasks.prelabel import prelabel

    store = open_store(options)
    with tqdm(desc=options.model, unit="image", file=sys.stderr, disable=None) as bar:

        def progress(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        done = prelabel(
            store,
            options.model,
            device=options.device,
            label=options.label,
            which=options.images,
            limit=options.limit,
            progress=progress,
        )
    print(f"{len(done.saved)} images proposed as `original`, {len(done.skipped)} passed over")
    return listed(done.failed)
