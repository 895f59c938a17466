"""Which query strategy spends labels best: campaigns on labelled sets, replayed with a simulated annotator.

After every round the base model is adapted anew to the labels so far, and measured on held-out pictures.
A set without `train` rows is divided by hashed patient, the same way for every seed and strategy.
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
from uniultra.adapt.scoring import cases_of
from uniultra.datasets.manifest import Row, load_pair, read_manifest
from uniultra.errors import ImageError, ModelError, RequestError
from uniultra.evaluate.accuracy.systems import system
from uniultra.evaluate.campaigns.replay import Fit, Replay
from uniultra.evaluate.campaigns.simulation_kept import KeptRounds
from uniultra.evaluate.campaigns.simulation_schema import (
    PROMPTS,
    Curves,
    Prompt,
    Protocol,
    Round,
    SetResult,
    Simulation,
    StrategyResult,
)
from uniultra.evaluate.evaluate import LINES
from uniultra.evaluate.machine import this_machine
from uniultra.metrics.learning_curves import aubc, bands, compare, labels_to, win_matrix
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.predict.device import choose_device

FIFTHS, KEPT = 5, 2  # two fifths of the patients are held out of a set without `train` rows


@dataclass(frozen=True)
class Wanted:
    """What to simulate.

    Attributes:
        data: the manifest or its folder.
        protocol: strategies, seeds, rounds and training.
        work: folder for finished rounds.
        sets: names of the manifest's sets; None takes all but those whose masks are lines.
        model: a name, a weights file or a folder, see `uniultra.evaluate.accuracy.systems.system`.
        device: `auto`, `cpu` or `cuda[:N]`.
    """

    data: Path
    protocol: Protocol
    work: Path
    sets: tuple[str, ...] | None = None
    model: str = "uniultra_mini"
    device: str = "auto"


def simulate(wanted: Wanted, *, fit: Fit | None = None, progress: bool = True) -> Simulation:
    """Replay all campaigns that are not in the work folder yet, and compare them.

    Args:
        wanted: what to simulate.
        fit: how the model is adapted; None as the protocol says.
        progress: show a bar.

    Raises:
        ImageError: no manifest, or no rows of a set.
        ModelError: an unknown model, one without weights, or one that takes no clicks.
        RequestError: an unknown strategy, or a set too small for one round.
    """
    for name in wanted.protocol.strategies:
        registry.strategy(name)
    mine = system(wanted.model, wanted.device)
    network, model, told = mine.network, mine.entry, mine.model
    if network is None or model is None or told is None or "point" not in mine.prompts:
        raise ModelError("Expected a model that takes clicks; this one segments without. Choose another.")
    protocol = wanted.protocol.model_copy(
        update={"fit": wanted.protocol.fit.model_copy(update={"model": model.name})}
    )
    replays = [
        _replay(wanted, protocol, name, network, model, told.sha256, fit)
        for name in wanted.sets or _all_sets(wanted.data)
    ]
    total = sum(_rounds(protocol, one) for one in replays) * len(protocol.strategies) * protocol.seeds
    with tqdm(total=total, desc="rounds", disable=not progress) as bar:
        sets = {one.name: _set_result(protocol, told.trained_on, one, bar) for one in replays}
    return Simulation(
        uniultra=__version__,
        made=datetime.now(UTC).date().isoformat(),
        machine=this_machine(choose_device(wanted.device)),
        model=told,
        protocol=protocol,
        sets=sets,
        wins={
            prompt: win_matrix(protocol.strategies, [one.compared[prompt] for one in sets.values()]).tolist()
            for prompt in PROMPTS
        },
    )


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


def _replay(
    wanted: Wanted,
    protocol: Protocol,
    name: str,
    network: PromptNetwork,
    model: ModelEntry,
    weights: str | None,
    fit: Fit | None,
) -> Replay:
    """One set, ready to run.

    Raises:
        RequestError: it has too few pictures for a round.
        ImageError: no held-out picture shows a structure.
    """
    pool, kept = divided(wanted.data, name, protocol.held_out)
    if len(pool) <= protocol.batch:
        raise RequestError(
            f"Expected more pictures of {name} to choose from than a batch has; got {len(pool)}. "
            "Make --batch smaller or leave the set out."
        )
    cases = [case for row in kept for case in cases_of(_labelled(row))]
    if not cases:
        raise ImageError(f"The held-out pictures of {name} show no structure. Leave the set out.")
    conditions = {
        "uniultra": __version__,
        "weights": weights,
        "fit": protocol.fit.model_dump(),
        "batch": protocol.batch,
        "pool": [row.id for row in pool],
        "held_out": [row.id for row in kept],
    }

    def adapt(network: PromptNetwork, pictures: Sequence[Labelled], seed: int) -> PromptNetwork:
        return fit_labels(network, pictures, protocol.fit, seed=seed)

    return Replay(
        name,
        network,
        model,
        [_labelled(row) for row in pool],
        cases,
        fit or adapt,
        KeptRounds(wanted.work, name, conditions),
    )


def _labelled(row: Row) -> Labelled:
    picture, mask = load_pair(row)
    return Labelled(picture, mask, row.dataset, row.group or row.id)


def _rounds(protocol: Protocol, replay: Replay) -> int:
    return min(protocol.rounds, len(replay.pool) // protocol.batch)


def _set_result(protocol: Protocol, seen: tuple[str, ...] | None, replay: Replay, bar: tqdm) -> SetResult:
    start = replay.start()
    full = [replay.full(seed) for seed in range(protocol.seeds)]
    rounds = _rounds(protocol, replay)
    budgets = [protocol.batch * (n + 1) for n in range(rounds)]
    runs = {
        name: [
            replay.campaign(name, seed, rounds, protocol.batch, bar.update) for seed in range(protocol.seeds)
        ]
        for name in protocol.strategies
    }
    found = {name: _strategy_result(budgets, campaigns, full, replay) for name, campaigns in runs.items()}
    groups = [case.group for case in replay.held_out]
    return SetResult(
        pool=len(replay.pool),
        pool_empty=sum(not one.mask.any() for one in replay.pool),
        held_out=len(groups),
        patients=len(set(groups)),
        seen=None if seen is None else replay.name in seen,
        budgets=tuple(budgets),
        start={prompt: _mean(start, prompt) for prompt in PROMPTS},
        full={prompt: bands([[_mean(one, prompt)] for one in full])[0] for prompt in PROMPTS},
        strategies=found,
        compared={
            prompt: compare({name: one.curves[prompt].aubc for name, one in found.items()})
            for prompt in PROMPTS
        },
    )


def _strategy_result(
    budgets: list[int], campaigns: list[list[Round]], full: list[Round], replay: Replay
) -> StrategyResult:
    last = [campaign[-1] for campaign in campaigns]
    every = [one for campaign in campaigns for one in campaign]
    return StrategyResult(
        curves={prompt: _curves(budgets, campaigns, full, replay, prompt) for prompt in PROMPTS},
        empty=float(np.mean([sum(not replay.pool[n].mask.any() for n in one.labelled) for one in last])),
        foreground=float(np.mean([one.foreground for one in last])),
        seconds_fit=float(np.mean([one.seconds for one in every])),
    )


def _curves(
    budgets: list[int], campaigns: list[list[Round]], full: list[Round], replay: Replay, prompt: Prompt
) -> Curves:
    table = [[_mean(one, prompt) for one in campaign] for campaign in campaigns]
    areas = aubc(budgets, table)
    by_round = [[getattr(campaign[n], prompt) for campaign in campaigns] for n in range(len(budgets))]
    return Curves(
        seeds=table,
        bands=bands(table),
        aubc=areas.tolist(),
        aubc_band=bands(areas[:, None])[0],
        labels_to_95=labels_to(
            float(np.mean([_mean(one, prompt) for one in full])),
            budgets,
            by_round,
            [case.group for case in replay.held_out],
        ),
    )


def _mean(one: Round, prompt: Prompt) -> float:
    return float(np.mean(getattr(one, prompt)))
