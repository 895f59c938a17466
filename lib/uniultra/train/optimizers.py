"""Optimisers by name, with parameter groups: weight decay applies to matrices and kernels only."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from uniultra.adapters.registry import matches
from uniultra.train.objective import Objective
from uniultra.train.recipe import Recipe


class OptimizerGroup:
    """Several optimisers with the interface of one, for the loop and its checkpoints."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all optimisers; their settings may be changed in place."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, part_state in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(part_state)


def optimizer_of(goal: Objective, recipe: Recipe) -> torch.optim.Optimizer | OptimizerGroup:
    """The recipe's optimiser of all trained parameters; each group has a `factor` on the learning rate."""
    settings, rates = recipe.optimizer, getattr(goal.network, "rates", {})
    linear = {id(m.weight) for m in goal.network.modules() if isinstance(m, nn.Linear)}
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in goal.named_parameters():
        if parameter.requires_grad:
            factor = next((f for part, f in rates.items() if matches(name, (part,))), 1.0)
            orthogonal = settings.name == "muon" and id(parameter) in linear
            groups.setdefault((factor, parameter.ndim > 1, orthogonal), []).append(parameter)
    adam: list[dict[str, Any]] = []
    muon: list[dict[str, Any]] = []
    for (factor, decays, orthogonal), members in groups.items():
        group = {"params": members, "weight_decay": settings.decay if decays else 0.0, "factor": factor}
        (muon if orthogonal else adam).append(group)
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    parts: list[torch.optim.Optimizer] = []
    if adam:
        parts.append(kind(adam, lr=settings.rate))
    if muon:
        # Scaled to AdamW's steps, so that one learning rate and weight decay fit both.
        parts.append(torch.optim.Muon(muon, lr=settings.rate, adjust_lr_fn="match_rms_adamw"))
    return parts[0] if len(parts) == 1 else OptimizerGroup(*parts)
