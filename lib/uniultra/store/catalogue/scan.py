"""Scans a studies folder for images; it is walked again only if a folder has changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from uniultra.store.catalogue.ids import is_text
from uniultra.store.paths import LABELS

logger = logging.getLogger(__name__)
# a file added within one clock tick after a listing does not change the folder's mtime
SETTLED_NS = 2_000_000_000


class Scanner:
    """Lists the images below `root`, and detects changes of images and labels.

    `labels` folders, dot files and dot folders, DICOMDIR, segmentations, names that are not UTF-8 and
    links that leave the folder are not images. `is_image` is called once per version of a file.
    """

    def __init__(self, root: Path, is_image: Callable[[Path], bool]) -> None:
        self._root = root
        self._is_image = is_image
        self._folders: dict[Path, tuple[int, int]] = {}  # folder -> its mtime, when it was listed
        self._labels: dict[Path, tuple[int, int]] = {}
        self._verdicts: dict[Path, tuple[tuple[int, int], bool]] = {}
        self._unnamed = 0  # names that are not UTF-8, at the last listing

    def changed(self) -> bool:
        """Whether a folder of images has, or may have, changed since the last `files`."""
        return not self._folders or _touched(self._folders)

    def labels_changed(self) -> bool:
        """Whether a folder of labels has, or may have, changed since the last call."""
        labels = self._root / LABELS
        before, self._labels = self._labels, {}
        for folder in (labels, *(labels.iterdir() if labels.is_dir() else ())):
            if folder.is_dir():
                self._labels[folder] = (folder.stat().st_mtime_ns, time.time_ns())
        return before.keys() != self._labels.keys() or _touched(before)

    def files(self) -> list[PurePosixPath]:
        """Relative paths of all images, sorted."""
        self._folders = {}
        images: list[PurePosixPath] = []
        verdicts: dict[Path, tuple[tuple[int, int], bool]] = {}
        unnamed = 0
        for name_here, folders, files in os.walk(self._root):
            here = Path(name_here)
            self._folders[here] = (here.stat().st_mtime_ns, time.time_ns())
            unnamed += sum(not is_text(name) for name in (*folders, *files))
            folders[:] = [f for f in folders if not f.startswith(".") and f != LABELS and is_text(f)]
            for name in filter(is_text, files):
                if name.startswith(".") or name == "DICOMDIR" or name.lower().endswith(".seg.nrrd"):
                    continue
                path = here / name
                if self._image(path, verdicts):
                    images.append(PurePosixPath(path.relative_to(self._root).as_posix()))
        self._verdicts = verdicts
        if unnamed and unnamed != self._unnamed:
            logger.warning("%d names in the studies folder are not UTF-8: left out. Rename them.", unnamed)
        self._unnamed = unnamed
        return sorted(images)

    def inside(self, relative: PurePosixPath) -> Path | None:
        """The file on disk; None if it is gone or a link that leaves the folder."""
        path = self._root / relative
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        return path if real.is_file() and real.is_relative_to(self._root.resolve()) else None

    def _image(self, path: Path, verdicts: dict[Path, tuple[tuple[int, int], bool]]) -> bool:
        # the walk does not follow links to folders, so only a link to a file can leave the studies folder
        if path.is_symlink() and self.inside(PurePosixPath(path.relative_to(self._root))) is None:
            return False
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            known = self._verdicts.get(path)
            verdict = known[1] if known and known[0] == version else self._is_image(path)
        except OSError:  # gone or unreadable between the listing and now
            return False
        verdicts[path] = (version, verdict)
        return verdict


def _touched(folders: dict[Path, tuple[int, int]]) -> bool:
    for folder, (before, listed) in folders.items():
        try:
            now = folder.stat().st_mtime_ns
        except OSError:
            return True
        if now != before or listed - now < SETTLED_NS:
            return True
    return False
