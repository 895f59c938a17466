"""The campaign's HTTP calls: units and leases, labels and reviews, trainings. See docs/labels.md.

All functions raise one of the kinds of `ServerError`.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from ..errors import UnexpectedAnswer
from .campaign_types import Agreement, Masks, ToReview, Training, Version
from .client import SAME_VERSION, Client


@contextmanager
def understood(client: Client, what: str) -> Iterator[None]:
    """Raise `UnexpectedAnswer` for what goes wrong while an answer (`what`) is read."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UnexpectedAnswer(client.address, f"its {what} cannot be read.", SAME_VERSION) from None


def versions(client: Client, image: str) -> List[Version]:
    """The versions of an image's labels, oldest first."""
    answer = client.json("GET", f"/labels/{_part(image)}")
    with understood(client, "list of versions"):
        return [Version.of(version) for version in answer["versions"]]


def masks(client: Client, image: str, revision: int) -> Masks:
    """The masks of one version."""
    answer = client.json("GET", f"/labels/{_part(image)}/{revision}/masks")
    with understood(client, "masks of a version"):
        return Masks.of(answer)


def save(client: Client, image: str, tag: str, file: bytes, params: Mapping[str, Any]) -> int:
    """Save a label (NRRD bytes); the revision it became.

    Raises:
        Conflict: a newer one than `params["base_revision"]` stands; nothing was saved.
    """
    answer = client.json(
        "PUT",
        "/datastore/label",
        params={"image": image, "tag": tag},
        data={"params": json.dumps(params, separators=(",", ":"), allow_nan=False)},
        files={"label": ("label.nrrd", file, "application/octet-stream")},
    )
    with understood(client, "answer to a saved label"):
        return int(answer["revision"])


def review(client: Client, image: str, revision: int, state: str, reviewer: str, comment: str = "") -> None:
    """Set a version's state: `approved`, `returned`, `flagged`, or `final` again."""
    body = {"state": state, "reviewer": reviewer, "comment": comment}
    client.json("POST", f"/labels/{_part(image)}/{revision}/review", json=body)


def to_review(client: Client, states: Sequence[str]) -> Tuple[List[ToReview], Dict[str, int]]:
    """Labels to review, and how many labels each state has.

    These are each annotator's newest final label of each image in one of `states`, at most 100.
    """
    answer = client.json("GET", "/labels", params={"state": list(states), "limit": 100})
    with understood(client, "list of labels to review"):
        labels = [ToReview.of(label) for label in answer["labels"]]
        return labels, {str(state): int(count) for state, count in answer["counts"].items()}


def agreement(client: Client, image: str) -> List[Agreement]:
    """Dice and HD95 between every two readers of an image, for each structure."""
    answer = client.json("GET", f"/labels/{_part(image)}/agreement")
    with understood(client, "agreement"):
        return [Agreement.of(pair) for pair in answer["pairs"]]


def _part(name: str) -> str:
    return quote(name, safe="")


@dataclass(frozen=True)
class Unit:
    """What is leased and labelled: an image, or one frame of a cine.

    Attributes:
        image: its ID.
        frame: of a cine; 0 for a still or a volume.
        path: the file on the server, which may be readable on this machine too; empty if unknown.
    """

    image: str
    frame: int = 0
    path: str = ""


def next_unit(client: Client, strategy: str, annotator: str) -> Optional[Unit]:
    """The next unit, leased to `annotator`; None when none is left for this annotator."""
    sample = client.json("POST", f"/activelearning/{_part(strategy)}", json={"client_id": annotator})
    if not sample:
        return None
    with understood(client, "next image"):
        return Unit(str(sample["id"]), int(sample.get("frame") or 0), str(sample.get("path") or ""))


def renew(client: Client, unit: Unit, annotator: str) -> None:
    """Renew a lease.

    Raises:
        Refused: with status 404, the lease has ended.
    """
    client.json("POST", "/leases/renew", json=_lease(unit, annotator))


def release(client: Client, unit: Unit, annotator: str) -> None:
    """End a lease, so that the unit goes to the next annotator."""
    client.json("POST", "/leases/release", json=_lease(unit, annotator))


def skip(client: Client, unit: Unit, annotator: str, reason: str) -> None:
    """Skip a unit: this annotator is never asked for it again."""
    client.json("POST", "/leases/skip", json={**_lease(unit, annotator), "reason": reason})


def image_file(client: Client, unit: Unit, folder: Path) -> Path:
    """The unit's image on this machine: the server's own file where it is readable here, else a download.

    A file counts as the server's if its SHA-256 is the same. A download lies in `folder`, under a name that
    says nothing about the image.
    """
    if unit.path and _same(client, unit.image, Path(unit.path)):
        return Path(unit.path)
    name = hashlib.sha256(unit.image.encode()).hexdigest()[:16]
    return client.download_image(unit.image, folder / name)


def _same(client: Client, image: str, file: Path) -> bool:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except (OSError, ValueError):  # missing here, or not readable for this person
        return False
    check = f"SHA256:{digest.hexdigest()}"
    return client.exists("/datastore/image", params={"image": image, "check_sum": check})


def _lease(unit: Unit, annotator: str) -> Dict[str, Any]:
    return {"image": unit.image, "frame": unit.frame, "annotator": annotator}


def start_training(client: Client, model: str, options: Mapping[str, Any], annotator: str) -> None:
    """Start a training of `model` on the campaign's labels, or resume the one that was stopped.

    Args:
        options: of the server's trainer, such as `steps` and `rate`.
    """
    body: Dict[str, Any] = {**options, "client_id": annotator}
    client.json("POST", f"/train/{_part(model)}", json=body)


def stop_training(client: Client) -> None:
    """Stop the training under way; its progress is kept."""
    client.json("DELETE", "/train/")


def training(client: Client) -> Training:
    """The newest training, with its curve."""
    answer = client.json("GET", "/train/curve")
    with understood(client, "training"):
        return Training.of(answer)
