"""The accuracy benchmark: a model, and whoever it is put beside, on pictures of a manifest."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from uniultra import __version__
from uniultra.datasets.manifest import Row, read_manifest
from uniultra.errors import ImageError, ModelError, RequestError
from uniultra.evaluate.accuracy import schema
from uniultra.evaluate.accuracy.classical import classical
from uniultra.evaluate.accuracy.protocol import score
from uniultra.evaluate.accuracy.summaries import by_set, differences, jitter, organs, set_score
from uniultra.evaluate.accuracy.systems import System, system
from uniultra.evaluate.machine import this_machine
from uniultra.evaluate.obedience import LIMITS, Case, obedience
from uniultra.metrics.calibration import calibrations
from uniultra.metrics.cost import count_work, measure_pace
from uniultra.models.counting import count_network
from uniultra.predict.device import choose_device

UNET = "unet"  # the registry's network of equal cost that takes no prompt


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    Attributes:
        data: the manifest or its folder.
        split: of the manifest.
        model: a name, a weights file or a folder, see `uniultra.evaluate.accuracy.systems.system`.
        sets: names of the manifest's sets; None takes all that have rows of the split.
        limit: at most so many pictures of each set, the first of the manifest.
        alternatives: ask GrabCut, the random walker and the U-Net too.
        baselines: weights of other trainings, by the name they get in the tables.
        device: `auto`, `cpu` or `cuda[:N]`.
        protocol: how to ask.
    """

    data: Path
    split: str = "test"
    model: str = "uniultra_mini"
    sets: tuple[str, ...] | None = None
    limit: int | None = None
    alternatives: bool = False
    baselines: tuple[tuple[str, str], ...] = ()
    device: str = "auto"
    protocol: schema.Protocol = field(default_factory=schema.Protocol)


def measure(wanted: Wanted) -> tuple[schema.Accuracy, System, list[Row]]:
    """Measure; the results, the model, and the rows that were asked about.

    Raises:
        ImageError: no manifest, or no rows of that split or set.
        ModelError: an unknown model, or one without weights.
        RequestError: an alternative's name is taken, or what it needs is not installed.
    """
    rows = chosen(wanted)
    mine = system(wanted.model, wanted.device)
    others, missing = _others(wanted, mine)
    cases: list[Case] = []
    scores = score(mine.answers, rows, mine.prompts, wanted.protocol, cases=cases, progress=mine.title)
    asked = {name: _asked(other, name, rows, wanted.protocol) for name, other in others.items()}
    trained_on = mine.model.trained_on if mine.model else None
    sets = {name: set_score(some, trained_on) for name, some in by_set(scores).items()}
    found = schema.Accuracy(
        uniultra=__version__,
        made=datetime.now(UTC).date().isoformat(),
        machine=this_machine(choose_device(wanted.device)),
        split=wanted.split,
        limit=wanted.limit,
        model=_model(mine),
        protocol=wanted.protocol,
        sets=sets,
        organs=organs(sets),
        obedience=_obedience(mine, cases, wanted.protocol),
        calibration=calibrations(score.judged for score in scores),
        robustness=jitter(scores),
        cost=_cost(mine, scores),
        alternatives={
            name: _alternative(others[name], scores, theirs, trained_on) for name, theirs in asked.items()
        },
        missing=missing,
        pictures={schema.OWN: scores, **asked},
    )
    return found, mine, rows


def chosen(wanted: Wanted) -> list[Row]:
    """The rows to ask about, set by set.

    Raises:
        ImageError: no manifest, or a set or split that it does not have.
    """
    rows = read_manifest(wanted.data, None, [wanted.split])
    names = list(dict.fromkeys(row.dataset for row in rows))
    for name in wanted.sets or ():
        if name not in names:
            raise ImageError(
                f"The manifest has no rows of set {name!r} in split {wanted.split}; "
                f"it has {', '.join(names)}. Check --sets."
            )
    kept = [name for name in names if wanted.sets is None or name in wanted.sets]
    return [row for name in kept for row in [r for r in rows if r.dataset == name][: wanted.limit]]


