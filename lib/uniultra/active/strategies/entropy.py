"""Predictive entropy: where the model is least sure over the whole picture."""

from uniultra.active.strategies.ranked import by_score

STRATEGY = by_score("Predictive entropy of the whole picture", "entropy")
