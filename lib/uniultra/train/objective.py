"""What a network is trained for: modules that turn a batch into a loss, so that DDP can wrap them.

Each has `forward(batch, progress) -> {"loss": ..., parts}` and `score(batch) -> (N,)`, higher is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

EARLY = 0.75  # each further correction is trained so many times as often as the one before
TURNS = 2**31  # a "target" that no batch has


class Objective(nn.Module):
    """A network in training. Frozen batch norms keep their running statistics.

    Args:
        network: what is trained, its frozen parameters without gradients.
        entry: how pictures are normalised for it.
        recipe: loss, prompts and weights.
    """

    prompted = False  # whether batches bring prompts

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
        """The loss of a batch, and its parts; `progress` is the share of the run that is done."""
        raise NotImplementedError

    def score(self, batch: Batch) -> Tensor:
        """How good each of N targets is, `(N,)`, by validation's measure: Dice of the first answer."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Embedding:
        """The embedding of the batch's pictures."""
        return self.network.encode(self.entry.normalise(batch.pictures))


# How a turn's answers agree with something else than the truth: a loss from prompts and logits.
Guide = Callable[[Sequence[PromptSet], Tensor], Tensor]


class PromptObjective(Objective):
    """Masks from prompts, which a simulated annotator corrects turn by turn.

    The parts of its loss: `mask` what the recipe names, `click` right at the clicks, `border` along the
    border, `best` the best of three masks for a lone click, `guide` what a subclass adds.
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
        """The loss of a batch whose pictures have been encoded, and its parts."""
        prompts = list(batch.prompts)
        totals = {name: batch.weight.new_zeros(()) for name in self.weights}
        trained = self._trained(batch)
        learning = torch.is_grad_enabled()
        for turn in range(trained[-1] + 1):
            with torch.set_grad_enabled(learning and turn in trained):
                encoded = self.encoded(prompts)
                every = bool(self.recipe.multimask) and turn == 0
                logits, iou = ask(self.network, embedding, batch.picture, encoded, every=every)
            if turn in trained:
                found = self._parts(batch, prompts, encoded, logits, iou, progress)
                if guide is not None:
                    found["guide"] = guide(prompts, logits[:, :1])
                totals = {name: total + found[name] for name, total in totals.items() if name in found}
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
        logits, _ = ask(self.network, self.encode(batch), batch.picture, encoded)
        return dices(answers(logits, self.network.image_size), batch.masks)

    def _trained(self, batch: Batch) -> tuple[int, ...]:
        """The turns of a step that are trained; the same in every process."""
        most = self.recipe.corrections
        if not most:
            return tuple(range(self.protocol.turns))
        shares = EARLY ** np.arange(most)
        # No target has this number, so that no prompt is drawn by the same ones.
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
        """The parts of the loss of one turn's answers `(N,1,g,g)`, or all four masks `(N,4,g,g)`."""
        first, truth, weight = logits[:, :1], batch.truth, batch.weight
        parts = {name: weight.new_zeros(()) for name in self.weights}
        parts["mask"] = self.loss(first, iou[:, :1], truth, weight, progress)
        if self.recipe.click_weight:
            coords, labels, _ = raster.batch(encoded, logits.device)
            parts["click"] = click_loss(first, coords, labels, self.network.image_size, weight)
        if self.recipe.border_weight:
            parts["border"] = border_loss(first, truth, weight)
        lone = [n for n, one in enumerate(prompts) if one.lone_click]
        if logits.shape[1] > 1 and lone:
            index = torch.tensor(lone, device=logits.device)
            masks, scores, truth = logits[index, 1:], iou[index, 1:], truth[index]
            place, best = torch.arange(len(lone), device=logits.device), best_mask(masks, truth)
            chosen = masks[place, best][:, None], scores[place, best][:, None]
            alone = weight[index]
            part = self.loss(*chosen, truth, alone, progress) + quality_loss(masks, scores, truth, alone)
            # A mean over the lone clicks would weigh more in a process that has few of them.
            parts["best"] = part * alone.sum() / weight.sum().clamp_min(1e-6)
        return parts

    def encoded(self, prompts: Sequence[PromptSet]) -> list[raster.Encoded]:
        """Prompts in pixels of the network's input, as it takes them."""
        side = self.network.image_size
        return [raster.encode(p, Fit(side, side, side)) for p in prompts]

    def corrected(
        self, batch: Batch, prompts: Sequence[PromptSet], logits: Tensor, turn: int
    ) -> list[PromptSet]:
        """The prompts of `turn`, after answers `(N,1,g,g)`."""
        found = answers(logits, self.network.image_size)
        return [
            self.protocol.next(p, found[n], batch.masks[n], batch.rng(n, turn), turn)
            for n, p in enumerate(prompts)
        ]


