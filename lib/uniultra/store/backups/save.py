"""The archive of a campaign, from a server that may be running."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO

from uniultra import __version__
from uniultra.errors import RequestError
from uniultra.files import atomic
from uniultra.files.checksummed import sha256
from uniultra.files.lock import WriteLock
from uniultra.store.backups.layout import (
    ADAPTERS,
    CAMPAIGN,
    MANIFEST,
    SINGLE,
    VERSIONS,
    Entry,
    Manifest,
    belongs,
    copied,
)
from uniultra.store.errors import StoreError
from uniultra.store.labels import records
from uniultra.store.paths import RECORD, mask_path


@dataclass(frozen=True)
class Saved:
    """What went into a backup.

    Attributes:
        versions: how many versions of labels.
        files: how many files, and their bytes.
        left_out: `<image> <revision>` of versions whose label is damaged or gone.
        sha256: of the archive.
    """

    versions: int
    files: int
    bytes: int
    left_out: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class _Snapshot:
    """The state of a campaign at one moment: what changes in full, of the rest the names."""

    content: dict[str, bytes]
    records: tuple[Path, ...]
    others: tuple[Path, ...]


def save(studies: Path, archive: Path, lock: WriteLock) -> Saved:
    """Write the campaign of a studies folder as one zip archive; the images are not in it.

    Nobody waits longer than it takes to list the labels: their versions never change, so that they are
    copied while the work goes on.

    Raises:
        RequestError: the folder has no labels and no campaign, the archive is there already, or it cannot
            be written.
    """
    with lock:
        found = _snapshot(studies)
    if CAMPAIGN not in found.content and not found.records:
        raise RequestError("Expected a studies folder with a campaign or labels; this one has neither.")
    with _new_archive(archive) as packed:
        writer = _Writer(packed)
        left_out = _write(studies, found, writer)
        manifest = Manifest(uniultra=__version__, made=datetime.now(UTC), files=writer.files)
        packed.writestr(MANIFEST, manifest.model_dump_json(indent=1))
    return Saved(
        versions=len(found.records) - len(left_out),
        files=len(writer.files),
        bytes=sum(entry.bytes for entry in writer.files.values()),
        left_out=tuple(left_out),
        sha256=sha256(archive),
    )


def _snapshot(studies: Path) -> _Snapshot:
    content = {name: (studies / name).read_bytes() for name in SINGLE if (studies / name).is_file()}
    versions = (studies / VERSIONS).glob("*/*.json")
    adapters = studies / ADAPTERS
    pointers = [path for path in adapters.glob("*") if path.is_file()]  # which of them is in service
    content |= {_name(studies, path): path.read_bytes() for path in pointers}
    rest = (path for path in adapters.glob("*/**/*") if path.is_file() and not path.is_symlink())
    return _Snapshot(
        {name: data for name, data in content.items() if belongs(name)},
        tuple(sorted(path for path in versions if RECORD.fullmatch(path.name))),
        tuple(sorted(path for path in rest if belongs(_name(studies, path)))),
    )


def _write(studies: Path, found: _Snapshot, writer: _Writer) -> list[str]:
    left_out = []
    for name, data in found.content.items():
        writer.add(name, BytesIO(data))
    for path in found.others:
        writer.add(_name(studies, path), path.open("rb"))
    for path in found.records:
        try:
            version = records.read_version(path)
            mask = mask_path(studies, version)
            if sha256(mask) != version.sha256:
                raise ValueError("changed")
        except (ValueError, OSError, StoreError):
            left_out.append(f"{path.parent.name} {path.stem}")
            continue
        reviews = (p for p in path.parent.iterdir() if p.name.startswith(f"{version.revision}.review-"))
        for file in (mask, path, *sorted(reviews)):
            if belongs(_name(studies, file)):
                writer.add(_name(studies, file), file.open("rb"))
    return left_out


class _Writer:
    """Adds files to an archive and notes their hashes."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self.files: dict[str, Entry] = {}

    def add(self, name: str, source: IO[bytes]) -> None:
        with source, self._packed.open(name, "w", force_zip64=True) as target:
            self.files[name] = copied(source, target)


@contextmanager
def _new_archive(archive: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to write, which is at its place when the block ends well."""
    if archive.exists() or archive.is_symlink():
        raise RequestError("Expected the name of a new file for the backup; there is one. Choose another.")
    try:
        with atomic.staged(archive.parent) as temporary:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
                    yield packed
                file.flush()
                os.fsync(file.fileno())
            atomic.move(temporary, archive)
    except OSError:
        raise RequestError(
            "The backup could not be written: a file cannot be read, or the disk is full. Nothing was left."
        ) from None


def _name(studies: Path, path: Path) -> str:
    return path.relative_to(studies).as_posix()
