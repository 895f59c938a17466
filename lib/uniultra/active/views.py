"""Test-time augmentation: altered copies of a picture, and the disagreement of the answers on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from uniultra.active.self_prompt import Click, Prober
from uniultra.active.summary import Answer, soft_dice_loss
from uniultra.images.types import Picture
from uniultra.networks.network import Embedding

ASKED = 8  # answers with the largest weights, repeated on the altered copy
DARKER = 1.6  # gamma


class AlteredView(NamedTuple):
    """An alteration of a picture that preserves its structures."""

    alter: Callable[[Picture], Picture]
    mirrored: bool


def _mirror(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[:, ::-1])


def _darken(picture: Picture) -> Picture:
    table = np.round(255 * (np.arange(256) / 255) ** DARKER).astype(np.uint8)
    return np.asarray(table[picture])


VIEWS = (AlteredView(_mirror, True), AlteredView(_darken, False))


def disagreement(
    prober: Prober, answers: Sequence[Answer], shape: tuple[int, int], view: AlteredView, embedding: Embedding
) -> float:
    """Weighted soft Dice loss between answers and those to the same clicks on an altered copy, 0 to 1.

    Args:
        prober: of the network.
        answers: on the picture itself.
        shape: (rows, columns) of the picture.
        view: the alteration.
        embedding: of the altered picture.
    """
    heaviest = sorted(answers, key=lambda answer: -answer.weight)[:ASKED]
    clicks: list[Click] = [
        (shape[1] - 1 - x if view.mirrored else x, y) for x, y in (a.click for a in heaviest)
    ]
    again = prober.ask(embedding, shape, clicks)
    weights = np.asarray([answer.weight for answer in heaviest])
    losses = [
        soft_dice_loss(a.probabilities, b.probabilities[:, ::-1] if view.mirrored else b.probabilities)
        for a, b in zip(heaviest, again, strict=True)
    ]
    return float(np.average(losses, weights=weights if weights.sum() > 0 else None))
