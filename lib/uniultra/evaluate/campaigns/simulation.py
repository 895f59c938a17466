"""Simulates labelling campaigns on labelled sets to compare how well query strategies spend labels.

After every round the base model is adapted anew to the labels so far and measured on held-out pictures.
A set without `train` rows is split by hashed patient, in the same way for every seed and strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from uniultra import __version__
from uniultra.active import registry
from uniultra.adapt.fit import fit as fit_labels
from uniultra.adapt.holdout import folds
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.scoring import ScoringCase, cases_of
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
from uniultra.evaluate.scoring import LINES
from uniultra.evaluate.systems import system
from uniultra.metrics.learning_curves import aubc, bands, compare, labels_to, win_matrix
from uniultra.predict.device import choose_device

FOLDS, HELD_OUT = 5, 2  # of a set without `train` rows, two fifths of the patients are held out


@dataclass(frozen=True)
class SimulationRequest:
    """What to simulate.

    Attributes:
        data: the manifest or its folder.
        protocol: strategies, seeds, rounds and training.
        work: folder for finished rounds.
        sets: names of the manifest's sets; None takes all sets except those of one-pixel lines.
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
    """Run all campaigns that are not in the work folder yet, and compare the strategies.

    Args:
        request: what to simulate.
        fit: how the model is adapted; None trains as the protocol says.
        progress: show a progress bar.

    Raises:
        ImageError: no manifest, a set without rows, or held-out pictures without a structure.
        ModelError: an unknown model, a model without weights, or a model that takes no clicks.
        RequestError: an unknown strategy, or a set too small for one round.
    """
    for name in request.protocol.strategies:
        registry.strategy(name)
    base = system(request.model, request.device)
    network, model, measured = base.network, base.entry, base.model
    if network is None or model is None or measured is None or "point" not in base.prompts:
        raise ModelError("Expected an interactive model; this model takes no clicks. Choose another.")
    settings = request.protocol.fit.model_copy(update={"model": model.name})
    protocol = request.protocol.model_copy(update={"fit": settings})
    train = fit or (lambda network, pictures, seed: fit_labels(network, pictures, settings, seed=seed))
    replays = []
    for name in request.sets or _all_sets(request.data):
        pool, held_out = divided(request.data, name, protocol.held_out)
        if len(pool) <= protocol.batch:
            raise RequestError(
                f"Expected more pictures of {name} to choose from than a batch has; got {len(pool)}. "
                "Make --batch smaller or leave the set out."
            )
        conditions = {
            "uniultra": __version__,
            "weights": measured.sha256,
            "fit": settings.model_dump(),
            "batch": protocol.batch,
            "pool": [row.id for row in pool],
            "held_out": [row.id for row in held_out],
        }
        kept = KeptRounds(request.work, name, conditions)
        labels, cases = [_labelled(row) for row in pool], _cases(name, held_out)
        replays.append(Replay(name, network, model, labels, cases, train, kept))
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
        wins={
            prompt: win_matrix(protocol.strategies, [s.compared[prompt] for s in sets.values()]).tolist()
            for prompt in PROMPTS
        },
    )


def divided(data: Path, name: str, held_out: str = "test") -> tuple[list[Row], list[Row]]:
    """Split a set into rows to label and rows to measure on.

    Raises:
        ImageError: no manifest, or no rows of the set.
    """
    rows = read_manifest(data, [name], ["train", "val", "test"])
    pool = [row for row in rows if row.split == "train"]
    if pool:
        return pool, read_manifest(data, [name], [held_out])
    rest = read_manifest(data, [name], ["test"])
    parts = folds([row.group or row.id for row in rest], FOLDS)
    pool = [row for row, part in zip(rest, parts, strict=True) if part >= HELD_OUT]
    return pool, [row for row, part in zip(rest, parts, strict=True) if part < HELD_OUT]


def _all_sets(data: Path) -> list[str]:
    rows = read_manifest(data, None, ["train", "val", "test"])
    return [name for name in dict.fromkeys(row.dataset for row in rows) if name not in LINES]


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
    budgets = tuple(protocol.batch * (n + 1) for n in range(rounds))
    groups = [case.group for case in replay.held_out]
    start, full = replay.start(), [replay.full(seed) for seed in seeds]

    def curves(campaigns: list[list[Round]], prompt: Prompt) -> Curves:
        table = [[_mean(finished, prompt) for finished in campaign] for campaign in campaigns]
        areas = aubc(budgets, table)
        by_round = [[getattr(finished, prompt) for finished in runs] for runs in zip(*campaigns, strict=True)]
        best = float(np.mean([_mean(finished, prompt) for finished in full]))
        return Curves(
            seeds=table,
            bands=bands(table),
            aubc=areas.tolist(),
            aubc_band=bands(areas[:, None])[0],
            labels_to_95=labels_to(best, budgets, by_round, groups),
        )

    def strategy_result(name: str) -> StrategyResult:
        campaigns = [replay.campaign(name, seed, rounds, protocol.batch, bar.update) for seed in seeds]
        last = [campaign[-1] for campaign in campaigns]
        empty = [sum(not replay.pool[n].mask.any() for n in final.labelled) for final in last]
        return StrategyResult(
            curves={prompt: curves(campaigns, prompt) for prompt in PROMPTS},
            empty=float(np.mean(empty)),
            foreground=float(np.mean([final.foreground for final in last])),
            seconds_fit=float(np.mean([finished.seconds for runs in campaigns for finished in runs])),
        )

    strategies = {name: strategy_result(name) for name in protocol.strategies}
    return SetResult(
        pool=len(replay.pool),
        pool_empty=sum(not picture.mask.any() for picture in replay.pool),
        held_out=len(groups),
        patients=len(set(groups)),
        seen=None if trained_on is None else replay.name in trained_on,
        budgets=budgets,
        start={prompt: _mean(start, prompt) for prompt in PROMPTS},
        full={prompt: bands([[_mean(finished, prompt)] for finished in full])[0] for prompt in PROMPTS},
        strategies=strategies,
        compared={
            prompt: compare({name: result.curves[prompt].aubc for name, result in strategies.items()})
            for prompt in PROMPTS
        },
    )


def _mean(finished: Round, prompt: Prompt) -> float:
    return float(np.mean(getattr(finished, prompt)))
