"""Adapting a promptable network to a few labelled pictures, without forgetting what it knew."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from uniultra.adapt.pictures import Labelled, drawn_scenes, samples_of
from uniultra.adapt.rehearsal import RehearsalObjective
from uniultra.adapt.settings import KNOWN, FitSettings
from uniultra.adapters.registry import matches
from uniultra.datasets.samples import Preparation, Sample
from uniultra.errors import ModelError
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.train.distributed import World
from uniultra.train.initial_network import trained_fragments
from uniultra.train.loop import Loop
from uniultra.train.trainer import deterministic

SCENE_SEED = 50_021  # scenes to rehearse on; those of the gate have another


def fit(
    network: PromptNetwork,
    pictures: Sequence[Labelled],
    settings: FitSettings,
    *,
    seed: int,
    known: Sequence[Labelled] = (),
    folder: Path | None = None,
    checkpoint_every: int | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> PromptNetwork:
    """A copy of `network`, trained on `pictures`; the network itself stays as it is.

    Args:
        network: on the device to train on.
        pictures: with labels.
        settings: how.
        seed: of everything random; the same arguments give the same network.
        known: labelled pictures of old organs, to rehearse.
        folder: for checkpoints and log.jsonl; with a checkpoint in it the training goes on from there.
        checkpoint_every: steps between checkpoints.
        after_step: called after each step with the number of steps done and the loss; what it raises ends
            the training.

    Raises:
        ModelError: no label has anything to learn, nothing of the network would be trained, or the loss
            is no longer a number.
    """
    found = entry(settings.model)
    recipe = settings.recipe(seed, known=bool(known), checkpoint_every=checkpoint_every)
    samples = _samples(network, pictures, known, settings)
    adapted = copy.deepcopy(network)
    _train_only(adapted, trained_fragments(found, recipe))
    with ExitStack() as stack:
        output = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uniultra-")))
        device = next(network.parameters()).device
        stack.enter_context(deterministic(recipe.deterministic, device))
        goal = RehearsalObjective(adapted, found, recipe, settings.keep, settings.temperature)
        keeps = folder is not None
        loop = Loop(
            goal, recipe, World(0, 1, device), output, [], shown=False, keeps=keeps, after_step=after_step
        )
        loop.run(samples)
    return part_of_the_way(network, adapted, settings.share)


@torch.no_grad()
def part_of_the_way(start: PromptNetwork, adapted: PromptNetwork, share: float) -> PromptNetwork:
    """A network `share` of the way from one's weights to the other's: it answers as both together would."""
    found, trained = copy.deepcopy(start), adapted.state_dict()
    for name, value in found.state_dict().items():
        if value.is_floating_point():
            value.lerp_(trained[name], share)
        else:
            value.copy_(trained[name])
    return found.eval().requires_grad_(False)


def _samples(
    network: PromptNetwork, pictures: Sequence[Labelled], known: Sequence[Labelled], settings: FitSettings
) -> list[Sample]:
    """Everything that batches are drawn from.

    Raises:
        ModelError: no target is large enough to be learnt.
    """
    size = network.image_size
    how = Preparation(size, entry(settings.model).fit, pseudo=settings.pseudo)
    labelled = samples_of(pictures, how)
    if not any(sample.labelled for sample in labelled):
        raise ModelError(
            "Expected a label with a structure in it to learn from; all are empty or of a few pixels. Label "
            "more images."
        )
    old = samples_of(known, replace(how, pseudo=False))
    rehearsed = drawn_scenes(size, settings.scenes, SCENE_SEED) if settings.rehearsed else ()
    return [*labelled, *(replace(sample, dataset=KNOWN) for sample in old), *rehearsed]


def _train_only(network: PromptNetwork, fragments: tuple[str, ...]) -> None:
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, fragments))
    if not any(p.requires_grad for p in network.parameters()):
        raise ModelError("Nothing of the network would be trained; see `trains` in the settings.")
