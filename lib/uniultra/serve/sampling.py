"""The next image to annotate, by chance: what was handed out longest ago is the likeliest."""

from __future__ import annotations

import random
import time
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy


class RandomSample(Strategy):
    """MONAI Label's random strategy, for an image handed out within the same second too."""

    def __init__(self) -> None:
        super().__init__("Random image without a final label")

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        if not images:
            return None
        now, name = int(time.time()), request["strategy"]
        handed = [
            datastore.get_image_info(image).get("strategy", {}).get(name, {}).get("ts", 0) for image in images
        ]
        weights = [max(1, now - ts) for ts in handed]
        chosen = random.choices(range(len(images)), weights)[0]
        return {"id": images[chosen], "weight": weights[chosen]}
