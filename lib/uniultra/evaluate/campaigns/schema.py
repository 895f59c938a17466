"""What a simulated campaign is written down as: one JSON file, checked when it is read.

Dice is 0..1 and of the largest 8-connected component, after one click on its middle, and of its tight box.
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
        seeds: campaigns of each strategy and set, numbered from 0.
        batch: labels of a round; rounds: at most so many, fewer where a set has no more pictures.
        held_out: split that is measured on, of sets with `train` rows.
        fit: how the model is adapted after a round, from its base every time; shorter than in a campaign, as
            hundreds of rounds are run.
    """

    strategies: tuple[str, ...]
    seeds: int = Field(default=5, ge=1)
    batch: int = Field(default=5, ge=1)
    rounds: int = Field(default=4, ge=1)
    held_out: Literal["val", "test"] = "test"
    fit: FitSettings = FitSettings(steps=60, batch=4)


class Round(Record):
    """One round of one campaign, as it is kept until all are done.

    Attributes:
        labelled: places in the pool in the order they were labelled; empty ones among them.
        then: places that the strategy would have labelled next, as many as a batch has.
        click, box: Dice of each held-out picture.
        foreground: share of all pixels labelled so far that are of the structure.
        seconds: of adapting; 0 where nothing was there to learn.
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
        seeds: mean Dice over the held-out pictures, a row for each seed, a column for each round.
        bands: mean over seeds and 95 % interval (Student's t), for each round.
        aubc: area under each seed's curve; aubc_band: their mean and interval.
        labels_to_95: labels after the first round whose bootstrap lower bound (pictures and seeds) reaches
            95 % of the Dice with all labels; None where no round does.
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
        foreground: share of the labelled pixels that are of the structure.
    """

    curves: dict[Prompt, Curves]
    empty: float
    foreground: float
    seconds_fit: float


class SetResult(Record):
    """All strategies on one set.

    Attributes:
        pool, pool_empty: pictures that may be labelled, and those without the structure.
        held_out, patients: pictures measured on, and their patients.
        seen: whether the base model was trained on pictures of this set; None where it does not say.
        budgets: labels after each round.
        start: mean Dice of the base model.
        full: with the whole pool labelled, over seeds.
        compared: pairs of strategies by their AUBC, for each kind of prompt.
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
    """Everything that a simulation found.

    Attributes:
        wins: for each kind of prompt, by row and column in the order of the strategies, the share of sets
            in which the row's AUBC beat the column's (paired t-test over seeds, Holm, p below 0.05).
    """

    schema_version: Literal[1] = 1
    uniultra: str
    made: str
    machine: Machine
    model: MeasuredModel
    protocol: CampaignProtocol
    sets: dict[str, SetResult]
    wins: dict[Prompt, list[list[float]]]