def _others(wanted: Wanted, mine: System) -> tuple[dict[str, System], dict[str, str]]:
    """The alternatives by name, and those that cannot be asked with the reason."""
    found = classical(only_ellipse=not wanted.alternatives)
    missing = {}
    if wanted.alternatives and UNET not in dict(wanted.baselines):
        try:
            found[UNET] = system(UNET, wanted.device, title="U-Net, no prompt")
        except ModelError as error:
            missing[UNET] = str(error)
    for name, file in wanted.baselines:
        if name in (schema.OWN, *found):
            raise RequestError(f"The name {name!r} is taken; give that --baseline another one.")
        family = mine.model.name if mine.model else None
        found[name] = system(file, wanted.device, family=family, title=name)
    return found, missing


def _asked(other: System, name: str, rows: list[Row], rule: schema.Protocol) -> list[schema.PictureScore]:
    """An alternative's scores; methods without a network run side by side on all processors, untimed."""
    rule = rule.model_copy(update={"click_jitter": 0})
    workers = min(os.cpu_count() or 1, len(rows) // 4)  # a process takes as long to start as several pictures
    if other.network is not None or name == "ellipse" or workers < 2:
        return score(other.answers, rows, other.prompts, rule, progress=other.title)
    one = partial(_one, other, rule)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(tqdm(pool.map(one, rows), desc=other.title, total=len(rows)))


def _one(other: System, rule: schema.Protocol, row: Row) -> schema.PictureScore:
    [found] = score(other.answers, [row], other.prompts, rule)
    return found.model_copy(update={"seconds_image": None, "seconds_prompt": None})


def _alternative(
    other: System,
    mine: Sequence[schema.PictureScore],
    theirs: Sequence[schema.PictureScore],
    trained_on: Iterable[str] | None,
) -> schema.Alternative:
    # Nothing was trained where there are no weights; such a row stands with the sets as the model saw them.
    saw = other.model.trained_on if other.model else trained_on
    return schema.Alternative(
        title=other.title,
        model=other.model,
        sets={name: set_score(some, saw) for name, some in by_set(theirs).items()},
        differences=differences(mine, theirs),
        cost=_cost(other, theirs),
    )


def _model(mine: System) -> schema.Model:
    if mine.model is None:
        raise ModelError("Expected a model with weights to measure. Check --model.")
    return mine.model


def _obedience(mine: System, cases: list[Case], rule: schema.Protocol) -> schema.ObedienceScore | None:
    if not cases or "mask" not in mine.prompts:
        return None
    found = obedience(mine.answers, cases, scenes=rule.scenes)
    values = {name: value for name, value in asdict(found).items() if name in LIMITS}
    return schema.ObedienceScore(
        values={name: None if math.isnan(value) else value for name, value in values.items()},
        limits=LIMITS,
        failures=tuple(found.failures),
        n_pictures=found.n_pictures,
        n_scenes=found.n_scenes,
    )


def _cost(mine: System, scores: Sequence[schema.PictureScore]) -> schema.Cost:
    timed = {
        key: statistics.median(values)
        for key in ("seconds_image", "seconds_prompt")
        if (values := [v for one in scores if (v := getattr(one, key)) is not None])
    }
    if mine.network is None or mine.entry is None:
        return schema.Cost(**timed)
    prompt = "point" if mine.prompts else "none"
    with torch.no_grad():
        work, pace = count_work(mine.network, prompt), measure_pace(mine.network, prompt, repeats=10)
    return schema.Cost(
        parameters=count_network(mine.network, mine.entry, ()).parameters_total,
        gmac_encode=work.gmac_encode,
        gmac_decode=work.gmac_decode,
        seconds_encode=pace.seconds_encode,
        seconds_decode=pace.seconds_decode,
        **timed,
    )
