"""All that is needed to open a unit, fetched by the worker: the file, its place, what was done before."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import UniUltraLibError
from ..prompts.planes import Size
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit, understood
from ..wire.campaign_types import DRAFT, FINAL, PROPOSAL, Masks, Version
from ..wire.client import Client


class Annotator(NamedTuple):
    """Who works; `alone`: without seeing other readers' labels, as the campaign has several."""

    name: str
    alone: bool = False


@dataclass(frozen=True)
class ImagePlace:
    """How the server's file lies in space; `kind`: still, cine or volume; `size`: (I,J,K), or (I,J,T)."""

    kind: str
    size: Size
    ijk_to_ras: np.ndarray


@dataclass(frozen=True)
class Fetched:
    """A unit, ready to be opened.

    Attributes:
        file: the image on this machine, None when it is open already.
        place: of the image.
        versions: of its labels that this annotator may know of, oldest first.
        resume: the version to go on from, with `masks`; judged: it was asked for by its number.
    """

    unit: Unit
    place: ImagePlace
    versions: Tuple[Version, ...] = ()
    file: Optional[Path] = None
    resume: Optional[Version] = None
    masks: Optional[Masks] = None
    judged: bool = False


def next_unit(
    client: Client, strategy: str, who: Annotator, open_image: Optional[str], folder: Path
) -> Optional[Fetched]:
    """The next unit for an annotator, leased; None when nothing is left.

    An image that cannot be had is given back before the error goes on.

    Args:
        open_image: an image that is open here, and is not fetched again.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    unit = campaign_calls.next_unit(client, strategy, who.name)
    if unit is None:
        return None
    try:
        return fetch(client, unit, who, folder, have=open_image == unit.image)
    except Exception:
        with contextlib.suppress(UniUltraLibError):
            campaign_calls.release(client, unit, who.name)
        raise


def fetch(
    client: Client,
    unit: Unit,
    who: Annotator,
    folder: Path,
    *,
    have: bool = False,
    revision: Optional[int] = None,
) -> Fetched:
    """A unit with what was done on it: the version to go on from, or `revision`.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    place = image_place(client, unit.image)
    file = None if have else campaign_calls.image_file(client, unit, folder)
    versions = campaign_calls.versions(client, unit.image)
    resume = to_resume(versions, who)
    if revision is not None:
        resume = next((version for version in versions if version.revision == revision), None)
    masks = None
    if resume is not None and not (have and revision is None):
        masks = campaign_calls.masks(client, unit.image, resume.revision)
    return Fetched(unit, place, tuple(versions), file, resume, masks, revision is not None)


def to_resume(versions: Sequence[Version], who: Annotator) -> Optional[Version]:
    """The version to go on from: the annotator's draft, or what is newer on their line of final versions."""
    drafts = [version for version in versions if version.tag == DRAFT and version.annotator == who.name]
    both = drafts[-1:] + _finals(versions, who)[-1:]
    return max(both, key=lambda version: version.revision, default=None)


def bases(versions: Sequence[Version], who: Annotator, resume: Optional[Version]) -> Dict[str, int]:
    """The newest revision of each line that the annotator knows: what a label of that tag is made from.

    A draft that is gone on with knows no more final labels than it did when it was saved.
    """
    drafts = [version for version in versions if version.tag == DRAFT and version.annotator == who.name]
    finals = _finals(versions, who)
    newest = {tag: line[-1].revision if line else 0 for tag, line in ((DRAFT, drafts), (FINAL, finals))}
    if resume is not None and resume.tag == DRAFT and resume.seen is not None:
        newest[FINAL] = resume.seen
    return newest


def _finals(versions: Sequence[Version], who: Annotator) -> List[Version]:
    """The final versions of the annotator's line, which is everybody's where each unit has one reader."""
    return [
        version
        for version in versions
        if version.tag == FINAL and (not who.alone or version.annotator == who.name)
    ]


def proposals(versions: Sequence[Version]) -> Tuple[Version, ...]:
    """What models proposed."""
    return tuple(version for version in versions if version.tag == PROPOSAL)


def image_place(client: Client, image: str) -> ImagePlace:
    """Where an image lies, as the server's file says.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    geometry = client.transport.json("GET", "/datastore/image/geometry", params={"image": image})
    with understood(client, "image's geometry"):
        i, j, k = (int(n) for n in geometry["size"])
        to_lps = np.eye(4)
        to_lps[:3, :3] = np.reshape([float(n) for n in geometry["direction"]], (3, 3)) * [
            float(n) for n in geometry["spacing"]
        ]
        to_lps[:3, 3] = [float(n) for n in geometry["origin"]]
        return ImagePlace(str(geometry["axis_kind"]), (i, j, k), np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps)
