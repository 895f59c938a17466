"""The spool: labels that the server does not have yet, as files on this machine.

A file holds masks and how they were made, but not the image's ID, which may hold a patient's name. It holds
a salted hash of the ID instead, from which a later session finds the image among those of the server.
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
    """Unsent work that cannot be written or read."""


@dataclass(frozen=True)
class Unsent:
    """A label that the server does not have yet.

    Attributes:
        key: idempotency key of the label; keys sort in the order of submission.
        address: of the server.
        salt, digest: salted SHA-256 of the image's ID.
        tag: `draft` or `final`.
        base: the newest revision of this tag that the annotator has seen.
        params: the label's metadata, see `provenance.params_of`.
        refused: the server's reason to reject the label; else empty.
        newer: revision of the newer version that the label conflicts with; else None.
        image: the image's ID, while this session knows it; never written to the file.
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
        """Whether this is a label of `image`."""
        return self.image == image or self.digest == _digest(self.salt, image)

    @property
    def ready(self) -> bool:
        """Whether it can be sent without a decision of the annotator."""
        return not self.refused and self.newer is None

    def resolved(self, images: Iterable[str]) -> Optional[Unsent]:
        """The same label with its image's ID, looked up among `images`; None if it is not among them."""
        if self.image is not None:
            return self
        image = next((image for image in images if self.names(image)), None)
        return None if image is None else replace(self, image=image)


class Spool:
    """The folder of unsent labels.

    Raises, in `add` and `label`:
        SpoolError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: Optional[Dict[str, Unsent]] = None

    def add(
        self, address: str, image: str, tag: str, base: int, label: bytes, params: Dict[str, Any]
    ) -> Unsent:
        """Store a label; it is on the disk when this returns."""
        salt = secrets.token_hex(8)
        key = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
        entry = Unsent(key, address, salt, _digest(salt, image), tag, base, params, image=image)
        entries = self._all()  # read before the new one is written
        # The record comes last: without it, the next session ignores a label that is written in part.
        self._write(self._path(entry.key, _LABEL), label)
        self._keep(entry)
        entries[entry.key] = entry
        return entry

    def change(self, key: str, **values: Any) -> None:
        """Change fields of a label, unless it was removed meanwhile."""
        if key in self._all():
            entry = self._all()[key] = replace(self._all()[key], **values)
            with contextlib.suppress(SpoolError):  # at worst the server tells the next session again
                self._keep(entry)

    def remove(self, key: str) -> None:
        """Delete a label that was sent or discarded."""
        self._all().pop(key, None)
        for ending in (_RECORD, _LABEL):
            with contextlib.suppress(OSError):  # at worst it is sent again: the server knows its key
                self._path(key, ending).unlink()

    def label(self, entry: Unsent) -> bytes:
        """The label file (NRRD)."""
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
        entries = []
        for path in sorted(self._folder.glob(f"*{_RECORD}")):
            try:
                record = json.loads(path.read_text("utf-8"))
                if record.pop("format") == _FORMAT and path.with_suffix(_LABEL).is_file():
                    entries.append(Unsent(**record))
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue  # written in part, or by another program
        return entries

    def _keep(self, entry: Unsent) -> None:
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
                f"The label cannot be stored on this machine ({error.strerror}). Free some space, or choose "
                "another folder for unsent work, then submit again."
            ) from None

    def _path(self, key: str, ending: str) -> Path:
        return self._folder / f"{key}{ending}"


def _digest(salt: str, image: str) -> str:
    return hashlib.sha256(f"{salt}:{image}".encode()).hexdigest()
