"""The MONAI Label task that answers prompts: a packed mask for our client, a file for the others."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from uniultra.errors import RequestError
from uniultra.images import write_mask
from uniultra.images.types import AxisKind, Plane, UltrasoundImage
from uniultra.models import registry
from uniultra.predict import Prediction, Predictor
from uniultra.serve import wire
from uniultra.serve.files import OpenImages, only_image

FILE_EXTENSIONS = (".nrrd", ".nii.gz", ".nii", ".mha")


class PromptInferTask(InferTask):
    """One model behind MONAI Label's `deepgrow` type, so that any of its clients can click.

    It is of dimension 2: a request segments one plane, and a file answer holds that plane in the
    geometry of the whole image.
    """

    def __init__(self, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]) -> None:
        entry = registry.entry(name)
        super().__init__(InferType.DEEPGROW, list(labels), 2, entry.description)
        self._entry = entry
        self._predictor = predictor
        self._images = images

    @property
    def needs_prompts(self) -> bool:
        """Whether the model segments nothing of its own accord."""
        return bool(self._entry.prompts)

    def is_valid(self) -> bool:
        return self._entry.available

    def warm_up(self) -> None:
        """Load the weights and run once.

        Raises:
            ModelError: weights missing or damaged.
        """
        self._predictor.warm_up()

    def __call__(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Segment one plane of `request["image"]`, a path.

        Returns `(None, packed JSON)` for `result: "packed"`, else `(file, JSON)`.

        Raises:
            PromptError, ImageError, ModelError, RequestError: with a text for whoever asked.
        """
        started = time.perf_counter()
        params = wire.parse(request)
        ext = _file_extension(params)
        path = Path(request["image"])
        image = self._images.open(only_image(path) if path.is_dir() else path, params.axis_kind)
        plane = wire.plane_of(params, image)
        across = plane.axis != "k" and image.axis_kind is not AxisKind.VOLUME
        if across or not 0 <= plane.index < image.plane_count(plane.axis):
            image.picture(plane)  # refuses it, whatever is cached, and says which planes there are
        prompts = wire.prompts_of(params, plane, image.plane_shape(plane.axis))
        predictions = self._predictor.predict(image, plane, prompts)
        if params.result == "packed":
            return None, wire.packed_answer(predictions, plane, several=bool(params.objects))
        file = _write(image, plane, predictions[0], ext)
        return file, self._stock_answer(params, plane, predictions[0], time.perf_counter() - started)

    def _stock_answer(
        self, params: wire.WireParams, plane: Plane, prediction: Prediction, seconds: float
    ) -> dict[str, Any]:
        name = params.label or (self.labels[0] if self.labels else "structure")
        latencies = {k: round(v, 4) for k, v in prediction.timings.items()}
        return {
            "label_names": {name: 1},
            "score": round(prediction.score, 4),
            "latencies": {**latencies, "total": round(seconds, 4)},
            "plane": {"axis": plane.axis, "index": plane.index},
            "model": prediction.model,
            "adapter": prediction.adapter,
        }


def _file_extension(params: wire.WireParams) -> str:
    if params.result == "packed":
        return ""
    if params.objects:
        raise RequestError('Several objects come back packed only. Add "result": "packed" to params.')
    ext = params.result_extension or FILE_EXTENSIONS[0]
    ext = ext if ext.startswith(".") else f".{ext}"
    if ext not in FILE_EXTENSIONS:
        raise RequestError(
            f"Expected result_extension to be one of {', '.join(FILE_EXTENSIONS)}; got another. "
            "A mask there is a label map of one structure, not a segmentation file."
        )
    return ext


def _write(image: UltrasoundImage, plane: Plane, prediction: Prediction, ext: str) -> str:
    full = np.zeros(image.shape, dtype=bool)
    where = {"k": np.s_[plane.index], "j": np.s_[:, plane.index], "i": np.s_[:, :, plane.index]}
    full[where[plane.axis]] = prediction.mask
    handle, name = tempfile.mkstemp(prefix="uniultra-", suffix=ext)
    os.close(handle)
    try:
        write_mask(full, image, Path(name))
    except BaseException:
        Path(name).unlink()
        raise
    return name
