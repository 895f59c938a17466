"""Which query strategy spends labels best: campaigns on labelled sets, replayed with a simulated annotator.

After every round the base model is adapted anew to the labels so far, and measured on held-out pictures.
A set without `train` rows is divided by hashed patient, the same way for every seed and strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from uniultra import __version__
from uniultra.active import registry
from uniultra.adapt.fit import fit as fit_labels
from uniultra.adapt.holdout import folds
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.scoring import ScoringCase, cases_of
from uniultra.adapt.settings import FitSettings
from uniultra.datasets.manifest import Row, load_pair, read_manifest
from uniultra.errors import ImageError, ModelError, RequestError
from uniultra.evaluate.campaigns.kept_rounds import KeptRounds
from uniultra.evaluate.campaigns.replay import Fit, Replay
from uniultra.evaluate.campaigns.schema import (
    PROMPTS,
    CampaignProtocol,
    Curves,
    Prompt,
    Round,
    SetResult,
    Simulation,
    StrategyResult,
)
from uniultra.evaluate.machine import this_machine
from uniultra.evaluate.records import MeasuredModel
from uniultra.evaluate.scoring import LINES
from uniultra.evaluate.systems import system
from uniultra.metrics.learning_curves import aubc, bands, compare, labels_to, win_matrix
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.predict.device import choose_device

FIFTHS, KEPT = 5, 2  # two fifths of the patients are held out of a set without `train` rows


@dataclass(frozen=True)
class SimulationRequest:
    """What to simulate.

    Attributes:
        data: the manifest or its folder.
        protocol: strategies, seeds, rounds and training.
        work: folder for finished rounds.
        sets: names of the manifest's sets; None takes all but those whose masks are lines.
        model: a name, a weights file or a folder, see `uniultra.evaluate.systems.system`.
        device: `auto`, `cpu` or `cuda[:N]`.
    """

    data: Path
    protocol: CampaignProtocol
    work: Path
    sets: tuple[str, ...] | None = None
    model: str = "uniultra_mini"
    device: str = "auto"


def simulate(request: SimulationRequest, *, fit: Fit | None = None, progress: bool = True) -> Simulation:
    """Replay all campaigns that are not in the work folder yet, and compare them.

    Args:
        request: what to simulate.
        fit: how the model is adapted; None as the protocol says.
        progress: show a bar.

    Raises:
        ImageError: no manifest, no rows of a set, or no held-out picture of it that shows a structure.
        ModelError: an unknown model, one without weights, or one that takes no clicks.
        RequestError: an unknown strategy, or a set too small for one round.
    """
    for name in request.protocol.strategies:
        registry.strategy(name)
    network, model, measured = _base(request)
    settings = request.protocol.fit.model_copy(update={"model": model.name})
    protocol = request.protocol.model_copy(update={"fit": settings})
    replays = []
    for name in request.sets or _all_sets(request.data):
        pool, held_out = _rows(request, name)
        conditions = {
            "uniultra": __version__,
            "weights": measured.sha256,
            "fit": settings.model_dump(),
            "batch": protocol.batch,
            "pool": [row.id for row in pool],
            "held_out": [row.id for row in held_out],
        }
        replay = Replay(
            name,
            network,
            model,
            [_labelled(row) for row in pool],
            _cases(name, held_out),
            fit or partial(_fit, settings),
            KeptRounds(request.work, name, conditions),
        )
        replays.append(replay)
    total = sum(_rounds(protocol, replay) for replay in replays) * len(protocol.strategies) * protocol.seeds
    with tqdm(total=total, desc="rounds", disable=not progress) as bar:
        sets = {replay.name: _set_result(protocol, measured.trained_on, replay, bar) for replay in replays}
    return Simulation(
        uniultra=__version__,
        made=datetime.now(UTC).date().isoformat(),
        machine=this_machine(choose_device(request.device)),
        model=measured,
        protocol=protocol,
        sets=sets,
        wins={prompt: _wins(protocol.strategies, sets, prompt) for prompt in PROMPTS},
    )


def _base(request: SimulationRequest) -> tuple[PromptNetwork, ModelEntry, MeasuredModel]:
    base = system(request.model, request.device)
    if base.network is None or base.entry is None or base.model is None or "point" not in base.prompts:
        raise ModelError("Expected an interactive model; this model takes no clicks. Choose another.")
    return base.network, base.entry, base.model


def _fit(
    settings: FitSettings, network: PromptNetwork, pictures: Sequence[Labelled], seed: int
) -> PromptNetwork:
    return fit_labels(network, pictures, settings, seed=seed)


def divided(data: Path, name: str, held_out: str = "test") -> tuple[list[Row], list[Row]]:
    """Rows of a set that may be labelled, and rows to measure on.

    Raises:
        ImageError: no manifest, or it has no such rows.
    """
    rows = read_manifest(data, [name], ["train", "val", "test"])
    pool = [row for row in rows if row.split == "train"]
    if pool:
        return pool, read_manifest(data, [name], [held_out])
    rest = read_manifest(data, [name], ["test"])
    parts = folds([row.group or row.id for row in rest], FIFTHS)
    pool = [row for row, part in zip(rest, parts, strict=True) if part >= KEPT]
    return pool, [row for row, part in zip(rest, parts, strict=True) if part < KEPT]


def _all_sets(data: Path) -> list[str]:
    rows = read_manifest(data, None, ["train", "val", "test"])
    return [name for name in dict.fromkeys(row.dataset for row in rows) if name not in LINES]


def _rows(request: SimulationRequest, name: str) -> tuple[list[Row], list[Row]]:
    pool, held_out = divided(request.data, name, request.protocol.held_out)
    if len(pool) <= request.protocol.batch:
        raise RequestError(
            f"Expected more pictures of {name} to choose from than a batch has; got {len(pool)}. "
            "Make --batch smaller or leave the set out."
        )
    return pool, held_out


def _cases(name: str, rows: Sequence[Row]) -> list[ScoringCase]:
    cases = [case for row in rows for case in cases_of(_labelled(row))]
    if not cases:
        raise ImageError(f"The held-out pictures of {name} show no structure. Leave the set out.")
    return cases


def _labelled(row: Row) -> Labelled:
    picture, mask = load_pair(row)
    return Labelled(picture, mask, row.dataset, row.group or row.id)


def _rounds(protocol: CampaignProtocol, replay: Replay) -> int:
    return min(protocol.rounds, len(replay.pool) // protocol.batch)


def _set_result(
    protocol: CampaignProtocol, trained_on: tuple[str, ...] | None, replay: Replay, bar: tqdm
) -> SetResult:
    seeds, rounds = range(protocol.seeds), _rounds(protocol, replay)
    start = replay.start()
    numbers = _Numbers(
        replay, [protocol.batch * (n + 1) for n in range(rounds)], [replay.full(seed) for seed in seeds]
    )
    strategies = {
        name: numbers.of([replay.campaign(name, seed, rounds, protocol.batch, bar.update) for seed in seeds])
        for name in protocol.strategies
    }
    return SetResult(
        pool=len(replay.pool),
        pool_empty=sum(not picture.mask.any() for picture in replay.pool),
        held_out=len(numbers.groups),
        patients=len(set(numbers.groups)),
        seen=None if trained_on is None else replay.name in trained_on,
        budgets=tuple(numbers.budgets),
        start={prompt: _mean(start, prompt) for prompt in PROMPTS},
        full={prompt: bands([[_mean(one, prompt)] for one in numbers.full])[0] for prompt in PROMPTS},
        strategies=strategies,
        compared={
            prompt: compare({name: result.curves[prompt].aubc for name, result in strategies.items()})
            for prompt in PROMPTS
        },
    )


@dataclass(frozen=True)
class _Numbers:
    """The numbers of one set's strategies: `full` are the rounds with all labels, one for each seed."""

    replay: Replay
    budgets: list[int]
    full: list[Round]

    @property
    def groups(self) -> list[str]:
        return [case.group for case in self.replay.held_out]

    def of(self, campaigns: list[list[Round]]) -> StrategyResult:
        """One strategy's, from its campaigns of all seeds."""
        last = [campaign[-1] for campaign in campaigns]
        empty = [sum(not self.replay.pool[n].mask.any() for n in final.labelled) for final in last]
        return StrategyResult(
            curves={prompt: self._curves(campaigns, prompt) for prompt in PROMPTS},
            empty=float(np.mean(empty)),
            foreground=float(np.mean([final.foreground for final in last])),
            seconds_fit=float(np.mean([one.seconds for campaign in campaigns for one in campaign])),
        )

    def _curves(self, campaigns: list[list[Round]], prompt: Prompt) -> Curves:
        table = [[_mean(one, prompt) for one in campaign] for campaign in campaigns]
        areas = aubc(self.budgets, table)
        by_round = [[getattr(one, prompt) for one in of_seeds] for of_seeds in zip(*campaigns, strict=True)]
        full = float(np.mean([_mean(one, prompt) for one in self.full]))
        return Curves(
            seeds=table,
            bands=bands(table),
            aubc=areas.tolist(),
            aubc_band=bands(areas[:, None])[0],
            labels_to_95=labels_to(full, self.budgets, by_round, self.groups),
        )


def _wins(strategies: Sequence[str], sets: Mapping[str, SetResult], prompt: Prompt) -> list[list[float]]:
    wins: list[list[float]] = win_matrix(strategies, [s.compared[prompt] for s in sets.values()]).tolist()
    return wins


def _mean(finished: Round, prompt: Prompt) -> float:
    return float(np.mean(getattr(finished, prompt)))
