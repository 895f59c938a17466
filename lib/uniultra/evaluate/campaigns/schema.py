"""Result file of simulated campaigns: one JSON file, validated on reading.

Dice is 0..1 and of the largest 8-connected component, for one click at its centre and for its tight box.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from uniultra.adapt.settings import FitSettings
from uniultra.evaluate.machine import Machine
from uniultra.evaluate.records import MeasuredModel, Record
from uniultra.metrics.learning_curves import Band, Comparison

Prompt = Literal["click", "box"]
PROMPTS: tuple[Prompt, ...] = ("click", "box")


class CampaignProtocol(Record):
    """How campaigns are replayed.

    Attributes:
        strategies: names in the registry of query strategies.
        seeds: number of campaigns per strategy and set, numbered from 0.
        batch: labels per round.
        rounds: maximum number of rounds; a small set allows fewer.
        held_out: split to measure on, for sets with `train` rows.
        fit: how the base model is adapted anew after each round; shorter than in a real campaign, as hundreds
            of rounds are run.
    """

    strategies: tuple[str, ...]
    seeds: int = Field(default=5, ge=1)
    batch: int = Field(default=5, ge=1)
    rounds: int = Field(default=4, ge=1)
    held_out: Literal["val", "test"] = "test"
    fit: FitSettings = FitSettings(steps=60, batch=4)


class Round(Record):
    """One finished round of one campaign, as stored in the work folder.

    Attributes:
        labelled: indices into the pool in labelling order, including pictures without a structure.
        then: the next batch that the strategy would label; empty in the last round.
        click, box: Dice of each held-out picture.
        foreground: fraction of the pixels labelled so far that belong to the structure.
        seconds: training time; 0 if the labels held nothing to learn.
    """

    labelled: tuple[int, ...]
    then: tuple[int, ...]
    click: tuple[float, ...]
    box: tuple[float, ...]
    foreground: float = 0.0
    seconds: float = 0.0


class Curves(Record):
    """One strategy on one set with one kind of prompt.

    Attributes:
        seeds: mean Dice over the held-out pictures, a row per seed, a column per round.
        bands: mean over seeds and 95 % interval (Student's t) of each round.
        aubc: area under the budget curve of each seed.
        aubc_band: mean and interval of `aubc`.
        labels_to_95: number of labels after the first round whose bootstrap lower bound (pictures and seeds)
            reaches 95 % of the Dice with all labels; None if no round does.
    """

    seeds: list[list[float]]
    bands: list[Band]
    aubc: list[float]
    aubc_band: Band
    labels_to_95: int | None


class StrategyResult(Record):
    """One strategy on one set; `empty` and `foreground` are means over seeds at the last round.

    Attributes:
        empty: labels without a structure.
        foreground: fraction of the labelled pixels that belong to the structure.
        seconds_fit: mean training time of a round.
    """

    curves: dict[Prompt, Curves]
    empty: float
    foreground: float
    seconds_fit: float


class SetResult(Record):
    """All strategies on one set.

    Attributes:
        pool, pool_empty: number of pictures to label, and of those without the structure.
        held_out, patients: number of objects measured on, and of their patients.
        seen: whether the base model was trained on pictures of this set; None if its weights do not say.
        budgets: number of labels after each round.
        start: mean Dice of the base model.
        full: mean Dice with the whole pool labelled, over seeds.
        compared: pairs of strategies by their AUBC.
    """

    pool: int
    pool_empty: int
    held_out: int
    patients: int
    seen: bool | None
    budgets: tuple[int, ...]
    start: dict[Prompt, float]
    full: dict[Prompt, Band]
    strategies: dict[str, StrategyResult]
    compared: dict[Prompt, list[Comparison]]


class Simulation(Record):
    """All results of a simulation.

    Attributes:
        wins: rows and columns in the order of the strategies: fraction of the sets in which the row's AUBC
            beats the column's (paired t-test over seeds, Holm, p below 0.05).
    """

    schema_version: Literal[1] = 1
    uniultra: str
    made: str
    machine: Machine
    model: MeasuredModel
    protocol: CampaignProtocol
    sets: dict[str, SetResult]
    wins: dict[Prompt, list[list[float]]]
