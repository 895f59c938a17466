"""Batch inference: a model that segments of its own accord, run over the images of the store.

MONAI Label's own task hands each image a GPU by its number and fails where there is none, and ends at
the first image that cannot be read. Here the images go one after the other through the server's device,
and one that is refused is named in the result while the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType, BatchInferTask

from uniultra.errors import RequestError, UniUltraError
from uniultra.serve.going_on import GoingOn, StoppedError
from uniultra.serve.mask_files import checked_extension
from uniultra.store.ids import check_tag

Infer = Callable[[dict[str, Any], Datastore, GoingOn], dict[str, Any]]
Result = tuple[str, dict[str, Any]]  # image id; {"label", "tag", "params"}, {"error"} or {"skipped"}
_FINAL = DefaultLabelTag.FINAL.value
_UNLABELLED = BatchInferImageType.IMAGES_UNLABELED.value
_GROUPS = [group.value for group in BatchInferImageType]


class WholeImages(BatchInferTask):
    """What MONAI Label's `init_batch_infer` asks for; `request` is as its route makes it."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Infer) -> dict[str, Any]:
        """All results at once.

        Raises:
            RequestError: see `images`.
        """
        return dict(self.results(self.images(request, datastore), request, datastore, infer))

    def images(self, request: dict[str, Any], datastore: Datastore) -> list[str]:
        """The ids of the images of a request, at most `max_batch_size` of them.

        Raises:
            RequestError: see `check_request`.
        """
        check_request(request)
        datastore.refresh()  # files that came a moment ago belong to it
        limit = request.get("max_batch_size") or None
        return sorted(self.get_images(request, datastore))[:limit]

    def results(
        self,
        images: Sequence[str],
        request: dict[str, Any],
        datastore: Datastore,
        infer: Infer,
        going_on: GoingOn = lambda: None,
    ) -> Iterator[Result]:
        """One result after the other, each label saved before its result is told.

        Raises:
            StoppedError: from `going_on`, which is asked between two frames.
        """
        for image_id in images:
            going_on()
            try:
                yield image_id, _segment(image_id, request, datastore, infer, going_on)
            except StoppedError:
                raise
            except UniUltraError as error:
                yield image_id, {"error": str(error)}


def check_request(request: dict[str, Any]) -> None:
    """Refuse what cannot be done, before any image is segmented.

    Raises:
        RequestError: a value that cannot be meant, or one that would replace final labels.
    """
    images, limit = request.get("images", "all"), request.get("max_batch_size") or 0
    listed = isinstance(images, list) and all(isinstance(one, str) for one in images)
    if not listed and images not in _GROUPS:
        raise RequestError(f"Expected images as {', '.join(_GROUPS)} or a list of ids; got another value.")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise RequestError("Expected max_batch_size as a number of images, 0 for all; got another value.")
    if check_tag(request.get("label_tag") or "original") == _FINAL and images != _UNLABELLED:
        raise RequestError(
            "Final labels are people's, and this would replace some. Choose another label_tag, or "
            "images=unlabeled to fill in only those that are missing."
        )
    if request.get("result"):
        raise RequestError("A batch saves its answers as label files. Leave result out.")
    checked_extension(request.get("result_extension"))


def _segment(
    image_id: str, request: dict[str, Any], datastore: Datastore, infer: Infer, going_on: GoingOn
) -> dict[str, Any]:
    tag = check_tag(request.get("label_tag") or "original")
    asked = {**request, "image": image_id, "save_label": False, "label_tag": tag}
    if _is_final(image_id, tag, datastore):
        return {"skipped": "It has a final label by now."}
    found = infer(asked, datastore, going_on)
    file = Path(found.pop("file"))
    try:
        if _is_final(image_id, tag, datastore):
            return {"skipped": "It has a final label by now."}
        info = {"model": request["model"], "params": found["params"]}
        return {**found, "label": datastore.save_label(image_id, str(file), tag, info)}
    finally:
        file.unlink(missing_ok=True)


def _is_final(image_id: str, tag: str, datastore: Datastore) -> bool:
    """Whether saving would replace somebody's final label."""
    return tag == _FINAL and bool(datastore.get_label_by_image_id(image_id, tag))
