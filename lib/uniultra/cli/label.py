"""`uniultra label import`: masks that exist already, into the label store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from uniultra.cli.arguments import Commands
from uniultra.cli.studies import add_studies, open_store


def add_parser(commands: Commands) -> None:
    """Add `label` with its action to the program's commands."""
    label = commands.add_parser("label", help="bring existing masks into a campaign")
    actions = label.add_subparsers(dest="action", required=True, metavar="ACTION")
    bring = actions.add_parser("import", help="masks as labels of their images; nothing there is replaced")
    bring.add_argument(
        "source",
        type=Path,
        metavar="FOLDER|FILE.csv",
        help="masks named after their images, or a CSV file with the columns image and mask",
    )
    add_studies(bring)
    bring.add_argument("--annotator", required=True, metavar="NAME", help="whose labels they are")
    bring.add_argument("--tag", default="final", help="final (default), draft or another word")
    bring.add_argument("--suffix", default="", metavar="TEXT", help="end of the masks' names, such as _mask")
    bring.add_argument("--label", metavar="NAME", help="all marked pixels are this structure")
    bring.add_argument(
        "--frames",
        choices=("marked", "all"),
        default="marked",
        help="of a cine, those that are done (default: the marked ones)",
    )
    bring.add_argument(
        "--ignore-geometry", action="store_true", help="compare only sizes, not where the masks lie in space"
    )
    bring.add_argument("--beside", action="store_true", help="also where another annotator's label is")
    bring.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from uniultra.store.catalogue.ids import check_tag
    from uniultra.store.incoming.importing import ImportChoices, bring_in, pairs_in, pairs_of

    tag = check_tag(options.tag)
    csv = options.source.suffix.lower() == ".csv"
    pairs = pairs_of(options.source) if csv else pairs_in(options.source, options.suffix)
    store = open_store(options)
    how = ImportChoices(
        annotator=options.annotator,
        tag=tag,
        indices=store.campaign.indices,
        structure=options.label,
        frames=options.frames,
        as_stored=options.ignore_geometry,
        beside=options.beside or store.campaign.readers > 1,
    )
    with tqdm(total=len(pairs), desc="importing", unit="mask", file=sys.stderr, disable=None) as bar:
        done = bring_in(store, pairs, how, lambda number: bar.update(number - bar.n))
    for name, why in done.left_out:
        print(f"!! {name}: {why}", file=sys.stderr)
    print(f"{len(done.versions)} masks imported, {len(done.left_out)} left out")
    return 1 if done.left_out else 0
