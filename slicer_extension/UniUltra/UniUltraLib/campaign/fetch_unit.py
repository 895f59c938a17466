"""Fetch what is needed to open a unit, on the worker's thread: image, geometry, versions of its label."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit, understood
from ..wire.campaign_types import DRAFT, FINAL, Masks, Version
from ..wire.client import Client
from .label_map import Place


class Annotator(NamedTuple):
    """Who labels; `alone`: without seeing other readers' labels, because the campaign has several readers."""

    name: str
    alone: bool = False


@dataclass(frozen=True)
class Fetched:
    """A unit, ready to be opened.

    Attributes:
        place: the image and its geometry, as the server has it.
        versions: of its label, oldest first.
        file: the image on this machine; None if it is open already.
        resume: the version to resume from; None for an image without a label.
        masks: of that version; None if they are in the scene already.
        judged: the version was requested by its number, to be reviewed.
    """

    unit: Unit
    place: Place
    versions: Tuple[Version, ...] = ()
    file: Optional[Path] = None
    resume: Optional[Version] = None
    masks: Optional[Masks] = None
    judged: bool = False


def next_unit(
    client: Client, strategy: str, who: Annotator, open_image: Optional[str], folder: Path
) -> Optional[Fetched]:
    """The next unit, leased to an annotator; None when none is left.

    If its image cannot be fetched, the lease is ended before the error is raised.

    Args:
        open_image: an image that is open here and is not fetched again.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    unit = campaign_calls.next_unit(client, strategy, who.name)
    if unit is None:
        return None
    try:
        fetched = fetch(client, unit, who, folder, have=open_image == unit.image)
        client.check_cancelled()  # nobody takes the result of a cancelled job, so its lease ends here
        return fetched
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
    """Fetch a unit with the version to resume from, or with version `revision`.

    Args:
        have: the image is open here; its file, and the masks to resume from, are not fetched.

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
    """The version to resume from: the annotator's newest draft, or a newer final version that they see."""
    newest = [line[-1] for line in _lines(versions, who).values() if line]
    return max(newest, key=lambda version: version.revision, default=None)


def bases(versions: Sequence[Version], who: Annotator, resume: Optional[Version]) -> Dict[str, int]:
    """The base revision of a new label, by tag: the newest draft and final version that the annotator knows.

    After resuming a draft, the annotator knows no newer final version than when the draft was saved.
    """
    newest = {tag: line[-1].revision if line else 0 for tag, line in _lines(versions, who).items()}
    if resume is not None and resume.tag == DRAFT and resume.seen is not None:
        newest[FINAL] = resume.seen
    return newest


def _lines(versions: Sequence[Version], who: Annotator) -> Dict[str, List[Version]]:
    """The annotator's own drafts, and the final versions: everybody's if each unit has one reader."""
    own = [version for version in versions if version.annotator == who.name]
    return {
        DRAFT: [version for version in own if version.tag == DRAFT],
        FINAL: [version for version in (own if who.alone else versions) if version.tag == FINAL],
    }


def image_place(client: Client, image: str) -> Place:
    """The geometry of an image on the server.

    Raises:
        ServerError: one of its kinds, see `errors`.
    """
    geometry = client.json("GET", "/datastore/image/geometry", params={"image": image})
    with understood(client, "image's geometry"):
        i, j, k = (int(n) for n in geometry["size"])
        to_lps = np.eye(4)
        to_lps[:3, :3] = np.reshape([float(n) for n in geometry["direction"]], (3, 3)) * [
            float(n) for n in geometry["spacing"]
        ]
        to_lps[:3, 3] = [float(n) for n in geometry["origin"]]
        to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps
        return Place(image, str(geometry["axis_kind"]), (i, j, k), to_ras)
