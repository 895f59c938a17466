"""Boundary-restricted entropy: the target and about its contour (arXiv 2401.16298)."""

from uniultra.active.strategies.ranked import by_score

STRATEGY = by_score("Entropy within and about the predicted structures", "boundary")
