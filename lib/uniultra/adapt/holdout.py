"""Which patients are kept for measuring: a hash says so, for ever, in whatever order labels come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HELD_OUT = 0.25  # share of the patients


def held_out(group: str) -> bool:
    """Whether a patient's labels are never trained on, once there are enough of them to measure by."""
    return _number("held out", group) < HELD_OUT * 2**64


def folds(groups: Sequence[str], count: int) -> list[int]:
    """A fold 0..count-1 for each label; no patient is in two.

    Patients are dealt in the order of their hashes, so that folds are of one size and the order in which
    labels came plays no part.
    """
    order = sorted(set(groups), key=lambda group: _number("fold", group))
    place = {group: n % count for n, group in enumerate(order)}
    return [place[group] for group in groups]


def _number(purpose: str, group: str) -> int:
    """An even number of 64 bits for a patient."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {group}".encode()).digest()[:8])
