"""Augmentation disagreement: where answers change with the picture (as in SUGFW, MICCAI 2025, 0877)."""

from uniultra.active.strategies.ranked import by_score

STRATEGY = by_score("Where answers on altered copies of the picture disagree", "disagreement")
