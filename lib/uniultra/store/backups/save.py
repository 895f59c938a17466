"""Writes a backup archive of a campaign, also while a server is running."""

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
    BackupManifest,
    Entry,
    belongs,
    copy,
)
from uniultra.store.errors import StoreError
from uniultra.store.labels import records
from uniultra.store.paths import RECORD, mask_path


@dataclass(frozen=True)
class Saved:
    """Summary of a backup.

    Attributes:
        versions: number of label versions.
        files, bytes: number of files and their total size.
        left_out: `<image> <revision>` of versions whose label is damaged or missing.
        sha256: of the archive.
    """

    versions: int
    files: int
    bytes: int
    left_out: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class _Snapshot:
    """A consistent state of a campaign: content of mutable files, paths of immutable ones."""

    content: dict[str, bytes]
    records: tuple[Path, ...]
    others: tuple[Path, ...]


def save(studies: Path, archive: Path, lock: WriteLock) -> Saved:
    """Write the campaign of a studies folder as one zip archive; the images are not in it.

    The lock is held only while the files are listed: label versions never change, so they are copied after
    it is released.

    Raises:
        RequestError: the folder has neither labels nor a campaign, the archive exists already, or it cannot
            be written.
    """
    with lock:
        snapshot = _snapshot(studies)
    if CAMPAIGN not in snapshot.content and not snapshot.records:
        raise RequestError("Expected a studies folder with a campaign or labels; this one has neither.")
    with _new_archive(archive) as packed:
        files: dict[str, Entry] = {}
        left_out = _write(studies, snapshot, packed, files)
        manifest = BackupManifest(uniultra=__version__, made=datetime.now(UTC), files=files)
        packed.writestr(MANIFEST, manifest.model_dump_json(indent=1))
    return Saved(
        versions=len(snapshot.records) - len(left_out),
        files=len(files),
        bytes=sum(entry.bytes for entry in files.values()),
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


def _write(studies: Path, snapshot: _Snapshot, packed: zipfile.ZipFile, files: dict[str, Entry]) -> list[str]:
    """Add the files of a snapshot to an archive and to its manifest; the versions that were left out."""

    def add(name: str, source: IO[bytes]) -> None:
        with source, packed.open(name, "w", force_zip64=True) as target:
            files[name] = copy(source, target)

    left_out = []
    for name, data in snapshot.content.items():
        add(name, BytesIO(data))
    for path in snapshot.others:
        add(_name(studies, path), path.open("rb"))
    for path in snapshot.records:
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
                add(_name(studies, file), file.open("rb"))
    return left_out


@contextmanager
def _new_archive(archive: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to write; it appears at its path only if the block ends without an error."""
    if archive.exists() or archive.is_symlink():
        raise RequestError(
            "Expected the name of a new file for the backup; the file exists. Choose another name."
        )
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
