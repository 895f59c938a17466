"""What a client asks about labels: versions, masks, saving, reviews, agreement. See docs/labels.md."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple
from urllib.parse import quote

from .answers import Agreement, Masks, ToReview, Version
from .client import Client
from .errors import UnexpectedAnswer

_SAME_VERSION = "Check that the server and this module are of the same version."


@contextmanager
def understood(client: Client, what: str) -> Iterator[None]:
    """Turn what goes wrong while an answer is read into `UnexpectedAnswer`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UnexpectedAnswer(client.address, f"its {what} cannot be read.", _SAME_VERSION) from None


def versions(client: Client, image: str) -> List[Version]:
    """The versions of an image's labels, oldest first.

    Raises:
        ServerError: one of its kinds, see `errors`; so for all functions here.
    """
    answer = client.transport.json("GET", f"/labels/{_part(image)}")
    with understood(client, "list of versions"):
        return [Version.of(one) for one in answer["versions"]]


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
    """Say of a version that it is `approved`, `returned`, `flagged`, or `final` again."""
    said = {"state": state, "reviewer": reviewer, "comment": comment}
    client.transport.json("POST", f"/labels/{_part(image)}/{revision}/review", json=said)


def to_review(
    client: Client, states: Sequence[str] = ("final",), limit: int = 100, offset: int = 0
) -> Tuple[List[ToReview], Dict[str, int]]:
    """Each annotator's newest final label of each image in these states, and how many each state has."""
    asked = {"state": list(states), "limit": limit, "offset": offset}
    answer = client.transport.json("GET", "/labels", params=asked)
    with understood(client, "list of labels to review"):
        found = [
            ToReview(
                str(one["image"]),
                int(one["revision"]),
                str(one["annotator"]),
                str(one["state"]),
                str(one["made"]),
                None if one.get("frames") is None else tuple(map(int, one["frames"])),
            )
            for one in answer["labels"]
        ]
        return found, {str(state): int(count) for state, count in answer["counts"].items()}


def agreement(client: Client, image: str) -> List[Agreement]:
    """Dice and HD95 between each two readers of an image, for each structure."""
    answer = client.transport.json("GET", f"/labels/{_part(image)}/agreement")
    with understood(client, "agreement"):
        found = []
        for one in answer["pairs"]:
            first, second = map(str, one["annotators"])
            early, late = map(int, one["revisions"])
            distance = None if one["hd95"] is None else float(one["hd95"])
            unit = str(one["unit"])
            found.append(
                Agreement(
                    (first, second), (early, late), str(one["label"]), float(one["dice"]), distance, unit
                )
            )
        return found


def _part(image: str) -> str:
    return quote(image, safe="")
