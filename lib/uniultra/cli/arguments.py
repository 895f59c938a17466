"""Options and types of arguments that several commands share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")


def add_changes(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add a repeatable `--set KEY=VALUE`."""
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=purpose)


def names(text: str) -> tuple[str, ...]:
    """A comma list of names, each once."""
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise argparse.ArgumentTypeError("expected names with commas between them, got none")
    return parts


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def shares(text: str) -> tuple[float, float, float]:
    """Shares of train, val and test."""
    values = [float(part) for part in text.split(",")]
    if len(values) != 3 or not all(0 <= v <= 1 for v in values) or abs(sum(values) - 1) > 1e-6:
        raise argparse.ArgumentTypeError("expected three shares that add up to 1, for example 0.7,0.1,0.2")
    return values[0], values[1], values[2]
