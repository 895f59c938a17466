"""Adapt a promptable network to a few labelled pictures without catastrophic forgetting."""

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

SCENE_SEED = 50_021  # of the replayed scenes; the gate's test scenes have another


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
    """Train a copy of `network` on `pictures`; the network itself is not changed.

    Args:
        network: on the device to train on.
        pictures: labelled pictures of the campaign.
        settings: of the training.
        seed: of all random numbers; the same arguments give the same network.
        known: replay set, labelled pictures of earlier organs.
        folder: for checkpoints and log.jsonl; a training with a checkpoint there is resumed. Default: a
            temporary one, without checkpoints.
        checkpoint_every: steps between checkpoints.
        after_step: called after each step with the number of steps done and the loss; an exception that it
            raises ends the training.

    Raises:
        ModelError: no label has a structure, no parameter would be trained, or the loss is no longer a
            number.
    """
    model = entry(settings.model)
    recipe = settings.recipe(seed, known=bool(known), checkpoint_every=checkpoint_every)
    samples = _samples(network, pictures, known, settings)
    adapted = copy.deepcopy(network)
    _train_only(adapted, trained_fragments(model, recipe))
    with ExitStack() as stack:
        output = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uniultra-")))
        device = next(network.parameters()).device
        stack.enter_context(deterministic(recipe.deterministic, device))
        objective = RehearsalObjective(adapted, model, recipe, settings.keep, settings.temperature)
        loop = Loop(
            objective,
            recipe,
            World(0, 1, device),
            output,
            [],
            shown=False,
            keeps=folder is not None,
            after_step=after_step,
        )
        loop.run(samples)
    return interpolate(network, adapted, settings.share)


@torch.no_grad()
def interpolate(base: PromptNetwork, adapted: PromptNetwork, alpha: float) -> PromptNetwork:
    """Linearly interpolate two networks' weights: `(1 - alpha) * base + alpha * adapted`.

    WiSE-FT (arXiv 2109.01903): a smaller `alpha` keeps more of what the base network knows.
    """
    network, trained = copy.deepcopy(base), adapted.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(trained[name], alpha)
        else:
            value.copy_(trained[name])
    return network.eval().requires_grad_(False)


def _samples(
    network: PromptNetwork, pictures: Sequence[Labelled], known: Sequence[Labelled], settings: FitSettings
) -> list[Sample]:
    """The samples that batches are drawn from.

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
