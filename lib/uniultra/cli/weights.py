"""`uniultra weights get | add | list`: published weights in, by name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uniultra.models.registry import ModelEntry

LICENCE_TEXTS = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `weights` with its three actions to the program's commands."""
    weights = commands.add_parser("weights", help="bring published weights in, or list those there are")
    actions = weights.add_subparsers(dest="action", required=True, metavar="ACTION")

    get = actions.add_parser("get", help="download a model's official weights and convert them")
    get.add_argument("name", metavar="NAME", help="see `uniultra weights list`")
    get.add_argument("--yes", action="store_true", help="accept the licence without being asked")
    get.add_argument(
        "--sha256", metavar="HEX", help="checksum of the official file, where none is known here"
    )
    get.set_defaults(run=_get)

    add = actions.add_parser("add", help="make a file or a bundle the weights of a model")
    add.add_argument("name", metavar="NAME", help="see `uniultra weights list`")
    add.add_argument(
        "file", metavar="FILE", type=Path, help=".safetensors, .pt or .pth, or a bundle's folder"
    )
    add.set_defaults(run=_add)

    actions.add_parser("list", help="which weights there are and how to get the rest").set_defaults(run=_list)


def _get(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    from uniultra.weights.install import get

    bar: tqdm | None = None

    def show(done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(
                desc=options.name, total=total, initial=done, unit="B", unit_scale=True, file=sys.stderr
            )
        bar.update(done - bar.n)

    def accept(entry: ModelEntry) -> bool:
        return _accept(entry, options.yes)

    try:
        made = get(options.name, accept, show, sha256=options.sha256)
    finally:
        if bar is not None:
            bar.close()
    print(f"{made.name} is in the weights folder; use it with --model {options.name}")


def _accept(entry: ModelEntry, yes: bool) -> bool:
    """Show whose weights these are and under which licence; whether the person accepts it."""
    text = LICENCE_TEXTS.get(entry.licence)
    print(f"{entry.name}: {entry.description}")
    print(f"from     {entry.source}, {entry.url}")
    print(f"licence  {entry.licence}" + (f", {text}" if text else ""), flush=True)
    if yes:
        return True
    if not sys.stdin.isatty():
        print("Read the licence, then run the command again with --yes to accept it.", file=sys.stderr)
        return False
    print("Accept this licence and download? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _add(options: argparse.Namespace) -> None:
    from uniultra.weights.install import add

    made = add(options.name, options.file)
    print(f"{made.name} is in the weights folder; use it with --model {options.name}")


def _list(_options: argparse.Namespace) -> None:
    from uniultra.models import entry, names
    from uniultra.weights.loading import find, how

    for name in names():
        path = find(name)
        print(f"{name:18} {f'here ({path.name})' if path else how(name):44} {entry(name).licence}")
