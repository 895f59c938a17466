"""Unpacks an untrusted archive into an empty folder; anything unlike a backup is refused."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from pydantic import ValidationError

from uniultra.errors import RequestError
from uniultra.store.backups.layout import MANIFEST, BackupManifest, Entry, belongs, copy, refusal

MAX_FILES = 5_000_000
MAX_MANIFEST = 1 << 30
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)


def unpack(archive: Path, folder: Path, limit: int) -> BackupManifest:
    """Write the files of a backup into `folder`, each compared with the manifest's hash.

    Args:
        archive: as `save` wrote it.
        folder: empty; nothing outside it is touched.
        limit: maximum unpacked size in bytes.

    Raises:
        RequestError: damaged, not a backup, larger than the limit or the free disk space, or with a path,
            link or file that no backup has.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = packed.infolist()
            manifest = _manifest(packed, entries)
            _check(entries, manifest, min(limit, shutil.disk_usage(folder).free))
            for entry in entries:
                if entry.filename != MANIFEST:
                    _extract(packed, entry, folder, manifest.files[entry.filename])
    except _DAMAGE:
        raise refusal("it is damaged, cut off or cannot be read") from None
    return manifest


def _manifest(packed: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> BackupManifest:
    if len(entries) > MAX_FILES:
        raise refusal("it has too many files")
    named = [entry for entry in entries if entry.filename == MANIFEST]
    if len(named) != 1 or named[0].file_size > MAX_MANIFEST:
        raise refusal("it has no manifest")
    try:
        with packed.open(named[0]) as file:
            return BackupManifest.model_validate_json(file.read(named[0].file_size + 1))
    except ValidationError:
        raise refusal("its manifest is damaged or of a newer version") from None


def _check(entries: list[zipfile.ZipInfo], manifest: BackupManifest, limit: int) -> None:
    """Validate every entry before any is unpacked."""
    listed = manifest.files
    names = [entry.filename for entry in entries if entry.filename != MANIFEST]
    distinct = len({name.casefold() for name in names}) == len(names)
    sizes = all(
        entry.file_size == listed[entry.filename].bytes for entry in entries if entry.filename in listed
    )
    for valid, problem in (
        (distinct and set(names) == listed.keys(), "its files are not those of its manifest"),
        (all(map(belongs, names)), "it has a file where no backup has one"),
        (all(map(_is_file, entries)), "it has a link or another entry that is no file"),
        (all(map(_is_plain, entries)), "it uses encryption or another compression"),
        (sizes, "its files have other sizes than its manifest says"),
    ):
        if not valid:
            raise refusal(problem)
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        raise RequestError(
            f"Expected a backup that unpacks to at most {limit:,} bytes; this one has {total:,}. "
            "Free disk space, or raise --limit-gb if you trust its source."
        )


def _extract(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, expected: Entry) -> None:
    target = folder / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    with packed.open(entry) as source, target.open("xb") as file:
        if copy(source, file, expected.bytes) != expected:
            raise refusal("a file is not what its manifest says")


def _is_file(entry: zipfile.ZipInfo) -> bool:
    return stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG) and not entry.is_dir()


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    encrypted = entry.flag_bits & 1
    return not encrypted and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
