"""What `--conf KEY VALUE` may say about trainings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uniultra.adapt.job import Known
from uniultra.serve.settings import SettingsError


@dataclass(frozen=True)
class TrainSettings:
    """How the server trains.

    Attributes:
        after: new final labels after which a training begins by itself, 0 for never; None for what the
            campaign says.
        threads: processor threads of a training; it makes way for clicks on all of them.
        nice: how much it makes way, 0..19.
        device: where it runs, the one that clicks are answered on.
        known: pictures of old organs to rehearse on and to measure by, a folder with a manifest.
    """

    after: int | None = None
    threads: int = 1
    nice: int = 10
    device: str = "auto"
    known: Known | None = None

    @classmethod
    def parse(cls, conf: Mapping[str, str]) -> TrainSettings:
        """Read `train_after`, `train_threads`, `train_nice`, `device`, `train_known` and `train_known_sets`.

        Raises:
            SettingsError: a value of the wrong kind, or a folder without a manifest.
        """
        plain = cls(threads=max(1, os.cpu_count() or 1))
        folder, known = conf.get("train_known", ""), None
        if folder:
            if not (Path(folder) / "manifest.csv").is_file():
                raise SettingsError("Expected train_known to be a folder with a manifest.csv; it is not.")
            sets = tuple(word.strip() for word in conf.get("train_known_sets", "").split(",") if word.strip())
            known = Known(folder=Path(folder).resolve(), sets=sets or None)
        return cls(
            after=_number(conf, "train_after", 0, 0, 1_000_000) if "train_after" in conf else None,
            threads=_number(conf, "train_threads", plain.threads, 1, 1024),
            nice=_number(conf, "train_nice", plain.nice, 0, 19),
            device=conf.get("device", plain.device),
            known=known,
        )


def _number(conf: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    text = str(conf.get(key, default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise SettingsError(f"Expected {key} as a whole number from {low} to {high}; change --conf {key}.")
    return int(text)
