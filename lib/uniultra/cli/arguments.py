"""Types of arguments that several commands share."""

from __future__ import annotations

import argparse


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise argparse.ArgumentTypeError("expected names with commas between them, got none")
    return parts


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)
