"""`uniultra campaign simulate`: campaigns on labelled sets, replayed to compare query strategies."""

from __future__ import annotations

import argparse
from pathlib import Path

from uniultra.cli.arguments import Commands, add_changes, add_device, count, names


def add_simulate(subparsers: Commands) -> None:
    """Add `simulate` to the actions of `uniultra campaign`."""
    simulate = subparsers.add_parser(
        "simulate", help="replay a campaign on labelled pictures, to compare query strategies"
    )
    simulate.add_argument("--data", type=Path, required=True, help="manifest.csv or its folder")
    simulate.add_argument(
        "--strategy",
        type=_strategies,
        default=("default", "random", "foreground_random"),
        metavar="A,B",
        help="names of query strategies (default: default,random,foreground_random)",
    )
    simulate.add_argument("--sets", type=names, metavar="A,B", help="only these sets of the manifest")
    simulate.add_argument("--seeds", type=count, default=5, metavar="N", help="campaigns of each")
    simulate.add_argument("--batch", type=count, default=5, metavar="N", help="labels of a round")
    simulate.add_argument("--rounds", type=count, default=4, metavar="N", help="at most so many")
    simulate.add_argument(
        "--held-out", choices=("val", "test"), default="test", help="split to measure on (default: test)"
    )
    add_changes(simulate, "a setting of training on labels, for example steps=60 (repeatable)")
    simulate.add_argument(
        "--model", default="uniultra_mini", metavar="NAME|FILE|FOLDER", help="the base that is adapted"
    )
    simulate.add_argument("--json", type=Path, required=True, metavar="FILE", help="results")
    simulate.add_argument("--picture", type=Path, metavar="FILE", help="the curves, .svg or .png")
    simulate.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="finished rounds; goes on from them (default: beside FILE)",
    )
    add_device(simulate)
    simulate.set_defaults(run=_simulate)


def _strategies(text: str) -> tuple[str, ...]:
    from uniultra.active.registry import FILES

    found = names(text)
    unknown = [name for name in found if name not in FILES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(FILES)}")
    return found


def _simulate(options: argparse.Namespace) -> None:
    import yaml
    from pydantic import ValidationError

    from uniultra.errors import RequestError
    from uniultra.evaluate.campaigns.report import draw, table
    from uniultra.evaluate.campaigns.schema import CampaignProtocol
    from uniultra.evaluate.campaigns.simulation import SimulationRequest, simulate
    from uniultra.evaluate.outputs import check_json
    from uniultra.evaluate.plots import check_picture

    output: Path = options.json
    check_json(output)
    if options.picture:
        check_picture(options.picture)
    plain = CampaignProtocol(strategies=options.strategy).fit.model_dump()
    changes = dict(one.partition("=")[::2] for one in options.set)
    try:
        protocol = CampaignProtocol.model_validate(
            {
                "strategies": options.strategy,
                "seeds": options.seeds,
                "batch": options.batch,
                "rounds": options.rounds,
                "held_out": options.held_out,
                "fit": plain | {key: yaml.safe_load(value) for key, value in changes.items()},
            }
        )
    except (ValidationError, yaml.YAMLError):
        raise RequestError(
            "Expected --set as KEY=VALUE of the settings of training on labels, such as steps=60 or "
            "rate=1e-4. Correct it."
        ) from None
    work = options.work or output.with_name(f"{output.stem}-work")
    request = SimulationRequest(options.data, protocol, work, options.sets, options.model, options.device)
    found = simulate(request)
    output.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(table(found))
    if options.picture:
        draw(found, options.picture)
