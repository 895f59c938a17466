"""The outbox's folder: labels that the server does not have yet, as files of this machine.

A file holds masks and how they came about. It names no image: the id, which may be made of a patient's name,
is kept as a salted hash, and found again among the ids of the server's images.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from ..errors import UniUltraLibError

_FORMAT = 1
_RECORD, _LABEL = ".json", ".nrrd"


class SpoolError(UniUltraLibError):
    """Unsent work that cannot be kept or read."""


@dataclass(frozen=True)
class Unsent:
    """A label on its way; `refused` and `newer` say why it waits for the person, see `Outbox`.

    Attributes:
        key: of this label; the server saves one version for it, however often it is sent.
        address: the server's; salt, digest: of the image's id.
        tag, params: as they are sent, `params` without what is here already.
        base: the newest revision of the line that the person has seen.
        refused: why the server does not want it, in its words; else empty.
        newer: of a conflict, the revision that stands in the way; else None.
        image: its id, while this session knows it; never in the file.
    """

    key: str
    address: str
    salt: str
    digest: str
    tag: str
    base: int
    params: Dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    newer: Optional[int] = None
    image: Optional[str] = None

    def names(self, image: str) -> bool:
        """Whether it is a label of this image."""
        return self.image == image or self.digest == _digest(self.salt, image)

    @property
    def ready(self) -> bool:
        """Whether it can be sent without a decision of the person."""
        return not self.refused and self.newer is None

    def resolved(self, images: Iterable[str]) -> Optional[Unsent]:
        """The same with its image's id, found among the server's; None when that is missing."""
        if self.image is not None:
            return self
        image = next((image for image in images if self.names(image)), None)
        return None if image is None else replace(self, image=image)


class Spool:
    """The folder of unsent labels; None for a session that keeps them in memory only.

    Raises, in `add` and `label`:
        SpoolError: the folder cannot be used.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self._folder = folder
        self._labels: Dict[str, bytes] = {}
        self._entries: Optional[Dict[str, Unsent]] = None

    def add(
        self, address: str, image: str, tag: str, base: int, label: bytes, params: Dict[str, Any]
    ) -> Unsent:
        """Keep a label; it is on the disk when this returns."""
        salt = secrets.token_hex(8)
        # By their keys they are sorted in the order in which they were made, which is that of sending.
        key = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
        entry = Unsent(key, address, salt, _digest(salt, image), tag, base, params, image=image)
        entries = self._all()  # read before the new one is written
        if self._folder is None:
            self._labels[entry.key] = label
        else:
            self._write(self._path(entry.key, _LABEL), label)
            self._keep(entry)
        entries[entry.key] = entry
        return entry

    def change(self, key: str, **values: Any) -> None:
        """Note another base, a refusal, a conflict or the image, unless the person gave the label up."""
        if key in self._all():
            entry = self._all()[key] = replace(self._all()[key], **values)
            with contextlib.suppress(SpoolError):  # at worst the next session learns it again
                self._keep(entry)

    def remove(self, key: str) -> None:
        """Forget a label that was sent, or that the person gave up."""
        self._all().pop(key, None)
        self._labels.pop(key, None)
        if self._folder is not None:
            for ending in (_RECORD, _LABEL):
                with contextlib.suppress(OSError):  # at worst it is sent again: the server knows its key
                    self._path(key, ending).unlink()

    def label(self, entry: Unsent) -> bytes:
        """The label file."""
        if self._folder is None:
            return self._labels[entry.key]
        try:
            return self._path(entry.key, _LABEL).read_bytes()
        except OSError:
            text = "An unsent label cannot be read from this disk any more. Submit it again."
            raise SpoolError(text) from None

    def waiting(self, address: str) -> List[Unsent]:
        """The labels for a server, oldest first."""
        return [entry for entry in self._all().values() if entry.address == address]

    def _all(self) -> Dict[str, Unsent]:
        if self._entries is None:
            self._entries = {entry.key: entry for entry in self._read()}
        return self._entries

    def _read(self) -> List[Unsent]:
        if self._folder is None or not self._folder.is_dir():
            return []
        entries = []
        for path in sorted(self._folder.glob(f"*{_RECORD}")):
            try:
                record = json.loads(path.read_text("utf-8"))
                if record.pop("format") == _FORMAT and path.with_suffix(_LABEL).is_file():
                    entries.append(Unsent(**record))
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue  # half of a file, or another program's
        return entries

    def _keep(self, entry: Unsent) -> None:
        if self._folder is None:
            return
        record = {"format": _FORMAT, **asdict(entry)}
        del record["image"]
        self._write(self._path(entry.key, _RECORD), json.dumps(record).encode())

    def _write(self, path: Path, data: bytes) -> None:
        part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(str(part), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        except OSError as error:
            raise SpoolError(
                f"The label cannot be kept on this machine ({error.strerror}). Free some space, or choose "
                "another folder for unsent work, then submit again."
            ) from None

    def _path(self, key: str, ending: str) -> Path:
        return (self._folder or Path()) / f"{key}{ending}"


def _digest(salt: str, image: str) -> str:
    return hashlib.sha256(f"{salt}:{image}".encode()).hexdigest()
