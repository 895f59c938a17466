"""`uniultra data import | list`: public data sets in, as their publishers lay them out."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.cli.arguments import Commands, shares
from uniultra.errors import RequestError


def add_parser(commands: Commands) -> None:
    """Add `data` with its actions to the program's commands."""
    data = commands.add_parser("data", help="bring public data sets in for training and measuring")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    bring = actions.add_parser("import", help="write a data set as manifest.csv, pictures and masks")
    bring.add_argument("layout", metavar="LAYOUT", help="see `uniultra data list`")
    bring.add_argument("folder", metavar="FOLDER", type=Path, help="the unpacked data set; only read")
    bring.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="a folder that may hold other sets already"
    )
    bring.add_argument(
        "--splits",
        type=shares,
        default=(0.7, 0.1, 0.2),
        metavar="TRAIN,VAL,TEST",
        help="shares of the patients that the source does not place itself (default: 0.7,0.1,0.2)",
    )
    bring.add_argument(
        "--label", action="append", default=[], metavar="NAME", help="only this label (repeatable)"
    )
    bring.add_argument(
        "--side", type=_side, default=512, metavar="PIXELS", help="longest side at most (default: 512)"
    )
    bring.set_defaults(run=_import)

    actions.add_parser("list", help="the layouts that can be read").set_defaults(run=_list)


def _side(text: str) -> int:
    if not text.isdecimal() or not 32 <= int(text) <= 8192:
        raise argparse.ArgumentTypeError("expected 32 to 8192 pixels")
    return int(text)


def _import(options: argparse.Namespace) -> None:
    from uniultra.datasets.importing import import_set
    from uniultra.datasets.readers import layout

    found = layout(options.layout)
    asked = {"shares": options.splits, "labels": options.label, "side": options.side}
    try:
        made = import_set(found, options.folder, options.output, **asked)
    except OSError:
        raise RequestError("A folder cannot be read or written, or the disk is full.") from None
    for dataset, splits in made.rows.items():
        counts = ", ".join(f"{splits[name]} {name}" for name in ("train", "val", "test"))
        print(f"{dataset}: {counts}")
    print(f"{made.groups} groups, kept whole: {found.groups}")
    print(f"pixel pitch known for {made.calibrated} of {made.pictures} pictures")
    if made.left_out:
        print(f"{made.left_out} pictures have no usable label and were left out")
    print(f"licence: {found.licence}; name {found.origin}")


def _list(_options: argparse.Namespace) -> None:
    from uniultra.datasets.readers import layout, names

    for name in names():
        found = layout(name)
        labels = ", ".join(f"{label.name} ({label.dataset})" for label in found.labels)
        print(f"{name:8} {found.title}; {found.licence}\n{'':8} {labels}")
