"""`uniultra models`: the registry as a table, and the papers' parameter counts."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from uniultra.cli.arguments import Commands


def add_parser(commands: Commands) -> None:
    """Add `models` to the program's commands."""
    parser = commands.add_parser("models", help="list the models")
    parser.add_argument("--json", action="store_true", help="as a list of objects with flat keys")
    parser.add_argument("--published", action="store_true", help="the papers' percentages, counted again")
    parser.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> None:
    if options.published:
        return _published(as_json=options.json)
    from uniultra.models import entry, names
    from uniultra.models.counting import count
    from uniultra.weights.loading import find, variants
    from uniultra.weights.tensors import file_sha256

    rows = []
    for name in names():
        model, weights = entry(name), find(name)
        rows.append(
            {
                "name": name,
                "system": model.system,
                "image_size": model.image_size,
                **asdict(count(name)),
                "licence": model.licence,
                "sha256": file_sha256(weights) if weights else None,
                "prompts": list(model.prompts),
                "available": weights is not None,
                "description": model.description,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'name':16}{'parameters':>12}{'encoder':>10}{'adapter':>10}{'trained':>10}  weights")
    for row in rows:
        counts = (row[f"parameters_{part}"] / 1e6 for part in ("total", "encoder", "adapter", "trained"))
        total, encoder, adapter, trained = (f"{n:.2f} M" for n in counts)
        state = "available" if row["available"] else "not on this machine"
        print(f"{row['name']:16}{total:>12}{encoder:>10}{adapter:>10}{trained:>10}  {state}")
    if variants():
        print(f"other weights of these on this machine: {', '.join(variants())}")


def _published(*, as_json: bool) -> None:
    """Print the percentages that the UniUltra paper publishes, recounted, with what they are of."""
    from uniultra.models.paper_counts import smaller_shares, trained_shares

    groups = {"trained": trained_shares(), "smaller": smaller_shares()}
    if as_json:
        listed = {name: [asdict(share) for share in group] for name, group in groups.items()}
        print(json.dumps(listed, indent=2))
        return
    for name, group in groups.items():
        for share in group:
            sizes = f"{share.part / 1e6:.3f} M of {share.whole / 1e6:.3f} M"
            paper = "(the paper's)" if share.published else ""
            print(f"{share.percent:6.2f} % {name}  {sizes:26} {share.name} {paper}")
