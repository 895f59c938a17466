"""MONAI Label tasks over one model: what all of them share, and the one that answers prompts."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monailabel.config import settings as monailabel_settings
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from uniultra.errors import ModelError, RequestError
from uniultra.images.types import AxisKind, Plane, UltrasoundImage
from uniultra.models import registry
from uniultra.predict import Predictor
from uniultra.serve.tasks.cancellation import CancelCheck, for_seconds
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.serve.tasks.mask_files import checked_extension, write_planes
from uniultra.serve.wire import answers, requests
from uniultra.weights import loading

Answer = tuple[str | None, dict[str, Any]]  # MONAI Label's: a file or none, and JSON


class ModelTask(InferTask):
    """One model of the registry as a task of MONAI Label's.

    All are of dimension 2: the networks see one plane at a time. A model whose weights are not here is
    not valid until they are: stock clients do not offer it, and a request to it is refused.
    """

    needs_prompts: bool

    def __init__(
        self, kind: InferType, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]
    ) -> None:
        entry = registry.entry(name)
        super().__init__(kind, list(labels), 2, entry.description)
        self.predictor = predictor
        self._entry = entry
        self._images = images
        self._weights: Path | None = None

    def is_valid(self) -> bool:
        """Whether the weights are on this machine; every click asks, so one `stat` once a file was found.

        A bundle is a folder over a base, and both are looked for each time.
        """
        if self._weights is None or not self._weights.is_file():
            self._weights = loading.find(self._entry.name)
        return self._weights is not None

    def unavailable(self) -> dict[str, Any]:
        """What `/info/` says of a model without weights."""
        return {
            "type": self.type,
            "description": self.description,
            "command": loading.how(self._entry.name),
        }

    def info(self) -> dict[str, Any]:
        """MONAI Label's own; under `prompts` the kinds of prompts that the model takes."""
        return {**super().info(), "prompts": list(self._entry.prompts)}

    def adapter(self) -> dict[str, Any]:
        """What `/info/` says of the bundle that answers: its id, and why a newer one does not."""
        return {"adapter": self.predictor.adapter, "problem": self.predictor.problem}

    def check_weights(self) -> None:
        """Refuse a model whose weights are not here.

        Raises:
            ModelError: with the command that gets them.
        """
        if not self.is_valid():
            name = self._entry.name
            raise ModelError(
                f"The weights of {name!r} are not on the server. Run `{loading.how(name)}` there, or "
                f"`uniultra weights add {name} FILE` with your own; no restart is needed."
            )

    def __call__(self, request: dict[str, Any], check_cancelled: CancelCheck | None = None) -> Answer:
        """Segment `request["image"]`, a path.

        Args:
            request: what MONAI Label hands a task.
            check_cancelled: called between two planes; None for MONAI Label's own time limit
                (`MONAI_LABEL_INFER_TIMEOUT`).

        Returns:
            `(None, packed JSON)` for `result: "packed"`, else `(file, JSON)`.

        Raises:
            PromptError, ImageError, ModelError, RequestError: with a text for the client.
        """
        check = check_cancelled or for_seconds(monailabel_settings.MONAI_LABEL_INFER_TIMEOUT)
        self.check_weights()
        params = requests.parse(request)
        self.check(params)
        ext = "" if params.result == "packed" else checked_extension(params.result_extension)
        return self.answer(params, ext, self._images.open(Path(request["image"]), params.axis_kind), check)

    @abstractmethod
    def check(self, params: requests.WireParams) -> None:
        """Refuse, before the image is opened, what this task does not do."""

    @abstractmethod
    def answer(
        self, params: requests.WireParams, ext: str, image: UltrasoundImage, check_cancelled: CancelCheck
    ) -> Answer:
        """The answer to a request about an opened image; `ext` is that of a file answer."""

    def label(self, params: requests.WireParams) -> str:
        """The structure's name in a file answer."""
        return params.label or (self.labels[0] if self.labels else "structure")


class PromptInferTask(ModelTask):
    """A model behind MONAI Label's `deepgrow` type, so that any of its clients can click.

    A request segments one plane, and a file answer holds that plane in the geometry of the whole image.
    """

    needs_prompts = True

    def __init__(self, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]) -> None:
        super().__init__(InferType.DEEPGROW, name, predictor, images, labels)

    def check(self, params: requests.WireParams) -> None:
        if params.objects and params.result != "packed":
            raise RequestError('Several objects come back packed only. Add "result": "packed" to params.')

    def answer(
        self, params: requests.WireParams, ext: str, image: UltrasoundImage, check_cancelled: CancelCheck
    ) -> Answer:
        started = time.perf_counter()
        plane = requests.plane_of(params, image)
        check_plane(image, plane)
        prompts = requests.prompts_of(params, plane, image.plane_shape(plane.axis))
        predictions = self.predictor.predict(image, plane, prompts)
        if params.result == "packed":
            return None, answers.packed_answer(predictions, plane, several=bool(params.objects))
        tally = answers.Tally()
        tally.add(predictions[0])
        file = write_planes(image, [(plane, predictions[0].mask)], ext)
        return file, answers.file_answer(tally, plane, self.label(params), time.perf_counter() - started)


def check_plane(image: UltrasoundImage, plane: Plane) -> None:
    """Refuse a plane that the image does not have, whatever is cached.

    Raises:
        ImageError: the text says which planes there are.
    """
    across = plane.axis != "k" and image.axis_kind is not AxisKind.VOLUME
    if across or not 0 <= plane.index < image.plane_count(plane.axis):
        image.picture(plane)
