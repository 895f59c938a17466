"""Preprocessing of a picture, and decoding of prompts on its embedding into one mask each.

The predictor, its second look and the query strategies all use these functions, with the registry's settings
of the model: how a picture is resized and normalised, and which of the decoder's masks answers a single
click. Both run on the device's thread (see `device`). Prompt sets are batched by
`networks.network.decode_by_length`, as in training, so that a network answers in use as it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uniultra.images.types import Picture
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork, decode_by_length
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import Encoded


def square(picture: Picture, model: ModelEntry, side: int) -> Tensor:
    """The network's input `(3,side,side)` of a grey or RGB picture `(H,W)` or `(H,W,3)` uint8."""
    pixels = torch.from_numpy(picture.astype(np.float32)) / 255
    colour = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(3, -1, -1)
    fit = Fit(picture.shape[0], picture.shape[1], side, model.fit)
    # Normalised before padding: SAM was trained with zeros in the padding.
    return fit.square(model.normalise(colour[None])[0])


def decode(
    network: PromptNetwork,
    model: ModelEntry,
    embedding: Embedding,
    encoded: Sequence[Encoded],
    lone: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    """Logits `(N,g,g)` and predicted IoU `(N,)` of N prompt sets on one picture.

    `lone` marks the single clicks, which get the mask chosen by the model's `lone_click` policy.
    """
    best = torch.zeros(len(encoded), dtype=torch.long, device=embedding.image.device)
    choose = model.lone_click == "best" and any(lone)
    logits, iou = decode_by_length(network, embedding, torch.zeros_like(best), encoded, every=choose)
    if choose:
        best = torch.where(torch.tensor(lone, device=best.device), 1 + iou[:, 1:].argmax(1), best)
    place = torch.arange(len(encoded), device=best.device)
    return logits[place, best].float(), iou[place, best].float().clamp(0, 1)
