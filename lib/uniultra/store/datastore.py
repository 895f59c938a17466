"""The studies folder as a MONAI Label datastore: any readable format, nested, kept through crashes."""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import time
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from uniultra.errors import RequestError
from uniultra.images import is_ultrasound_file, read_image
from uniultra.store import durable
from uniultra.store.errors import NotFoundError, ProtectedError
from uniultra.store.ids import check_id, check_tag, new_ids, split_name
from uniultra.store.index import ImageRecord, Index, LabelRecord
from uniultra.store.labels import check_decodable, found_on_disk, label_extension, label_path
from uniultra.store.scan import LABELS, PRIVATE, Scanner

logger = logging.getLogger(__name__)
_FINAL = DefaultLabelTag.FINAL.value
_MAX_INFO_BYTES = 64 << 10
_FRESH_S = 1.0
_PATIENCE_S = 0.03


class StudiesDatastore(Datastore):
    """Images and labels of one folder.

    Thread safe; several processes may share the folder. Nothing is read before the first question,
    and files that appear later are seen at the first one a second later, or when their id is asked for.
    """

    def __init__(self, studies: Path) -> None:
        self._root = studies
        self._index = Index(studies / PRIVATE)
        self._scanner = Scanner(studies, is_ultrasound_file)
        self._lock = threading.RLock()
        self._present: dict[str, PurePosixPath] = {}
        self._looked = -_FRESH_S
        self._counts: dict[str, Any] = {"total": 0, "completed": 0, "label_tags": {}}

    def name(self) -> str:
        return self._index.records.name

    def set_name(self, name: str) -> None:
        with self._lock, self._index.editing() as records:
            records.name = name

    def description(self) -> str:
        return self._index.records.description

    def set_description(self, description: str) -> None:
        with self._lock, self._index.editing() as records:
            records.description = description

    # what there is

    def refresh(self) -> None:
        """Look for files that came or went, and give newcomers their ids."""
        with self._lock:
            self._index.reload()
            paths, labels = self._scanner.files(), found_on_disk(self._root)
            by_path = self._by_path()
            new = any(str(path) not in by_path for path in paths)
            images = self._index.records.images
            if new or any(_extensions(r) != labels.get(i, {}) for i, r in images.items()):
                self._adopt(paths, labels)
                by_path = self._by_path()
            self._present = {by_path[str(path)]: path for path in paths}
            self._looked = time.monotonic()

    def _by_path(self) -> dict[str, str]:
        return {record.path: image_id for image_id, record in self._index.records.images.items()}

    def _adopt(self, paths: list[PurePosixPath], labels: dict[str, dict[str, str]]) -> None:
        def apply(images: dict[str, ImageRecord]) -> None:
            known = self._by_path()
            for path, image_id in new_ids([p for p in paths if str(p) not in known], images).items():
                images[image_id] = _new_record(path)
            for image_id, record in images.items():
                old, found = record.labels, labels.get(image_id, {})
                record.labels = {
                    tag: LabelRecord(ext, old[tag].info if tag in old else _stamp(f"{image_id}{ext}"))
                    for tag, ext in found.items()
                }

        try:
            with self._index.editing() as records:
                apply(records.images)
        except OSError:
            logger.warning("The studies folder cannot be written: ids last until the server stops.")
            apply(self._index.records.images)

    def _look(self) -> None:
        if time.monotonic() - self._looked >= _FRESH_S:
            self._looked = time.monotonic()  # not at every click: a campaign may have thousands of folders
            if self._scanner.changed():
                self.refresh()
        self._index.reload()

    def _record(self, image_id: object) -> ImageRecord:
        """The record of an image that is there now; caller holds the lock."""
        self._look()
        if isinstance(image_id, str):
            if image_id not in self._present and self._scanner.changed():
                self.refresh()
            record = self._index.records.images.get(image_id)
            if record and self._scanner.inside(PurePosixPath(record.path)):
                return record
        raise NotFoundError(
            "There is no such image in the studies folder, or its file is gone. "
            "Ask /datastore/?output=all for the ids there are."
        )

    def _label(self, image_id: object, tag: object) -> tuple[LabelRecord, Path]:
        record, tag = self._record(image_id), check_tag(tag)
        label = record.labels.get(tag)
        path = label_path(self._root, str(image_id), tag, label.ext) if label else None
        if label is None or path is None or not path.is_file():
            raise NotFoundError("This image has no label with that tag. Save one, or ask for another tag.")
        return label, path

    def _listed(self) -> dict[str, ImageRecord]:
        """The images there are, by id; caller holds the lock."""
        self._look()
        images = self._index.records.images  # another process may have taken one out
        return {image_id: images[image_id] for image_id in sorted(self._present) if image_id in images}

    def _labelled(self, tag: str) -> dict[str, Path]:
        """Label files of that tag by image; caller holds the lock."""
        return {
            image_id: label_path(self._root, image_id, tag, record.labels[tag].ext)
            for image_id, record in self._listed().items()
            if tag in record.labels
        }

    def list_images(self) -> list[str]:
        with self._lock:
            return list(self._listed())

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        with self._lock:
            return list(self._labelled(check_tag(label_tag or _FINAL)))

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        with self._lock:
            done = self._labelled(check_tag(label_tag or _FINAL))
            return [image_id for image_id in self._listed() if image_id not in done]

    def datalist(self) -> list[dict[str, Any]]:
        """`{"image", "label"}` paths of every image with a final label."""
        with self._lock:
            return [
                {"image": self.get_image_uri(image_id), "label": str(path)}
                for image_id, path in self._labelled(_FINAL).items()
            ]

    def status(self) -> dict[str, Any]:
        # whoever waits for /info/ gets the last count while a large folder is being looked through
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                images = self._listed()
                tags = Counter(tag for record in images.values() for tag in record.labels)
                self._counts = {"total": len(images), "completed": tags[_FINAL], "label_tags": tags}
            finally:
                self._lock.release()
        return {**self._counts, "label_tags": dict(self._counts["label_tags"])}

    def json(self) -> dict[str, Any]:
        """The whole store in the shape of MONAI Label's own."""
        with self._lock:
            objects = {
                image_id: {
                    "image": {"ext": split_name(record.path)[1], "info": dict(record.info)},
                    "labels": {
                        tag: {"ext": label.ext, "info": dict(label.info)}
                        for tag, label in record.labels.items()
                    },
                }
                for image_id, record in self._listed().items()
            }
            return {
                "name": self.name(),
                "description": self.description(),
                "images_dir": ".",
                "labels_dir": LABELS,
                "objects": objects,
            }

    # images

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image's file.

        Raises:
            NotFoundError: no such image, or its file is gone.
        """
        with self._lock:
            return str((self._root / self._record(image_id).path).resolve())

    def get_image(self, image_id: str, params: Any = None) -> Any:
        return BytesIO(Path(self.get_image_uri(image_id)).read_bytes())

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        with self._lock:
            # strategies ask this for every image in turn: no look at the disk for those that are listed
            known = self._index.records.images if image_id in self._present else {}
            return dict((known.get(image_id) or self._record(image_id)).info)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        _check_info(info)
        with self._lock:
            self._record(image_id)
            with self._index.editing() as records:
                records.images[image_id].info.update(info)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy a file into the folder under an id that nobody has.

        Raises:
            RequestError: an id that is no plain name, or a file that is not ultrasound.
            ImageError: the file cannot be decoded.
            ProtectedError: the id is taken.
        """
        source = Path(image_filename)
        image_id = check_id(image_id or split_name(source.name)[0])
        _check_info(image_info)
        if not is_ultrasound_file(source):
            raise RequestError("Expected an image, a video or a DICOM file; got something else.")
        read_image(source)
        target = self._root / f"{image_id}{split_name(source.name)[1].lower() or '.dcm'}"
        with durable.staged(self._root) as temporary:
            durable.copy(source, temporary)
            with self._lock:
                self.refresh()
                names = {i.casefold() for i in self._index.records.images}
                if image_id.casefold() in names or target.exists():
                    raise ProtectedError("An image of that id is there already. Choose another id.")
                with self._index.editing() as records:
                    durable.move(temporary, target)
                    record = _new_record(PurePosixPath(target.name))
                    record.added = True
                    record.info.update(image_info)
                    records.images[image_id] = record
                self._present[image_id] = PurePosixPath(target.name)
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Delete an image that the server added, and its labels.

        Raises:
            NotFoundError: no such image.
            ProtectedError: the file was in the folder before; only a person deletes it there.
        """
        with self._lock:
            record = self._record(image_id)
            if not record.added:
                raise ProtectedError(
                    "This image is an original that the server did not add: it is not deleted from here. "
                    "Remove its file from the studies folder by hand."
                )
            for tag in list(record.labels):
                self.remove_label(image_id, tag)
            durable.remove(self._root / record.path)
            with self._index.editing() as records:
                del records.images[image_id]
            self._present.pop(image_id, None)

    # labels

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        with self._lock:
            return {tag: image_id for tag in self._record(image_id).labels}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return self.get_labels_by_image_id(image_id).get(check_tag(tag), "")

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a label's file.

        Raises:
            NotFoundError: no such image, or no label with that tag.
        """
        with self._lock:
            return str(self._label(label_id, label_tag)[1])

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        return BytesIO(Path(self.get_label_uri(label_id, label_tag)).read_bytes())

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        with self._lock:
            return dict(self._label(label_id, label_tag)[0].info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        _check_info(info)
        with self._lock:
            self._label(label_id, label_tag)
            with self._index.editing() as records:
                records.images[label_id].labels[check_tag(label_tag)].info.update(info)

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Keep a label file; it is on the disk when this returns.

        Raises:
            NotFoundError: no such image.
            RequestError: a tag that is no plain word, or a file that is no label map.
        """
        source, tag = Path(label_filename), check_tag(label_tag)
        _check_info(label_info)
        with self._lock:
            self._record(image_id)
        ext = label_extension(source.name)
        check_decodable(source)
        target = label_path(self._root, image_id, tag, ext)
        with durable.staged(target.parent) as temporary:
            durable.copy(source, temporary)
            with self._lock:
                before = self._record(image_id).labels.get(tag)
                with self._index.editing() as records:
                    durable.move(temporary, target)
                    info = {**label_info, **_stamp(target.name)}
                    records.images[image_id].labels[tag] = LabelRecord(ext, info)
                if before and before.ext != ext:
                    durable.remove(label_path(self._root, image_id, tag, before.ext))
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        with self._lock:
            _, path = self._label(label_id, label_tag)
            # The file first: an index entry without its file is dropped at the next look, never the reverse.
            durable.remove(path)
            with self._index.editing() as records:
                del records.images[label_id].labels[check_tag(label_tag)]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """A temporary zip of images with their final labels; whoever asked deletes it.

        Raises:
            NotFoundError: no image has a final label yet.
        """
        pairs = self.datalist()
        if not pairs:
            raise NotFoundError("No image has a final label yet. Save one first.")
        with (
            tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for pair in pairs[: limit_cases if limit_cases and limit_cases > 0 else None]:
                image_id = split_name(Path(pair["label"]).name)[0]
                ext = split_name(Path(pair["image"]).name)[1]
                archive.write(pair["image"], f"image/{image_id}{ext}")
                archive.write(pair["label"], f"label/{Path(pair['label']).name}")
            archive.writestr("metadata.json", json.dumps(self.json()))
        return file.name


def _stamp(name: str) -> dict[str, Any]:
    return {"ts": int(time.time()), "name": name}


def _new_record(path: PurePosixPath) -> ImageRecord:
    return ImageRecord(str(path), info=_stamp(path.name))


def _extensions(record: ImageRecord) -> dict[str, str]:
    return {tag: label.ext for tag, label in record.labels.items()}


def _check_info(info: object) -> None:
    try:
        fits = isinstance(info, dict) and len(json.dumps(info, allow_nan=False)) <= _MAX_INFO_BYTES
    except (TypeError, ValueError, RecursionError):
        fits = False
    if not fits:
        raise RequestError(
            f"Expected information as a JSON object of at most {_MAX_INFO_BYTES >> 10} KiB; "
            "got something else."
        )
