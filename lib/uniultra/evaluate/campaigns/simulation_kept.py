"""Finished rounds of a simulation on the disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uniultra.evaluate.campaigns.simulation_schema import Round
from uniultra.files import atomic


class KeptRounds:
    """The rounds of one set under one way of doing things.

    Args:
        folder: of the simulation.
        dataset: name of the set.
        conditions: all that a round's result depends on beside strategy, seed and number; rounds of
            other conditions lie elsewhere.
    """

    def __init__(self, folder: Path, dataset: str, conditions: Any) -> None:
        told = json.dumps(conditions, sort_keys=True, default=str)
        self._folder = folder / f"{dataset}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def get(self, strategy: str, seed: int, number: int) -> Round | None:
        """A finished round, or None; a damaged file counts as none."""
        try:
            return Round.model_validate_json(self._path(strategy, seed, number).read_bytes())
        except (OSError, ValidationError):
            return None

    def put(self, strategy: str, seed: int, number: int, found: Round) -> None:
        """Keep a finished round, whole or not at all."""
        atomic.write(self._path(strategy, seed, number), found.model_dump_json().encode())

    def _path(self, strategy: str, seed: int, number: int) -> Path:
        return self._folder / strategy / f"seed-{seed}" / f"round-{number}.json"
