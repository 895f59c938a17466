"""Batch inference: a fully automatic model, run over the images of the store.

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
from uniultra.images import read_image
from uniultra.serve.tasks.cancellation import CancelCheck, StoppedError
from uniultra.serve.tasks.mask_files import checked_extension
from uniultra.store.catalogue.ids import check_tag, split_name
from uniultra.store.incoming import proposals
from uniultra.store.labels.labelmap import read_labelmap
from uniultra.store.store import LabelStore
from uniultra.store.types import Origin

Infer = Callable[[dict[str, Any], Datastore, CancelCheck], dict[str, Any]]
Result = tuple[str, dict[str, Any]]  # image id; {"label", "tag", "params"}, {"error"} or {"skipped"}
_FINAL = DefaultLabelTag.FINAL.value
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
            RequestError: see `check_request`; or the model marks nothing that the campaign labels.
        """
        check_request(request)
        _structure(request, datastore.store)
        datastore.refresh()  # files that came a moment ago belong to it
        limit = request.get("max_batch_size") or None
        return sorted(self.get_images(request, datastore))[:limit]

    def results(
        self,
        images: Sequence[str],
        request: dict[str, Any],
        datastore: Datastore,
        infer: Infer,
        check_cancelled: CancelCheck = lambda: None,
    ) -> Iterator[Result]:
        """One result after the other, each label saved before its result is told.

        Raises:
            StoppedError: from `check_cancelled`, which is asked between two frames.
        """
        for image_id in images:
            check_cancelled()
            try:
                yield image_id, _segment(image_id, request, datastore, infer, check_cancelled)
            except StoppedError:
                raise
            except UniUltraError as error:
                yield image_id, {"error": str(error)}


def check_request(request: dict[str, Any]) -> None:
    """Refuse what cannot be done, before any image is segmented.

    Raises:
        RequestError: a value that cannot be meant, or final labels to be written.
    """
    images, limit = request.get("images", "all"), request.get("max_batch_size") or 0
    listed = isinstance(images, list) and all(isinstance(one, str) for one in images)
    if not listed and images not in _GROUPS:
        raise RequestError(f"Expected images as {', '.join(_GROUPS)} or a list of ids; got another value.")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise RequestError("Expected max_batch_size as a number of images, 0 for all; got another value.")
    if check_tag(request.get("label_tag") or proposals.TAG) == _FINAL:
        raise RequestError("Final labels are people's: they are trained on. Choose another label_tag.")
    if request.get("result"):
        raise RequestError("A batch saves its answers as label files. Leave result out.")
    checked_extension(request.get("result_extension"))


def _segment(
    image_id: str, request: dict[str, Any], datastore: Datastore, infer: Infer, check_cancelled: CancelCheck
) -> dict[str, Any]:
    store: LabelStore = datastore.store
    tag = check_tag(request.get("label_tag") or proposals.TAG)
    named = _structure(request, store)
    asked = {**request, "image": image_id, "save_label": False, "label_tag": tag}
    if store.campaign.indices:
        asked["label"] = named[0]
    if why := proposals.refusal(store, image_id, tag):
        return {"skipped": why}
    found = infer(asked, datastore, check_cancelled)
    file = Path(found.pop("file"))
    try:
        _keep(store, image_id, file, found["params"], named, tag)
    except proposals.TakenError as error:
        return {"skipped": str(error)}
    finally:
        file.unlink(missing_ok=True)
    return {**found, "label": image_id}


def _keep(
    store: LabelStore,
    image_id: str,
    file: Path,
    params: dict[str, Any],
    named: tuple[str, int],
    tag: str,
) -> None:
    opened = read_image(store.images.path(image_id))
    plane = params.get("plane")
    proposals.propose(
        store,
        image_id,
        opened,
        read_labelmap(file, opened, as_stored=True) > 0,
        named=named,
        origin=Origin(model=params.get("model"), adapter=params.get("adapter")),
        frames=[plane["index"]] if plane and plane["axis"] == "k" else None,
        tag=tag,
        ext=split_name(file.name)[1],
        info={"params": params},
    )


def _structure(request: dict[str, Any], store: LabelStore) -> tuple[str, int]:
    label = request.get("label")
    return proposals.structure(
        store.campaign, str(request.get("model", "")), label if isinstance(label, str) else None
    )
