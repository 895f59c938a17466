"""B-mode pictures with one dark nodule at a known place, generated as the training's scenes are."""

from __future__ import annotations

import numpy as np

from uniultra.synthesis.anatomy import Body, Centre
from uniultra.synthesis.bmode import scan
from uniultra.synthesis.shapes import grid

SIDE = 256
# Pixels (x,y): a drag around the nodule, its middle, a place nearer to its edge.
BOX = ((72, 84), (128, 128), (184, 172))
MIDDLE, WITHIN = (128, 128), (116, 118)
_MIDDLE: Centre = (0.5, 0.5)


def nodule(seed: int = 3, frames: int = 1) -> np.ndarray:
    """(K,J,I) uint8 of a nodule of about 100 x 76 pixels in tissue; frames differ in their noise alone."""
    rng = np.random.default_rng([7, seed])
    straight = grid(SIDE)
    body = Body(rng, straight)
    y, x = np.indices((SIDE, SIDE))
    inside = ((x - MIDDLE[0]) / 50) ** 2 + ((y - MIDDLE[1]) / 38) ** 2 <= 1
    body.fill(inside, -42.0, soft=0.6)
    body.surface(inside, 0.6, gaps=0.0)
    body.behind(inside, -5.0)
    picture, _ = scan(rng, body.tissue, straight)
    grain = rng.integers(-3, 4, (frames, SIDE, SIDE))
    return np.clip(picture[None] + grain * (frames > 1), 0, 255).astype(np.uint8)
