"""Finished rounds of a simulation on disk, from which a stopped simulation resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uniultra.evaluate.campaigns.schema import Round
from uniultra.files import atomic


class KeptRounds:
    """The rounds of one set under one set of conditions.

    Args:
        folder: work folder of the simulation.
        dataset: name of the set.
        conditions: everything a round depends on besides strategy, seed and number. Their hash is part of
            the folder's name, so that rounds of another protocol, data or weights are never reused.
    """

    def __init__(self, folder: Path, dataset: str, conditions: Any) -> None:
        text = json.dumps(conditions, sort_keys=True, default=str)
        self._folder = folder / f"{dataset}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def once(self, strategy: str, seed: int, number: int, run: Callable[[], Round]) -> Round:
        """The stored round; if there is none yet, it is run and stored."""
        finished = self.get(strategy, seed, number)
        if finished is None:
            finished = run()
            self.put(strategy, seed, number, finished)
        return finished

    def get(self, strategy: str, seed: int, number: int) -> Round | None:
        """The stored round; None if it is missing or damaged."""
        try:
            return Round.model_validate_json(self._path(strategy, seed, number).read_bytes())
        except (OSError, ValidationError):
            return None

    def put(self, strategy: str, seed: int, number: int, finished: Round) -> None:
        """Store a finished round atomically."""
        atomic.write(self._path(strategy, seed, number), finished.model_dump_json().encode())

    def _path(self, strategy: str, seed: int, number: int) -> Path:
        return self._folder / strategy / f"seed-{seed}" / f"round-{number}.json"
