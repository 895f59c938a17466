"""Splits by patient, decided by a hash: the same at any time and in any order of the labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HELD_OUT = 0.25  # share of the patients


def held_out(group: str) -> bool:
    """Whether a patient is in the held-out set (used once it is large enough to measure by)."""
    return _number("held out", group) < HELD_OUT * 2**64


def folds(groups: Sequence[str], count: int) -> list[int]:
    """The fold, 0 to `count - 1`, of each label; a patient is in one fold only.

    Patients are dealt out in the order of their hashes: the folds have equal numbers of patients, and the
    order of the labels has no influence.

    >>> folds(["ann", "ben", "ann", "cleo"], 2)
    [1, 0, 1, 0]
    """
    order = sorted(set(groups), key=lambda group: _number("fold", group))
    place = {group: n % count for n, group in enumerate(order)}
    return [place[group] for group in groups]


def _number(purpose: str, group: str) -> int:
    """A uniform 64-bit number for a patient."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {group}".encode()).digest()[:8])
