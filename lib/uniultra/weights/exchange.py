"""Export and import of bundles: a folder, or a zip of its three files.

An exported manifest names no image: it has the number of training labels instead of their list.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.weights import bundle

NAMING = ("labels", "unseen")  # entries of a manifest that name images
MAX_WEIGHTS = 4 << 30


def export(folder: Path, target: Path) -> Path:
    """Export a bundle to a new folder, or to a new zip file if the target is named so.

    Raises:
        ModelError: the target exists already, or the bundle is damaged.
    """
    if target.exists():
        raise ModelError("Expected a new folder or file; the target exists already. Choose another name.")
    if target.suffix.lower() != ".zip":
        return bundle.copy(folder, target, without=NAMING)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="uniultra-") as private,
            atomic.staged(target.parent) as packed,
        ):
            plain = bundle.copy(folder, Path(private) / "bundle", without=NAMING)
            with zipfile.ZipFile(packed, "x", zipfile.ZIP_STORED) as archive:
                for name in bundle.FILES:
                    archive.write(plain / name, name)
            packed.replace(target)
    except OSError:
        raise ModelError("The bundle cannot be written. Check the folder and its free space.") from None
    return target


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The folder of an exported bundle; a zip is unpacked temporarily.

    Raises:
        ModelError: neither a bundle's folder nor a zip of its three files.
    """
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="uniultra-") as name:
        folder = Path(name) / "bundle"
        folder.mkdir()
        try:
            with zipfile.ZipFile(source) as archive:
                _unpack(archive, folder)
        except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError):
            raise ModelError(
                "Expected a bundle's folder, or a zip from `uniultra adapters export`; got neither, or a "
                "damaged one. Export it again."
            ) from None
        yield folder


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write the three files under our own names, each limited in size."""
    if sorted(info.filename for info in archive.infolist()) != list(bundle.FILES):
        raise ModelError(
            f"Expected a zip with {', '.join(bundle.FILES)} and nothing else. Export the bundle again."
        )
    for name in bundle.FILES:
        limit = MAX_WEIGHTS if name == bundle.WEIGHTS else bundle.MAX_JSON
        if archive.getinfo(name).file_size > limit:
            raise ModelError(f"Expected at most {limit >> 20} MiB of {name}; the zip's is bigger.")
        with archive.open(name) as packed, (folder / name).open("xb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
