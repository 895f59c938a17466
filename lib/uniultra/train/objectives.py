"""Registry of objectives by the names that recipes use."""

from __future__ import annotations

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.train.distillation.distill import DistillObjective
from uniultra.train.distillation.guided import GuidedObjective
from uniultra.train.objective import AutoObjective, Objective, PromptObjective
from uniultra.train.recipe import Recipe

OBJECTIVES: dict[str, type[Objective]] = {
    "prompt": PromptObjective,
    "auto": AutoObjective,
    "distill": DistillObjective,
    "guided": GuidedObjective,
}


def build_objective(network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> Objective:
    """The objective that the recipe names.

    Raises:
        ModelError: unknown objective, or one that does not fit the network.
    """
    if recipe.objective not in OBJECTIVES:
        raise ModelError(f"Unknown objective; expected one of {', '.join(OBJECTIVES)}.")
    if (recipe.objective == "auto") != (not entry.prompts) and recipe.objective != "distill":
        suitable = "prompt" if entry.prompts else "auto"
        raise ModelError(f"The model {entry.name} is trained with the objective {suitable!r}.")
    return OBJECTIVES[recipe.objective](network, entry, recipe)
