"""What a model answers to prompts: a mask, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

import numpy as np

from .planes import Plane


@dataclass(frozen=True)
class Answer:
    """A mask for one object.

    Attributes:
        mask: (rows, columns) bool, pixels of the requested plane's picture.
        bbox: [x0,y0,x1,y1] of the mask, corners included, or None when it is empty.
        frame: the frame or slice it belongs to, as the server says it.
        plane: the plane it belongs to, or None when the server does not say.
        score: the model's own estimate of its quality, or None.
        model: which model answered.
        adapter: which published adapter, or None.
        timings: seconds per stage, as the server measured them.
    """

    mask: np.ndarray
    bbox: Optional[List[int]]
    frame: Optional[int]
    plane: Optional[Plane]
    score: Optional[float]
    model: str
    adapter: Optional[str]
    timings: Dict[str, float] = field(default_factory=dict)
