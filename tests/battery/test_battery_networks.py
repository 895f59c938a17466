"""Every model: what comes out at 256 pixels, that it starts at its base, and that bf16 is near enough."""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch
from battery_cases import (
    FULL,
    SMALL,
    answer,
    cases,
    disturb,
    fresh,
    pictures,
    prompts,
    train_what_the_method_trains,
)
from torch import Tensor

from uniultra.adapters.apg import output_tokens
from uniultra.models import entry
from uniultra.networks.network import Embedding, PromptNetwork

# The network stays for the two checks of its model that come one after the other; the second spoils it.
network_of = lru_cache(maxsize=1)(fresh)


@pytest.mark.parametrize("name", cases("forward"), scope="module")
@torch.no_grad()
def test_forward(name, numbers):
    network, found = fresh(name, FULL), entry(name)
    embedding = network.encode(pictures(found, FULL))
    assert embedding.image.shape == (1, 256, network.grid, network.grid)
    for multimask, masks in ((False, 1), (True, 3)):
        logits, iou = answer(network, embedding, multimask)
        count = 2 if found.prompts else 1
        assert logits.shape == (count, masks, network.mask_side, network.mask_side)
        assert iou.shape == (count, masks)
        assert torch.isfinite(logits).all() and torch.isfinite(iou).all()
    if found.prompts:
        coords, labels, dense = prompts(network)
        first, _ = network.decode(embedding, coords[:1], labels[:1], dense[:1])
        clicked, _ = network.decode(embedding, coords[:1], 1 - labels[:1].clamp(0, 1), dense[:1])
        drawn, _ = network.decode(embedding, coords[:1], labels[:1], dense[1:])
        assert not torch.allclose(first, clicked) and not torch.allclose(first, drawn)
    numbers["embedding_std"] = float(embedding.image.std())


@pytest.mark.parametrize("name", cases("bf16"), scope="module")
@torch.no_grad()
def test_bf16(name, numbers):
    network, seen = network_of(name, SMALL), pictures(entry(name), SMALL)
    exact = network.encode(seen)
    logits, iou = answer(network, exact)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.encode(seen)
        rough_logits, rough_iou = answer(network, rough)
    for kind, a, b in (("embedding", rough.image, exact.image), ("logits", rough_logits, logits)):
        assert torch.isfinite(a).all()
        numbers[kind] = float((a.float() - b).norm() / b.norm())
    numbers["iou"] = float((rough_iou.float() - iou).abs().max())
    # bf16 has 8 bits: 0.4 % at each rounding, over some dozen layers.
    assert numbers["embedding"] < 0.05 and numbers["logits"] < 0.1 and numbers["iou"] < 0.05


@pytest.mark.parametrize("name", cases("starts_at_its_base", adapted=True), scope="module")
@torch.no_grad()
def test_starts_at_its_base(name, numbers):
    network, found = network_of(name, SMALL), entry(name)
    base, seen = fresh(str(found.base), SMALL), pictures(found, SMALL)
    own, prefix = network.state_dict(), "" if found.prompts else "base."
    for key, tensor in base.state_dict().items():
        assert torch.equal(own[prefix + key], tensor), key
    begun, embedding = network.encode(seen), base.encode(seen)
    logits, _ = answer(network, begun)
    expected = answer(base, embedding)[0] if found.prompts else prompted_by(network, base, embedding)
    numbers["difference"] = largest(
        [*begun.high, begun.image, logits], [*embedding.high, embedding.image, expected]
    )
    assert numbers["difference"] <= 1e-5
    # The adapter is wired in: it moves the answer once its ends are no longer zero.
    network_of.cache_clear()
    train_what_the_method_trains(network, found)
    assert disturb(network)
    later, _ = answer(network, network.encode(seen))
    numbers["difference_once_moved"] = largest([later], [logits])
    assert numbers["difference_once_moved"] > 1e-5


def prompted_by(network: PromptNetwork, base: PromptNetwork, embedding: Embedding) -> Tensor:
    """The base's answer to the sparse prompt of an untrained generator, which leaves the rest alone."""
    decoder, encoder = base.sam_mask_decoder, base.sam_prompt_encoder
    own = output_tokens(decoder)
    image, sparse, dense, tokens = network.get_submodule("apg")(embedding.image, own)
    assert torch.equal(image, embedding.image) and torch.equal(tokens, own) and not dense.any()
    none = encoder.no_mask_embed.weight.view(1, -1, 1, 1)
    logits, _, _, _ = decoder(
        image_embeddings=embedding.image,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=none.expand(-1, -1, base.grid, base.grid),
        multimask_output=False,
        repeat_image=False,
        high_res_features=list(embedding.high) or None,
    )
    return logits


def largest(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest absolute difference of pairs of tensors."""
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))
