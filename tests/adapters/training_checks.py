"""Gradients of what an adapter trains, and whether a few steps reach all of it."""

from __future__ import annotations

import torch

from uniultra.adapters.registry import matches


def gradients(network, trains, outputs):
    """Gradients by name after one backward of `outputs(network)`; nothing else has any."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, trains))
        parameter.grad = None
    sum(output.square().mean() for output in outputs(network)).backward()
    assert all(p.grad is None for p in network.parameters() if not p.requires_grad)
    return {name: p.grad for name, p in network.named_parameters() if p.requires_grad}


def check_a_few_steps_reach_everything(network, trains, outputs):
    """After three steps every trained parameter has a finite gradient that is not zero; their number."""
    for _ in range(3):
        found = gradients(network, trains, outputs)
        with torch.no_grad():
            for name, gradient in found.items():
                network.get_parameter(name).sub_(0.02 * gradient.sign())
    found = gradients(network, trains, outputs)
    for name, gradient in found.items():
        assert torch.isfinite(gradient).all(), name
        if name.endswith(".k.bias"):  # adds the same to all scores of a query: softmax does not see it
            assert gradient.abs().max() < 1e-6, name
        else:
            assert gradient.any(), name
    return len(found)
