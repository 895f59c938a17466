"""Which mask should answer a single click: the decoder's single one, or the best of its three others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tqdm import tqdm

from uniultra.datasets.samples import Row
from uniultra.errors import ImageError
from uniultra.evaluate.evaluate import ONCE
from uniultra.evaluate.scoring import Question, score
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor


@dataclass(frozen=True)
class Policies:
    """Mean Dice of the answers to one click in the middle of the largest component.

    Attributes:
        n: pictures with something to click on.
        single, best: by the two policies of `ModelEntry.lone_click`.
        gained: share of the pictures on which `best` is the better one, equal ones left out.
    """

    n: int
    single: float
    best: float
    gained: float


def compare(
    network: PromptNetwork,
    entry: ModelEntry,
    rows: Sequence[Row],
    *,
    device: str = "auto",
    progress: str | None = None,
) -> dict[str, Policies]:
    """Both policies on the pictures of a manifest, by data set; `all` is the mean over all pictures.

    Raises:
        ImageError: no picture has anything to click on.
    """
    single, best = (
        Predictor.of(network, replace(entry, lone_click=kind), device=device) for kind in ("single", "best")
    )
    best.cache = single.cache  # one network: encoded once for both
    question = {"@1": Question()}
    pairs: dict[str, list[tuple[float, ...]]] = {"all": []}
    for row in tqdm(rows, desc=progress, disable=progress is None):
        both = [score(p, [row], ("point",), ONCE, question, lines=())[0] for p in (single, best)]
        pair = tuple(dice for picture in both if (dice := picture.values.get("dice@1")) is not None)
        if pair:
            pairs.setdefault(row.dataset, []).append(pair)
            pairs["all"].append(pair)
    if not pairs["all"]:
        raise ImageError("None of these pictures has a mask to click on. Choose other sets or another split.")
    return {name: _mean(some) for name, some in pairs.items()}


def _mean(pairs: list[tuple[float, ...]]) -> Policies:
    apart = [best > single for single, best in pairs if single != best]
    single, best = map(fmean, zip(*pairs, strict=True))
    return Policies(len(pairs), single, best, fmean(apart) if apart else 0.0)


def table(policies: dict[str, Policies]) -> list[str]:
    """The comparison as lines of text."""
    lines = [f"{'set':24}{'n':>5}{'single':>9}{'best':>9}{'gained':>9}"]
    return lines + [
        f"{name:24}{p.n:5}{p.single:9.4f}{p.best:9.4f}{p.gained:9.2f}" for name, p in policies.items()
    ]
