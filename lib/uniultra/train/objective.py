"""Training objectives: modules that compute the loss of a batch, so that DDP can wrap them.

Each has `forward(batch, progress) -> {"loss": ..., parts}` and `score(batch) -> (N,)`, higher is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from uniultra.errors import ModelError
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork, decode_by_length
from uniultra.prompts import raster
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.types import PromptSet
from uniultra.train.batches import Batch, protocol_of
from uniultra.train.losses import best_mask, border_loss, click_loss, quality_loss
from uniultra.train.losses_published import LOSSES, Loss
from uniultra.train.recipe import Recipe

EARLY = 0.75  # probability of a correction relative to the one before it, see `Recipe.corrections`
TURNS = 2**31  # the "target number" that seeds the choice of turns; no target of a batch has it


class Objective(nn.Module):
    """A network in training. Frozen batch norms keep their running statistics.

    Args:
        network: the network; frozen parameters do not require gradients.
        entry: the network's registry entry, which says how pictures are normalised.
        recipe: loss, prompts and weights.
    """

    prompted = False  # whether batches need prompts

    def __init__(self, network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.entry, self.recipe = network, entry, recipe

    def train(self, mode: bool = True) -> Objective:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters()):
                module.eval()
        return self

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        """The loss of a batch and its parts; `progress` is the fraction of the run done, 0..1."""
        raise NotImplementedError

    def score(self, batch: Batch) -> Tensor:
        """The validation score `(N,)` of N targets: Dice of the masks for the first prompts."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Embedding:
        """The embedding of the batch's pictures."""
        return self.network.encode(self.entry.normalise(batch.pictures))


# A loss besides that of the labels, from a turn's prompts and logits.
Guide = Callable[[Sequence[PromptSet], Tensor], Tensor]


