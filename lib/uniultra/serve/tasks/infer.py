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
from uniultra.serve.tasks.cancellation import GoingOn, for_seconds
from uniultra.serve.tasks.image_cache import OpenImages, only_image
from uniultra.serve.tasks.mask_files import checked_extension, write_planes
from uniultra.serve.wire import answers, wire
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
        self._entry = entry
        self._predictor = predictor
        self._images = images

    @property
    def predictor(self) -> Predictor:
        """What answers."""
        return self._predictor

    def is_valid(self) -> bool:
        return loading.available(self._entry.name)

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
        return {"adapter": self._predictor.adapter, "problem": self._predictor.problem}

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

    def warm_up(self) -> None:
        """Load the weights and run once.

        Raises:
            ModelError: weights missing or damaged.
        """
        self._predictor.warm_up()

    def __call__(self, request: dict[str, Any]) -> Answer:
        """Segment as MONAI Label asks, within its own time limit (`MONAI_LABEL_INFER_TIMEOUT`)."""
        return self.segment(request, for_seconds(monailabel_settings.MONAI_LABEL_INFER_TIMEOUT))

    def segment(self, request: dict[str, Any], going_on: GoingOn) -> Answer:
        """Segment `request["image"]`, a path; `going_on` is asked between two planes.

        Returns `(None, packed JSON)` for `result: "packed"`, else `(file, JSON)`.

        Raises:
            PromptError, ImageError, ModelError, RequestError: with a text for whoever asked.
        """
        self.check_weights()
        params = wire.parse(request)
        self.check(params)
        ext = "" if params.result == "packed" else checked_extension(params.result_extension)
        path = Path(request["image"])
        image = self._images.open(only_image(path) if path.is_dir() else path, params.axis_kind)
        return self.answer(params, ext, image, going_on)

    @abstractmethod
    def check(self, params: wire.WireParams) -> None:
        """Refuse, before the image is opened, what this task does not do."""

    @abstractmethod
    def answer(self, params: wire.WireParams, ext: str, image: UltrasoundImage, going_on: GoingOn) -> Answer:
        """The answer to a request about an opened image; `ext` is that of a file answer."""

    def label(self, params: wire.WireParams) -> str:
        """The structure's name in a file answer."""
        return params.label or (self.labels[0] if self.labels else "structure")


class PromptInferTask(ModelTask):
    """A model behind MONAI Label's `deepgrow` type, so that any of its clients can click.

    A request segments one plane, and a file answer holds that plane in the geometry of the whole image.
    """

    needs_prompts = True

    def __init__(self, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]) -> None:
        super().__init__(InferType.DEEPGROW, name, predictor, images, labels)

    def check(self, params: wire.WireParams) -> None:
        if params.objects and params.result != "packed":
            raise RequestError('Several objects come back packed only. Add "result": "packed" to params.')

    def answer(self, params: wire.WireParams, ext: str, image: UltrasoundImage, going_on: GoingOn) -> Answer:
        started = time.perf_counter()
        plane = wire.plane_of(params, image)
        check_plane(image, plane)
        prompts = wire.prompts_of(params, plane, image.plane_shape(plane.axis))
        predictions = self._predictor.predict(image, plane, prompts)
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
