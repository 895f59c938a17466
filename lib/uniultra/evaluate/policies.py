"""Which mask should answer a lone click: the decoder's single one, or the best of its three others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tqdm import tqdm

from uniultra.datasets.manifest import Row, load_pair
from uniultra.errors import ImageError
from uniultra.metrics.overlap import dice
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.predict.still import STILL, Still
from uniultra.prompts.simulation.clicks_boxes import center_click, components
from uniultra.prompts.types import PromptSet


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
    found: dict[str, list[tuple[float, float]]] = {"all": []}
    for row in tqdm(rows, desc=progress, disable=progress is None):
        picture, mask = load_pair(row)
        if not mask.any():
            continue
        truth = components(mask)[0]
        asked = [PromptSet(points=(center_click(truth),))]
        source = Still(picture)
        pair = tuple(dice(p.predict(source, STILL, asked)[0].mask, truth) for p in (single, best))
        for name in (row.dataset, "all"):
            found.setdefault(name, []).append((pair[0], pair[1]))
    if not found["all"]:
        raise ImageError("None of these pictures has a mask to click on. Choose other sets or another split.")
    return {name: _mean(pairs) for name, pairs in found.items()}


def _mean(pairs: list[tuple[float, float]]) -> Policies:
    apart = [pair[1] > pair[0] for pair in pairs if pair[0] != pair[1]]
    gained = fmean(apart) if apart else 0.0
    return Policies(len(pairs), fmean(p[0] for p in pairs), fmean(p[1] for p in pairs), gained)


def table(found: dict[str, Policies]) -> list[str]:
    """The comparison as lines of text."""
    lines = [f"{'set':24}{'n':>5}{'single':>9}{'best':>9}{'gained':>9}"]
    return lines + [
        f"{name:24}{one.n:5}{one.single:9.4f}{one.best:9.4f}{one.gained:9.2f}" for name, one in found.items()
    ]
