"""What a model says of an image before anybody looks at it: kept beside people's labels, never over one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError
from uniultra.images import write_mask
from uniultra.images.types import UltrasoundImage
from uniultra.store.campaign.file import Campaign
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion, Origin

TAG = "original"


class TakenError(RequestError):
    """A label that a proposal would stand in the place of."""


def structure(campaign: Campaign, model: str, named: str | None = None) -> tuple[str, int]:
    """Name and index of what a model without prompts marks.

    That is what somebody `named`; else the structure of the model's task (`autosamus_mini.TASK`); else the
    only one that the campaign has.

    Raises:
        RequestError: it is none of the campaign's.
    """
    indices, task = campaign.indices, model.partition(".")[2]
    if not indices:
        return named or task or "structure", 1
    wanted = named or task
    for name, index in indices.items():
        if wanted and _plain(name) == _plain(wanted):
            return name, index
    if named is None and len(indices) == 1:
        return next(iter(indices.items()))
    raise RequestError(
        f"Expected one of the campaign's structures ({', '.join(indices)}) for what this model marks; "
        "got another, or none. Name it as label."
    )


def refusal(store: LabelStore, image: str, tag: str) -> str | None:
    """Why a proposal for an image must not be kept under a tag: somebody's label stands there."""
    there = store.current([image]).get((image, tag))
    if there is None or _by_model(there):
        return None
    return "Somebody's label has that tag; it stays."


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
    """Keep what a model marked.

    Args:
        store: the label store.
        image: id.
        opened: the same image.
        marked: `(T,H,W)`.
        named: name and index of the structure, see `structure`.
        origin: the model, and its adapter.
        frames: those that it looked at; None for all.
        tag: of the label; ext: of its file.
        info: what else is known.

    Raises:
        TakenError: somebody's label stands there.
        ImageError: the mask does not fit the image.
    """
    name, index = named
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        file = Path(folder) / f"proposal{ext}"
        write_mask(marked.astype(np.uint8) * np.uint8(index), opened, file)
        with store.lock:  # nobody saves between the look and the label
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


def _by_model(version: LabelVersion) -> bool:
    return version.info.get("proposed") is True and not version.annotator


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
