"""The answer of a model to prompts: a mask, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Optional

import numpy as np


@dataclass(frozen=True)
class Answer:
    """A mask of one structure.

    Attributes:
        mask: (rows, columns) bool, pixels of the requested plane's picture.
        score: the model's own estimate of the mask's quality (0..1); None without one.
        model: name of the model.
        adapter: ID of the published adapter that answered; None for the model's own weights.
        timings: seconds per stage, as the server measured them.
    """

    mask: np.ndarray
    score: Optional[float]
    model: str
    adapter: Optional[str]
    timings: Dict[str, float] = field(default_factory=dict)
