"""The studies folder as a MONAI Label datastore: any readable format, nested, kept through crashes."""

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
    """Images and labels of one folder, as MONAI Label asks for them; `store` keeps them.

    Thread safe; several processes may share the folder. Nothing is read before the first question,
    and files that appear later are seen at the first one a second later, or when their id is asked for.
    """

    def __init__(self, studies: Path, url: str | None = None) -> None:
        self.store = LabelStore(studies, url)
        self._root = studies
        self._lock = self.store.images.turn  # whoever looks through the folder has it
        self._counts: dict[str, Any] = {"total": 0, "completed": 0, "label_tags": {}}

    def name(self) -> str:
        return self.store.identity.name

    def set_name(self, name: str) -> None:
        self.store.describe(name=name)

    def description(self) -> str:
        return self.store.identity.description

    def set_description(self, description: str) -> None:
        self.store.describe(description=description)

    # what there is

    def refresh(self) -> None:
        """Look for files that came or went, and give newcomers their ids."""
        with self._lock:
            self.store.ready()
            self.store.images.refresh()

    def _listed(self) -> list[str]:
        """Ids of the images there are."""
        with self._lock:
            self.store.ready()
            return self.store.images.listed()

    def _labelled(self, tag: str) -> dict[str, LabelVersion]:
        """The newest version of that tag by image."""
        ids = set(self._listed())
        found = self.store.current()
        return {image: version for (image, of), version in found.items() if of == tag and image in ids}

    def list_images(self) -> list[str]:
        return self._listed()

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return sorted(self._labelled(check_tag(label_tag or _FINAL)))

    def get_unlabeled_images(
        self, label_tag: str | None = None, labels: list[str] | None = None
    ) -> list[str]:
        done = self._labelled(check_tag(label_tag or _FINAL))
        return [image_id for image_id in self._listed() if image_id not in done]

    def datalist(self) -> list[dict[str, Any]]:
        """`{"image", "label"}` paths of every image with a final label."""
        return [
            {"image": self.get_image_uri(image_id), "label": str(self._file(version))}
            for image_id, version in sorted(self._labelled(_FINAL).items())
        ]

    def status(self) -> dict[str, Any]:
        # whoever waits for /info/ gets the last count while a large folder is being looked through
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                ids = set(self._listed())
                tags = Counter(tag for image, tag in self.store.current() if image in ids)
                self._counts = {"total": len(ids), "completed": tags[_FINAL], "label_tags": tags}
            finally:
                self._lock.release()
        return {**self._counts, "label_tags": dict(self._counts["label_tags"])}

    def json(self) -> dict[str, Any]:
        """The whole store in the shape of MONAI Label's own."""
        ids = self._listed()
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
        """Copy a file into the folder under an id that nobody has.

        Raises:
            RequestError: an id that is no plain name, or a file that is not ultrasound.
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
                names = {known.casefold() for known in self.store.images.records()}
                if image_id.casefold() in names or target.exists():
                    raise ProtectedError("An image of that id is there already. Choose another id.")
                # the id first: a file that a crash leaves without its event gets the same id anyway
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
            ProtectedError: the file was in the folder before; only a person deletes it there.
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
        """Where clients find a label; the version itself while its copy could not be written."""
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
        """Keep a label file as a new version; it is on the disk when this returns.

        Raises:
            NotFoundError: no such image.
            RequestError: a tag that is no plain word, or a file that is no label map.
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
        """A temporary zip of images with their final labels; whoever asked deletes it.

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
            path.unlink()  # nobody else knows of it
            raise
        return str(path)


def _label_info(version: LabelVersion) -> dict[str, Any]:
    """What a client sent with a version, and what MONAI Label adds to it."""
    return {**version.info, "ts": int(version.made.timestamp()), "name": f"{version.image}{version.ext}"}
