"""What `/info/` says of the server itself, so that a client knows whether they understand each other."""

from __future__ import annotations

from typing import Any

from uniultra import __version__

# Counts the versions of docs/wire.md that a client of another could not work with.
WIRE = 1
FEATURES = ("packed", "prefetch")


def with_wire(known: dict[str, Any]) -> dict[str, Any]:
    """MONAI Label's `info` with the version of the wire format, and what there is beyond it."""
    return {**known, "uniultra": {"version": __version__, "wire": WIRE, "features": list(FEATURES)}}
