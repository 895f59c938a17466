"""Draws a mask and its prompts over a picture, for viewing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from uniultra.images.types import Picture
from uniultra.prompts.types import Mask, PromptSet

FILL, OUTLINE = (255, 170, 40), (255, 210, 90)
POSITIVE, NEGATIVE, BOX = (60, 230, 90), (240, 70, 70), (90, 180, 255)


def overlay(picture: Picture, mask: Mask, prompts: PromptSet) -> NDArray[np.uint8]:
    """The picture `(H,W)` or `(H,W,3)` with the mask filled and outlined, clicks and box: `(H,W,3)` uint8."""
    colour = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture.copy()
    colour[mask] = (0.7 * colour[mask] + 0.3 * np.asarray(FILL)).astype(np.uint8)
    edge = mask ^ ndimage.binary_erosion(mask)
    colour[edge] = OUTLINE
    drawn = Image.fromarray(colour)
    pen = ImageDraw.Draw(drawn)
    if prompts.box:
        pen.rectangle((prompts.box.x0, prompts.box.y0, prompts.box.x1, prompts.box.y1), outline=BOX)
    radius = max(2, round(max(mask.shape) / 100))
    for point in prompts.points:
        pen.ellipse(
            (point.x - radius, point.y - radius, point.x + radius, point.y + radius),
            fill=POSITIVE if point.positive else NEGATIVE,
            outline=(0, 0, 0),
        )
    return np.asarray(drawn)
