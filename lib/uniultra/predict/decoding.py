"""A picture into the network's square, and prompts on its embedding into masks: one way for all who ask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uniultra.images.types import Picture
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import Encoded, batch

MASK_LOGIT = 10.0  # how sure a network that takes previous logits is told to be of a given mask


def square(picture: Picture, model: ModelEntry, side: int) -> Tensor:
    """The network's input `(3,side,side)` of a grey or RGB picture `(H,W)` or `(H,W,3)` uint8."""
    pixels = torch.from_numpy(picture.astype(np.float32)) / 255
    colour = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(3, -1, -1)
    fit = Fit(picture.shape[0], picture.shape[1], side, model.fit)
    # Normalised before it is padded: SAM learnt that padding is zero.
    return fit.square(model.normalise(colour[None])[0])


def decode(
    network: PromptNetwork,
    model: ModelEntry,
    embedding: Embedding,
    encoded: Sequence[Encoded],
    lone: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    """Logits `(N,g,g)` and predicted IoU `(N,)` of N prompt sets on one picture.

    `lone` says which are single clicks. SAM's decoder attends to padding tokens too. Sets of one
    length go together, so that no answer depends on what else was asked in the same call.
    """
    chooses = model.lone_click == "best"
    kinds = [(len(e.labels), chooses and alone) for e, alone in zip(encoded, lone, strict=True)]
    logits, iou = [], []
    order: list[int] = []
    for kind in sorted(set(kinds)):
        members = [n for n, found in enumerate(kinds) if found == kind]
        answer = _alike(network, embedding, [encoded[n] for n in members], kind[1])
        logits.append(answer[0])
        iou.append(answer[1])
        order += members
    back = torch.tensor(order, device=embedding.image.device).argsort()
    return torch.cat(logits)[back], torch.cat(iou)[back]


def _alike(
    network: PromptNetwork, embedding: Embedding, encoded: list[Encoded], choose: bool
) -> tuple[Tensor, Tensor]:
    coords, labels, drawn = batch(encoded, embedding.image.device)
    dense = MASK_LOGIT * drawn[:, :1] if network.map_channels == 1 else drawn
    place = torch.arange(len(encoded), device=coords.device)
    logits, iou = network.decode(
        embedding.repeat(torch.zeros_like(place)), coords, labels, dense, multimask=choose
    )
    best = iou.argmax(1)  # of one mask, or of three
    return logits[place, best].float(), iou[place, best].float().clamp(0, 1)
