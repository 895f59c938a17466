"""The accuracy benchmark: a model, and the systems it is put beside, on pictures of a manifest."""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
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
from uniultra.evaluate.accuracy.comparisons import differences, jitter, organs, set_score
from uniultra.evaluate.machine import this_machine
from uniultra.evaluate.obedience import LIMITS, ObedienceCase, obedience
from uniultra.evaluate.records import EvaluationProtocol, PictureScore
from uniultra.evaluate.scoring import score
from uniultra.evaluate.summaries import Scores, by_set
from uniultra.evaluate.systems import System, system
from uniultra.metrics.calibration import calibrations
from uniultra.metrics.cost import count_work, measure_latency
from uniultra.models.counting import count_network
from uniultra.predict.device import choose_device

UNET = "unet"  # the registry's network of equal cost that takes no prompt


@dataclass(frozen=True)
class AccuracyRequest:
    """What to measure.

    Attributes:
        data: the manifest or its folder.
        split: of the manifest.
        model: a name, a weights file or a folder, see `uniultra.evaluate.systems.system`.
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
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)


def measure(request: AccuracyRequest) -> tuple[schema.Accuracy, System, list[Row]]:
    """Measure; the results, the model, and the rows that were asked about.

    Raises:
        ImageError: no manifest, or no rows of that split or set.
        ModelError: an unknown model, or one without weights.
        RequestError: an alternative's name is taken, or what it needs is not installed.
    """
    rows = chosen(request)
    own = system(request.model, request.device)
    if own.model is None:
        raise ModelError("Expected a model with weights to measure. Check --model.")
    others, missing = _others(request, own)
    cases: list[ObedienceCase] = []
    rule = request.protocol
    scores = score(own.answers, rows, own.prompts, rule, cases=cases, rounded=True, progress=own.title)
    of_others = {name: _scores_of(other, name, rows, rule) for name, other in others.items()}
    trained_on = own.model.trained_on
    sets = {name: set_score(some, trained_on) for name, some in by_set(scores).items()}
    accuracy = schema.Accuracy(
        uniultra=__version__,
        made=datetime.now(UTC).date().isoformat(),
        machine=this_machine(choose_device(request.device)),
        split=request.split,
        limit=request.limit,
        model=own.model,
        protocol=rule,
        sets=sets,
        organs=organs(sets),
        obedience=_obedience(own, cases, rule),
        calibration=calibrations(picture.judged for picture in scores),
        robustness=jitter(scores),
        cost=_cost(own, scores),
        alternatives={
            name: _alternative(others[name], scores, theirs, trained_on) for name, theirs in of_others.items()
        },
        missing=missing,
        pictures={schema.OWN: scores, **of_others},
    )
    return accuracy, own, rows


def chosen(request: AccuracyRequest) -> list[Row]:
    """The rows to ask about, set by set.

    Raises:
        ImageError: no manifest, or a set or split that it does not have.
    """
    rows = read_manifest(request.data, None, [request.split])
    names = list(dict.fromkeys(row.dataset for row in rows))
    for name in request.sets or ():
        if name not in names:
            raise ImageError(
                f"The manifest has no rows of set {name!r} in split {request.split}; "
                f"it has {', '.join(names)}. Check --sets."
            )
    kept = [name for name in names if request.sets is None or name in request.sets]
    return [row for name in kept for row in [r for r in rows if r.dataset == name][: request.limit]]


def _others(request: AccuracyRequest, own: System) -> tuple[dict[str, System], dict[str, str]]:
    """The alternatives by name, and those that cannot be asked with the reason."""
    others = classical(only_ellipse=not request.alternatives)
    missing = {}
    if request.alternatives and UNET not in dict(request.baselines):
        try:
            others[UNET] = system(UNET, request.device, title="U-Net, no prompt")
        except ModelError as error:
            missing[UNET] = str(error)
    for name, file in request.baselines:
        if name in (schema.OWN, *others):
            raise RequestError(f"The name {name!r} is taken; give that --baseline another one.")
        family = own.model.name if own.model else None
        others[name] = system(file, request.device, family=family, title=name)
    return others, missing


def _scores_of(other: System, name: str, rows: list[Row], rule: EvaluationProtocol) -> list[PictureScore]:
    """An alternative's scores; methods without a network run side by side on all processors, untimed."""
    rule = rule.model_copy(update={"click_jitter": 0})
    workers = min(os.cpu_count() or 1, len(rows) // 4)  # a process takes as long to start as several pictures
    if other.network is not None or name == "ellipse" or workers < 2:
        return score(other.answers, rows, other.prompts, rule, rounded=True, progress=other.title)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        scores = pool.map(partial(_untimed, other, rule), rows)
        return list(tqdm(scores, desc=other.title, total=len(rows)))


def _untimed(other: System, rule: EvaluationProtocol, row: Row) -> PictureScore:
    [picture] = score(other.answers, [row], other.prompts, rule, rounded=True)
    return picture.model_copy(update={"seconds_image": None, "seconds_prompt": None})


def _alternative(
    other: System, own: Scores, theirs: Scores, trained_on: Iterable[str] | None
) -> schema.Alternative:
    # Nothing was trained where there are no weights; such a row stands with the sets as the model saw them.
    saw = other.model.trained_on if other.model else trained_on
    return schema.Alternative(
        title=other.title,
        model=other.model,
        sets={name: set_score(some, saw) for name, some in by_set(theirs).items()},
        differences=differences(own, theirs),
        cost=_cost(other, theirs),
    )


def _obedience(
    own: System, cases: list[ObedienceCase], rule: EvaluationProtocol
) -> schema.ObedienceScore | None:
    if not cases or "mask" not in own.prompts:
        return None
    found = obedience(own.answers, cases, scenes=rule.scenes)
    return schema.ObedienceScore(
        values={name: None if math.isnan(value) else value for name, value in found.values.items()},
        limits=LIMITS,
        failures=tuple(found.failures),
        n_pictures=found.n_pictures,
        n_scenes=found.n_scenes,
    )


def _cost(own: System, scores: Scores) -> schema.Cost:
    timed = {
        key: statistics.median(values)
        for key in ("seconds_image", "seconds_prompt")
        if (values := [v for picture in scores if (v := getattr(picture, key)) is not None])
    }
    if own.network is None or own.entry is None:
        return schema.Cost(**timed)
    prompt = "point" if own.prompts else "none"
    with torch.no_grad():
        work, pace = count_work(own.network, prompt), measure_latency(own.network, prompt, repeats=10)
    return schema.Cost(
        parameters=count_network(own.network, own.entry, ()).parameters_total,
        gmac_encode=work.gmac_encode,
        gmac_decode=work.gmac_decode,
        seconds_encode=pace.seconds_encode,
        seconds_decode=pace.seconds_decode,
        **timed,
    )
