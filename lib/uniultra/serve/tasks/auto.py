"""The MONAI Label task of a model that segments of its own accord: one plane, or the whole image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from monailabel.interfaces.tasks.infer_v2 import InferType

from uniultra.images.types import Plane, UltrasoundImage
from uniultra.predict import Prediction, Predictor
from uniultra.prompts import PromptSet
from uniultra.serve.tasks.cancellation import GoingOn
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.serve.tasks.infer import Answer, ModelTask, check_plane
from uniultra.serve.tasks.mask_files import write_planes
from uniultra.serve.wire import answers, wire
from uniultra.serve.wire.packing import Mask


class AutoInferTask(ModelTask):
    """A model without prompts behind MONAI Label's `segmentation` type, which clients run at a button.

    Without a word about a plane, a request segments every frame or slice. They go to the device one
    by one, so that somebody's click waits for one frame at most, and the embeddings of a whole image
    are not kept, so that they push out nobody's.
    """

    needs_prompts = False

    def __init__(self, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]) -> None:
        task = name.partition(".")[2]
        super().__init__(InferType.SEGMENTATION, name, predictor, images, [task] if task else labels)

    def check(self, params: wire.WireParams) -> None:
        wire.refuse_prompts(params)

    def answer(self, params: wire.WireParams, ext: str, image: UltrasoundImage, going_on: GoingOn) -> Answer:
        started = time.perf_counter()
        planes = wire.planes_of(params, image)
        for plane in (planes[0], planes[-1]):
            check_plane(image, plane)
        found = self._each(image, planes, going_on)
        if params.result == "packed":
            if len(planes) > 1:
                return None, answers.packed_frames(found)
            [(plane, prediction)] = found
            return None, answers.packed_answer([prediction], plane, several=False)
        tally = answers.Tally()

        def masks() -> Iterator[tuple[Plane, Mask]]:
            for plane, prediction in found:
                tally.add(prediction)
                yield plane, prediction.mask

        file = write_planes(image, masks(), ext)
        alone = planes[0] if len(planes) == 1 else None
        return file, answers.file_answer(tally, alone, self.label(params), time.perf_counter() - started)

    def _each(
        self, image: UltrasoundImage, planes: Sequence[Plane], going_on: GoingOn
    ) -> Iterator[tuple[Plane, Prediction]]:
        for plane in planes:
            going_on()
            [prediction] = self._predictor.predict(image, plane, [PromptSet()], keep=len(planes) == 1)
            yield plane, prediction
