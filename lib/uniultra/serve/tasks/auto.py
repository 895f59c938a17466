"""The MONAI Label task of a fully automatic model: one plane, or the whole image."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from monailabel.interfaces.tasks.infer_v2 import InferType

from uniultra.images.types import Plane, UltrasoundImage
from uniultra.predict import Prediction, Predictor
from uniultra.prompts import PromptSet
from uniultra.serve.tasks.cancellation import CancelCheck
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.serve.tasks.infer import Answer, ModelTask, check_plane
from uniultra.serve.tasks.mask_files import write_planes
from uniultra.serve.wire import answers, requests
from uniultra.serve.wire.packing import Mask


class AutoInferTask(ModelTask):
    """A model without prompts behind MONAI Label's `segmentation` type, which clients run at a button.

    A request that names no plane segments every frame or slice. They go to the device one by one, so that
    a click waits for one frame at most, and the embeddings of a whole image are not cached, so that they
    evict none of those that clicks use.
    """

    needs_prompts = False

    def __init__(self, name: str, predictor: Predictor, images: OpenImages, labels: Sequence[str]) -> None:
        task = name.partition(".")[2]
        super().__init__(InferType.SEGMENTATION, name, predictor, images, [task] if task else labels)

    def check(self, params: requests.WireParams) -> None:
        requests.refuse_prompts(params)

    def answer(
        self, params: requests.WireParams, ext: str, image: UltrasoundImage, check_cancelled: CancelCheck
    ) -> Answer:
        started = time.perf_counter()
        planes = requests.planes_of(params, image)
        for plane in (planes[0], planes[-1]):
            check_plane(image, plane)
        found = self._each(image, planes, check_cancelled)
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
        self, image: UltrasoundImage, planes: Sequence[Plane], check_cancelled: CancelCheck
    ) -> Iterator[tuple[Plane, Prediction]]:
        for plane in planes:
            check_cancelled()
            [prediction] = self.predictor.predict(image, plane, [PromptSet()], keep=len(planes) == 1)
            yield plane, prediction
