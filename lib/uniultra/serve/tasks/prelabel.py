"""Proposals of a model without prompts for the images of a campaign, without a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from uniultra.errors import RequestError, UniUltraError
from uniultra.images import read_image
from uniultra.images.types import Plane, UltrasoundImage
from uniultra.predict import Prediction, Predictor
from uniultra.prompts import PromptSet
from uniultra.store.incoming import proposals
from uniultra.store.store import LabelStore
from uniultra.store.types import FINAL, Origin

Which = Literal["unlabeled", "all"]


@dataclass
class Prelabelled:
    """Ids of the images that were done, and why others were not."""

    saved: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def prelabel(
    store: LabelStore,
    model: str,
    *,
    device: str = "auto",
    label: str | None = None,
    which: Which = "unlabeled",
    limit: int | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Prelabelled:
    """Keep what a model marks on every frame as a label `original` of each image.

    An image that this model has answered already is skipped, so that an interrupted run resumes.

    Args:
        store: of the studies folder; a server may be running on it.
        model: one that answers without prompts.
        device: `auto`, `cpu` or `cuda[:N]`.
        label: name of the structure it marks, where the campaign has several.
        which: images without a final label, or all.
        limit: at most so many images.
        progress: called with the number of images done, and of how many.

    Raises:
        RequestError: the model answers prompts, or marks nothing that the campaign labels.
        ModelError: no such model, or no weights.
    """
    predictor = Predictor(model, device=device)
    if predictor.entry.prompts:
        raise RequestError(
            "Expected a fully automatic model, such as autosamus_mini.TASK; this one answers prompts. See "
            "`uniultra models`."
        )
    named = proposals.structure(store.campaign, model, label)
    current = store.current()
    ids = [image for image in store.images.listed() if which == "all" or (image, FINAL) not in current]
    predictor.warm_up()
    done = Prelabelled()
    for number, image in enumerate(ids[:limit], 1):
        there = current.get((image, proposals.TAG))
        why = proposals.refusal(store, image, proposals.TAG)
        if why is None and there is not None and there.origin.model == model:
            why = "This model's answer is there already."
        if why is not None:
            done.skipped[image] = why
        else:
            try:
                _one(store, predictor, image, named)
                done.saved.append(image)
            except UniUltraError as error:
                done.failed[image] = str(error)
        progress(number, len(ids[:limit]))
    return done


def _one(store: LabelStore, predictor: Predictor, image: str, named: tuple[str, int]) -> None:
    opened = read_image(store.images.path(image))
    marked = np.zeros(opened.shape, bool)
    adapter = None
    for frame in range(opened.shape[0]):
        found = _answer(predictor, opened, frame)
        marked[frame], adapter = found.mask, found.adapter
    origin = Origin(model=found.model, adapter=adapter)
    proposals.propose(store, image, opened, marked, named=named, origin=origin)


def _answer(predictor: Predictor, opened: UltrasoundImage, frame: int) -> Prediction:
    [found] = predictor.predict(opened, Plane("k", frame), [PromptSet()], keep=False)
    return found