class AutoObjective(Objective):
    """Masks without prompts, one for each picture; a picture may have nothing to find."""

    def __init__(self, network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> None:
        super().__init__(network, entry, recipe)
        self.loss = loss_of(recipe.loss)

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        logits, iou = self._answer(batch)
        total = batch.share * self.loss(logits, iou, batch.truth, batch.weight, progress)
        if self.recipe.border_weight:
            border = batch.share * border_loss(logits, batch.truth, batch.weight)
            return {"loss": total + self.recipe.border_weight * border, "border": border.detach()}
        return {"loss": total}

    def score(self, batch: Batch) -> Tensor:
        return dices(answers(self._answer(batch)[0], self.network.image_size), batch.masks)

    def _answer(self, batch: Batch) -> tuple[Tensor, Tensor]:
        embedding = self.encode(batch).repeat(batch.picture)
        count = len(batch.picture)
        nowhere = batch.pictures.new_zeros(count, 1, 2)
        return self.network.decode(embedding, nowhere, nowhere.new_full((count, 1), -1), None, False)


def objective(network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> Objective:
    """The objective that the recipe names.

    Raises:
        ModelError: there is none of that name, or it does not suit the network.
    """
    if recipe.objective not in OBJECTIVES:
        raise ModelError(f"Unknown objective; expected one of {', '.join(OBJECTIVES)}.")
    if (recipe.objective == "auto") != (not entry.prompts) and recipe.objective != "distill":
        wanted = "prompt" if entry.prompts else "auto"
        raise ModelError(f"The model {entry.name} is trained with the objective {wanted!r}.")
    return OBJECTIVES[recipe.objective](network, entry, recipe)


def _distill(network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> Objective:
    from uniultra.train.distillation.distill import DistillObjective

    made: Objective = DistillObjective(network, entry, recipe)
    return made


def loss_of(name: str) -> Loss:
    """The loss called `name`.

    Raises:
        ModelError: there is none of that name.
    """
    if name not in LOSSES:
        raise ModelError(f"Unknown loss; expected one of {', '.join(LOSSES)}.")
    return LOSSES[name]


def _guided(network: PromptNetwork, entry: ModelEntry, recipe: Recipe) -> Objective:
    from uniultra.train.distillation.guided import GuidedObjective

    made: Objective = GuidedObjective(network, entry, recipe)
    return made


OBJECTIVES: dict[str, Callable[[PromptNetwork, ModelEntry, Recipe], Objective]] = {
    "prompt": PromptObjective,
    "auto": AutoObjective,
    "distill": _distill,
    "guided": _guided,
}


ask = decode_by_length


def answers(logits: Tensor, side: int) -> NDArray[np.bool_]:
    """Masks `(N,side,side)` of logits `(N,1,h,h)`."""
    full = F.interpolate(logits.detach().float(), (side, side), mode="bilinear")
    found: NDArray[np.bool_] = (full[:, 0] > 0).cpu().numpy()
    return found


def dices(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Tensor:
    """Dice of each of N masks; 1 where rightly nothing was found."""
    both = 2 * (found & truth).sum((1, 2))
    sizes = found.sum((1, 2)) + truth.sum((1, 2))
    return torch.from_numpy(np.where(sizes == 0, 1.0, both / np.maximum(sizes, 1)))


def recompute_blocks(network: nn.Module) -> int:
    """Make the trunk's blocks forget their activations until the backward pass; how many do."""
    count = 0
    for name, blocks in network.named_modules():
        if name.split(".")[-1] == "blocks" and isinstance(blocks, nn.ModuleList | nn.Sequential):
            for block in blocks:
                block.forward = _Recomputed(block.forward)
                count += 1
    return count


class _Recomputed:
    """A module's forward under gradient checkpointing; an object, so that networks can be copied."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self.forward = forward

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.forward(*inputs)
        made: Tensor = checkpoint(self.forward, *inputs, use_reentrant=False)
        return made
