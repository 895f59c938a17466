"""`uniultra benchmark accuracy`: a model measured on labelled pictures, as JSON, a page and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.cli.arguments import Commands, add_device, count, names


def add_parser(commands: Commands) -> None:
    """Add `benchmark` with its actions to the program's commands."""
    benchmark = commands.add_parser("benchmark", help="measure a model so that anyone can measure it again")
    actions = benchmark.add_subparsers(dest="action", required=True, metavar="ACTION")
    accuracy = actions.add_parser("accuracy", help="clicks, boxes and scribbles on labelled pictures")
    accuracy.add_argument("--data", type=Path, required=True, help="manifest.csv or its folder")
    accuracy.add_argument("--split", default="test", help="of the manifest (default: test)")
    accuracy.add_argument(
        "--model",
        default="uniultra_mini",
        metavar="NAME|FILE|FOLDER",
        help="see `uniultra models`; or a .safetensors file or a bundle",
    )
    accuracy.add_argument("--sets", type=names, metavar="A,B", help="only these sets of the manifest")
    accuracy.add_argument("--limit", type=count, metavar="N", help="at most so many pictures of each set")
    accuracy.add_argument(
        "--seeds",
        type=count,
        default=5,
        metavar="N",
        help="noisy boxes, scribbles and shaky clicks an object",
    )
    accuracy.add_argument(
        "--alternatives", action="store_true", help="ask GrabCut, the random walker and the U-Net too (hours)"
    )
    accuracy.add_argument(
        "--baseline",
        type=_baseline,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="other weights to put beside it (repeatable)",
    )
    accuracy.add_argument(
        "--json", type=Path, required=True, metavar="FILE", help="results; a .md goes beside"
    )
    accuracy.add_argument("--pictures", type=Path, metavar="DIR", help="best, median and worst cases as PNG")
    add_device(accuracy)
    accuracy.set_defaults(run=_accuracy)


def _baseline(text: str) -> tuple[str, str]:
    name, sign, file = text.partition("=")
    if not (name and sign and file):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, got {text!r}")
    return name, file


def _accuracy(options: argparse.Namespace) -> None:
    from uniultra.evaluate.accuracy import results
    from uniultra.evaluate.accuracy.accuracy import AccuracyRequest, measure
    from uniultra.evaluate.accuracy.page import render, short
    from uniultra.evaluate.outputs import check_json
    from uniultra.evaluate.records import EvaluationProtocol

    output: Path = options.json
    check_json(output)
    if options.pictures:
        from uniultra.evaluate.accuracy import gallery

        gallery.check(options.pictures)
    request = AccuracyRequest(
        data=options.data,
        split=options.split,
        model=options.model,
        sets=options.sets,
        limit=options.limit,
        alternatives=options.alternatives,
        baselines=tuple(options.baseline),
        device=options.device,
        protocol=EvaluationProtocol(seeds=options.seeds),
    )
    found, model, rows = measure(request)
    results.write(found, output)
    output.with_suffix(".md").write_text(render(found), encoding="utf-8")
    print(short(found))
    if options.pictures:
        made = gallery.draw(found, model, rows, options.pictures)
        print(f"{len(made)} pictures of best, median and worst cases")
