"""Restores a backup after its whole content has been validated."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uniultra.errors import RequestError
from uniultra.files import atomic
from uniultra.files.checksummed import sha256
from uniultra.files.lock import WriteLock
from uniultra.store.backups.layout import ADAPTERS, CAMPAIGN, SINGLE, VERSIONS, plain, refusal, relative
from uniultra.store.backups.unpack import unpack
from uniultra.store.campaign import file, folder_identity
from uniultra.store.catalogue.ids import is_tag
from uniultra.store.errors import StoreError
from uniultra.store.index.journal import Event, Journal
from uniultra.store.labels import records
from uniultra.store.labels.files import EXTENSIONS, check_decodable
from uniultra.store.paths import LABELS, PRIVATE, RECORD, mask_path

LIMIT = 64 << 30  # bytes
_HEX = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class Restored:
    """Numbers of restored label versions, and of files in all."""

    versions: int
    files: int


def restore(archive: Path, studies: Path, *, limit: int = LIMIT) -> Restored:
    """Restore a backup into a studies folder without a campaign; the folder may have the images.

    The archive is unpacked into a staging folder, compared with its hashes, and every label is decoded,
    before the first file is moved into place. The index is not in a backup: the label store rebuilds it at
    its next opening.

    Args:
        archive: as written by `save`; it is not trusted.
        studies: created if it does not exist.
        limit: maximum unpacked size in bytes.

    Raises:
        RequestError: the folder has a campaign, or the archive is not a complete and harmless backup.
    """
    check_free(studies)
    try:
        studies.mkdir(parents=True, exist_ok=True)
        with _staging(studies) as folder:
            manifest = unpack(archive, folder, limit)
            versions = _check(folder)
            # a server running on the empty folder waits for the lock, then rebuilds its missing index
            with WriteLock(studies / PRIVATE / "store.lock"):
                check_free(studies)
                _adopt(folder, studies)
    except OSError:
        raise RequestError(
            "The studies folder cannot be written, or the disk is full. Free disk space, empty its .uniultra "
            "folder and restore again."
        ) from None
    return Restored(versions, len(manifest.files))


def check_free(studies: Path) -> None:
    """Refuse a folder that has a campaign.

    Raises:
        RequestError: there is a campaign file, a label or an adapter.
    """
    taken = [studies / CAMPAIGN, *(studies / name for name in (VERSIONS, ADAPTERS, LABELS))]
    if any(path.is_file() or (path.is_dir() and any(path.iterdir())) for path in taken):
        raise RequestError(
            "Expected a studies folder without a campaign; this one has labels, adapters or a campaign.yaml, "
            "which a restore would replace. Choose an empty folder with --into."
        )


@contextmanager
def _staging(studies: Path) -> Iterator[Path]:
    folder = studies / f".{secrets.token_hex(8)}.restore"  # a recovery quarantines only *.part
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(folder: Path) -> int:
    """Read everything as the store will; the number of versions.

    Raises:
        RequestError: a file that the store cannot have written.
    """
    if (folder / CAMPAIGN).is_file():
        file.load(folder)
    identity = folder_identity.read(folder / PRIVATE)
    if identity and not _HEX.fullmatch(identity.id + identity.salt):
        raise refusal("the identity of the folder is invalid")
    if not all(map(_harmless, Journal(folder / PRIVATE).since())):
        raise refusal("its journal has names that no studies folder has")
    expected, versions = set(), 0
    for path in sorted((folder / VERSIONS).glob("*/*.json")):
        try:
            if RECORD.fullmatch(path.name):
                expected |= {path, _version(path, folder)}
                versions += 1
            elif _review(path):
                expected.add(path)
        except (ValueError, OSError, StoreError):
            raise refusal("a record of a label is damaged or of a newer version") from None
    if expected != {path for path in (folder / VERSIONS).glob("*/*") if path.is_file()}:
        raise refusal("it has a label without its record, or a review without its label")
    return versions


def _version(path: Path, folder: Path) -> Path:
    """The mask of a record, after checking that the two match and that it can be decoded."""
    version = records.read_version(path)
    if version.image != path.parent.name or str(version.revision) != path.stem:
        raise ValueError("of another image")
    if not is_tag(version.tag) or version.ext not in EXTENSIONS:
        raise ValueError("of a kind that is not saved")
    mask = mask_path(folder, version)
    if not relative(version.source) or mask.parent != path.parent or sha256(mask) != version.sha256:
        raise ValueError("of another label")
    check_decodable(mask)
    return mask


def _harmless(event: Event) -> bool:
    """Whether all names in an event stay inside the studies folder."""
    image, path, tag = event.get("image", "image"), event.get("path", "image"), event.get("tag", "final")
    if not all(isinstance(name, str) for name in (image, path, tag)):
        return False
    return plain(image) and relative(path) and is_tag(tag)


def _review(path: Path) -> bool:
    review = records.read_review(path)
    number = path.name.partition(".")[0]
    there = path.with_name(f"{number}.json").is_file()
    return there and review.image == path.parent.name and str(review.revision) == number


def _adopt(folder: Path, studies: Path) -> None:
    """Move the validated files into place; the campaign file last, since it makes the folder a campaign."""
    (studies / PRIVATE).mkdir(exist_ok=True)
    for stale in (studies / PRIVATE).glob("index.*"):
        stale.unlink()
    for name in (VERSIONS, ADAPTERS, *reversed(SINGLE)):
        if (target := studies / name).is_dir():
            target.rmdir()  # empty, see check_free
        if (folder / name).exists():
            (folder / name).replace(target)
    atomic.sync_folder(studies / PRIVATE)
    atomic.sync_folder(studies)
