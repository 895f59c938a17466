"""Saves a model's proposals beside people's labels; a person's label is never replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError
from uniultra.images.types import UltrasoundImage
from uniultra.store.campaign.file import Campaign
from uniultra.store.labels.labelmap import label_file
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Origin

TAG = "original"


class TakenError(RequestError):
    """The proposal would replace a person's label."""


def structure(campaign: Campaign, model: str, named: str | None = None) -> tuple[str, int]:
    """Name and index of the structure that a fully automatic model segments.

    It is the structure `named` in the request; else that of the model's task (`autosamus_mini.TASK`); else
    the only one of the campaign.

    Raises:
        RequestError: the campaign has no such structure.
    """
    indices, task = campaign.indices, model.partition(".")[2]
    if not indices:
        return named or task or "structure", 1
    requested = named or task
    for name, index in indices.items():
        if requested and _plain(name) == _plain(requested):
            return name, index
    if named is None and len(indices) == 1:
        return next(iter(indices.items()))
    raise RequestError(
        f"Expected one of the campaign's structures ({', '.join(indices)}) for this model's output; "
        "got none of them. Name one as label."
    )


def refusal(store: LabelStore, image: str, tag: str) -> str | None:
    """Why a proposal for an image must not be saved under a tag: a person's label has it."""
    newest = store.current([image]).get((image, tag))
    if newest is None or (newest.info.get("proposed") is True and not newest.annotator):
        return None
    return "A person's label has that tag; it is kept."


def propose(
    store: LabelStore,
    image: str,
    opened: UltrasoundImage,
    marked: NDArray[np.bool_],
    *,
    named: tuple[str, int],
    origin: Origin,
    frames: Iterable[int] | None = None,
    tag: str = TAG,
    ext: str = ".nrrd",
    info: Mapping[str, Any] | None = None,
) -> LabelVersion:
    """Save a proposal of a model.

    Args:
        store: the label store.
        image: id.
        opened: the same image.
        marked: mask `(T,H,W)`.
        named: name and index of the structure, see `structure`.
        origin: the model, and its adapter.
        frames: segmented frames; None for all.
        tag: of the label; ext: of its file.
        info: further data.

    Raises:
        TakenError: a person's label has the tag.
        ImageError: the mask does not fit the image.
    """
    name, index = named
    values = marked.astype(np.uint8) * np.uint8(index)
    # under the lock, so that no label is saved between the check and the proposal
    with label_file(values, opened, ext) as file, store.lock:
        if why := refusal(store, image, tag):
            raise TakenError(why)
        return store.save(
            image,
            file,
            tag=tag,
            frames=range(opened.shape[0]) if frames is None else frames,
            origin=origin,
            labels={**store.campaign.indices, name: index},
            info={**(info or {}), "model": origin.model, "proposed": True},
        )


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
