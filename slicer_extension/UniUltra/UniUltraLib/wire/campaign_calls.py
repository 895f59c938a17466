"""The campaign's HTTP calls: units and leases, labels and reviews, trainings. See docs/labels.md.

All functions raise one of the kinds of `ServerError`.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar
from urllib.parse import quote

from ..errors import UnexpectedAnswer
from .campaign_types import Agreement, Masks, ToReview, Training, Version
from .client import Client

T = TypeVar("T")
_SAME_VERSION = "Check that the server and this module are of the same version."


@contextmanager
def understood(client: Client, what: str) -> Iterator[None]:
    """Turn errors while an answer is read into `UnexpectedAnswer`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UnexpectedAnswer(client.address, f"its {what} cannot be read.", _SAME_VERSION) from None


def versions(client: Client, image: str) -> List[Version]:
    """The versions of an image's labels, oldest first."""
    answer = client.transport.json("GET", f"/labels/{_part(image)}")
    with understood(client, "list of versions"):
        return [Version.of(version) for version in answer["versions"]]


def masks(client: Client, image: str, revision: int) -> Masks:
    """The masks of one version."""
    answer = client.transport.json("GET", f"/labels/{_part(image)}/{revision}/masks")
    with understood(client, "masks of a version"):
        return Masks.of(answer)


def save(client: Client, image: str, tag: str, file: bytes, params: Mapping[str, Any]) -> int:
    """Save a label (NRRD bytes); the revision it became.

    Raises:
        Conflict: a newer one than `params["base_revision"]` stands; nothing was saved.
    """
    answer = client.transport.json(
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
    client.transport.json("POST", f"/labels/{_part(image)}/{revision}/review", json=body)


def to_review(
    client: Client, states: Sequence[str] = ("final",), limit: int = 100, offset: int = 0
) -> Tuple[List[ToReview], Dict[str, int]]:
    """Each annotator's newest final label of each image in these states, and how many each state has."""
    query = {"state": list(states), "limit": limit, "offset": offset}
    answer = client.transport.json("GET", "/labels", params=query)
    with understood(client, "list of labels to review"):
        labels = [
            ToReview(
                str(label["image"]),
                int(label["revision"]),
                str(label["annotator"]),
                str(label["state"]),
                str(label["made"]),
                None if label.get("frames") is None else tuple(map(int, label["frames"])),
            )
            for label in answer["labels"]
        ]
        return labels, {str(state): int(count) for state, count in answer["counts"].items()}


def agreement(client: Client, image: str) -> List[Agreement]:
    """Dice and HD95 between each two readers of an image, for each structure."""
    answer = client.transport.json("GET", f"/labels/{_part(image)}/agreement")
    with understood(client, "agreement"):
        return [
            Agreement(
                _two(pair["annotators"], str),
                _two(pair["revisions"], int),
                str(pair["label"]),
                float(pair["dice"]),
                None if pair["hd95"] is None else float(pair["hd95"]),
                str(pair["unit"]),
            )
            for pair in answer["pairs"]
        ]


def _two(values: Any, kind: Callable[[Any], T]) -> Tuple[T, T]:
    first, second = map(kind, values)
    return first, second


def _part(image: str) -> str:
    return quote(image, safe="")


@dataclass(frozen=True)
class Unit:
    """What is leased: an image, and of a cine the frame; of a still or volume, frame 0.

    `path` is where the server has the file, which may be a place that this machine sees too. `until` is when
    the lease ends by itself, as the server says it; empty where there is no lease.
    """

    image: str
    frame: int = 0
    path: str = ""
    until: str = ""


def next_unit(client: Client, strategy: str, annotator: str) -> Optional[Unit]:
    """The next unit, leased to `annotator`; None when nothing is left for this annotator."""
    sample = client.next_sample(strategy, client_id=annotator)
    if sample is None:
        return None
    with understood(client, "next image"):
        lease = sample.get("lease") or {}
        frame = int(sample.get("frame") or 0)
        return Unit(str(sample["id"]), frame, str(sample.get("path") or ""), str(lease.get("until") or ""))


def renew(client: Client, unit: Unit, annotator: str) -> str:
    """Renew a lease; returns until when it runs.

    Raises:
        Refused: with status 404, it has ended.
    """
    answer = client.transport.json("POST", "/leases/renew", json=_lease(unit, annotator))
    with understood(client, "lease"):
        return str(answer["until"])


def release(client: Client, unit: Unit, annotator: str) -> None:
    """Give a unit back, for the next annotator."""
    client.transport.json("POST", "/leases/release", json=_lease(unit, annotator))


def skip(client: Client, unit: Unit, annotator: str, reason: str) -> None:
    """Skip a unit for good, with the reason."""
    client.transport.json("POST", "/leases/skip", json={**_lease(unit, annotator), "reason": reason})


def image_file(client: Client, unit: Unit, folder: Path) -> Path:
    """The unit's image on this machine: the server's own file where it is seen here, else a download.

    A file counts as the server's when it has the same SHA-256. A download lies in `folder`, under a name that
    says nothing about the image.
    """
    own = Path(unit.path) if unit.path else None
    if own is not None and _same(client, unit.image, own):
        return own
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
    return client.transport.exists("/datastore/image", params={"image": image, "check_sum": check})


def _lease(unit: Unit, annotator: str) -> Dict[str, Any]:
    return {"image": unit.image, "frame": unit.frame, "annotator": annotator}


def start_training(client: Client, model: str, options: Mapping[str, Any], annotator: str) -> None:
    """Start a training of `model` on the campaign's labels, or resume the one that was stopped.

    Args:
        options: those that the server's trainer names, such as `steps` and `rate`.
    """
    body: Dict[str, Any] = {**options, "client_id": annotator}
    client.transport.json("POST", f"/train/{quote(model, safe='')}", json=body)


def stop_training(client: Client) -> None:
    """Stop the training that runs; what it has done is kept."""
    client.transport.json("DELETE", "/train/")


def training(client: Client) -> Training:
    """The newest training, with its curve."""
    answer = client.transport.json("GET", "/train/curve")
    with understood(client, "training"):
        return replace(Training.of(answer), adapter=answer.get("adapter"))
