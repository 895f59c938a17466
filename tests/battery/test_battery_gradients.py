"""Only what a method trains gets gradients, and every such parameter gets some."""

from __future__ import annotations

import pytest
import torch
from battery_cases import (
    SMALL,
    answer,
    cases,
    disturb,
    fresh,
    pictures,
    train_what_the_method_trains,
)

from uniultra.models import entry
from uniultra.models.counting import count_network, on_meta

# Trained by name, and yet without a gradient from masks and predicted IoU.
UNREACHED = {
    "sam_mask_decoder.pred_obj_score_head.": "the object score is for SAM2's video; decode leaves it out",
}


@pytest.mark.parametrize("name", cases("gradients"))
def test_gradients(name, numbers):
    network, found = fresh(name, SMALL).train(), entry(name)
    trained = train_what_the_method_trains(network, found)
    disturb(network)
    embedding = network.encode(pictures(found, SMALL, batch=2))
    outputs = [t for multimask in (False, True) for t in answer(network, embedding, multimask)]
    if found.prompts:
        # Without a dense prompt: the only use of `no_mask_embed` where prompts are drawn.
        nothing = torch.zeros(2, 1, 2), torch.full((2, 1), -1.0)
        outputs += network.decode(embedding, *nothing)
    sum(t.square().mean() for t in outputs).backward()
    unreached = {n for n in trained if any(part in n for part in UNREACHED)}
    sizes = 0
    for key, parameter in network.named_parameters():
        if key not in trained or key in unreached:
            assert parameter.grad is None, key
        else:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            assert parameter.grad.any(), key
        sizes += parameter.numel() if key in trained else 0
    # At this side: SAM's tables of positions grow with the picture.
    counts = count_network(on_meta(name, SMALL), found, trained(found))
    assert sizes == counts.parameters_trained
    numbers.update(
        trained=sizes, share=sizes / counts.parameters_total, tensors_without_gradient=len(unreached)
    )
