"""What a client asks about units of work: the next one, its lease, its image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from .client import Client
from .client_labels import understood


@dataclass(frozen=True)
class Unit:
    """What is handed out: an image, and of a cine the frame; of a still or volume, frame 0.

    `path` is where the server has the file, which may be a place that this machine sees too. `until` is when
    the lease ends by itself, as the server says it; empty where there is no lease.
    """

    image: str
    frame: int = 0
    path: str = ""
    until: str = ""


def next_unit(client: Client, strategy: str, annotator: str) -> Optional[Unit]:
    """The next unit, leased to `annotator`; None when nothing is left for this person.

    Raises:
        ServerError: one of its kinds, see `errors`; so for all functions here.
    """
    sample = client.next_sample(strategy, client_id=annotator)
    if sample is None:
        return None
    with understood(client, "next image"):
        lease = sample.get("lease") or {}
        frame = int(sample.get("frame") or 0)
        return Unit(str(sample["id"]), frame, str(sample.get("path") or ""), str(lease.get("until") or ""))


def renew(client: Client, unit: Unit, annotator: str) -> str:
    """Work goes on: until when the lease runs now.

    Raises:
        Refused: with status 404, it has ended.
    """
    answer = client.transport.json("POST", "/leases/renew", json=_lease(unit, annotator))
    with understood(client, "lease"):
        return str(answer["until"])


def release(client: Client, unit: Unit, annotator: str) -> None:
    """Give a unit back to whoever asks next."""
    client.transport.json("POST", "/leases/release", json=_lease(unit, annotator))


def skip(client: Client, unit: Unit, annotator: str, reason: str) -> None:
    """Give a unit back for good, with the reason."""
    client.transport.json("POST", "/leases/skip", json={**_lease(unit, annotator), "reason": reason})


def image_file(client: Client, unit: Unit, folder: Path) -> Path:
    """The unit's image on this machine: the server's own file where it is seen here, else a download.

    A file is taken for the server's when it has the same SHA-256. A download lies in `folder`, under a name
    that tells nothing.
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
    except (OSError, ValueError):  # it is not there, or is none of this person's business
        return False
    check = f"SHA256:{digest.hexdigest()}"
    return client.transport.exists("/datastore/image", params={"image": image, "check_sum": check})


def _lease(unit: Unit, annotator: str) -> Dict[str, Any]:
    return {"image": unit.image, "frame": unit.frame, "annotator": annotator}
