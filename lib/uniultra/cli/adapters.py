"""`uniultra adapters list | show | rollback | export | import`: what a campaign has published."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from uniultra.cli.arguments import Commands

if TYPE_CHECKING:  # torch is slow to import, and not every command needs it
    from uniultra.weights.deployed import Published


def add_parser(commands: Commands) -> None:
    """Add `adapters` with its actions to the program's commands."""
    adapters = commands.add_parser("adapters", help="list, roll back and exchange a campaign's adapters")
    actions = adapters.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, words: str) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=words)
        parser.add_argument("--studies", type=Path, required=True, metavar="DIR", help="the studies folder")
        return parser

    action("list", "which there are and which answer").set_defaults(run=_list)

    show = action("show", "what one was trained on and what it reached")
    show.add_argument("id", metavar="ID", help="see `uniultra adapters list`")
    show.set_defaults(run=_show)

    back = action("rollback", "answer with the one before, or with another; running servers follow at once")
    back.add_argument("--model", default="uniultra_mini", metavar="NAME", help="default: uniultra_mini")
    where = back.add_mutually_exclusive_group()
    where.add_argument("--to", metavar="ID", help="this one instead of the one before")
    where.add_argument("--own", action="store_true", help="the model's own weights")
    back.set_defaults(run=_rollback)

    out = action("export", "copy one to a new folder, or into a new .zip")
    out.add_argument("id", metavar="ID", help="see `uniultra adapters list`")
    out.add_argument("target", type=Path, metavar="TARGET", help="folder or file.zip")
    out.set_defaults(run=_export)

    into = action("import", "check one from another machine and take it in")
    into.add_argument("source", type=Path, metavar="SOURCE", help="folder or file.zip")
    into.add_argument("--serve", action="store_true", help="answer with it, too")
    into.set_defaults(run=_import)


def _list(options: argparse.Namespace) -> None:
    from uniultra.weights import bundle

    published = _published(options)
    now = published.read().models
    for one in published.ids():
        described, manifest = bundle.describe(published.path(one))
        gain = manifest.metrics.get("gain")
        told = "" if gain is None else f"gain {gain:+.3f}"
        answers = "answers" if now.get(described.model) == one else ""
        print(f"{one:18} {described.model:18} {manifest.created:26} {told:13} {answers}".rstrip())
    for model, current in now.items():
        if current is None:
            print(f"{model} answers with its own weights")


def _show(options: argparse.Namespace) -> None:
    from uniultra.weights import bundle

    published = _published(options)
    described, manifest = bundle.describe(published.path(options.id))
    history = [
        change.model_dump(mode="json") for change in published.read().history if change.id == options.id
    ]
    told = {"id": options.id, **described.model_dump(mode="json"), **manifest.model_dump(mode="json")}
    print(json.dumps({**told, "history": history}, indent=2))


def _rollback(options: argparse.Namespace) -> None:

    now = _published(options).rollback(options.model, options.to, own=options.own)
    print(f"{options.model} answers with {now or 'its own weights'}")


def _export(options: argparse.Namespace) -> None:
    from uniultra.weights import exchange

    made = exchange.export(_published(options).path(options.id), options.target)
    print(f"{options.id} is in {made.name}")


def _import(options: argparse.Namespace) -> None:
    from uniultra.weights import exchange

    published = _published(options)
    with exchange.opened(options.source) as folder:
        new = published.publish(folder, what="imported") if options.serve else published.add(folder)
    rest = "and answers" if options.serve else f"; serve it with `uniultra adapters rollback --to {new}`"
    print(f"{new} was taken in {rest}")


def _published(options: argparse.Namespace) -> Published:
    """The bundles of the studies folder.

    Raises:
        ModelError: there is no such folder.
    """
    from uniultra.errors import ModelError
    from uniultra.weights.deployed import Published

    if not options.studies.is_dir():
        raise ModelError(
            "Expected the studies folder of a campaign; there is no such folder. Check --studies."
        )
    return Published(options.studies)
