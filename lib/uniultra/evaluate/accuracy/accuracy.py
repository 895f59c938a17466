"""Runs the accuracy benchmark: a model and its alternatives on the pictures of a manifest."""

from __future__ import annotations

import multiprocessing
import os
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
from uniultra.evaluate.obedience import ObedienceCase, obedience
from uniultra.evaluate.records import EvaluationProtocol, PictureScore
from uniultra.evaluate.scoring import score
from uniultra.evaluate.summaries import Scores, by_set, median
from uniultra.evaluate.systems import System, system
from uniultra.metrics.calibration import calibrations
from uniultra.metrics.cost import count_work, measure_latency
from uniultra.models.counting import count_network
from uniultra.predict.device import choose_device

UNET = "unet"  # the registry's prompt-free network of equal cost


@dataclass(frozen=True)
class AccuracyRequest:
    """What to measure.

    Attributes:
        data: the manifest or its folder.
        split: of the manifest.
        model: a name, a weights file or a folder, see `uniultra.evaluate.systems.system`.
        sets: names of the manifest's sets; None takes all sets with rows of the split.
        limit: maximum number of pictures per set, in the manifest's order.
        alternatives: also measure GrabCut, the random walker and the U-Net.
        baselines: weights of other trainings, as (name in the tables, file).
        device: `auto`, `cpu` or `cuda[:N]`.
        protocol: how pictures are prompted and scored.
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
    """Measure a model; returns the results, the model, and the manifest rows that were scored.

    Raises:
        ImageError: no manifest, or no rows of that split or set.
        ModelError: an unknown model, or a model without weights.
        RequestError: an alternative's name is taken, or a package that it needs is not installed.
    """
    rows = chosen(request)
    own = system(request.model, request.device)
    if own.model is None:
        raise ModelError("Expected a model with weights to measure. Check --model.")
    others, missing = _others(request, own)
    cases: list[ObedienceCase] = []
    protocol = request.protocol
    scores = score(own.answers, rows, own.prompts, protocol, cases=cases, rounded=True, progress=own.title)
    of_others = {name: _scores_of(other, name, rows, protocol) for name, other in others.items()}
    trained_on = own.model.trained_on
    sets = {name: set_score(pictures, trained_on) for name, pictures in by_set(scores).items()}
    testable = cases and "mask" in own.prompts
    accuracy = schema.Accuracy(
        uniultra=__version__,
        made=datetime.now(UTC).date().isoformat(),
        machine=this_machine(choose_device(request.device)),
        split=request.split,
        limit=request.limit,
        model=own.model,
        protocol=protocol,
        sets=sets,
        organs=organs(sets),
        obedience=obedience(own.answers, cases, scenes=protocol.scenes) if testable else None,
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
    """The manifest rows to score, set by set.

    Raises:
        ImageError: no manifest, or it lacks the split or a requested set.
    """
    rows = read_manifest(request.data, None, [request.split])
    names = list(dict.fromkeys(row.dataset for row in rows))
    for name in request.sets or ():
        if name not in names:
            raise ImageError(
                f"The manifest has no rows of set {name!r} in split {request.split}; "
                f"it has {', '.join(names)}. Check --sets."
            )
    sets = [name for name in names if request.sets is None or name in request.sets]
    return [row for name in sets for row in [r for r in rows if r.dataset == name][: request.limit]]


def _others(request: AccuracyRequest, own: System) -> tuple[dict[str, System], dict[str, str]]:
    """The alternatives by name, and the reasons why others cannot be measured."""
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


def _scores_of(other: System, name: str, rows: list[Row], protocol: EvaluationProtocol) -> list[PictureScore]:
    """An alternative's scores; methods without a network run in parallel on all processors, untimed."""
    protocol = protocol.model_copy(update={"click_jitter": 0})
    workers = min(os.cpu_count() or 1, len(rows) // 4)  # a process takes as long to start as several pictures
    if other.network is not None or name == "ellipse" or workers < 2:
        return score(other.answers, rows, other.prompts, protocol, rounded=True, progress=other.title)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        scores = pool.map(partial(_untimed, other, protocol), rows)
        return list(tqdm(scores, desc=other.title, total=len(rows)))


def _untimed(other: System, protocol: EvaluationProtocol, row: Row) -> PictureScore:
    [picture] = score(other.answers, [row], other.prompts, protocol, rounded=True)
    return picture.model_copy(update={"seconds_image": None, "seconds_prompt": None})


def _alternative(
    other: System, own: Scores, theirs: Scores, trained_on: Iterable[str] | None
) -> schema.Alternative:
    # A method without weights is not trained: its sets are grouped as seen or unseen like the model's own.
    seen = other.model.trained_on if other.model else trained_on
    return schema.Alternative(
        title=other.title,
        model=other.model,
        sets={name: set_score(pictures, seen) for name, pictures in by_set(theirs).items()},
        differences=differences(own, theirs),
        cost=_cost(other, theirs),
    )


def _cost(own: System, scores: Scores) -> schema.Cost:
    seconds_image = median(picture.seconds_image for picture in scores)
    seconds_prompt = median(picture.seconds_prompt for picture in scores)
    if own.network is None or own.entry is None:
        return schema.Cost(seconds_image=seconds_image, seconds_prompt=seconds_prompt)
    prompt = "point" if own.prompts else "none"
    with torch.no_grad():
        work, pace = count_work(own.network, prompt), measure_latency(own.network, prompt, repeats=10)
    return schema.Cost(
        parameters=count_network(own.network, own.entry, ()).parameters_total,
        gmac_encode=work.gmac_encode,
        gmac_decode=work.gmac_decode,
        seconds_encode=pace.seconds_encode,
        seconds_decode=pace.seconds_decode,
        seconds_image=seconds_image,
        seconds_prompt=seconds_prompt,
    )
