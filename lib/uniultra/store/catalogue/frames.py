"""How many frames the images of a studies folder have: each file is opened once per version of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import select, update

from uniultra.errors import ImageError, UniUltraError
from uniultra.images import AxisKind, read_image
from uniultra.images.files import PICTURE_ENDINGS, file_ending
from uniultra.store.catalogue.images import Images
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.index.database import Index

logger = logging.getLogger(__name__)
_TIFF = (".tif", ".tiff")


def cine_frames(path: Path) -> int:
    """How many frames a cine has; 1 for a still, a volume and what cannot be read. Reads the whole file."""
    if file_ending(path) in PICTURE_ENDINGS and file_ending(path) not in _TIFF:
        return 1
    try:
        image = read_image(path)
    except ImageError:
        return 1
    return image.shape[0] if image.axis_kind is AxisKind.CINE else 1


class FrameCounts:
    """Frames of each cine, 1 for all other images; kept in the index beside the stamp of the file.

    Opening a new cine hashes all of it, and hundreds may be dropped into the folder at once. A request for
    the next sample therefore asks for `known` counts; the first one that meets uncounted files starts a
    thread that counts them. One file is opened at a time, so that several threads never hash the same one,
    and a save waits for one file at most.
    """

    def __init__(self, images: Images, index: Index) -> None:
        self._images, self._index = images, index
        self._turn, self._starting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None

    def of(self, images: Iterable[str], paths: Mapping[str, Path] | None = None) -> dict[str, int]:
        """The frames of images, by id, without those whose file is gone; opens the files that are new.

        Args:
            images: ids.
            paths: files of some of them, where the caller has looked them up.
        """
        counts, new = self._look_up(images, paths or {})
        return counts | {image: self._count(image, path) for image, (path, _) in new.items()}

    def known(self, images: Iterable[str]) -> dict[str, int]:
        """The frames of the images that are counted, by id; opens no file.

        The others are counted in the background from now on.
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
            self.of(self._images.listed())
        except (UniUltraError, OSError) as error:
            # the next request that meets an uncounted file starts again
            logger.warning("Frames of new images cannot be counted now (%s).", type(error).__name__)

    def _look_up(
        self, images: Iterable[str], paths: Mapping[str, Path]
    ) -> tuple[dict[str, int], dict[str, tuple[Path, str]]]:
        """Counts of the images whose file is as it was counted; of the others the file and its stamp."""
        wanted = list(images)
        table = schema.images.c
        query = select(table.id, table.stamp, table.frames)
        if len(wanted) == 1:
            query = query.where(table.id == wanted[0])
        with self._index.reading() as connection:
            counted = {row.id: (row.stamp, row.frames) for row in connection.execute(query)}
        counts: dict[str, int] = {}
        new: dict[str, tuple[Path, str]] = {}
        for image in wanted:
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
            counts, new = self._look_up([image], {image: path})  # another thread may have been quicker
            for _, stamp in new.values():
                counts[image] = cine_frames(path)
                with self._index.writing() as connection:
                    connection.execute(
                        update(schema.images)
                        .where(schema.images.c.id == image)
                        .values(stamp=stamp, frames=counts[image])
                    )
        return counts.get(image, 1)
