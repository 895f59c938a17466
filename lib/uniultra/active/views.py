"""Altered copies of a picture, and how much answers on them disagree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from uniultra.active.self_prompt import Click, Prober
from uniultra.active.summary import Answer, unlikeness
from uniultra.images.types import Picture
from uniultra.networks.network import Embedding

ASKED = 8  # answers of a grid that are asked again: those that count most
DARKER = 1.6


class View(NamedTuple):
    """One way to alter a picture that leaves the structure what it is."""

    alter: Callable[[Picture], Picture]
    mirrored: bool


def _mirror(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[:, ::-1])


def _darken(picture: Picture) -> Picture:
    table = np.round(255 * (np.arange(256) / 255) ** DARKER).astype(np.uint8)
    return np.asarray(table[picture])


VIEWS = (View(_mirror, True), View(_darken, False))


def disagreement(
    prober: Prober, answers: Sequence[Answer], shape: tuple[int, int], view: View, embedding: Embedding
) -> float:
    """One minus the soft Dice between answers and those to the same clicks on a view, weighted, 0..1.

    Args:
        prober: of the network.
        answers: on the picture itself.
        shape: (rows, columns) of the picture.
        view: how it was altered.
        embedding: of the altered picture.
    """
    kept = sorted(answers, key=lambda one: -one.weight)[:ASKED]
    clicks: list[Click] = [(shape[1] - 1 - x if view.mirrored else x, y) for x, y in (a.click for a in kept)]
    again = prober.ask(embedding, shape, clicks)
    weights = np.asarray([one.weight for one in kept])
    apart = [
        unlikeness(a.probabilities, b.probabilities[:, ::-1] if view.mirrored else b.probabilities)
        for a, b in zip(kept, again, strict=True)
    ]
    return float(np.average(apart, weights=weights if weights.sum() > 0 else None))
