"""The `uniultra` command: parses the arguments and runs one subcommand.

A subcommand lives in the file of its name. Its parser is built at every start, so those files import
nothing heavy at the top; what a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from uniultra import __version__
from uniultra.cli import (
    adapters,
    benchmark,
    campaign,
    data,
    distill,
    doctor,
    evaluate,
    export,
    label,
    models,
    segment,
    serve,
    train,
    weights,
)
from uniultra.errors import UniUltraError

_GROUPS = (
    *(segment, models, evaluate, train, export, serve),
    *(adapters, benchmark, campaign, data, distill, label, weights, doctor),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it went well, 1 when what it checked is wrong, 2 when it could not run."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except UniUltraError as error:
        print(f"uniultra {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="uniultra", description="Prompt-driven ultrasound segmentation. Research use only."
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add_parser(commands)
    return whole


if __name__ == "__main__":
    sys.exit(main())
