"""Made-up scores of units."""

import numpy as np

from uniultra.active.score_store import Scored, ScoreStore
from uniultra.active.scoring import UnitScore
from uniultra.active.summary import Summary


def score(value=0.5, features=(0.0, 1.0), **classes):
    summary = Summary(
        entropy=value, boundary=value, iou=value, foreground=value, disagreement=value, classes=classes
    )
    return UnitScore(np.asarray(features, np.float32), summary)


def memory(values, root):
    """A store of made-up scores and where units find them."""
    scores = ScoreStore(root)
    for name, value in values.items():
        scores.put(Scored(name, 0), "g", value)
    return scores, lambda unit: Scored(unit.image, unit.frame)
