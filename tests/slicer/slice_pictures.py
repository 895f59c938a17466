"""A slice view the way a radiologist sees it: image, mask, clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

GREEN = (0.2, 1.0, 0.3)
AMBER, BLUE = (1.0, 0.72, 0.1), (0.4, 0.75, 1.0)


def save(picture: np.ndarray, file: Path) -> None:
    """An (H,W,3) uint8 picture as a small PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(file, optimize=True)
