"""Frame counts of the images of a studies folder; each version of a file is opened once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import select, update

from uniultra.errors import ImageError, UniUltraError
from uniultra.images import AxisKind, read_image
from uniultra.images.files import PICTURE_ENDINGS, file_ending
from uniultra.shutdown import unbroken
from uniultra.store.catalogue.images import Images
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.index.database import IndexDatabase

logger = logging.getLogger(__name__)
_TIFF = (".tif", ".tiff")


def cine_frames(path: Path) -> int:
    """Number of frames of a cine; 1 for a still, a volume or an unreadable file. Reads the whole file."""
    if file_ending(path) in PICTURE_ENDINGS and file_ending(path) not in _TIFF:
        return 1
    try:
        image = read_image(path)
    except ImageError:
        return 1
    return image.shape[0] if image.axis_kind is AxisKind.CINE else 1


class FrameCounts:
    """Number of frames of each cine, 1 for other images; stored in the index with the file's stamp.

    Opening a new cine hashes the whole file, and hundreds may be added to the folder at once. A request for
    the next sample therefore uses `known` counts only; the first request that meets uncounted files starts a
    thread that counts them. One file is opened at a time, so that two threads never hash the same file and a
    save waits for one file at most.
    """

    def __init__(self, images: Images, index: IndexDatabase) -> None:
        self._images, self._index = images, index
        self._turn, self._starting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None

    def of(self, images: Iterable[str], paths: Mapping[str, Path] | None = None) -> dict[str, int]:
        """Frame counts by id, without images whose file is gone; opens new files.

        Args:
            images: ids.
            paths: files of some of them, if already looked up.
        """
        counts, new = self._look_up(images, paths or {})
        return counts | {image: self._count(image, path) for image, (path, _) in new.items()}

    def known(self, images: Iterable[str]) -> dict[str, int]:
        """Frame counts by id of the counted images; opens no file.

        The others are counted in the background.
        """
        counts, new = self._look_up(images, {})
        if new:
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._count_all, name="frames", daemon=True)
                    self._thread.start()
        return counts

    def _count_all(self) -> None:
        try:
            _, new = self._look_up(self._images.listed(), {})
        except (UniUltraError, OSError) as error:
            # the next request that meets an uncounted file starts again
            logger.warning("Frames of new images cannot be counted now (%s).", type(error).__name__)
            return
        for image, (path, _) in new.items():
            try:
                with unbroken():  # a decoder that the program's exit cuts off aborts the process
                    self._count(image, path)
            except (UniUltraError, OSError) as error:  # this file's own: the others are counted
                logger.warning("Frames of a new image cannot be counted (%s).", type(error).__name__)

    def _look_up(
        self, images: Iterable[str], paths: Mapping[str, Path]
    ) -> tuple[dict[str, int], dict[str, tuple[Path, str]]]:
        """Counts of images with an unchanged file; file and stamp of the other images."""
        ids = list(images)
        table = schema.images.c
        query = select(table.id, table.stamp, table.frames)
        if len(ids) == 1:
            query = query.where(table.id == ids[0])
        with self._index.reading() as connection:
            counted = {row.id: (row.stamp, row.frames) for row in connection.execute(query)}
        counts: dict[str, int] = {}
        new: dict[str, tuple[Path, str]] = {}
        for image in ids:
            try:
                path = paths.get(image) or self._images.path(image)
                stat = path.stat()
            except (OSError, NotFoundError):
                continue
            stamp = f"{stat.st_mtime_ns}:{stat.st_size}"
            before, frames = counted.get(image, (None, None))
            if frames is not None and before == stamp:
                counts[image] = frames
            else:
                new[image] = path, stamp
        return counts, new

    def _count(self, image: str, path: Path) -> int:
        with self._turn:
            counts, new = self._look_up([image], {image: path})  # counted meanwhile?
            for _, stamp in new.values():
                counts[image] = cine_frames(path)
                with self._index.writing() as connection:
                    connection.execute(
                        update(schema.images)
                        .where(schema.images.c.id == image)
                        .values(stamp=stamp, frames=counts[image])
                    )
        return counts.get(image, 1)