class PromptObjective(Objective):
    """Interactive segmentation: a simulated annotator corrects the masks turn by turn.

    Parts of the loss: `mask`, the recipe's loss; `click`, at the clicked pixels; `border`, along the true
    border; `best`, the best of the three multimask outputs for a lone click; `guide`, added by subclasses.
    """

    prompted = True

    def __init__(self, network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> None:
        super().__init__(network, entry, recipe)
        self.loss, self.protocol = loss_of(recipe.loss), protocol_of(recipe)
        self.weights = {"mask": 1.0, "click": recipe.click_weight}
        self.weights |= {"border": recipe.border_weight} if recipe.border_weight else {}
        self.weights |= {"best": recipe.multimask} if recipe.multimask else {}

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        return self.learn(batch, self.encode(batch), progress)

    def learn(
        self, batch: Batch, embedding: Embedding, progress: float, guide: Guide | None = None
    ) -> dict[str, Tensor]:
        """The loss of a batch and its parts, given the embedding of its pictures."""
        prompts = list(batch.prompts)
        totals = {name: batch.weight.new_zeros(()) for name in self.weights}
        trained = self._trained(batch)
        learning = torch.is_grad_enabled()
        for turn in range(trained[-1] + 1):
            with torch.set_grad_enabled(learning and turn in trained):
                encoded = self.encoded(prompts)
                every = bool(self.recipe.multimask) and turn == 0
                logits, iou = decode_by_length(self.network, embedding, batch.picture, encoded, every=every)
            if turn in trained:
                parts = self._parts(batch, prompts, encoded, logits, iou, progress)
                if guide is not None:
                    parts["guide"] = guide(prompts, logits[:, :1])
                totals = {name: total + parts[name] for name, total in totals.items() if name in parts}
            if turn < trained[-1]:
                prompts = self.corrected(batch, prompts, logits[:, :1], turn + 1)
                if self.recipe.detach_turns:
                    embedding = Embedding(
                        embedding.image.detach(), tuple(high.detach() for high in embedding.high)
                    )
        factor = batch.share / len(trained)
        total = torch.stack([self.weights[name] * part for name, part in totals.items()]).sum()
        return {"loss": factor * total} | {n: factor * part.detach() for n, part in totals.items()}

    def score(self, batch: Batch) -> Tensor:
        encoded = self.encoded(batch.prompts)
        logits, _ = decode_by_length(self.network, self.encode(batch), batch.picture, encoded)
        return dices(masks_of(logits, self.network.image_size), batch.masks)

    def _trained(self, batch: Batch) -> tuple[int, ...]:
        """The turns of a step that are trained; the same in every process, which DDP needs."""
        most = self.recipe.corrections
        if not most:
            return tuple(range(self.protocol.turns))
        shares = EARLY ** np.arange(most)
        # Independent of the prompts' random numbers, which `Batch.rng` seeds by the target's number.
        rng = np.random.default_rng([*batch.key, TURNS])
        return 0, 1 + int(rng.choice(most, p=shares / shares.sum()))

    def _parts(
        self,
        batch: Batch,
        prompts: Sequence[PromptSet],
        encoded: list[raster.Encoded],
        logits: Tensor,
        iou: Tensor,
        progress: float,
    ) -> dict[str, Tensor]:
        """The parts of the loss of one turn's logits `(N,1,g,g)`, or of all four masks' `(N,4,g,g)`."""
        first, truth, weight = logits[:, :1], batch.truth, batch.weight
        parts = {name: weight.new_zeros(()) for name in self.weights}
        parts["mask"] = self.loss(first, iou[:, :1], truth, weight, progress)
        if self.recipe.click_weight:
            coords, labels, _ = raster.batch(encoded, logits.device)
            parts["click"] = click_loss(first, coords, labels, self.network.image_size, weight)
        if self.recipe.border_weight:
            parts["border"] = border_loss(first, truth, weight)
        lone = [n for n, prompt in enumerate(prompts) if prompt.lone_click]
        if logits.shape[1] > 1 and lone:
            index = torch.tensor(lone, device=logits.device)
            masks, scores, truth = logits[index, 1:], iou[index, 1:], truth[index]
            place, best = torch.arange(len(lone), device=logits.device), best_mask(masks, truth)
            chosen = masks[place, best][:, None], scores[place, best][:, None]
            alone = weight[index]
            part = self.loss(*chosen, truth, alone, progress) + quality_loss(masks, scores, truth, alone)
            # As a share of all targets: a mean over the lone clicks alone would weigh each of them more in
            # a process that has few.
            parts["best"] = part * alone.sum() / weight.sum().clamp_min(1e-6)
        return parts

    def encoded(self, prompts: Sequence[PromptSet]) -> list[raster.Encoded]:
        """Prompts in pixels of the network's input, encoded for it."""
        side = self.network.image_size
        return [raster.encode(p, Fit(side, side, side)) for p in prompts]

    def corrected(
        self, batch: Batch, prompts: Sequence[PromptSet], logits: Tensor, turn: int
    ) -> list[PromptSet]:
        """The prompts of `turn`, which correct the masks of logits `(N,1,g,g)`."""
        masks = masks_of(logits, self.network.image_size)
        return [
            self.protocol.next(p, masks[n], batch.masks[n], batch.rng(n, turn), turn)
            for n, p in enumerate(prompts)
        ]


class AutoObjective(Objective):
    """Fully automatic segmentation: one mask per picture, which may be empty."""

    def __init__(self, network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> None:
        super().__init__(network, entry, recipe)
        self.loss = loss_of(recipe.loss)

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        logits, iou = self._decoded(batch)
        total = batch.share * self.loss(logits, iou, batch.truth, batch.weight, progress)
        if self.recipe.border_weight:
            border = batch.share * border_loss(logits, batch.truth, batch.weight)
            return {"loss": total + self.recipe.border_weight * border, "border": border.detach()}
        return {"loss": total}

    def score(self, batch: Batch) -> Tensor:
        return dices(masks_of(self._decoded(batch)[0], self.network.image_size), batch.masks)

    def _decoded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        embedding = self.encode(batch).repeat(batch.picture)
        count = len(batch.picture)
        padding = batch.pictures.new_zeros(count, 1, 2)  # a point of label -1
        return self.network.decode(embedding, padding, padding.new_full((count, 1), -1), None, False)


def loss_of(name: str) -> Loss:
    """The loss called `name`.

    Raises:
        ModelError: unknown loss.
    """
    if name not in LOSSES:
        raise ModelError(f"Unknown loss; expected one of {', '.join(LOSSES)}.")
    return LOSSES[name]


def masks_of(logits: Tensor, side: int) -> NDArray[np.bool_]:
    """Masks `(N,side,side)` of logits `(N,1,h,h)`."""
    full = F.interpolate(logits.detach().float(), (side, side), mode="bilinear")
    masks: NDArray[np.bool_] = (full[:, 0] > 0).cpu().numpy()
    return masks


def dices(masks: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Tensor:
    """Dice `(N,)` of N masks `(N,S,S)`; 1 where mask and truth are both empty."""
    both = 2 * (masks & truth).sum((1, 2))
    sizes = masks.sum((1, 2)) + truth.sum((1, 2))
    return torch.from_numpy(np.where(sizes == 0, 1.0, both / np.maximum(sizes, 1)))


def recompute_blocks(network: nn.Module) -> int:
    """Put the trunk's blocks under gradient checkpointing; the number of blocks."""
    count = 0
    for name, blocks in network.named_modules():
        if name.split(".")[-1] == "blocks" and isinstance(blocks, nn.ModuleList | nn.Sequential):
            for block in blocks:
                # A partial of a bound method, unlike a closure, follows a deep copy of the network.
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
                count += 1
    return count
