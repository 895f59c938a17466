"""UniUltra: prompt-driven ultrasound segmentation that learns from its annotators. Research use only.

The names below are the library's front door; every one of them also has a module of its own. One click on a
generated B-mode picture:

    >>> import numpy as np
    >>> import uniultra
    >>> drawn = uniultra.scene(np.random.default_rng(1))
    >>> rows, columns = np.nonzero(drawn.targets[0])
    >>> click = uniultra.Point(columns[len(columns) // 2], rows[len(rows) // 2])
    >>> predictor = uniultra.Predictor("uniultra_mini", device="cpu")
    >>> still = uniultra.Still(drawn.picture)
    >>> [answer] = predictor.predict(still, uniultra.STILL, [uniultra.PromptSet(points=(click,))])
    >>> answer.mask.shape, answer.mask.dtype
    ((256, 256), dtype('bool'))
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

# MONAI imports MLflow, which reports to its makers that it was imported unless this is set.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.5.0"

# Loaded when first used: `import uniultra` reads no file and imports neither torch nor ITK.
_MODULES = {
    "AxisKind": "images",
    "Box": "prompts",
    "Lasso": "prompts",
    "MaskPrompt": "prompts",
    "Plane": "images",
    "Point": "prompts",
    "Prediction": "predict",
    "Predictor": "predict",
    "PromptSet": "prompts",
    "STILL": "predict.still",
    "Scribble": "prompts",
    "Still": "predict.still",
    "UltrasoundImage": "images",
    "open": "images",
    "scene": "synthesis.scene",
    "write_mask": "images",
}
__all__ = sorted(_MODULES.keys() - {"open"})  # a star import leaves the built-in alone


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'uniultra' has no attribute {name!r}")
    return getattr(import_module(f"uniultra.{_MODULES[name]}"), "read_image" if name == "open" else name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
