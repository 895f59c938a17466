"""The studies folder as a MONAI Label datastore: any readable format, nested folders, crash-safe."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from sqlalchemy import select

from uniultra.errors import RequestError
from uniultra.files import atomic
from uniultra.images import is_ultrasound_file, read_image
from uniultra.store.catalogue.ids import check_id, check_tag, split_name
from uniultra.store.catalogue.images import ImageRecord, stamp
from uniultra.store.errors import NotFoundError, ProtectedError
from uniultra.store.index import schema
from uniultra.store.labels.saving import check_info
from uniultra.store.paths import LABELS, label_path
from uniultra.store.store import LabelStore
from uniultra.store.types import LabelVersion

_FINAL = DefaultLabelTag.FINAL.value
_PATIENCE_S = 0.03


class StudiesDatastore(Datastore):
    """Images and labels of one folder behind MONAI Label's interface; `store` is the label store.

    Thread safe; several processes may share the folder. Nothing is read before the first call. Files added
    later are found within a second, or as soon as their id is requested.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (8, 6), 90).save(Path(folder) / "scan.png")
        ...     datastore = StudiesDatastore(Path(folder))
        ...     print(datastore.list_images(), datastore.get_unlabeled_images(), datastore.status()["total"])
        ...     datastore.store.index.close()
        ['scan'] ['scan'] 1
    """

    def __init__(self, studies: Path, url: str | None = None) -> None:
        self.store = LabelStore(studies, url)
        self._root = studies
        self._lock = self.store.images.turn  # held during a scan of the folder
        self._counts: dict[str, Any] = {"total": 0, "completed": 0, "label_tags": {}}

    def name(self) -> str:
        return self.store.identity.name

    def set_name(self, name: str) -> None:
        self.store.describe(name=name)

    def description(self) -> str:
        return self.store.identity.description

    def set_description(self, description: str) -> None:
        self.store.describe(description=description)

    # listing

    def refresh(self) -> None:
        """Scan for added and deleted files, and assign ids to new ones."""
        with self._lock:
            self.store.ready()
            self.store.images.refresh()

    def _labelled(self, tag: str) -> dict[str, LabelVersion]:
        """The newest version of that tag by image."""
        ids, current = set(self.list_images()), self.store.current()
        return {image: version for (image, of), version in current.items() if of == tag and image in ids}

    def list_images(self) -> list[str]:
        with self._lock:
            self.store.ready()
            return self.store.images.listed()

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return sorted(self._labelled(check_tag(label_tag or _FINAL)))

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        done = self._labelled(check_tag(label_tag or _FINAL))
        return [image_id for image_id in self.list_images() if image_id not in done]

    def datalist(self) -> list[dict[str, Any]]:
        """`{"image", "label"}` paths of every image with a final label."""
        return [
            {"image": self.get_image_uri(image_id), "label": str(self._file(version))}
            for image_id, version in sorted(self._labelled(_FINAL).items())
        ]

    def status(self) -> dict[str, Any]:
        # while a large folder is being scanned, /info/ reports the last counts
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                ids = set(self.list_images())
                tags = Counter(tag for image, tag in self.store.current() if image in ids)
                self._counts = {"total": len(ids), "completed": tags[_FINAL], "label_tags": tags}
            finally:
                self._lock.release()
        return {**self._counts, "label_tags": dict(self._counts["label_tags"])}

    def json(self) -> dict[str, Any]:
        """The whole datastore in the format of MONAI Label's own."""
        ids = self.list_images()
        images, infos = self.store.images.records(), self._infos()
        labels: dict[str, dict[str, Any]] = {}
        for (image, tag), version in self.store.current().items():
            info = {**_label_info(version), **infos.get((image, version.revision), {})}
            labels.setdefault(image, {})[tag] = {"ext": version.ext, "info": info}
        objects = {
            image_id: {
                "image": {
                    "ext": split_name(images[image_id].path)[1],
                    "info": dict(images[image_id].info),
                },
                "labels": labels.get(image_id, {}),
            }
            for image_id in ids
            if image_id in images
        }
        return {
            "name": self.name(),
            "description": self.description(),
            "images_dir": ".",
            "labels_dir": LABELS,
            "objects": objects,
        }

    # images

    def _record(self, image_id: object) -> ImageRecord:
        with self._lock:
            self.store.ready()
            return self.store.images.record(image_id)

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image's file.

        Raises:
            NotFoundError: no such image, or its file is gone.
        """
        with self._lock:
            self.store.ready()
            return str(self.store.images.path(image_id).resolve())

    def get_image(self, image_id: str, params: Any = None) -> Any:
        return BytesIO(Path(self.get_image_uri(image_id)).read_bytes())

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        return dict(self._record(image_id).info)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        check_info(info)
        self._record(image_id)
        self.store.events.note([{"kind": "image info", "image": image_id, "info": info}])

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy a file into the folder under a new id.

        Raises:
            RequestError: the id is no plain name, or the file is not ultrasound.
            ImageError: the file cannot be decoded.
            ProtectedError: the id is taken.
        """
        source = Path(image_filename)
        image_id = check_id(image_id or split_name(source.name)[0])
        check_info(image_info)
        if not is_ultrasound_file(source):
            raise RequestError("Expected an image, a video or a DICOM file; got something else.")
        read_image(source)
        target = self._root / f"{image_id}{split_name(source.name)[1].lower() or '.dcm'}"
        self.store.ready()
        with atomic.staged(self._root) as temporary:
            atomic.copy(source, temporary)
            with self._lock, self.store.lock:
                self.refresh()
                names = {name.casefold() for name in self.store.images.records()}
                if image_id.casefold() in names or target.exists():
                    raise ProtectedError("An image of that id exists already. Choose another id.")
                # the event first: after a crash in between, the file is assigned the same id
                info = {**stamp(target.name), **image_info}
                event = {"kind": "image", "image": image_id, "path": target.name, "added": True, "info": info}
                self.store.events.note([event])
                atomic.move(temporary, target)
                self.store.images.present(image_id, PurePosixPath(target.name))
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Delete an image that the server added, and its labels.

        Raises:
            NotFoundError: no such image.
            ProtectedError: the server did not add the file; only a person may delete it.
        """
        with self._lock:
            record = self._record(image_id)
            if not record.added:
                raise ProtectedError(
                    "This image is an original that the server did not add: it is not deleted from here. "
                    "Remove its file from the studies folder by hand."
                )
            with self.store.lock:
                atomic.remove(self._root / record.path)
                self.store.remove_image(image_id)
            self.store.images.present(image_id, None)

    # labels

    def _label(self, image_id: object, tag: object) -> LabelVersion:
        self._record(image_id)
        version = self.store.current([str(image_id)]).get((str(image_id), check_tag(tag)))
        if version is None or not self._file(version).is_file():
            raise NotFoundError("This image has no label with that tag. Save one, or ask for another tag.")
        return version

    def _file(self, version: LabelVersion) -> Path:
        """The published copy of a label; the version's own file if the copy could not be written."""
        copy = label_path(self._root, version.image, version.tag, version.ext)
        return copy if copy.is_file() else self.store.path(version)

    def _infos(self, image_id: str | None = None) -> dict[tuple[str, int], dict[str, Any]]:
        table = schema.infos.c
        query = select(table.image, table.revision, table.info)
        if image_id is not None:
            query = query.where(table.image == image_id)
        with self.store.index.reading() as connection:
            return {(row.image, row.revision): json.loads(row.info) for row in connection.execute(query)}

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        self._record(image_id)
        return {tag: image_id for _, tag in sorted(self.store.current([image_id]))}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return self.get_labels_by_image_id(image_id).get(check_tag(tag), "")

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a label's file.

        Raises:
            NotFoundError: no such image, or no label with that tag.
        """
        return str(self._file(self._label(label_id, label_tag)))

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:
        return BytesIO(Path(self.get_label_uri(label_id, label_tag)).read_bytes())

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        version = self._label(label_id, label_tag)
        later = self._infos(label_id).get((label_id, version.revision), {})
        return {**_label_info(version), **later}

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        check_info(info)
        version = self._label(label_id, label_tag)
        event = {"kind": "label info", "image": label_id, "revision": version.revision, "info": info}
        self.store.events.note([event])

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]
    ) -> str:
        """Save a label file as a new version; it is durable when this returns.

        Raises:
            NotFoundError: no such image.
            RequestError: the tag is no plain word, or the file no label map.
        """
        check_info(label_info)
        annotator = label_info.get("client_id")
        self.store.save(
            image_id,
            Path(label_filename),
            tag=check_tag(label_tag),
            annotator=annotator if isinstance(annotator, str) else "",
            info=label_info,
        )
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        self._label(label_id, label_tag)
        self.store.remove(label_id, check_tag(label_tag))

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """Write a temporary zip of images with their final labels; the caller deletes it.

        Raises:
            NotFoundError: no image has a final label yet.
        """
        labelled = sorted(self._labelled(_FINAL).items())
        if not labelled:
            raise NotFoundError("No image has a final label yet. Save one first.")
        with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file:
            path = Path(file.name)
        try:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for image_id, version in labelled[: limit_cases if limit_cases and limit_cases > 0 else None]:
                    image = self.get_image_uri(image_id)
                    archive.write(image, f"image/{image_id}{split_name(Path(image).name)[1]}")
                    archive.write(self._file(version), f"label/{image_id}{version.ext}")
                archive.writestr("metadata.json", json.dumps(self.json()))
        except BaseException:
            path.unlink()
            raise
        return str(path)


def _label_info(version: LabelVersion) -> dict[str, Any]:
    """The info that a client sent with a version, with the fields that MONAI Label adds."""
    return {**version.info, "ts": int(version.made.timestamp()), "name": f"{version.image}{version.ext}"}
